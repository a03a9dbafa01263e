"""Known faults as the Open Source Vulnerability format has them, and whether a package has one.

The format is that of https://ossf.github.io/osv-schema: databases of Debian, Go, PyPI and others
are published in it.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from univers.versions import (
    AlpineLinuxVersion,
    DebianVersion,
    GolangVersion,
    InvalidVersion,
    MavenVersion,
    PypiVersion,
    SemverVersion,
    Version,
)

from slipway.errors import Problem, SlipwayError
from slipway.sbom.packages import Package

Advisory = Mapping[str, Any]
"""One entry of a database."""

_ECOSYSTEMS = {"golang": "Go", "maven": "Maven", "npm": "npm", "pypi": "PyPI"}
_DISTRIBUTIONS = {"debian": "Debian", "ubuntu": "Ubuntu", "alpine": "Alpine"}

_VERSIONS: Mapping[str, type[Version]] = {
    "apk": AlpineLinuxVersion,
    "deb": DebianVersion,
    "golang": GolangVersion,
    "maven": MavenVersion,
    "npm": SemverVersion,
    "pypi": PypiVersion,
}


@dataclass(frozen=True, order=True)
class Fault:
    """A package that has a known fault; ``fixed`` is the version without it, if there is one."""

    package: Package
    advisory: str
    fixed: str


def ecosystem(package: Package) -> str:
    """What databases call where a package comes from, such as ``Go`` or ``Debian:13``."""
    if package.kind in _ECOSYSTEMS:
        return _ECOSYSTEMS[package.kind]
    distribution, _, number = dict(package.qualifiers).get("distro", "").partition("-")
    if package.kind == "apk":
        number = "v" + ".".join(number.split(".")[:2])
    return f"{_DISTRIBUTIONS.get(distribution, distribution)}:{number}"


def name(package: Package) -> str:
    """What databases call a package; of distributions they know what it was built of."""
    if package.kind in ("deb", "apk"):
        return package.source[0] if package.source else package.name
    separator = ":" if package.kind == "maven" else "/"
    return f"{package.group}{separator}{package.name}" if package.group else package.name


def advisories(path: Path) -> Iterator[Advisory]:
    """The entries of a file of JSON, of an archive (zip) of such files, or of a folder of either.

    Raises SlipwayError for what is not there or cannot be read.
    """
    try:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.suffix == ".zip":
                with zipfile.ZipFile(file) as archive:
                    for entry in archive.namelist():
                        if entry.endswith(".json"):
                            yield from _entries(json.loads(archive.read(entry)))
            elif file.suffix == ".json" or file == path:
                yield from _entries(json.loads(file.read_bytes()))
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        what = f"cannot be read as a database of known faults: {error}"
        fix = "have a file, an archive (zip) or a folder of entries in OSV's format there"
        raise SlipwayError(Problem(str(path), what, fix)) from error


def _entries(document: Any) -> Iterator[Advisory]:
    """Those of a file, which has one or a list; an index of others has none."""
    for each in document if isinstance(document, list) else [document]:
        if isinstance(each, dict) and isinstance(each.get("affected"), list) and "id" in each:
            yield each


def faults(packages: Iterable[Package], entries: Iterable[Advisory]) -> tuple[set[Fault], set[str]]:
    """The faults that packages have by a database, and the ecosystems that it knows."""
    wanted: dict[tuple[str, str], list[Package]] = {}
    for package in packages:
        wanted.setdefault((ecosystem(package), name(package)), []).append(package)
    found, known = set(), set()
    for entry in entries:
        for affected in entry["affected"]:
            of = affected.get("package", {})
            where = _release(str(of.get("ecosystem", "")))
            known.add(where)
            if "withdrawn" not in entry:
                for package in wanted.get((where, str(of.get("name", ""))), ()):
                    if is_affected(package, affected):
                        fixed = _fixed(package, affected)
                        found.add(Fault(package, _called(entry), fixed))
    return found, known


def _release(where: str) -> str:
    """An ecosystem without what Ubuntu adds to its releases (``Ubuntu:24.04:LTS``)."""
    return ":".join(where.split(":")[:2])


def _called(entry: Advisory) -> str:
    """The names of an entry: its own, and those of the general list if it has one there."""
    others = [each for each in entry.get("aliases") or () if str(each).startswith("CVE-")]
    return " ".join(map(str, [entry["id"], *others]))


def is_affected(package: Package, affected: Mapping[str, Any]) -> bool:
    """Whether an entry means the version of a package."""
    own = _comparable(package)
    if own in (affected.get("versions") or ()):
        return True
    version = _VERSIONS[package.kind]
    with suppress(InvalidVersion):
        return any(
            _is_within(version(own), _events(each, version))
            for each in affected.get("ranges") or ()
            if each.get("type") in ("ECOSYSTEM", "SEMVER")
        )
    return False


def _comparable(package: Package) -> str:
    """The version by which a package is compared; databases of Go leave out the ``v``."""
    if package.kind in ("deb", "apk") and package.source:
        return package.source[1]
    return package.version.removeprefix("v") if package.kind == "golang" else package.version


Event = tuple[str, Version | None]
"""What begins or ends with a version: None is before all others."""


def _events(each: Mapping[str, Any], version: type[Version]) -> list[Event]:
    said = [item for event in each.get("events") or () for item in event.items()]
    events = [(kind, None if value == "0" else version(value)) for kind, value in said]
    return sorted(events, key=lambda event: (event[1] is not None, event[1]))


def _is_within(own: Version, events: Iterable[Event]) -> bool:
    """Whether a version is in a range, by the events of it in their order."""
    within = False
    for kind, value in events:
        if kind == "introduced" and (value is None or own >= value):
            within = True
        elif (kind == "fixed" and value is not None and own >= value) or (
            kind == "last_affected" and value is not None and own > value
        ):
            within = False
    return within


def _fixed(package: Package, affected: Mapping[str, Any]) -> str:
    """The first version after a package's that has not the fault; empty if there is none."""
    version = _VERSIONS[package.kind]
    with suppress(InvalidVersion):
        own = version(_comparable(package))
        later = [
            version(event["fixed"])
            for each in affected.get("ranges") or ()
            if each.get("type") in ("ECOSYSTEM", "SEMVER")
            for event in each.get("events") or ()
            if "fixed" in event
        ]
        return str(min((each for each in later if each > own), default=""))
    return ""
