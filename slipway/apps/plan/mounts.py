"""Where a container finds what it is given: each at a path of its own that can be there.

A file holds nothing else, and the folder of a certificate cannot be written to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any, NamedTuple

from slipway.apps.plan import certificate, volumes
from slipway.apps.plan.places import Finding, Places
from slipway.apps.plan.yaml_lines import Place


class _Mount(NamedTuple):
    """What is at a path; ``closed`` tells of what is below it, where that cannot be."""

    path: str
    setting: Place
    closed: str = ""


def mistakes(places: Places, app: Mapping[str, Any]) -> Iterator[Finding]:
    """Paths that something else has, or that are where nothing else can be."""
    mounts = [*_mounts(app)]
    for mount in mounts:
        if mount.path == "/tmp":
            what = f"{mount.path} is also what every container has there"
            yield places.finding(mount.setting, what, "write another path")
    for first, second in combinations(mounts, 2):
        if first.path == second.path:
            what = f"{second.path} is also at {places.where(*first.setting)}"
            yield places.finding(second.setting, what, "keep one of them, or write another path")
        for upper, lower in ((first, second), (second, first)):
            if upper.closed and lower.path.startswith(f"{upper.path}/"):
                what = f"{lower.path} is {upper.closed}, {upper.path}, where nothing else can be"
                yield places.finding(lower.setting, what, "write another path for one of them")


def _mounts(app: Mapping[str, Any]) -> Iterator[_Mount]:
    if shown := certificate.settings_of(app):
        yield _Mount(shown["path"], ("certificate",), "in the folder of the certificate")
    for number, file in enumerate(app.get("config_files", ())):
        yield _Mount(file["path"], ("config_files", number, "path"), "below a config file")
    for name, volume in volumes.settings_of(app).items():
        yield _Mount(volume["path"], ("volumes", name))
