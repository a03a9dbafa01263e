"""What runs: the container, its configuration, and what else belongs to the app."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from slipway.apps.app import RESTRICTED
from slipway.apps.limits import FIX, excess, unfit
from slipway.apps.plan import schema
from slipway.apps.plan.bounds import Bounds
from slipway.apps.plan.places import Finding, Places, plain
from slipway.apps.plan.secret_names import unknown_secrets
from slipway.apps.plan.yaml_lines import Place
from slipway.apps.templates import MANIFEST_VARIABLES, VARIABLES, mistake
from slipway.files import read_bytes, readable
from slipway.kube.objects import amount

PRIVILEGED = "privileged"

LONGEST_PART = 52
"""How long the name of an app with that of a process or job may be: as that of a CronJob, to which
Kubernetes adds eleven characters for each Job (batch/v1)."""

_CAPABILITIES = {
    RESTRICTED: {"NET_BIND_SERVICE"},
    "baseline": {
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    },
}
"""What containers may add, by the Pod Security Standards."""

_PLACEHOLDER = re.compile(r"\{\{.*?\}\}", re.DOTALL)


def mistakes(
    places: Places,
    app: Mapping[str, Any],
    folder: Path,
    secrets: Collection[str] | None,
    bounds: Bounds,
) -> Iterator[Finding]:
    """What is wrong with an app's configuration."""
    yield from _security_mistakes(places, app)
    for key, value in app.get("env", {}).items():
        if isinstance(value, Mapping) and "secret" in value:
            yield from unknown_secrets(
                places, ("env", key, "secret"), value["secret"], app["name"], secrets
            )
        elif isinstance(value, str) and (why := unfit(key, value)):
            yield places.finding(("env", key), why, "")
    for number, file in enumerate(app.get("config_files", ())):
        if "secret" in file:
            setting: Place = ("config_files", number, "secret")
            yield from unknown_secrets(places, setting, file["secret"], app["name"], secrets)
    for key in ("config_files", "manifests", "helm"):
        for number, entry in enumerate(app.get(key, ())):
            if "file" in entry:
                found = [
                    *bounds.file_mistakes(places, (key, number, "file"), folder, entry["file"])
                ]
                yield from found or _file_mistakes(places, app, key, number, folder / entry["file"])
    for key in ("manifests", "helm"):
        for number, entry in enumerate(app.get(key, ())):
            if entry.get("allow_kinds") and "source" in entry:
                fix = "remove it, or have the entry's file beside apps.yml"
                what = "is not for what is in the repository, which everybody writes who can push"
                yield places.finding((key, number, "allow_kinds"), what, fix)
    yield from _part_mistakes(places, app)
    yield from _scale_mistakes(places, app)
    yield from _limit_mistakes(places, app)
    yield from _size_mistakes(places, app, folder)
    for number, entry in enumerate(app.get("helm", ())):
        for place, value in _leaves(("helm", number, "values"), entry.get("values", {})):
            if isinstance(value, float) and not math.isfinite(value):
                yield places.finding(place, f"{value} is no number of JSON", "put it in quotes")
    for name, probe in app.get("probes", {}).items():
        if isinstance(probe, Mapping) and "path" in probe and "command" in probe:
            fix = "keep path or command, or write two checks"
            yield places.finding(("probes", name), "has both a path and a command", fix)


def _part_mistakes(places: Places, app: Mapping[str, Any]) -> Iterator[Finding]:
    """Processes and jobs whose names Kubernetes does not take, and jobs that run at two times."""
    for key in ("processes", "jobs"):
        for name in app.get(key, {}):
            whole = f"{app['name']}-{name}"
            if len(whole) > LONGEST_PART:
                what = f"has {len(whole)} characters as {whole}, and may have {LONGEST_PART}"
                yield places.finding((key, name), what, "give it a shorter name")
    for name in app.get("jobs", {}).keys() & app.get("processes", {}).keys():
        what = "is the name of a process, too"
        yield places.finding(("jobs", name), what, "give one of them another name")
    for name, job in app.get("jobs", {}).items():
        if "schedule" in job and "when" in job:
            what = "has both a schedule and when"
            yield places.finding(("jobs", name), what, "keep one, or write two jobs")


