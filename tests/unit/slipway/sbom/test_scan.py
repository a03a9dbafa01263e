"""Known faults of what bills of materials name, and what is not known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.model.component import ComponentType

from slipway.errors import SlipwayError
from slipway.sbom import scan as module
from slipway.sbom.document import Part, document
from slipway.sbom.osv import Advisory
from slipway.sbom.packages import Package
from slipway.sbom.scan import scan

NET = Package("golang", "golang.org/x/net", "v0.30.0")
TOML = Package("golang", "github.com/BurntSushi/toml", "v1.4.0")
OPENSSL = Package(
    kind="deb",
    name="libssl3t64",
    version="3.5.1-1",
    group="debian",
    qualifiers=(("arch", "amd64"), ("distro", "debian-13")),
    source=("openssl", "3.5.1-1"),
)
REQUESTS = Package("pypi", "requests", "2.0")


def entry(identity: str, where: str, called: str, fixed: str = "") -> dict[str, Any]:
    """An entry about all versions before one that is mended, or about all."""
    events = [{"introduced": "0"}, *([{"fixed": fixed}] if fixed else [])]
    kind = "SEMVER" if where == "Go" else "ECOSYSTEM"
    ranges = [{"type": kind, "events": events}]
    return {
        "id": identity,
        "affected": [{"package": {"ecosystem": where, "name": called}, "ranges": ranges}],
    }


class Folder:
    """A folder with bills of materials and a database."""

    def __init__(self, root: Path) -> None:
        self.root = root / "sbom"
        (self.root / "apps").mkdir(parents=True)
        self.database = root / "osv"
        self.database.mkdir()

    def describe(self, name: str, *packages: Package) -> None:
        """Have a bill of materials."""
        whole = Part(ComponentType.CONTAINER, name, "1", name, [*packages])
        (self.root / f"{name}.cdx.json").write_text(document(whole, (), 1.0, "1.0.0"))

    def know(self, *entries: dict[str, Any]) -> None:
        """Have entries in the database."""
        (self.database / "entries.json").write_text(json.dumps([*entries]))


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    folder = Folder(tmp_path)
    folder.describe("bundle", NET, OPENSSL, TOML)
    folder.describe("apps/web_1", NET, TOML)
    folder.describe("slipway", REQUESTS)
    return folder


def test_there_is_a_line_for_each_fault_with_all_that_has_it(folder: Folder) -> None:
    folder.know(
        entry("GO-1", "Go", NET.name, "0.31.0"),
        entry("DSA-1", "Debian:13", "openssl"),
        entry("PYSEC-1", "PyPI", "requests", "1.0"),
    )
    found = scan(folder.root, [str(folder.database)])
    assert [*found.lines()] == [
        "DSA-1: libssl3t64 3.5.1-1, not fixed: bundle",
        "GO-1: golang.org/x/net v0.30.0, fixed in 0.31.0: bundle, web_1",
    ]
    assert found.unknown == []


def test_modules_keep_the_spelling_by_which_databases_know_them(folder: Folder) -> None:
    folder.know(entry("GO-2", "Go", TOML.name))
    (line,) = scan(folder.root, [str(folder.database)]).lines()
    assert line.startswith("GO-2: github.com/BurntSushi/toml v1.4.0, not fixed: ")


def test_many_places_are_counted(folder: Folder) -> None:
    for number in range(2, 9):
        folder.describe(f"apps/web_{number}", NET)
    folder.know(entry("GO-1", "Go", NET.name))
    (line,) = scan(folder.root, [str(folder.database)]).lines()
    assert line.endswith(": bundle, web_1, web_2 and 6 more")


def test_what_no_database_knows_is_said(folder: Folder) -> None:
    folder.know(entry("GO-1", "Go", "example.com/other"))
    found = scan(folder.root, [str(folder.database)])
    assert [*found.lines()] == []
    assert found.unknown == [
        "Debian:13: no database of it is at hand, packages that are not looked up: 1",
        "PyPI: no database of it is at hand, packages that are not looked up: 1",
    ]
    assert len(scan(folder.root, []).unknown) == 3


def test_a_database_that_is_not_there_is_a_failure(folder: Folder) -> None:
    with pytest.raises(SlipwayError, match="none: cannot be read as a database"):
        scan(folder.root, [str(folder.root / "none")])


def test_one_on_the_network_that_does_not_answer_is_said(folder: Folder) -> None:
    found = scan(folder.root, ["go+http://127.0.0.1:1", "pypi+http://127.0.0.1:1"])
    assert found.faults == {}
    assert [line.partition(": ")[0] for line in found.unknown] == [
        "http://127.0.0.1:1/index/modules.json",
        "http://127.0.0.1:1/pypi/requests/2.0/json",
        "Debian:13",
        "Go",
        "PyPI",
    ]


def test_one_on_the_network_that_answers_knows_all_of_its_kind(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "go_advisories", lambda _address, _packages: [])
    found = scan(folder.root, ["go+https://go.example"])
    assert [line.partition(": ")[0] for line in found.unknown] == ["Debian:13", "PyPI"]


def test_an_index_of_python_is_asked_for_slipway_s_own_packages_alone(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.describe("apps/secret_1", Package("pypi", "secret", "1.0"))
    asked: list[Package] = []

    def advisories(_address: str, packages: list[Package]) -> list[Advisory]:
        asked.extend(packages)
        return []

    monkeypatch.setattr(module, "pypi_advisories", advisories)
    found = scan(folder.root, ["pypi+https://pypi.example"])
    assert asked == [REQUESTS]
    assert found.unknown[-1].startswith("PyPI: no database of it is at hand")


@pytest.mark.parametrize("text", ["", "[]", '{"components": [{"type": "library"}]}'])
def test_a_file_that_is_no_bill_of_materials_is_told(folder: Folder, text: str) -> None:
    (folder.root / "apps" / "other.cdx.json").write_text(text)
    with pytest.raises(SlipwayError, match="is no bill of materials"):
        scan(folder.root, [])
