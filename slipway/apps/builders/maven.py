"""Maven: what it needs is downloaded once, and it starts as quickly as can be had."""

from __future__ import annotations

import os
import re
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from hashlib import file_digest, sha256
from pathlib import Path

from slipway.apps.app import JibBuild
from slipway.apps.builders.maven_daemon.daemon import BUILD_SECONDS, Standbys
from slipway.apps.builders.order import Order
from slipway.apps.source.project import POM, found
from slipway.cache.layout import CacheLayout
from slipway.errors import Problem, SlipwayError
from slipway.run import run

ARCHIVES = 13
"""The first Java that can archive the classes of a program that runs."""

_OWN = {
    # A build is over before the JVM's second compiler has paid for itself.
    "-XX:TieredStopAtLevel=1": re.compile(r"-XX:\S*Tiered"),
    "-XX:+UseSerialGC": re.compile(r"-XX:\S*Use\w*GC\b"),
}
"""The options of Maven's JVM, each with what of the user's takes its place."""

_NO_JVM = re.compile(r"initialization of VM|CDS dumping|create the Java Virtual Machine")
"""What Java says when it does not start with the options that it was given."""

_VERSION = re.compile(r'^JAVA_VERSION="(?P<version>(?P<major>\d+)[^"\s]*)"', re.MULTILINE)

Call = Callable[[Mapping[str, str]], Sequence[str]]
"""The call of Maven with some properties."""


class Maven:
    """Builds projects; several at the same time share what is kept in the cache.

    ``standbys`` are those of the session, if this is one.
    """

    def __init__(self, cache: CacheLayout, standbys: Standbys | None = None) -> None:
        self._cache = cache
        self._standbys = standbys
        self._downloading = threading.Lock()

    def build(self, order: Order[JibBuild], call: Call, settings: Mapping[str, str]) -> None:
        """Build a copy of the work tree; SlipwayError has Maven's last lines.

        Maven is alone as long as it may have to download what this project needs: its local
        repository is not made for two that fill it at the same time.
        """
        if not shutil.which("mvn"):
            fix = "install Maven and a JDK, on Debian the packages maven and default-jdk-headless"
            raise SlipwayError(Problem(order.label, "is built with Maven, which is not here", fix))
        complete = self._cache.resolved_poms / _hash_of_poms(order)
        if not complete.exists():
            with self._downloading:
                if not complete.exists():
                    self._run(order, call(settings))
                    complete.parent.mkdir(parents=True, exist_ok=True)
                    complete.touch()
                    return
        if not (
            self._standbys and self._standbys.build(order, call({}), settings, _options(order))
        ):
            self._run(order, call(settings))

    def _run(self, order: Order[JibBuild], argv: Sequence[str]) -> None:
        """Start Maven, with the JVM's own classes as an earlier build has left them.

        Where the JVM does not start with all options, Maven gets the user's alone.
        """
        made = order.scratch / "classes.jsa"
        archive, classes = _class_archive(self._cache.jvm_classes, made)
        folder = order.copy()

        def start(options: str) -> None:
            env = {"MAVEN_OPTS": options, **order.secrets}
            run(argv, what=order.label, cwd=folder, timeout=BUILD_SECONDS, env=env)

        try:
            start(_options(order, *classes))
        except SlipwayError as error:
            if not _NO_JVM.search(str(error)):
                raise
            start(_users_options())
        if made.exists():
            archive.parent.mkdir(parents=True, exist_ok=True)
            made.replace(archive)


def _hash_of_poms(order: Order[JibBuild]) -> str:
    """The hash of all poms that a build gets; raises SlipwayError if one is not to be read."""
    poms = sha256()
    for path in sorted(order.source.rglob(POM)):
        file = found(order.checkout, str(path.relative_to(order.checkout)), order.label)
        if file and file.is_file():
            with file.open("rb") as pom:
                poms.update(file_digest(pom, "sha256").digest())
    return poms.hexdigest()


def _options(order: Order[JibBuild], *more: str) -> str:
    """The options of Maven's JVM; the user's own win over others, here or in the project."""
    users = _users_options()
    said = f"{_projects_options(order)} {users}"
    own = [option for option, theirs in _OWN.items() if not theirs.search(said)]
    return " ".join(filter(None, [*own, *more, users]))


def _users_options() -> str:
    return os.environ.get("MAVEN_OPTS", "")


def _projects_options(order: Order[JibBuild]) -> str:
    """What Maven's start takes from the first folder with settings, and puts before all others."""
    for folder in (order.project, *order.project.parents):
        if folder.is_relative_to(order.source) and (folder / ".mvn").is_dir():
            name = os.path.relpath(folder / ".mvn" / "jvm.config", order.checkout)
            file = found(order.checkout, name, order.label)
            return file.read_text(errors="replace") if file and file.is_file() else ""
    return ""


def _class_archive(folder: Path, new: Path) -> tuple[Path, list[str]]:
    """The archive of classes of Maven's JVM, and the options to start with it or to make it.

    It is made as ``new`` when there is none in ``folder``. Archives came with Java 13 (JEP 350).
    """
    home = os.environ.get("JAVA_HOME") or Path(shutil.which("java") or "").resolve().parent.parent
    try:
        version = _VERSION.search(Path(home, "release").read_text())
    except OSError:
        version = None
    archive = folder / f"{version['version'] if version else ''}.jsa"
    # mvn would take a path with a blank for two options.
    if version is None or int(version["major"]) < ARCHIVES or re.search(r"\s", f"{archive}{new}"):
        return archive, []
    classes = f"SharedArchiveFile={archive}" if archive.exists() else f"ArchiveClassesAtExit={new}"
    return archive, ["-Xlog:cds*=off", f"-XX:{classes}"]
