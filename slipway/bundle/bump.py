"""New versions of what is locked: which there are, what is published of them, and the locks.

``group_vars/all/versions.yml`` has the versions, and ``bundle/upstream.yml`` the sums and digests.
Both are edited where they say something else then, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import yaml

from slipway.architecture import Architecture
from slipway.bundle import go, upstream_lock
from slipway.bundle.download import Broken
from slipway.bundle.go import Component
from slipway.bundle.published import Published, is_release, numbers
from slipway.bundle.recipes import recipes
from slipway.bundle.source import places_of
from slipway.bundle.upstream_lock import ARCHITECTURES, Lock
from slipway.errors import Problem, SlipwayError
from slipway.files import write_whole
from slipway.text import aligned, listed

Answer = TypeVar("Answer")

VERSIONS = "group_vars/all/versions.yml"
UPSTREAM = "bundle/upstream.yml"
VARIABLE = "slipway_versions"

KUBERNETES, GO = "kubernetes", "go"

AT_A_TIME = 8
"""Of how many components upstream is asked at a time."""

_ANOTHER = "name another version, or wait until it is published"
_IN_LINES = "write each on a line of its own"


@dataclass(frozen=True)
class Proposal:
    """What becomes of a component, unless there are ``problems``.

    ``sums`` are by the number of the file in the lock, ``images`` the reference and the digest in
    the place of each reference that is there.
    """

    name: str
    now: str
    version: str
    programs: Sequence[str] = ()
    module: str | None = None
    sums: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    images: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    problems: Sequence[Problem] = ()

    def __bool__(self) -> bool:
        """Whether anything is to be written of it."""
        return not self.problems and bool(self.is_newer or self.sums or self.images)

    @property
    def is_newer(self) -> bool:
        """Whether it gets another version."""
        return self.version != self.now

    @property
    def row(self) -> tuple[str, str, str, str]:
        """What is shown of it."""
        said = self.version if self.is_newer or self.sums else ""
        if self.problems:
            said = f"{self.version}, refused" if self.is_newer else "not known"
        what = listed(self.programs, 3) if self.programs else "what compiles the others"
        return self.name, self.now, said or "the same", what

    def left(self) -> Iterator[str]:
        """What has to be done as well before a bundle is made of it."""
        if self.is_newer and self.module:
            command = f"GOWORK=off go -C bundle/go/{self.name}"
            yield f"{command} get {self.module}@v{self.version} && {command} mod tidy"
        if self.is_newer and self.name == GO:
            yield "make lock ARGS=python"


HEAD = ("component", "now", "newest", "what for")


def as_table(proposals: Sequence[Proposal]) -> list[str]:
    """The lines that show what becomes of components."""
    return aligned([HEAD, *(each.row for each in proposals)])


@dataclass(frozen=True)
class Change:
    """What a file has now, and is to have."""

    path: Path
    before: str
    after: str


@dataclass(frozen=True)
class Bump:
    """The locks of ``project``, and what is ``published`` of what they lock."""

    project: Path
    published: Published

    def proposals(self, wanted: Sequence[str]) -> list[Proposal]:
        """What becomes of the components that are wanted, each as NAME or NAME=VERSION, or of all.

        Raises SlipwayError with every mistake of the locks, and of what is wanted, before anybody
        is asked.
        """
        versions, lines = _versions(self.project / VERSIONS)
        components = {
            each.name: each for each in go.named(self.project / "bundle" / "go", versions)
        }
        places = {name: places_of(each) for name, each in components.items()}
        lock = upstream_lock.read(self.project / UPSTREAM, places, versions)
        looks = [
            _Look(self.project, self.published, lock, versions, name, components.get(name))
            for name in versions
            if name in lock.releases or (name in components and components[name].module)
        ]
        asked = _asked(wanted, versions, [look.name for look in looks])
        problems = [
            Problem(f"{lines[name]} {VARIABLE} {name}", "is no released version: 1.2.3 or 1.2")
            for name in asked
            if not is_release(versions[name])
        ]
        if problems:
            raise SlipwayError(problems)
        with ThreadPoolExecutor(AT_A_TIME) as pool:
            return list(
                pool.map(
                    lambda look: look.proposal(asked[look.name]),
                    [look for look in looks if look.name in asked],
                )
            )

    def changes(self, proposals: Sequence[Proposal]) -> list[Change]:
        """What the locks are to say then, but for what has problems."""
        good = [each for each in proposals if each]
        edits = ((UPSTREAM, _upstream_edits), (VERSIONS, _versions_edits))
        found = [_changed(self.project / name, partial(edit, good)) for name, edit in edits]
        return [each for each in found if each.after != each.before]


def write(changes: Sequence[Change]) -> None:
    """Have the locks say it."""
    for each in changes:
        write_whole(each.path, each.after)


@dataclass(frozen=True)
class _Look:
    """A look at what upstream has of one name of the lock, which may be compiled."""

    project: Path
    published: Published
    lock: Lock
    versions: Mapping[str, str]
    name: str
    component: Component | None
    problems: list[Problem] = field(default_factory=list)

    def proposal(self, version: str) -> Proposal:
        """What becomes of it at a version, or at the newest one without."""
        version = version or self._tried("", self._newest) or self.now
        if not self.problems:
            self._check(version)
        sums = {} if self.problems else self._sums(version)
        images = {} if self.problems else self._images(version)
        return Proposal(
            self.name,
            self.now,
            version,
            [Path(each).name for each in (self.component.binaries if self.component else ())],
            self.module,
            sums,
            images,
            self.problems,
        )

    @property
    def now(self) -> str:
        """The version that it has."""
        return self.versions[self.name]

    @property
    def module(self) -> str | None:
        """The module of Go's that it is compiled of."""
        return self.component.module if self.component else None

    def _newest(self) -> str:
        later = [each for each in self._listed() if _is_in_bounds(self.name, self.now, each)]
        return max(later, key=numbers, default=self.now)

    def _listed(self) -> Mapping[str, str]:
        """The versions that there are, and what is wrong with each."""
        if place := self.lock.releases.get(self.name):
            minor = ".".join(self.now.split(".")[:2])
            return self.published.versions(place.format_map({"minor": minor}))
        return dict.fromkeys(self.published.modules(str(self.module)), "")

    def _check(self, version: str) -> None:
        """Note why a version will not do, as far as files and images do not say so."""
        if self.name == KUBERNETES and not _is_next(self.now, version):
            what = f"is more than a minor version from {self.now}"
            self._note(version, what, "clusters are upgraded by one minor version at a time")
        elif version == self.now:
            return
        elif self.module:
            check = partial(self.published.check_module, self.module, version)
            self._tried(f"{version}, {self.module}", check)
        else:
            why = (self._tried(version, self._listed) or {}).get(version, "is not listed")
            if why and not self.problems:
                self._note(version, why, _ANOTHER)

    def _sums(self, version: str) -> Mapping[int, Mapping[str, str]]:
        """The sums of files that the lock does not know yet, by the number of each."""
        found: dict[int, dict[str, str]] = {}
        for at, file in enumerate(self.lock.files.get(self.name, ())):
            for each in ARCHITECTURES if version not in file.sha256 else ():
                ask = partial(self.published.sha256, file, version, each)
                found.setdefault(at, {})[each] = self._tried(f"{version} for {each}", ask) or ""
        return found

    def _images(self, version: str) -> Mapping[str, tuple[str, str]]:
        """The images of the lock that are others then."""
        then = {**self.versions, self.name: version}
        found = {}
        for old, new in zip(self._refs(self.versions), self._refs(then), strict=True):
            image = self.lock.images.get(old)
            if image and new not in self.lock.images:
                tag = new.rpartition(":")[2]
                ask = partial(self.published.digest, image.repository, tag)
                found[old] = new, self._tried(f"{version}, {new}", ask) or ""
        return found

    def _refs(self, versions: Mapping[str, str]) -> list[str]:
        found = recipes(self.project / "images", versions, Architecture.here())
        return [each.ref for each in found]

    def _tried(self, of: str, ask: Callable[[], Answer]) -> Answer | None:
        """An answer, or a problem."""
        try:
            return ask()
        except Broken as broken:
            self._note(of, str(broken), _ANOTHER if broken.lacking else broken.fix)
            return None

    def _note(self, of: str, what: str, fix: str) -> None:
        self.problems.append(Problem(f"{self.name} {of}".rstrip(), what, fix))


