"""Maven: each build in a sandbox, what it needs downloaded once, and started as quickly as can be.

What one build leaves for the next, no build of another repository ever sees.
"""

from __future__ import annotations

import os
import re
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from hashlib import file_digest, sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from slipway.apps.app import JibBuild
from slipway.apps.builders.maven_daemon.daemon import BUILD_SECONDS, Standbys
from slipway.apps.builders.maven_extension.compiled import EXTENSIONS
from slipway.apps.builders.maven_user import GLOBAL_SETTINGS, MavenUser
from slipway.apps.builders.maven_wrapper import Distributions, wanted
from slipway.apps.builders.order import Order
from slipway.apps.builders.sandbox import (
    CACHE,
    OBJECTS,
    WORK,
    Place,
    Program,
    Receive,
    Sandboxes,
    give,
    give_folder,
)
from slipway.apps.source.project import POM, found
from slipway.cache.layout import CacheLayout, MavenCache
from slipway.errors import SlipwayError

CLASSES, SHARED = "/classes", "/repositories"
"""Where a build finds the archives of classes, and the artifacts that the machine has."""

MAVENS = "/maven"
"""Where it finds the Maven that the project's wrapper asks for, in a folder of its version."""

_NEW_CLASSES = "classes.jsa"

_OWN = {
    # A build is over before the JVM's second compiler has paid for itself.
    "-XX:TieredStopAtLevel=1": re.compile(r"-XX:\S*Tiered"),
    "-XX:+UseSerialGC": re.compile(r"-XX:\S*Use\w*GC\b"),
}
"""The options of Maven's JVM, each with what of the user's takes its place."""

_HOME = f"-Duser.home={WORK}/home"
"""The user of a sandbox has no name, by which Java would look for its home."""

_NO_JVM = re.compile(r"initialization of VM|CDS dumping|create the Java Virtual Machine")
"""What Java says when it does not start with the options that it was given."""

Call = Callable[[Mapping[str, str]], Sequence[str]]
"""The call of Maven with some properties."""


@dataclass(frozen=True)
class _OwnMaven:
    """A ``version`` of Maven at ``home`` that builds in place of the bundle's; none without one."""

    version: str = ""
    home: Path | None = None

    @property
    def suffix(self) -> str:
        """What tells what is kept for it from what the bundle's has."""
        return f"-{self.version}" if self.home else ""

    @property
    def readable(self) -> Mapping[str, Path]:
        """What builds see of it."""
        return {f"{MAVENS}/{self.version}": self.home} if self.home else {}

    def call(self, call: Sequence[str]) -> Sequence[str]:
        """A call of ``mvn`` as one of this Maven, with the settings that hold for all users."""
        if self.home is None:
            return call
        program = f"{MAVENS}/{self.version}/bin/mvn"
        return [program, "--global-settings", GLOBAL_SETTINGS, *call[1:]]


