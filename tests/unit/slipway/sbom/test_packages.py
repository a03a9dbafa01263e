"""Packages and their URLs."""

from __future__ import annotations

import pytest

from slipway.sbom.packages import LONGEST, Package

DEBIAN = (("arch", "amd64"), ("distro", "debian-13"))

PURLS = {
    "pkg:deb/debian/bash@5.2?arch=amd64&distro=debian-13": Package(
        "deb", "bash", "5.2", "debian", DEBIAN, ("bash", "5.2")
    ),
    "pkg:deb/debian/libssl3t64@3.5.1-1%2Bb2"
    "?arch=amd64&distro=debian-13&upstream=openssl%403.5.1-1": Package(
        "deb", "libssl3t64", "3.5.1-1+b2", "debian", DEBIAN, ("openssl", "3.5.1-1")
    ),
    "pkg:golang/github.com/BurntSushi/toml@v1.4.0": Package(
        "golang", "github.com/BurntSushi/toml", "v1.4.0"
    ),
    "pkg:golang/stdlib@1.26.6": Package("golang", "stdlib", "1.26.6"),
    "pkg:maven/org.slf4j/slf4j-api@2.0.16": Package("maven", "slf4j-api", "2.0.16", "org.slf4j"),
    "pkg:npm/%40types/node@22.1.0": Package("npm", "node", "22.1.0", "@types"),
    "pkg:pypi/requests@2.34.2": Package("pypi", "requests", "2.34.2"),
}


@pytest.mark.parametrize(("text", "package"), PURLS.items())
def test_a_package_has_the_url_by_which_others_know_it(text: str, package: Package) -> None:
    assert package.purl.to_string() == text


@pytest.mark.parametrize(("text", "package"), PURLS.items())
def test_a_package_is_known_again_by_its_url(text: str, package: Package) -> None:
    found = Package.of_purl(text)
    assert found.purl.to_string() == text
    own = (package.kind, package.group, package.name, package.version)
    assert (found.kind, found.group, found.name, found.version) == own


def test_a_text_that_is_no_url_is_refused() -> None:
    with pytest.raises(ValueError, match="purl"):
        Package.of_purl("requests@2.34.2")


@pytest.mark.parametrize(
    "package",
    [
        Package("npm", "", "1.0"),
        Package("npm", "name", ""),
        Package("npm", "name\n", "1.0"),
        Package("npm", "name", "\x1b[2J"),
        Package("npm", "n\u202eame", "1.0"),
        Package("npm", "x" * (LONGEST + 1), "1.0"),
        Package("npm", "name", "1.0", "two words"),
        Package("deb", "name", "1.0", "debian", (("arch", "a\tb"),)),
        Package("deb", "name", "1.0", "debian", (), ("sour\nce", "1")),
    ],
)
def test_what_no_package_is_called_is_not_plain(package: Package) -> None:
    assert not package.is_plain


def test_names_and_versions_of_every_kind_are_plain() -> None:
    assert all(package.is_plain for package in PURLS.values())
