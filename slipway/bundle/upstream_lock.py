"""The lock of what upstream publishes (``bundle/upstream.yml``), files and images, by hashes."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from string import Formatter
from typing import Any

import msgspec
import yaml

from slipway.architecture import Architecture
from slipway.errors import Problem, SlipwayError

ARCHITECTURES = tuple(each.value for each in Architecture)
"""What each version of a file has a sum for."""

FIELDS = ("version", "architecture")
"""What addresses and members say in braces."""

RELEASES_FIELDS = ("minor",)
"""What addresses of lists of versions do."""

_PARTS = ("releases", "signers", "files", "images")

ALL_OF_IT = ""
"""The member of a file that is no archive."""

SHA256 = re.compile(r"[0-9a-f]{64}")
"""A sum, as files of sums have it."""

_REPOSITORY = r"[a-z0-9.-]+(?::\d+)?(?:/[a-z0-9._-]+)+"
_IMAGE = re.compile(rf"(?:(?P<repository>{_REPOSITORY})@)?(?P<digest>sha256:[0-9a-f]{{64}})")
_RELEASES = re.compile(rf"https://\S+|{_REPOSITORY}")

_SUMS = "have it from what upstream publishes beside the file, for each architecture"

Place = tuple[str | int, ...]


@dataclass(frozen=True)
class Pinned:
    """A file of one version for one architecture; ``places`` are in the bundle, by its members."""

    url: str
    sha256: str
    places: Mapping[str, str]


@dataclass(frozen=True)
class PinnedImage:
    """An image by its digest, which may be that of an index, in a repository of a registry."""

    repository: str
    digest: str


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file that upstream publishes; the fields are explained in the lock."""

    url: str
    sha256: dict[str, dict[str, str]]
    sums: str = ""
    place: str = ""
    members: dict[str, str] = {}

    @property
    def places(self) -> Mapping[str, str]:
        """The member that goes to each place of the bundle."""
        return {self.place: ALL_OF_IT} if self.place else self.members

    def of(self, version: str, architecture: str) -> Pinned | None:
        """The file of a version, if the lock has its sum."""
        if version not in self.sha256:
            return None
        known = {"version": version, "architecture": architecture}
        return Pinned(
            self.url.format_map(known),
            self.sha256[version][architecture],
            {place: member.format_map(known) for place, member in self.places.items()},
        )


