"""What runs: the container, its configuration, and what else belongs to the app."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from slipway.apps import schema
from slipway.apps.places import Finding, Places, plain, texts
from slipway.apps.plan.secret_names import unknown_secrets
from slipway.apps.templates import MANIFEST_VARIABLES, VARIABLES, mistake
from slipway.apps.yaml_lines import Place


def mistakes(
    places: Places, app: Mapping[str, Any], folder: Path, secrets: Collection[str] | None
) -> Iterator[Finding]:
    """What is wrong with an app's configuration."""
    yield from _doubled_paths(places, app)
    for key, value in app.get("env", {}).items():
        if isinstance(value, Mapping) and "secret" in value:
            yield from unknown_secrets(places, ("env", key, "secret"), value["secret"], secrets)
    for number, file in enumerate(app.get("config_files", ())):
        if "secret" in file:
            setting: Place = ("config_files", number, "secret")
            yield from unknown_secrets(places, setting, file["secret"], secrets)
    for key in ("config_files", "manifests", "helm"):
        for number, entry in enumerate(app.get(key, ())):
            if "file" in entry and not (folder / entry["file"]).exists():
                yield places.finding(
                    (key, number, "file"),
                    f"{folder / entry['file']} does not exist",
                    "correct the path; a relative one is seen from the folder of apps.yml",
                )


def _doubled_paths(places: Places, app: Mapping[str, Any]) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    for number, file in enumerate(app.get("config_files", ())):
        setting: Place = ("config_files", number, "path")
        where = places.where(*setting)
        if (first := seen.setdefault(file["path"], where)) != where:
            yield places.finding(setting, f"{file['path']} is also at {first}", "keep one of them")


def template_mistakes(places: Places, app: Mapping[str, Any]) -> Iterator[Finding]:
    """Templates in the file that cannot be filled in; those elsewhere are read later."""
    for key, value in app.get("env", {}).items():
        if isinstance(value, str) and (fault := mistake(value, VARIABLES)):
            yield places.finding(("env", key), *fault)
    known = {"config_files": VARIABLES, "manifests": MANIFEST_VARIABLES}
    for key, variables in known.items():
        for number, entry in enumerate(app.get(key, ())):
            if "content" not in entry or not entry.get("template", True):
                continue
            if fault := mistake(entry["content"], variables):
                yield places.finding((key, number, "content"), *fault)


def record(app: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The part of the record that says what runs."""
    return {
        "port": int(app.get("port", schema.default("port"))),
        "replicas": int(app.get("replicas", schema.default("replicas"))),
        "health_path": app.get("health_path"),
        "probes": {name: plain(probe) for name, probe in plain(app.get("probes", {})).items()},
        "resources": {
            name: texts(plain(amounts)) for name, amounts in plain(app.get("resources", {})).items()
        },
        "env": {name: _env(value) for name, value in app.get("env", {}).items()},
        "config_files": [_config_file(file, folder) for file in app.get("config_files", ())],
        "manifests": [
            {"template": True, **_located(entry, folder)} for entry in app.get("manifests", ())
        ],
        "helm": [
            {"release": app["name"], "values": {}, **_located(entry, folder)}
            for entry in app.get("helm", ())
        ],
        "service_account": app.get("service_account"),
        "security": plain(app.get("security", {})),
        "node_selector": texts(app.get("node_selector", {})),
    }


def _env(value: Any) -> dict[str, str]:
    """Where the value of an environment variable comes from."""
    return plain(value) if isinstance(value, Mapping) else {"value": str(value)}


def _config_file(file: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    return {"template": "content" in file, **_located(file, folder)}


def _located(entry: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The entry with the absolute path of its file on disk, if it is one."""
    located = plain(entry)
    if "file" in located:
        located["file"] = str((folder / located["file"]).resolve())
    return located