def _is_in_bounds(name: str, now: str, version: str) -> bool:
    """Whether a version is taken that nobody named: later ones, without what may break much."""
    same = 2 if name == KUBERNETES else 1
    had, has = numbers(now), numbers(version)
    return has > had and has[:same] == had[:same]


def _is_next(now: str, version: str) -> bool:
    """Whether a cluster may get from one version of Kubernetes to another."""
    (major, minor, *_), (own_major, own_minor, *_) = numbers(version), numbers(now)
    return major == own_major and minor in (own_minor, own_minor + 1)


def _asked(
    wanted: Sequence[str], versions: Mapping[str, str], known: Sequence[str]
) -> Mapping[str, str]:
    """The names that are asked for, each with the version that is named, if one is."""
    problems = []
    found = dict.fromkeys(known if not wanted else (), "")
    for each in wanted:
        name, is_named, version = each.partition("=")
        if name not in versions:
            fix = f"known: {', '.join(known)}"
            problems.append(Problem(each, f"{VERSIONS} has no {name}", fix))
        elif name not in known:
            fix = f"edit {VERSIONS}, or name a list in releases of {UPSTREAM}"
            problems.append(Problem(each, f"no list of versions of {name} is known", fix))
        elif is_named and not is_release(version):
            what = "is a pre-release, or no version"
            problems.append(Problem(each, what, f"write it as in {name}={versions[name]}"))
        else:
            found[name] = version
    if problems:
        raise SlipwayError(problems)
    return found


