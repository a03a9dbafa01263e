"""What there is to say of each environment, from the cluster's objects and the notes of runs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from slipway.apps.manifests.labels import (
    APP,
    BRANCH,
    COMMIT,
    HELD_FROM,
    NAME,
    NOTES_KEY,
    Object,
    is_app,
    is_process,
    owner_of,
)
from slipway.text import aligned, shortened

COLUMNS = ("APP", "BRANCH", "COMMIT", "AGE", "STATE", "URL", "LAST FAILURE")
QUOTA = "QUOTA"
"""The column that there is where environments have one."""

READY = "ready"
"""What the state of a Deployment begins with that is rolled out."""

REASON_WIDTH = 60
"""How many characters of a reason the list shows; the page shows all that is noted."""

_UNITS = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


@dataclass(frozen=True)
class Failure:
    """The last failure of an environment; ``at`` is UTC, as Kubernetes writes times."""

    step: str
    reason: str
    at: str


@dataclass(frozen=True)
class Row:
    """One environment. ``created`` is UTC, and empty for one that was never deployed."""

    id: str
    app: str
    branch: str
    commit: str
    created: str
    state: str
    urls: tuple[str, ...]
    failure: Failure | None
    quota: str = ""
    """What of its quota it uses."""


def rows(
    deployments: Iterable[Object], config_map: Object | None, quotas: Iterable[Object] = ()
) -> list[Row]:
    """Return a row for each environment that runs or that a run noted, sorted by app and branch."""
    deployments = list(deployments)
    used = {quota["metadata"]["namespace"]: _usage(quota) for quota in quotas}
    live = {owner_of(each): each for each in deployments if is_app(each)}
    beside: dict[str, list[Object]] = {}
    for each in filter(is_process, deployments):
        beside.setdefault(owner_of(each), []).append(each)
    notes = notes_in(config_map)
    found = [
        replace(
            _row(each, live.get(each), beside.get(each, []), notes.get(each, {})),
            quota=used.get(_space(each), ""),
        )
        for each in live.keys() | notes.keys()
    ]
    return sorted(found, key=lambda row: (row.app, row.branch, row.id))


def notes_in(config_map: Object | None) -> dict[str, dict[str, Any]]:
    """Return the entries of the notes that are as runs write them, by app id.

    ``slipway.apps.environments.status`` writes them; whoever may edit ConfigMaps may spoil them.
    """
    try:
        found = json.loads((config_map or {})["data"][NOTES_KEY])
    except (KeyError, TypeError, ValueError, RecursionError):
        return {}
    entries = found.items() if isinstance(found, dict) else ()
    return {app_id: entry for app_id, entry in entries if _is_entry(entry)}


def _is_entry(entry: Any) -> bool:
    """Whether an entry of the notes has what is read of it."""
    if not isinstance(entry, dict):
        return False
    texts = [entry.get(key, "") for key in ("app", "namespace", "branch", "commit", "until")]
    urls, failure = entry.get("urls", []), entry.get("failure")
    if not isinstance(urls, list) or not isinstance(failure, dict | None):
        return False
    if failure is not None:
        texts += [failure.get(key) for key in ("step", "reason", "at")]
    return all(isinstance(text, str) for text in (*texts, *urls))


def _space(app_id: str) -> str:
    return app_id.partition("/")[0]


def _usage(quota: Object) -> str:
    """How much of the most important of a quota is used: ``pods 1/20, cpu 100m/4``."""
    status = quota.get("status", {})
    hard, used = status.get("hard", {}), status.get("used", {})
    counts = (
        *(("pods", "pods"), ("cpu", "requests.cpu"), ("memory", "requests.memory")),
        ("storage", "requests.storage"),
    )
    return ", ".join(
        f"{name} {used.get(key, '0')}/{hard[key]}" for name, key in counts if key in hard
    )


def _row(
    app_id: str,
    deployment: Object | None,
    processes: Iterable[Object],
    note: Mapping[str, Any],
) -> Row:
    metadata: Object = (deployment or {}).get("metadata", {})
    annotations: Object = metadata.get("annotations", {})
    failure = note.get("failure")
    return Row(
        id=app_id,
        app=note.get("app") or metadata.get("labels", {}).get(NAME, ""),
        branch=note.get("branch") or annotations.get(BRANCH, ""),
        commit=annotations.get(COMMIT) or note.get("commit", ""),
        created=metadata.get("creationTimestamp", ""),
        state="; ".join(
            [_health(deployment, note), *_unwell(processes), *_marks(annotations, note)]
        ),
        urls=tuple(note.get("urls", ())),
        failure=Failure(failure["step"], failure["reason"], failure["at"]) if failure else None,
    )


def _health(deployment: Object | None, note: Mapping[str, Any]) -> str:
    """Whether it runs: of how many pods how many serve."""
    if deployment is None:
        return "failed, never deployed" if note.get("failing") else "not deployed"
    if note.get("failing"):
        return f"failed, {_count(deployment)} serving"
    return _rolling(deployment, "serving")


def _unwell(processes: Iterable[Object]) -> Iterator[str]:
    """The processes that do not run, and of how many pods how many do."""
    for each in processes:
        state = _rolling(each, "running")
        if not state.startswith(READY):
            labels = each["metadata"]["labels"]
            yield f"{labels[NAME].removeprefix(f'{labels[APP]}-')} {state}"


def _rolling(deployment: Object, doing: str) -> str:
    """How far the roll-out of a Deployment is."""
    status, count = deployment.get("status", {}), _count(deployment)
    wanted = deployment["spec"].get("replicas", 1)
    is_seen = status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    counts = [status.get(key, 0) for key in ("updatedReplicas", "replicas", "availableReplicas")]
    if is_seen and counts == [wanted] * 3:
        return f"{READY} {count}"
    gave_up = any(
        condition["type"] == "Progressing" and condition["status"] == "False"
        for condition in status.get("conditions", [])
    )
    return f"failed, {count} {doing}" if is_seen and gave_up else f"rolling {count}"


def _count(deployment: Object) -> str:
    available = deployment.get("status", {}).get("availableReplicas", 0)
    return f"{available}/{deployment['spec'].get('replicas', 1)}"


def _marks(annotations: Mapping[str, str], note: Mapping[str, Any]) -> list[str]:
    """What else there is to know: that it was rolled back, or that its branch is gone."""
    marks = ["rolled back"] if annotations.get(HELD_FROM) else []
    if "until" in note:
        until = note["until"]
        marks.append(f"branch gone, stays until {until}" if until else "branch gone, kept")
    return marks


def age(moment: str, now: datetime) -> str:
    """How long ago a time was, in its largest unit: ``3d``; a dash for what is no time."""
    if not moment:
        return "-"
    try:
        past = datetime.strptime(moment, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        return "-"
    seconds = max(int((now - past).total_seconds()), 0)
    return next((f"{seconds // size}{unit}" for size, unit in _UNITS if seconds >= size), "0s")


def as_table(found: Iterable[Row], now: datetime) -> list[str]:
    """Return an aligned line for each address of each environment, under a heading."""
    found = list(found)
    counted = any(row.quota for row in found)
    lines = [(*COLUMNS[:-2], *([QUOTA] if counted else []), *COLUMNS[-2:])]
    for row in found:
        about = [row.app, row.branch, row.commit[:7] or "-", age(row.created, now), row.state]
        about += [row.quota or "-"] if counted else []
        first, *others = row.urls or ("-",)
        lines.append((*about, first, _in_short(row.failure, now)))
        lines += [("",) * len(about) + (url, "") for url in others]
    return aligned(lines)


def _in_short(failure: Failure | None, now: datetime) -> str:
    if failure is None:
        return "-"
    text = shortened(in_one_line(failure.reason), REASON_WIDTH)
    return f"{failure.step}, {age(failure.at, now)} ago: {text}"


def in_one_line(reason: str) -> str:
    """What tells most of a reason: its first line, or a tool's last if the first announces that."""
    lines = [line.strip() for line in reason.splitlines() if line.strip()] or [""]
    announces = lines[0].endswith("said")
    return lines[-1].removeprefix("| ") if announces else lines[0]


def as_json(found: Iterable[Row]) -> str:
    """Return the rows as programs read them."""
    return json.dumps([asdict(row) for row in found], indent=1)
