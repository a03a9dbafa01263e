"""Databases of known faults that are asked over the network.

What is in images of apps is told to none of them: Go's is an index that is fetched whole, and of
Python's packages only those are asked for that Slipway itself runs on, which is no secret.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterable, Iterator
from typing import Any

from slipway.errors import Problem, SlipwayError
from slipway.sbom.osv import Advisory
from slipway.sbom.packages import Package

GO, PYPI = "go+", "pypi+"
"""What an address begins with of a database like https://vuln.go.dev, and of an index like PyPI."""

SECONDS = 10.0


def go_advisories(address: str, packages: Iterable[Package]) -> Iterator[Advisory]:
    """The entries of a database of Go about the modules of packages.

    Raises SlipwayError when it does not answer.
    """
    modules = {each.name for each in packages if each.kind == "golang"}
    wanted = {
        fault["id"]
        for module in _answer(f"{address}/index/modules.json")
        if module["path"] in modules
        for fault in module["vulns"]
    }
    for name in sorted(wanted):
        yield _answer(f"{address}/ID/{name}.json")


def pypi_advisories(address: str, packages: Iterable[Package]) -> Iterator[Advisory]:
    """What an index of Python's packages knows of packages, as entries of a database.

    Raises SlipwayError when it does not answer.
    """
    for package in packages:
        if package.kind == "pypi":
            for fault in _answer(f"{address}/pypi/{package.name}/{package.version}/json").get(
                "vulnerabilities", ()
            ):
                events = [{"introduced": "0"}, *({"fixed": each} for each in fault["fixed_in"])]
                yield {
                    "id": fault["id"],
                    "aliases": fault.get("aliases"),
                    **({"withdrawn": fault["withdrawn"]} if fault.get("withdrawn") else {}),
                    "affected": [
                        {
                            "package": {"ecosystem": "PyPI", "name": package.name},
                            "versions": [package.version],
                            "ranges": [{"type": "ECOSYSTEM", "events": events}],
                        }
                    ],
                }


def _answer(url: str) -> Any:
    try:
        with urllib.request.urlopen(url, timeout=SECONDS) as answer:
            return json.load(answer)
    except (OSError, ValueError) as error:
        raise SlipwayError(Problem(url, f"does not answer: {error}")) from error
