"""The Maven that a project's wrapper asks for, as Maven Central publishes it.

A branch says which version, and may say the sum of its archive. Where that comes from is the
operator's affair: Maven Central, or the mirror of it in the operator's settings. The host that a
branch names is asked for nothing, and what it brings itself (``mvnw``, ``maven-wrapper.jar``) is
not run.
"""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
import tempfile
import threading
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePosixPath

from slipway.apps.app import JibBuild
from slipway.apps.builders.order import Order
from slipway.apps.source.project import found
from slipway.bundle.download import TRIES, Broken, Server, asked_of
from slipway.errors import Problem, SlipwayError
from slipway.files import settle

PROPERTIES = ".mvn/wrapper/maven-wrapper.properties"
"""Where a project says which Maven it wants."""

URL, SUM = "distributionUrl", "distributionSha256Sum"
"""The properties that say it."""

LONGEST = 1 << 16
"""How many bytes of the properties are read."""

MOST = 64 << 20
"""How many bytes an archive may have; those of Maven 3 and 4 have some 10 MB."""

MOST_UNPACKED = 256 << 20
MOST_FILES = 10_000
"""How much may be in it."""

_DISTRIBUTION = re.compile(
    r"https?://[^\s?#]+/org/apache/maven/apache-maven/(?P<version>\d[\w.-]{0,31})/"
    r"apache-maven-(?P=version)-bin\.(?P<kind>zip|tar\.gz)",
    re.ASCII,
)
"""An address of a distribution, in the layout that all repositories of Maven's have."""

_PROPERTY = re.compile(r"(?P<key>[\w.]+)\s*[=:\s]\s*(?P<value>.*)")
"""One without white space around it; what had to look for its end would take long of much."""

_ESCAPED = re.compile(r"\\(.)")
_SHA256 = re.compile(r"[0-9a-f]{64}")

_INSTEAD = "or write build: {jib: {wrapper: false}}, and the bundle's Maven builds it"
"""What to do where another Maven than the wrapper's is as good."""

_PUBLISHED = {"sha512": hashlib.sha512, "sha1": hashlib.sha1}
"""The sums that are published beside an archive: every one has the second."""


@dataclass(frozen=True)
class Distribution:
    """What a wrapper asks for: the archive of a ``version``, with a ``sha256`` if it says one.

    ``wanted_by`` is the file that says so, seen from the repository.
    """

    version: str
    kind: str
    sha256: str
    wanted_by: str

    @property
    def name(self) -> str:
        """The archive's name."""
        return f"apache-maven-{self.version}-bin.{self.kind}"

    @property
    def path(self) -> str:
        """Where it is in a repository of Maven's."""
        return f"org/apache/maven/apache-maven/{self.version}/{self.name}"


def wanted(order: Order[JibBuild]) -> Distribution | None:
    """What the wrapper of a project asks for; None without one, or where it does not count.

    Raises SlipwayError when it asks for something that Maven Central does not publish.
    """
    if not order.build.wrapper:
        return None
    for folder in (order.project, *order.project.parents):
        if not folder.is_relative_to(order.source):
            return None
        name = str((folder / PROPERTIES).relative_to(order.checkout))
        file = found(order.checkout, name, order.label)
        if file and file.is_file():
            with file.open("rb") as properties:
                text = properties.read(LONGEST).decode(errors="replace")
            return _asked_for(text, name, order.label)
    return None


def _asked_for(text: str, name: str, label: str) -> Distribution:
    properties = _properties(text)
    url, sha256 = properties.get(URL, ""), properties.get(SUM, "").lower()
    asked = _DISTRIBUTION.fullmatch(url)
    if asked is None:
        what = f"{name}: {URL} names no archive of Maven's as Maven Central has them"
        fix = f"name one that ends as in apache-maven/3.9.9/apache-maven-3.9.9-bin.zip, {_INSTEAD}"
        raise SlipwayError(Problem(label, what, fix))
    if sha256 and not _SHA256.fullmatch(sha256):
        what = f"{name}: {SUM} is no sha256"
        raise SlipwayError(Problem(label, what, "write its 64 digits, or leave it out"))
    return Distribution(asked["version"], asked["kind"], sha256, name)


def _properties(text: str) -> dict[str, str]:
    """The properties of a file of Java's, of those that have one line each."""
    lines = (line.strip() for line in text.splitlines())
    pairs = (_PROPERTY.fullmatch(line) for line in lines if not line.startswith(("#", "!")))
    return {pair["key"]: _ESCAPED.sub(r"\1", pair["value"]) for pair in pairs if pair}


