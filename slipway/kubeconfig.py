"""The administrator's kubeconfig on this machine: a file of its own and, if asked, a context."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

_KINDS = {"clusters": "cluster", "users": "user", "contexts": "context"}


def named(text: str, name: str) -> dict[str, Any]:
    """kubeadm's kubeconfig with cluster, user and context all called ``name``."""
    document: dict[str, Any] = yaml.safe_load(text)
    for kind in _KINDS:
        (entry,) = document[kind]
        entry["name"] = name
    document["contexts"][0]["context"] = {"cluster": name, "user": name}
    document["current-context"] = name
    return document


def merged(into: Mapping[str, Any], what: Mapping[str, Any]) -> dict[str, Any]:
    """``into`` with the entries of ``what``, in place of those that have the same names."""
    result = {"apiVersion": "v1", "kind": "Config", **into}
    for kind in _KINDS:
        new = {entry["name"]: entry for entry in what[kind]}
        kept = [entry for entry in into.get(kind) or [] if entry["name"] not in new]
        result[kind] = [*kept, *new.values()]
    result.setdefault("current-context", what["current-context"])
    return result


def without(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    """``document`` without the entries called ``name``."""
    result = dict(document)
    for kind in _KINDS:
        result[kind] = [entry for entry in document.get(kind) or [] if entry["name"] != name]
    if result.get("current-context") == name:
        result["current-context"] = ""
    return result


def read(path: Path) -> dict[str, Any]:
    """The kubeconfig at ``path``; empty where there is none."""
    return (yaml.safe_load(path.read_text(encoding="utf-8")) or {}) if path.exists() else {}


def write(path: Path, document: Mapping[str, Any]) -> bool:
    """Write the kubeconfig for its owner alone; return whether it was not so already."""
    if path.exists() and read(path) == document:
        return False
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent)  # mode 0600
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        yaml.safe_dump(dict(document), file, sort_keys=False)
    Path(temporary).rename(path)
    return True