def _scale_mistakes(places: Places, app: Mapping[str, Any]) -> Iterator[Finding]:
    """Ranges of pods that have no number in them, or nothing by which it is chosen."""
    usual = app.get("resources", {})
    parts: list[tuple[Place, Mapping[str, Any]]] = [((), app)]
    parts += [(("processes", name), each) for name, each in app.get("processes", {}).items()]
    for place, part in parts:
        scale = part.get("replicas", schema.default("replicas"))
        if not isinstance(scale, Mapping):
            continue
        setting, resources = (*place, "replicas"), part.get("resources") or usual
        if scale.get("min", 1) > scale["max"]:
            what = f"goes from {scale.get('min', 1)} to {scale['max']}"
            yield places.finding(setting, what, "write min below max")
        given = [resources.get(each, {}).get("cpu") for each in ("requests", "limits")]
        # What is not reserved is as much as the limit.
        if not next((amount(each) for each in given if each is not None), None):
            what = "is chosen by how much of the CPU that is reserved is used, and none is"
            fix = "add resources: {requests: {cpu: 100m}}, or write a number"
            yield places.finding(setting, what, fix)


def _limit_mistakes(places: Places, app: Mapping[str, Any]) -> Iterator[Finding]:
    """Limits of nothing, which Kubernetes takes for none."""
    parts: list[tuple[Place, Mapping[str, Any]]] = [((), app)]
    for key in ("processes", "jobs"):
        parts += [((key, name), each) for name, each in app.get(key, {}).items()]
    for place, part in parts:
        for name, value in plain(part.get("resources", {}).get("limits", {})).items():
            if amount(value) == 0:
                setting = (*place, "resources", "limits", name)
                what = f"is {value}, which is no limit to Kubernetes"
                yield places.finding(setting, what, "write more, or remove it")


def _security_mistakes(places: Places, app: Mapping[str, Any]) -> Iterator[Finding]:
    """What Pod Security would refuse, and a level that is for the operator's own files."""
    level = app.get("pod_security", RESTRICTED)
    security = app.get("security", {})
    if security.get("run_as_user") == 0 and level == RESTRICTED:
        what = "is root, whom pod_security: restricted refuses"
        fix = "write another number, or add pod_security: baseline"
        yield places.finding(("security", "run_as_user"), what, fix)
    for number, name in enumerate(security.get("capabilities", ())):
        if level != PRIVILEGED and name not in _CAPABILITIES[level]:
            known = "NET_BIND_SERVICE alone" if level == RESTRICTED else "those of containers"
            what = f"{name} is refused by pod_security: {level}, which takes {known}"
            wider = "baseline" if name in _CAPABILITIES["baseline"] else PRIVILEGED
            fix = f"remove it, or add pod_security: {wider}"
            yield places.finding(("security", "capabilities", number), what, fix)
    if level != PRIVILEGED:
        return
    for key in ("manifests", "helm"):
        for number, entry in enumerate(app.get(key, ())):
            if "source" in entry:
                what = "would be in a namespace that takes any pod: who can push would have nodes"
                fix = "have its file beside apps.yml, or write pod_security: baseline"
                yield places.finding((key, number, "source"), what, fix)


def _file_mistakes(
    places: Places, app: Mapping[str, Any], key: str, number: int, path: Path
) -> Iterator[Finding]:
    """What is wrong with a file of this machine, or with a chart's folder."""
    setting: Place = (key, number, "file")
    if not path.exists():
        fix = "correct the path; a relative one is seen from the folder of apps.yml"
        yield places.finding(setting, f"{path} does not exist", fix)
    elif key == "helm":
        if not (path / "Chart.yaml").is_file():
            yield places.finding(setting, f"{path} is no chart", "name a folder with a Chart.yaml")
    else:
        as_it_is = key == "config_files" and not app[key][number].get("template", False)
        fix = "name a file" if as_it_is else "name a text file"
        try:
            content = read_bytes(readable(path))
            text = "" if as_it_is else content.decode()
        except (OSError, ValueError) as error:
            yield places.finding(setting, f"{path} cannot be read: {error}", fix)
        else:
            yield from _text_mistakes(places, app, setting, text)


def _size_mistakes(places: Places, app: Mapping[str, Any], folder: Path) -> Iterator[Finding]:
    """Config files that are too large together, as far as that is known already."""
    files = app.get("config_files", ())
    sizes = {file["path"]: _size(file, folder) for file in files}
    if why := excess("the ConfigMap of its config files", sizes):
        largest = max(range(len(files)), key=lambda number: sizes[files[number]["path"]])
        yield places.finding(("config_files", largest), why, FIX)


def _size(file: Mapping[str, Any], folder: Path) -> int:
    """How many bytes a config file has; 0 where that is seen once it is fetched or filled in."""
    if "secret" in file or file.get("template", "content" in file):
        return 0
    if "content" in file:
        return len(file["content"].encode())
    try:
        return (folder / file["file"]).stat().st_size if "file" in file else 0
    except OSError:
        return 0