class Maven:
    """Builds projects; several at the same time share what is kept for their repository.

    ``standbys`` are those of the session, if this is one. In ``repositories`` builds find artifacts
    before they ask for them anywhere. What is fetched is told by ``say``.
    """

    def __init__(
        self,
        cache: CacheLayout,
        sandboxes: Sandboxes,
        standbys: Standbys | None = None,
        repositories: Sequence[Path] = (),
        say: Callable[[str], None] = print,
    ) -> None:
        self._cache = cache
        self._sandboxes = sandboxes
        self._standbys = standbys
        self._repositories = repositories
        self._user = MavenUser.here(cache)
        self._mavens = Distributions(cache.maven_distributions, self._user.central, say)
        self._alone: dict[str, threading.Lock] = defaultdict(threading.Lock)

    def build(
        self,
        order: Order[JibBuild],
        call: Call,
        settings: Mapping[str, str],
        receive: Receive,
        result: str,
    ) -> str:
        """Build a copy of the work tree; the text of the file ``result`` that came of it.

        SlipwayError has Maven's last lines. Maven is alone with what its repository keeps as long
        as it may have to download what this project needs: its local repository is not made for
        two that fill it at the same time.
        """
        kept = self._kept(order)
        for folder in (kept.own, kept.classes, kept.resolved, self._cache.maven_extensions):
            folder.mkdir(parents=True, exist_ok=True)
        os.utime(kept.root)
        give_folder(kept.own)
        own = self._own_maven(order)
        # Another Maven has other plugins where a pom names no versions.
        complete = kept.resolved / f"{_hash_of_poms(order)}{own.suffix}"
        if not complete.exists():
            with self._alone[order.repository]:
                if not complete.exists():
                    handed_over = self._run(order, own, call(settings), receive, result)
                    complete.touch()
                    return handed_over
        if self._standbys:
            program = self._program(order, own, call({}), _options(order, self._variables))
            built = self._standbys.build(order, program, self._user, settings, receive, result)
            if built is not None:
                return built
        return self._run(order, own, call(settings), receive, result)

    def _own_maven(self, order: Order[JibBuild]) -> _OwnMaven:
        """The Maven that the project's wrapper asks for; SlipwayError when it cannot be had."""
        distribution = wanted(order)
        if distribution is None:
            return _OwnMaven()
        home = self._mavens.have(distribution, order.label)
        return _OwnMaven(distribution.version, home)

    def _kept(self, order: Order[JibBuild]) -> MavenCache:
        """What builds of a repository keep, and no others have."""
        return MavenCache(self._cache.maven / order.repository)

    @cached_property
    def _variables(self) -> Mapping[str, str]:
        return self._user.environment()

    def _run(
        self,
        order: Order[JibBuild],
        own: _OwnMaven,
        call: Sequence[str],
        receive: Receive,
        result: str,
    ) -> str:
        """Start Maven, with the JVM's own classes as an earlier build has left them.

        Where the JVM does not start with all options, Maven gets the user's alone.
        """
        kept = self._kept(order)
        image = self._sandboxes.image.removeprefix("sha256:")[:12]
        archive = kept.classes / f"{image}{own.suffix}.jsa"
        with self._place(order) as place, receive(place):

            def start(options: str) -> None:
                program = self._program(order, own, call, options)
                self._sandboxes.run(place, program, what=order.label, timeout=BUILD_SECONDS)

            try:
                start(_options(order, self._variables, *_class_archive(archive)))
            except SlipwayError as error:
                if not _NO_JVM.search(str(error)):
                    raise
                start(f"{_HOME} {_users_options(self._variables)}")
            if os.path.lexists(place.work / _NEW_CLASSES):
                (place.work / _NEW_CLASSES).replace(archive)
            return place.handed_over(result)

    @contextmanager
    def _place(self, order: Order[JibBuild]) -> Iterator[Place]:
        """The folders of a sandbox; sockets have to have short paths (unix(7))."""
        with TemporaryDirectory(prefix="slipway-") as handover:
            place = Place(order.scratch / "sandbox", Path(handover) / "handover")
            place.make()
            order.copy_apart(place.source, OBJECTS)
            self._user.give(place.given)
            give(place.given)
            yield place

    def _program(
        self, order: Order[JibBuild], own: _OwnMaven, call: Sequence[str], options: str
    ) -> Program:
        """Maven with its call, the options of its JVM, and all that it may see."""
        kept = self._kept(order)
        seen = {CLASSES: kept.classes, EXTENSIONS: self._cache.maven_extensions}
        argv = [*own.call(call), f"-Dmaven.repo.local={CACHE}/repository"]
        if order.objects:
            seen[OBJECTS] = order.objects
        carried = [order.artifacts] if order.artifacts and order.artifacts.is_dir() else []
        if repositories := [*carried, *self._repositories]:
            shared = {f"{SHARED}/{number}": path for number, path in enumerate(repositories)}
            seen |= shared
            argv.append(f"-Dmaven.repo.local.tail={','.join(shared)}")
        return Program(
            argv,
            {**self._variables, "MAVEN_OPTS": options, **order.secrets},
            folder=order.folder,
            cache=kept.own,
            readable={**self._user.readable(), **own.readable, **seen},
        )


def _hash_of_poms(order: Order[JibBuild]) -> str:
    """The hash of all poms that a build gets; raises SlipwayError if one is not to be read."""
    poms = sha256()
    for path in sorted(order.source.rglob(POM)):
        file = found(order.checkout, str(path.relative_to(order.checkout)), order.label)
        if file and file.is_file():
            with file.open("rb") as pom:
                poms.update(file_digest(pom, "sha256").digest())
    return poms.hexdigest()


def _options(order: Order[JibBuild], variables: Mapping[str, str], *more: str) -> str:
    """The options of Maven's JVM; the user's own win over others, here or in the project."""
    users = _users_options(variables)
    said = f"{_projects_options(order)} {users}"
    own = [option for option, theirs in _OWN.items() if not theirs.search(said)]
    return " ".join(filter(None, [_HOME, *own, *more, users]))


def _users_options(variables: Mapping[str, str]) -> str:
    return variables.get("MAVEN_OPTS", "")


def _projects_options(order: Order[JibBuild]) -> str:
    """What Maven's start takes from the first folder with settings, and puts before all others."""
    for folder in (order.project, *order.project.parents):
        if folder.is_relative_to(order.source) and (folder / ".mvn").is_dir():
            name = os.path.relpath(folder / ".mvn" / "jvm.config", order.checkout)
            file = found(order.checkout, name, order.label)
            return file.read_text(errors="replace") if file and file.is_file() else ""
    return ""


def _class_archive(archive: Path) -> list[str]:
    """The options by which Maven's JVM starts with an archive of its classes, or makes it."""
    there = f"SharedArchiveFile={CLASSES}/{archive.name}"
    classes = there if archive.exists() else f"ArchiveClassesAtExit={WORK}/{_NEW_CLASSES}"
    return ["-Xlog:cds*=off", f"-XX:{classes}"]