@dataclass
class Distributions:
    """Those that are at hand, each in a folder of its archive's name below ``folder``.

    Others are fetched from ``central``, which is asked for when the first one is.
    """

    folder: Path
    central: Callable[[], Server]
    say: Callable[[str], None]
    _alone: dict[str, threading.Lock] = field(
        default_factory=lambda: defaultdict(threading.Lock), init=False
    )

    def have(self, distribution: Distribution, label: str) -> Path:
        """The folder of a Maven, which is fetched if it is not there.

        Raises SlipwayError, of ``label``, when it cannot be had or is another than is wanted.
        """
        made = self.folder / distribution.name
        if not made.exists():
            with self._alone[distribution.name]:
                if not made.exists():
                    self._make(distribution, made, label)
        _compare(distribution, (made / "sha256").read_text(), str(made), label)
        made.touch()  # it is swept when nobody has wanted it for long
        return made / f"apache-maven-{distribution.version}"

    def _make(self, distribution: Distribution, made: Path, label: str) -> None:
        server = self.central()
        server = replace(server, url=f"{server.url.rstrip('/')}/{distribution.path}")
        try:
            archive = self._fetched(server, has_sum=bool(distribution.sha256))
        except Broken as broken:
            fix = broken.fix or "run again"
            if broken.lacking:
                fix = f"correct {URL} in {distribution.wanted_by}"
            what = f"its wrapper asks for {distribution.name}, which cannot be fetched: {broken}"
            raise SlipwayError(Problem(label, what, f"{fix}, {_INSTEAD}")) from broken
        sha256 = hashlib.sha256(archive).hexdigest()
        _compare(distribution, sha256, str(server), label)
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.folder) as scratch:
            new = Path(scratch, "new")
            try:
                _unpack(archive, distribution, new)
            except (ValueError, OSError, EOFError, zlib.error, *_UNREADABLE) as error:
                what = f"the Maven that its wrapper asks for cannot be unpacked: {server}: {error}"
                raise SlipwayError(Problem(label, what, _INSTEAD.removeprefix("or "))) from error
            (new / "sha256").write_text(sha256)
            with suppress(OSError):  # another run has made it meanwhile
                settle(new, made)
        self.say(f"Maven {distribution.version}: fetched from {server}")

    def _fetched(self, server: Server, *, has_sum: bool) -> bytes:
        """An archive that is as the sum beside it says; Broken when it cannot be had.

        One that ``has_sum`` by its wrapper need not have another one beside it.
        """
        archive = self._read(server, MOST)
        for name, digest in _PUBLISHED.items():
            try:
                published = self._read(replace(server, url=f"{server.url}.{name}"), 1024)
            except Broken as broken:
                if not broken.lacking:
                    raise
                continue
            if published.decode(errors="replace").split()[:1] != [digest(archive).hexdigest()]:
                raise Broken(f"it is not as the {name} beside it says", "have it corrected there")
            return archive
        if has_sum:
            return archive
        raise Broken("there is no sum beside it", "have it put there, as Maven Central has it")

    def _read(self, server: Server, most: int) -> bytes:
        def ask() -> bytes:
            with server.asked() as response:
                content = bytes(response.read(most + 1))
            if len(content) > most:
                raise Broken(f"it has more than {most:,} bytes")
            return content

        return asked_of(server, ask, self.say, tries=TRIES)


def _compare(distribution: Distribution, sha256: str, place: str, label: str) -> None:
    """Raise SlipwayError if a wrapper wants another archive than there is."""
    if distribution.sha256 in ("", sha256):
        return
    what = f"{distribution.wanted_by}: {SUM} is {distribution.sha256}, and {place} has {sha256}"
    fix = f"correct {SUM}; if that is right, do not use what is there"
    raise SlipwayError(Problem(label, what, fix))


_UNREADABLE = (zipfile.BadZipFile, tarfile.TarError)


def _unpack(archive: bytes, distribution: Distribution, folder: Path) -> None:
    """Write the files of an archive, which everybody may read; ValueError if it is no Maven."""
    own = f"apache-maven-{distribution.version}"
    files = _zipped(archive) if distribution.kind == "zip" else _tarred(archive)
    size = 0
    for number, (name, length, is_program, read) in enumerate(files):
        size += length
        if number >= MOST_FILES or size > MOST_UNPACKED:
            raise ValueError("it has more in it than a Maven has")
        parts = PurePosixPath(name).parts
        if parts[:1] != (own,) or ".." in parts:
            raise ValueError(f"{name} is not in {own}")
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(read())
        path.chmod(0o755 if is_program else 0o644)
    for path in (folder, *folder.rglob("*")):
        if path.is_dir():
            path.chmod(0o755)
    if not (folder / own / "bin" / "mvn").is_file():
        raise ValueError(f"{own}/bin/mvn is not in it")


_Files = Iterator[tuple[str, int, bool, Callable[[], bytes]]]
"""Files of an archive: name, length, whether it is a program, and what reads it."""


def _zipped(archive: bytes) -> _Files:
    with zipfile.ZipFile(io.BytesIO(archive)) as file:
        for info in file.infolist():
            if not info.is_dir():
                is_program = bool(info.external_attr >> 16 & 0o100)
                yield info.filename, info.file_size, is_program, partial(file.read, info)


def _tarred(archive: bytes) -> _Files:
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as file:
        for info in file:
            if info.isfile() and (content := file.extractfile(info)):
                yield info.name, info.size, bool(info.mode & 0o100), content.read
