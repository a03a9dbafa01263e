"""Kubeconfigs on this machine: the administrator's, as a context too if asked, and others'."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from slipway.certificates import Pair
from slipway.errors import Problem, SlipwayError
from slipway.files import write_whole
from slipway.on_node import certificates as on_node
from slipway.on_node.certificates import Unreadable, certificates_of, end_of

_FIX = "mend it, or move it away"

RENEWED_BEFORE = timedelta(seconds=on_node.RENEWED_BEFORE)
"""How long before their end certificates of the cluster are made anew."""

_KINDS = ("clusters", "users", "contexts")


def named(text: str, name: str) -> dict[str, Any]:
    """kubeadm's kubeconfig with cluster, user and context all called ``name``."""
    document: dict[str, Any] = yaml.safe_load(text)
    for kind in _KINDS:
        (entry,) = document[kind]
        entry["name"] = name
    document["contexts"][0]["context"] = {"cluster": name, "user": name}
    document["current-context"] = name
    return document


def people_folder(path: Path) -> Path:
    """Where other people's kubeconfigs of the cluster are that ``path`` opens.

    As files beside it, one might have the name of another cluster's.
    """
    return path.with_name(f"{path.name.removesuffix('.yaml')}.people")


def of_person(own: Mapping[str, Any], cluster: str, person: str, pair: Pair) -> dict[str, Any]:
    """A kubeconfig for somebody else, who is known by a pair, of the cluster that ``own`` opens."""
    (entry,) = own["clusters"]
    parts = {"client-certificate-data": pair.certificate, "client-key-data": pair.key}
    user = {part: b64encode(text.encode()).decode() for part, text in parts.items()}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{**entry, "name": cluster}],
        "users": [{"name": person, "user": user}],
        "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": person}}],
        "current-context": cluster,
    }


def merged(into: Mapping[str, Any], what: Mapping[str, Any]) -> dict[str, Any]:
    """``into`` with the entries of ``what``, in place of those that have the same names."""
    result = {"apiVersion": "v1", "kind": "Config", **into}
    for kind in _KINDS:
        entries = [*(into.get(kind) or []), *what[kind]]
        result[kind] = list({entry["name"]: entry for entry in entries}.values())
    result["current-context"] = into.get("current-context") or what["current-context"]
    return result


def without(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    """``document`` without the entries called ``name``."""
    result = dict(document)
    for kind in _KINDS:
        if document.get(kind):
            result[kind] = [entry for entry in document[kind] if entry["name"] != name]
    if result.get("current-context") == name:
        result["current-context"] = ""
    return result


def read(path: Path) -> dict[str, Any]:
    """The kubeconfig at ``path``; empty where there is none.

    Raises SlipwayError when the file is something else.
    """
    if not path.exists():
        return {}
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        # The error quotes the file, which holds keys.
        raise SlipwayError(Problem(str(path), "is not YAML", _FIX)) from error
    if not isinstance(document, dict):
        raise SlipwayError(Problem(str(path), "is no kubeconfig", _FIX))
    return document


def ends(path: Path) -> dict[str, datetime]:
    """The ends of ``certificate`` and ``authority`` of a kubeconfig; of what it has as data."""
    if not path.exists():
        return {}
    found = certificates_of(path.read_text(encoding="utf-8", errors="replace"))
    names = {"client-certificate": "certificate", "certificate-authority": "authority"}
    last = {}
    for name, text in found.items():
        with suppress(Unreadable):
            last[names[name]] = datetime.fromtimestamp(end_of(text), UTC)
    return last


def write(path: Path, document: Mapping[str, Any]) -> bool:
    """Write the kubeconfig for its owner alone; return whether it was not so already."""
    if path.exists() and read(path) == document:
        return False
    target = path.resolve()  # whoever links to their kubeconfig keeps the link
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_whole(target, yaml.safe_dump(dict(document), sort_keys=False), 0o600)
    return True
