"""A bill of materials as CycloneDX writes it, the same text whenever it says the same."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID, uuid5

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from slipway.sbom.packages import Package

_SERIAL = UUID("5a3fb1f2-7c19-5c8e-9d2b-3f3f2e0d8a11")
"""The name space of the numbers of documents."""


@dataclass(frozen=True)
class Part:
    """Something that is made of packages: a program, an image.

    ``reference`` names it in its document, and ``sha256`` is that of its content.
    """

    kind: ComponentType
    name: str
    version: str
    reference: str
    packages: Sequence[Package]
    sha256: str = ""
    purl: PackageURL | None = None

    def component(self) -> Component:
        """As a component of a document."""
        return Component(
            name=self.name,
            type=self.kind,
            version=self.version or None,
            bom_ref=self.reference,
            purl=self.purl,
            hashes=_hashes([("SHA-256", self.sha256)] if self.sha256 else []),
        )


def document(whole: Part, parts: Iterable[Part], made: float, version: str) -> str:
    """The text of a document of something, and of the parts that it has.

    ``made`` is when it was, in seconds since the epoch. What it is gives the document its number;
    ``version`` is that of Slipway.
    """
    bom = Bom(serial_number=uuid5(_SERIAL, f"{whole.reference} {whole.sha256} {whole.version}"))
    bom.metadata.timestamp = datetime.fromtimestamp(int(made), UTC)
    bom.metadata.component = whole.component()
    bom.metadata.tools.components.add(
        Component(name="slipway", type=ComponentType.APPLICATION, version=version)
    )
    known: dict[Package, Component] = {}
    direct = [_package(each, known) for each in whole.packages]
    for part in sorted(parts, key=lambda part: part.reference):
        component = part.component()
        direct.append(component)
        bom.components.add(component)
        bom.register_dependency(component, [_package(each, known) for each in part.packages])
    for component in known.values():
        bom.components.add(component)
    bom.register_dependency(bom.metadata.component, direct)
    return f"{JsonV1Dot6(bom).output_as_string(indent=1)}\n"


def _package(package: Package, known: dict[Package, Component]) -> Component:
    """The component of a package, which every part shares that has it."""
    if package not in known:
        purl = package.purl
        known[package] = Component(
            name=package.name,
            group=package.group or None,
            version=package.version,
            type=ComponentType.LIBRARY,
            purl=purl,
            bom_ref=purl.to_string(),
            hashes=_hashes(package.hashes),
        )
    return known[package]


def _hashes(said: Iterable[tuple[str, str]]) -> list[HashType]:
    return [HashType(alg=HashAlgorithm(algorithm), content=value) for algorithm, value in said]
