"""Bills of materials are what CycloneDX says that they are."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cyclonedx.model.component import ComponentType
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from slipway.sbom.document import Part, document
from slipway.sbom.packages import Package

BASH = Package(
    kind="deb",
    name="bash",
    version="5.2",
    group="debian",
    qualifiers=(("arch", "amd64"), ("distro", "debian-13")),
    source=("bash", "5.2"),
    hashes=(("SHA-256", "ab" * 32),),
)
TOML = Package("golang", "github.com/BurntSushi/toml", "v1.4.0")
UNNAMED = Package("maven", "spring-core", "5.3.2", hashes=(("SHA-1", "cd" * 20),))

PROGRAM = Part(ComponentType.APPLICATION, "bin/tool", "1.2", "file:bin/tool", [TOML], "ef" * 32)
IMAGE = Part(ComponentType.CONTAINER, "registry.example/web", "1", "web:1", [BASH, TOML, UNNAMED])
WHOLE = Part(ComponentType.APPLICATION, "slipway-bundle", "0123", "bundle", [UNNAMED])


def said(whole: Part = WHOLE, *parts: Part, made: float = 1.5) -> dict[str, Any]:
    """A document, valid by the schema."""
    text = document(whole, parts, made, "1.0.0")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    found: dict[str, Any] = json.loads(text)
    return found


def depends(found: dict[str, Any]) -> dict[str, list[str]]:
    """What each component of a document is made of."""
    return {each["ref"]: each.get("dependsOn", []) for each in found["dependencies"]}


def test_a_document_says_what_it_is_about_and_who_made_it() -> None:
    found = said()
    assert (found["bomFormat"], found["specVersion"]) == ("CycloneDX", "1.6")
    component = found["metadata"]["component"]
    assert (component["name"], component["version"]) == ("slipway-bundle", "0123")
    assert component["type"] == "application"
    assert found["metadata"]["timestamp"].startswith("1970-01-01T00:00:01")
    tools = [(each["name"], each["version"]) for each in found["metadata"]["tools"]["components"]]
    assert ("slipway", "1.0.0") in tools


def test_each_part_depends_on_its_packages_and_a_package_is_there_once() -> None:
    found = said(WHOLE, PROGRAM, IMAGE)
    bash, toml = BASH.purl.to_string(), TOML.purl.to_string()
    unnamed = UNNAMED.purl.to_string()
    assert sorted(each["bom-ref"] for each in found["components"]) == sorted(
        ["file:bin/tool", "web:1", bash, toml, unnamed]
    )
    made_of = depends(found)
    assert sorted(made_of["web:1"]) == sorted([bash, toml, unnamed])
    assert made_of["file:bin/tool"] == [toml]
    assert sorted(made_of["bundle"]) == sorted(["file:bin/tool", "web:1", unnamed])


@pytest.mark.parametrize("package", [BASH, TOML, UNNAMED])
def test_a_package_has_its_name_version_url_and_hashes(package: Package) -> None:
    (component,) = said(Part(ComponentType.CONTAINER, "x", "1", "x", [package]))["components"]
    assert (component["name"], component["version"]) == (package.name, package.version)
    assert component["purl"] == package.purl.to_string()
    assert component["type"] == "library"
    hashes = [(each["alg"], each["content"]) for each in component.get("hashes", [])]
    assert hashes == [*package.hashes]


def test_a_part_has_the_hash_of_its_content() -> None:
    (program,) = (
        each
        for each in said(WHOLE, PROGRAM)["components"]
        if "hashes" in each and each["type"] == "application"
    )
    assert program["hashes"] == [{"alg": "SHA-256", "content": "ef" * 32}]
    assert program["version"] == "1.2"


def test_the_same_is_written_the_same_in_any_order() -> None:
    some = document(WHOLE, [PROGRAM, IMAGE], 1.0, "1.0.0")
    turned = Part(IMAGE.kind, IMAGE.name, IMAGE.version, IMAGE.reference, [UNNAMED, TOML, BASH])
    assert document(WHOLE, [turned, PROGRAM], 1.0, "1.0.0") == some


def test_a_document_of_something_else_has_another_number() -> None:
    other = Part(WHOLE.kind, WHOLE.name, "4567", WHOLE.reference, WHOLE.packages)
    assert said()["serialNumber"] != said(other)["serialNumber"]
