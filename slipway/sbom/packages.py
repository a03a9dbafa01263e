"""Packages, as their package URLs name them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from packageurl import PackageURL

LONGEST = 256
"""How many characters a name or a version may have."""

_PLAIN = re.compile(r"[!-~]*")


@dataclass(frozen=True, order=True)
class Package:
    """Something that was published under a name and a version.

    ``kind`` is the type of its package URL (``deb``, ``golang``, ``maven``, ``npm``, ``pypi``,
    ``apk``), ``group`` what its name is in there, ``qualifiers`` what else tells it from others.
    ``source`` is name and version of what it was built of, by which its faults are known.
    ``hashes`` are of the file that it was published as, by algorithm (``SHA-256``).
    """

    kind: str
    name: str
    version: str
    group: str = ""
    qualifiers: tuple[tuple[str, str], ...] = ()
    source: tuple[str, str] | None = None
    hashes: tuple[tuple[str, str], ...] = field(default=(), compare=False)

    @property
    def purl(self) -> PackageURL:
        """Its package URL; a source is in it as ``upstream``, as scanners read it."""
        qualifiers = dict(self.qualifiers)
        if self.source and self.source != (self.name, self.version):
            qualifiers["upstream"] = "@".join(self.source)
        group, name = self.group, self.name
        if self.kind == "golang":  # the path of a module is all its name
            group, _, name = name.rpartition("/")
        return PackageURL(self.kind, group or None, name, self.version, qualifiers or None)

    @classmethod
    def of_purl(cls, text: str) -> Package:
        """The package of a package URL; ValueError for a text that is none."""
        purl = PackageURL.from_string(text)
        said: dict[str, str] = dict(purl.qualifiers or {})
        upstream = said.pop("upstream", "")
        source, _, version = upstream.rpartition("@")
        group, name = purl.namespace or "", purl.name
        if purl.type == "golang" and group:
            group, name = "", f"{group}/{name}"
        return cls(
            kind=purl.type,
            name=name,
            version=purl.version or "",
            group=group,
            qualifiers=tuple(sorted(said.items())),
            source=(source, version) if upstream else None,
        )

    @property
    def is_plain(self) -> bool:
        """Whether its texts are such as names and versions are; anybody may have written them."""
        source = self.source or ("", "")
        texts = (
            self.name,
            self.version,
            self.group,
            *source,
            *(each for _, each in self.qualifiers),
        )
        named = bool(self.name and self.version)
        return named and all(len(each) <= LONGEST and _PLAIN.fullmatch(each) for each in texts)
