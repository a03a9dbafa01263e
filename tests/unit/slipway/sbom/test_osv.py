"""Which packages have a fault, by entries as databases publish them."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from slipway.errors import SlipwayError
from slipway.sbom.osv import Fault, advisories, ecosystem, faults, is_affected, name
from slipway.sbom.packages import Package


def deb(version: str = "3.5.1-1", distro: str = "debian-13", binary: str = "") -> Package:
    """A package of OpenSSL's."""
    qualifiers = (("arch", "amd64"), ("distro", distro))
    source = ("openssl", version)
    return Package("deb", "libssl3t64", binary or version, "debian", qualifiers, source)


NET = Package("golang", "golang.org/x/net", "v0.30.0")
LOG4J = Package("maven", "log4j-core", "2.14.1", "org.apache.logging.log4j")


def entry(
    where: str, called: str, *events: dict[str, str], kind: str = "ECOSYSTEM", **more: Any
) -> dict[str, Any]:
    """An entry about one package."""
    affected = {
        "package": {"ecosystem": where, "name": called},
        "ranges": [{"type": kind, "events": [*events]}],
    }
    return {"id": "X-1", "affected": [affected], **more}


def events(introduced: str = "0", **more: str) -> list[dict[str, str]]:
    return [{"introduced": introduced}, *({key: value} for key, value in more.items())]


def found(package: Package, *entries: dict[str, Any]) -> list[tuple[str, str]]:
    """The advisories of a package, and where each is mended."""
    return [(each.advisory, each.fixed) for each in sorted(faults([package], entries)[0])]


@pytest.mark.parametrize(
    ("package", "where", "called"),
    [
        (deb(), "Debian:13", "openssl"),
        (deb(distro="ubuntu-24.04"), "Ubuntu:24.04", "openssl"),
        (
            Package("apk", "musl", "1", "alpine", (("distro", "alpine-3.20.3"),), ("musl", "1")),
            "Alpine:v3.20",
            "musl",
        ),
        (NET, "Go", "golang.org/x/net"),
        (LOG4J, "Maven", "org.apache.logging.log4j:log4j-core"),
        (Package("npm", "node", "1", "@types"), "npm", "@types/node"),
        (Package("pypi", "requests", "1"), "PyPI", "requests"),
    ],
)
def test_a_package_is_known_as_databases_call_it(package: Package, where: str, called: str) -> None:
    assert (ecosystem(package), name(package)) == (where, called)


@pytest.mark.parametrize(
    ("own", "range_", "affected"),
    [
        ("1.0", events(), True),
        ("1.0", events(fixed="1.0"), False),
        ("1.9", events(fixed="1.10"), True),
        ("1.10", events(fixed="1.9"), False),
        ("1.0", events("1.0", fixed="2.0"), True),
        ("0.9", events("1.0", fixed="2.0"), False),
        ("1.5", events("1.0", last_affected="1.5"), True),
        ("1.6", events("1.0", last_affected="1.5"), False),
        ("3.1", [*events("1.0", fixed="2.0"), *events("3.0", fixed="3.2")], True),
        ("2.5", [*events("1.0", fixed="2.0"), *events("3.0", fixed="3.2")], False),
        ("3.1", [*events("3.0", fixed="3.2"), *events("1.0", fixed="2.0")], True),
    ],
)
def test_a_version_has_a_fault_between_what_brought_and_what_mends_it(
    own: str, range_: list[dict[str, str]], affected: bool
) -> None:
    package = Package("pypi", "web", own)
    assert bool(found(package, entry("PyPI", "web", *range_))) == affected


@pytest.mark.parametrize(
    ("package", "where", "fixed", "affected"),
    [
        (deb("3.5.1-1"), "Debian:13", "3.5.1-1+deb13u1", True),
        (deb("3.5.1-1+deb13u1"), "Debian:13", "3.5.1-1+deb13u1", False),
        (deb("3.5.1~rc1-1"), "Debian:13", "3.5.1-1", True),
        (deb("1:1.0-1"), "Debian:13", "2.0-1", False),
        (deb("2.0-1", binary="1.0-1"), "Debian:13", "1.5-1", False),
        (NET, "Go", "0.30.1", True),
        (NET, "Go", "0.30.0", False),
        (
            Package("golang", "golang.org/x/net", "v0.0.0-20240101000000-0123456789ab"),
            "Go",
            "0.1.0",
            True,
        ),
        (Package("golang", "golang.org/x/net", "v2.0.0+incompatible"), "Go", "2.0.1", True),
        (LOG4J, "Maven", "2.15.0", True),
        (Package("maven", "log4j-core", "2.15.0", LOG4J.group), "Maven", "2.15.0", False),
        (Package("maven", "log4j-core", "2.15.0-rc1", LOG4J.group), "Maven", "2.15.0", True),
    ],
)
def test_versions_are_compared_as_their_ecosystem_does(
    package: Package, where: str, fixed: str, affected: bool
) -> None:
    kind = "SEMVER" if where == "Go" else "ECOSYSTEM"
    mended = entry(where, name(package), *events(fixed=fixed), kind=kind)
    assert found(package, mended) == ([("X-1", fixed)] if affected else [])


