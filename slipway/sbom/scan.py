"""Known faults of what bills of materials name, by all databases that are at hand."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slipway.errors import Problem, SlipwayError
from slipway.sbom import osv
from slipway.sbom.online import GO, PYPI, go_advisories, pypi_advisories
from slipway.sbom.osv import Advisory, Fault
from slipway.sbom.packages import Package
from slipway.sbom.write import ENVIRONMENT, SUFFIX
from slipway.text import listed

_ONLINE = {GO: "Go", PYPI: "PyPI"}
"""What databases that are asked over the network know."""

_SHOWN = 3
"""How many places of a fault a line names."""


@dataclass(frozen=True)
class Found:
    """What came of a scan: faults, each with the documents that have it, and what is not known.

    ``unknown`` are lines about what could not be looked up.
    """

    faults: dict[Fault, list[str]]
    unknown: list[str]

    def lines(self) -> Iterator[str]:
        """A line for each fault."""
        for fault, places in sorted(self.faults.items()):
            package = fault.package
            name = osv.name(package) if package.kind == "maven" else package.name
            mend = f"fixed in {fault.fixed}" if fault.fixed else "not fixed"
            shown = listed(sorted(places), _SHOWN)
            yield f"{fault.advisory}: {name} {package.version}, {mend}: {shown}"


def scan(folder: Path, databases: Sequence[str]) -> Found:
    """Look up all packages that the documents of a folder name in all databases.

    Raises SlipwayError for a database on this machine that is not there or cannot be read.
    """
    places: dict[Package, list[str]] = defaultdict(list)
    own: list[Package] = []
    for path in sorted(folder.rglob(f"*{SUFFIX}")):
        packages = _packages(path)
        for package in packages:
            places[package].append(path.name.removesuffix(SUFFIX))
        if path.name == f"{ENVIRONMENT}{SUFFIX}":
            own = packages
    faults: dict[Fault, list[str]] = {}
    covered: set[Package] = set()
    unknown: list[str] = []
    for database in databases:
        asked = own if database.startswith(PYPI) else [*places]
        try:
            found, ecosystems = osv.faults(asked, _advisories(database, asked))
        except SlipwayError as error:
            if not _is_online(database):
                raise
            unknown += [str(problem) for problem in error.problems]
            continue
        faults |= {fault: places[fault.package] for fault in found}
        # One that is asked for packages has answered for all, whether or not it knows a fault.
        ecosystems |= {_ONLINE[kind] for kind in _ONLINE if database.startswith(kind)}
        covered |= {each for each in asked if osv.ecosystem(each) in ecosystems}
    return Found(faults, [*unknown, *_without_database({*places} - covered)])


def _without_database(packages: Iterable[Package]) -> list[str]:
    """A line for each ecosystem of packages that no database was asked for."""
    count = Counter(map(osv.ecosystem, packages))
    return [
        f"{name}: no database of it is at hand, packages that are not looked up: {number}"
        for name, number in sorted(count.items())
    ]


def _packages(path: Path) -> list[Package]:
    """The packages in a document; SlipwayError if it is none."""
    try:
        document: dict[str, Any] = json.loads(path.read_bytes())
        return [
            Package.of_purl(each["purl"])
            for each in document.get("components", ())
            if each["type"] == "library"
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        what = f"is no bill of materials that make sbom wrote: {error!r}"
        raise SlipwayError(Problem(str(path), what, "remove it")) from error


def _is_online(database: str) -> bool:
    return database.startswith(tuple(_ONLINE))


def _advisories(database: str, packages: Iterable[Package]) -> Iterable[Advisory]:
    if database.startswith(GO):
        return go_advisories(database.removeprefix(GO), packages)
    if database.startswith(PYPI):
        return pypi_advisories(database.removeprefix(PYPI), packages)
    return osv.advisories(Path(database).expanduser())