def template_mistakes(places: Places, app: Mapping[str, Any]) -> Iterator[Finding]:
    """Templates in the file that cannot be filled in; those elsewhere are read later."""
    for key, value in app.get("env", {}).items():
        if isinstance(value, str) and (fault := mistake(value, _known(app, "env", value))):
            yield places.finding(("env", key), *fault)
    for key in ("config_files", "manifests"):
        for number, entry in enumerate(app.get(key, ())):
            if "content" in entry:
                setting: Place = (key, number, "content")
                yield from _text_mistakes(places, app, setting, entry["content"])
    for number, entry in enumerate(app.get("helm", ())):
        for place, text in _leaves(("helm", number, "values"), entry.get("values", {})):
            if isinstance(text, str) and (fault := mistake(text, _known(app, "helm", text))):
                yield places.finding(place, *fault)


def _text_mistakes(
    places: Places, app: Mapping[str, Any], setting: Place, text: str
) -> Iterator[Finding]:
    """What is wrong with a config file or a manifest whose text is known already."""
    key = str(setting[0])
    entry = app[key][setting[1]]
    if entry.get("template", "file" not in entry or key == "manifests") and (
        fault := mistake(text, _known(app, key, text))
    ):
        yield places.finding(setting, *fault)
    elif key == "manifests" and "{%" not in text:
        try:
            # Without an end in sight, each beginning would be looked at up to the end of the text.
            closed, end, rest = text.rpartition("}}")
            filled = _PLACEHOLDER.sub("x", closed + end) + rest
            list(yaml.parse(filled, Loader=yaml.SafeLoader))
        except yaml.YAMLError as error:
            mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
            line = f", line {mark.line + 1}" if mark else ""
            reason = error.problem if isinstance(error, yaml.MarkedYAMLError) else error
            yield places.finding(setting, f"is not YAML{line}: {reason}", "correct it")


def _known(app: Mapping[str, Any], key: str, text: str) -> list[str]:
    """The variables of a text; without a route there is no host, which a default may replace."""
    names = MANIFEST_VARIABLES if key in ("manifests", "helm") else VARIABLES
    has_host = app.get("ingress") or "default" in text
    return [name for name in names if name != "host" or has_host]


def _leaves(place: Place, value: Any) -> Iterator[tuple[Place, Any]]:
    """What is in a value and holds nothing else, each with its place."""
    if not isinstance(value, Mapping | list):
        yield place, value
        return
    for key, part in value.items() if isinstance(value, Mapping) else enumerate(value):
        yield from _leaves((*place, key), part)


def settings_of(app: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The settings of an App that say what runs."""
    return {
        "command": [*app.get("command", ())],
        "port": int(app.get("port", schema.default("port"))),
        "scheme": app.get("scheme", schema.default("scheme")),
        "replicas": _replicas(app.get("replicas", schema.default("replicas"))),
        "health_path": app.get("health_path"),
        "probes": {name: plain(probe) for name, probe in plain(app.get("probes", {})).items()},
        "resources": {
            name: plain(amounts) for name, amounts in plain(app.get("resources", {})).items()
        },
        "processes": {
            name: _process(each) for name, each in plain(app.get("processes", {})).items()
        },
        "jobs": {name: plain(each) for name, each in plain(app.get("jobs", {})).items()},
        "quota": {name: str(value) for name, value in plain(app.get("quota", {})).items()},
        "env": {name: _env(value) for name, value in app.get("env", {}).items()},
        "config_files": [_config_file(file, folder) for file in app.get("config_files", ())],
        "manifests": [_located(entry, folder) for entry in app.get("manifests", ())],
        "helm": [
            {"release": app["name"], **_located(entry, folder)} for entry in app.get("helm", ())
        ],
        "service_account": app.get("service_account"),
        "security": plain(app.get("security", {})),
        "pod_security": app.get("pod_security", schema.default("pod_security")),
        "node_selector": app.get("node_selector", {}),
    }


def _replicas(value: Any) -> Any:
    """A number of pods, or the range of one."""
    return plain(value) if isinstance(value, Mapping) else int(value)


def _process(given: Mapping[str, Any]) -> dict[str, Any]:
    settings = plain(given)
    return settings | {name: _replicas(settings[name]) for name in settings.keys() & {"replicas"}}


def _env(value: Any) -> dict[str, str]:
    """Where the value of an environment variable comes from."""
    return plain(value) if isinstance(value, Mapping) else {"value": value}


def _config_file(file: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    return {"template": "content" in file, **_located(file, folder)}


def _located(entry: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The entry with the absolute path of its file on disk, if it is one."""
    located = plain(entry)
    if "file" in located:
        located["file"] = str((folder / located["file"]).resolve())
    return located