def _versions(path: Path) -> tuple[dict[str, str], dict[str, str]]:
    """The versions of the lock, and the line of each.

    Raises SlipwayError with every mistake and its line.
    """
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        where = f"{VERSIONS}:{error.problem_mark.line + 1 if error.problem_mark else 1}"
        raise SlipwayError(Problem(where, f"is not YAML: {error.problem}")) from error
    entries = root.value if isinstance(root, yaml.MappingNode) else []
    node = {key.value: value for key, value in entries}.get(VARIABLE)
    if not isinstance(node, yaml.MappingNode):
        raise SlipwayError(Problem(f"{VERSIONS}:1", f"has no {VARIABLE}, which are by name"))
    found: dict[str, str] = {}
    lines: dict[str, str] = {}
    problems: list[Problem] = []
    for key, value in node.value:
        line = f"{VERSIONS}:{key.start_mark.line + 1}"
        where = f"{line} {VARIABLE} {key.value}"
        if value.tag != "tag:yaml.org,2002:str":
            problems.append(Problem(where, "is no text", 'write a version in quotes: "3.10"'))
        elif key.value in found:
            problems.append(Problem(where, "stands here again", "keep one of the two"))
        else:
            found[key.value], lines[key.value] = value.value, line
    if problems:
        raise SlipwayError(problems)
    return found, lines


Edit = tuple[yaml.Node, yaml.Node | None, str]
"""From where to where, or just before, a text is to stand."""


def _changed(path: Path, edits: Callable[[Any], Iterator[Edit]]) -> Change:
    """What a file is to have; all that is not edited stays as it is."""
    before = after = path.read_text(encoding="utf-8")
    root = yaml.compose(before, Loader=yaml.BaseLoader)
    for begin, end, text in sorted(edits(root), key=lambda each: -each[0].start_mark.index):
        first = begin.start_mark.index
        last = end.end_mark.index if end else first
        after = after[:first] + text + after[last:]
    return Change(path, before, after)


def _versions_edits(proposals: Sequence[Proposal], root: Any) -> Iterator[Edit]:
    for each in proposals:
        if each.is_newer:
            node = _at(root, VARIABLE, each.name)
            # 3.10 would be a number.
            quoted = node.style or each.version.count(".") < 2
            yield node, node, f'"{each.version}"' if quoted else each.version


def _upstream_edits(proposals: Sequence[Proposal], root: Any) -> Iterator[Edit]:
    for each in proposals:
        for at, sums in each.sums.items():
            yield _sums_edit(_at(root, "files", each.name, at, "sha256"), each.version, sums)
        for old, (new, digest) in each.images.items():
            [(key, value)] = [pair for pair in _at(root, "images").value if pair[0].value == old]
            repository, at_sign, _digest = value.value.rpartition("@")
            yield key, key, new
            yield value, value, f"{repository}{at_sign}{digest}"


def _sums_edit(node: yaml.MappingNode, version: str, sums: Mapping[str, str]) -> Edit:
    """The sums of a version before those of the others."""
    if node.flow_style:
        where = f"{UPSTREAM}:{node.start_mark.line + 1}"
        raise SlipwayError(Problem(where, "has versions in braces", _IN_LINES))
    first = node.value[0][0]
    indent = "\n" + " " * first.start_mark.column
    lines = [f"{version}:", *(f"  {name}: {value}" for name, value in sums.items()), ""]
    return first, None, indent.join(lines)


def _at(root: Any, *place: str | int) -> Any:
    """The node of YAML at a place."""
    for each in place:
        if isinstance(each, int):
            root = root.value[each]
        else:
            root = {key.value: value for key, value in root.value}[each]
    return root