class Signer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who signs files and images ``of`` some addresses; the fields are explained in the lock."""

    of: list[str]
    identity: str
    issuer: str


@dataclass(frozen=True)
class Lock:
    """What upstream publishes: files by the component, and images by the reference of a recipe.

    ``releases`` are where versions are listed, by what they are of: an address, or a repository of
    images whose tags they are.
    """

    releases: Mapping[str, str] = field(default_factory=dict)
    signers: Sequence[Signer] = ()
    files: Mapping[str, Sequence[File]] = field(default_factory=dict)
    images: Mapping[str, PinnedImage] = field(default_factory=dict)

    def signer_of(self, address: str) -> Signer | None:
        """Who signs what is at an address, that of a file or a repository of images."""
        name = f"{address.removeprefix('https://')}/"
        for signer in self.signers:
            if any(name.startswith(f"{of}/") for of in signer.of):
                return signer
        return None

    def files_of(self, component: str, version: str, architecture: str) -> list[Pinned]:
        """The files of a component at a version, as far as their sums are known."""
        found = (each.of(version, architecture) for each in self.files.get(component, ()))
        return [each for each in found if each is not None]


def read(path: Path, places: Mapping[str, Collection[str]], versions: Collection[str]) -> Lock:
    """The lock at ``path``, or an empty one where there is none.

    ``places`` are those of each component, ``versions`` the names of what has one. Raises
    SlipwayError with every mistake and its line.
    """
    if not path.exists():
        return Lock()
    reader = _Reader(path, places, versions)
    lock = reader.read()
    if reader.problems:
        raise SlipwayError(reader.problems)
    return lock


class _Reader:
    """Reads a lock, in which every word is text, and notes what is wrong with it."""

    def __init__(
        self, path: Path, places: Mapping[str, Collection[str]], versions: Collection[str]
    ) -> None:
        self.problems: list[Problem] = []
        self._path = path
        self._places = places
        self._versions = versions
        self._lines: dict[Place, int] = {}

    def read(self) -> Lock:
        try:
            text = self._path.read_text(encoding="utf-8")
            root = yaml.compose(text, Loader=yaml.BaseLoader)
            document = yaml.load(text, Loader=yaml.BaseLoader)  # makes nothing but text of words
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            self._problem((), f"is not YAML: {error.problem}", line=mark.line + 1 if mark else 1)
            return Lock()
        if root is not None:
            self._note_lines(root, (), 1)
        whole = self._mapping(document, ())
        for key in sorted(whole.keys() - {*_PARTS}):
            self._problem((key,), "is no part of it", f"known: {', '.join(_PARTS)}")
        releases = self._mapping(whole.get("releases", {}), ("releases",))
        files = self._mapping(whole.get("files", {}), ("files",))
        images = self._mapping(whole.get("images", {}), ("images",))
        return Lock(
            dict(self._releases(releases)),
            tuple(self._signers(whole.get("signers", []))),
            {name: list(self._files(name, value)) for name, value in files.items()},
            dict(self._images(images)),
        )

    def _note_lines(self, node: yaml.Node, place: Place, line: int) -> None:
        """Note where each value stands: a mapping's with its key."""
        self._lines[place] = line
        if isinstance(node, yaml.SequenceNode):
            for at, each in enumerate(node.value):
                self._note_lines(each, (*place, at), each.start_mark.line + 1)
        elif isinstance(node, yaml.MappingNode):
            for key, each in node.value:
                where = (*place, str(key.value))
                if where in self._lines:
                    self._problem(
                        where,
                        f"stands here again, after line {self._lines[where]}",
                        "keep one of the two",
                        line=key.start_mark.line + 1,
                    )
                self._note_lines(each, where, key.start_mark.line + 1)

    def _problem(self, place: Place, what: str, fix: str = "", *, line: int = 0) -> None:
        line = line or self._lines.get(place, 1)
        named = " ".join(map(str, place))
        self.problems.append(Problem(f"{self._path.name}:{line} {named}".rstrip(), what, fix))

    def _mapping(self, value: Any, place: Place) -> Mapping[str, Any]:
        if isinstance(value, dict):
            return value
        self._problem(place, "is no mapping")
        return {}

    def _releases(self, releases: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        for name, value in releases.items():
            place: Place = ("releases", name)
            if name not in self._versions:
                self._problem(place, "is not in slipway_versions")
            if not isinstance(value, str) or not _RELEASES.fullmatch(value):
                what = "is neither an address that begins with https:// nor a repository of images"
                self._problem(place, what)
                continue
            self._check_fields(value, place, RELEASES_FIELDS)
            yield name, value

    def _signers(self, value: Any) -> Iterator[Signer]:
        if not isinstance(value, list):
            self._problem(("signers",), "is no list of signers")
            return
        for at, each in enumerate(value):
            try:
                yield msgspec.convert(each, Signer)
            except msgspec.ValidationError as error:
                fix = f"known: {', '.join(Signer.__struct_fields__)}"
                self._problem(("signers", at), f"is no signer: {error}", fix)

    def _files(self, component: str, value: Any) -> Iterator[File]:
        place: Place = ("files", component)
        if component not in self._places:
            self._problem(place, "is no component of bundle/go/components.yml")
        elif not isinstance(value, list):
            self._problem(place, "is no list of files")
        else:
            for at, each in enumerate(value):
                try:
                    file = msgspec.convert(each, File)
                except msgspec.ValidationError as error:
                    self._problem((*place, at), f"is no file: {error}", _KNOWN)
                    continue
                self._check(file, component, (*place, at))
                yield file

    def _check(self, file: File, component: str, place: Place) -> None:
        if bool(file.place) == bool(file.members):
            what = "says not where it goes: one of place and members has to"
            self._problem(place, what)
        own = self._places[component]
        where = "place" if file.place else "members"
        for each, member in file.places.items():
            at = (*place, where) if file.place else (*place, where, each)
            if each not in own:
                self._problem(at, f"goes to {each}, which {component} has not")
            self._check_fields(member, at)
            if posixpath.normpath(member).startswith(("/", "..")):
                self._problem(at, f"is {member}, which leads out of the archive")
        for named, address in (("url", file.url), ("sums", file.sums)):
            self._check_fields(address, (*place, named))
            if not address.startswith("https://") and (address or named == "url"):
                self._problem((*place, named), "is no address that begins with https://")
        self._check_sums(file.sha256, (*place, "sha256"))

    def _check_fields(self, text: str, place: Place, known: Sequence[str] = FIELDS) -> None:
        try:
            names = {
                name for _text, name, _form, _as in Formatter().parse(text) if name is not None
            }
        except ValueError as error:
            self._problem(place, f"cannot be filled in: {error}")
            return
        for name in sorted(names - {*known}):
            self._problem(place, f"has {{{name}}}", f"known: {', '.join(known)}")

    def _check_sums(self, sums: Mapping[str, Mapping[str, str]], place: Place) -> None:
        if not sums:
            self._problem(place, "has no version", _SUMS)
        for version, of_version in sums.items():
            for architecture in sorted({*ARCHITECTURES, *of_version}):
                at = (*place, version, architecture)
                if architecture not in ARCHITECTURES:
                    self._problem(at, "is no architecture", f"known: {', '.join(ARCHITECTURES)}")
                elif architecture not in of_version:
                    self._problem((*place, version), f"has no sum for {architecture}", _SUMS)
                elif not SHA256.fullmatch(of_version[architecture]):
                    self._problem(at, "is no sha256, which has 64 digits of 0-9a-f", _SUMS)

    def _images(self, images: Mapping[str, Any]) -> Iterator[tuple[str, PinnedImage]]:
        for ref, value in images.items():
            found = _IMAGE.fullmatch(value) if isinstance(value, str) else None
            if found is None:
                what = "is no digest: sha256: and 64 digits of 0-9a-f, after REPOSITORY@ if need be"
                self._problem(("images", ref), what)
                continue
            repository, has_tag, _tag = ref.rpartition(":")
            if not has_tag or "/" not in repository:
                self._problem(("images", ref), "is no image with a tag")
                continue
            yield ref, PinnedImage(found["repository"] or repository, found["digest"])


_KNOWN = f"known: {', '.join(File.__struct_fields__)}"