def test_a_list_of_versions_counts_beside_ranges() -> None:
    affected = {"versions": ["1.0", "1.1"], "ranges": [{"type": "GIT", "events": events()}]}
    assert is_affected(Package("pypi", "web", "1.1"), affected)
    assert not is_affected(Package("pypi", "web", "1.2"), affected)


def test_another_release_of_a_distribution_is_another_ecosystem() -> None:
    entries = [
        entry("Debian:12", "openssl", *events()),
        entry("Alpine:v3.20", "openssl", *events()),
    ]
    assert found(deb(), *entries) == []


def test_ubuntu_s_long_support_is_no_other_release() -> None:
    mended = entry("Ubuntu:24.04:LTS", "openssl", *events(fixed="9"))
    assert found(deb(distro="ubuntu-24.04"), mended) == [("X-1", "9")]


def test_the_general_name_of_a_fault_is_said_too() -> None:
    named = entry("Go", NET.name, *events(), kind="SEMVER", aliases=["GHSA-x", "CVE-2026-1"])
    assert found(NET, named) == [("X-1 CVE-2026-1", "")]


def test_what_was_withdrawn_is_no_fault() -> None:
    withdrawn = entry("Go", NET.name, *events(), kind="SEMVER", withdrawn="2026-01-01T00:00:00Z")
    assert found(NET, withdrawn) == []


def test_it_is_mended_by_the_first_later_version() -> None:
    ranges = [*events("0", fixed="0.29.0"), *events("0.30.0", fixed="0.32.0")]
    both = entry("Go", NET.name, *ranges, kind="SEMVER")
    assert found(NET, both) == [("X-1", "0.32.0")]


def test_versions_that_cannot_be_compared_are_no_fault_and_no_failure() -> None:
    web = Package("pypi", "web", "1.0")
    assert found(web, entry("PyPI", "web", *events("?", fixed="!"))) == []
    strange = Package("pypi", "web", "not a version")
    assert found(strange, entry("PyPI", "web", *events("1"))) == []


def test_the_ecosystems_of_a_database_are_known_without_a_fault() -> None:
    entries = [entry("Debian:13", "bash", *events()), entry("Go", "other", *events())]
    assert faults([NET], entries) == (set(), {"Debian:13", "Go"})


def test_a_database_is_a_file_an_archive_or_a_folder_of_both(tmp_path: Path) -> None:
    entries = [
        {**entry("Go", NET.name, *events(), kind="SEMVER"), "id": f"X-{n}"} for n in range(4)
    ]
    folder = tmp_path / "osv"
    (folder / "go").mkdir(parents=True)
    (folder / "go" / "one.json").write_text(json.dumps(entries[0]))
    (folder / "go" / "some.json").write_text(json.dumps(entries[1:3]))
    (folder / "README").write_text("no entry")
    (folder / "index.json").write_text(json.dumps([{"path": NET.name, "vulns": []}]))
    with zipfile.ZipFile(folder / "all.zip", "w") as archive:
        archive.writestr("X-3.json", json.dumps(entries[3]))
        archive.writestr("README", "no entry")
    assert sorted(each["id"] for each in advisories(folder)) == ["X-0", "X-1", "X-2", "X-3"]
    assert [each["id"] for each in advisories(folder / "all.zip")] == ["X-3"]
    (found,) = faults([NET], advisories(folder / "go" / "one.json"))[0]
    assert found == Fault(NET, "X-0", "")


@pytest.mark.parametrize("content", [None, "no JSON", ""])
def test_a_database_that_cannot_be_read_is_told(tmp_path: Path, content: str | None) -> None:
    for file in ("osv.json", "osv.zip"):
        if content is not None:
            (tmp_path / file).write_text(content)
        with pytest.raises(SlipwayError, match=r"osv\.\w+: cannot be read as a database"):
            [*advisories(tmp_path / file)]
