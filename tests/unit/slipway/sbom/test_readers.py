"""What files of an image say of packages, and what they must not do to who reads them."""

from __future__ import annotations

import json
from hashlib import sha1

import pytest

from slipway.sbom.packages import Package
from slipway.sbom.readers import MOST_DEPTH, reader_of
from tests.support.sbom_samples import (
    APK_INSTALLED,
    DPKG_STATUS,
    go_program,
    jar,
    pom_properties,
)

SLF4J = Package("maven", "slf4j-api", "2.0.16", "org.slf4j")
SLF4J_POM = pom_properties("org.slf4j", "slf4j-api", "2.0.16")


def read(path: str, content: bytes | str, *, executable: bool = False) -> list[Package]:
    """The packages that a file says."""
    data = content.encode() if isinstance(content, str) else content
    reader = reader_of(path, executable)
    assert reader, path
    return [*reader(data, path)]


def test_packages_of_debian_that_are_installed() -> None:
    arch = (("arch", "amd64"),)
    expected = [
        Package("deb", "libssl3t64", "3.5.1-1+b2", "", arch, ("openssl", "3.5.1-1")),
        Package("deb", "bash", "5.2.37-2", "", arch, ("bash", "5.2.37-2")),
    ]
    assert read("var/lib/dpkg/status", DPKG_STATUS) == expected


def test_packages_of_debian_in_an_image_without_dpkg() -> None:
    text = "Package: tzdata\nVersion: 2026a-1\nArchitecture: all\n"
    (found,) = read("var/lib/dpkg/status.d/tzdata", text)
    assert (found.name, found.version) == ("tzdata", "2026a-1")
    assert reader_of("var/lib/dpkg/status.d/tzdata.md5sums", executable=False) is None


@pytest.mark.parametrize("folder", ["lib", "usr/lib"])
def test_packages_of_alpine(folder: str) -> None:
    arch = (("arch", "x86_64"),)
    assert read(f"{folder}/apk/db/installed", APK_INSTALLED) == [
        Package("apk", "libcrypto3", "3.3.2-r0", "", arch, ("openssl", "3.3.2-r0")),
        Package("apk", "musl", "1.2.5-r0", "", arch, ("musl", "1.2.5-r0")),
    ]


@pytest.mark.parametrize(
    "path",
    [
        "app/lib/python3.13/site-packages/ruamel_yaml-0.19.1.dist-info/METADATA",
        "app/ruamel.yaml.egg-info/PKG-INFO",
        "usr/lib/python3/dist-packages/ruamel.yaml-0.19.1.egg-info",
    ],
)
def test_packages_of_python(path: str) -> None:
    text = "Metadata-Version: 2.4\nName: ruamel.YAML\nVersion: 0.19.1\n\nName: other\n"
    assert read(path, text) == [Package("pypi", "ruamel-yaml", "0.19.1")]


@pytest.mark.parametrize(
    ("path", "name", "package"),
    [
        ("app/node_modules/left-pad/package.json", "left-pad", Package("npm", "left-pad", "1.3.0")),
        (
            "node_modules/a/node_modules/@types/node/package.json",
            "@types/node",
            Package("npm", "node", "1.3.0", "@types"),
        ),
    ],
)
def test_modules_of_node(path: str, name: str, package: Package) -> None:
    assert read(path, json.dumps({"name": name, "version": "1.3.0"})) == [package]


@pytest.mark.parametrize("text", ["", "[", "[]", "{}", '{"name": 1, "version": []}', "[" * 100_000])
def test_a_module_of_node_that_says_nothing(text: str) -> None:
    assert read("node_modules/x/package.json", text) == []


def test_a_file_of_the_project_itself_is_no_module_of_node() -> None:
    assert reader_of("app/package.json", executable=False) is None
    assert reader_of("app/node_modules/x/lib/package.json", executable=False) is None


def test_programs_of_go_alone_are_read() -> None:
    program = go_program("go1.26.6", ["dep\texample.com/a\tv1.0.0"])
    assert [each.name for each in read("app/server", program, executable=True)] == [
        "stdlib",
        "example.com/a",
    ]
    assert read("app/run.sh", b"#!/bin/sh\n" + program, executable=True) == []
    assert reader_of("app/data", executable=False) is None


def test_an_archive_of_java_says_what_it_is() -> None:
    assert read("app/libs/slf4j-api-2.0.16.jar", jar(SLF4J_POM)) == [SLF4J]


def test_archives_in_an_archive_are_read_too() -> None:
    inner = jar(SLF4J_POM)
    app = pom_properties("com.example", "app", "1.0")
    found = read("app.war", jar({**app, "WEB-INF/lib/slf4j-api-2.0.16.jar": inner}))
    assert {*found} == {SLF4J, Package("maven", "app", "1.0", "com.example")}


def test_one_that_does_not_say_it_is_known_by_its_name_and_its_sum() -> None:
    content = jar({"META-INF/MANIFEST.MF": "Manifest-Version: 1.0\n"})
    (found,) = read("app/libs/spring-core-5.3.2.jar", content)
    assert found == Package("maven", "spring-core", "5.3.2")
    assert dict(found.hashes) == {"SHA-1": sha1(content).hexdigest()}
    (snapshot,) = read("app/libs/own-part-1.0-SNAPSHOT.jar", content)
    assert (snapshot.name, snapshot.version) == ("own-part", "1.0-SNAPSHOT")
    assert read("app/app.jar", content) == []


def test_archives_are_read_no_deeper_than_any_is_made() -> None:
    content = jar(SLF4J_POM)
    for _ in range(MOST_DEPTH - 1):
        content = jar({"inner.jar": content})
    assert read("app.jar", content) == [SLF4J]
    assert read("app.jar", jar({"inner.jar": content})) == []


def test_an_archive_that_says_it_is_small_and_is_not_is_left_at_what_it_says() -> None:
    content = bytearray(jar({"inner.jar": bytes(1000)}))
    directory = content.rindex(b"PK\x01\x02")
    content[directory + 24 : directory + 28] = (10).to_bytes(4, "little")
    assert read("app.jar", bytes(content)) == []


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no archive", jar(SLF4J_POM)[:-30]])
def test_a_damaged_archive_is_known_by_its_name_alone(content: bytes) -> None:
    assert [each.name for each in read("app/libs/spring-core-5.3.2.jar", content)] == [
        "spring-core"
    ]
