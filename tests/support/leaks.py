"""Where secrets got to: a search of files, texts and processes."""

from __future__ import annotations

import gzip
import io
import os
import stat
import tarfile
import threading
import zipfile
import zlib
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

SAMPLE_SECONDS = 0.05
"""Time between two looks at the processes."""

TELLING = 16
"""Characters of a line of several from which on it stands for the secret."""

_GZIP, _ZIP, _ZLIB = b"\x1f\x8b", b"PK\x03\x04", b"\x78"


class Canaries:
    """Secrets by name, in every form in which a text may have them."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._forms = {name: [*_forms(value)] for name, value in values.items()}

    def within(self, data: bytes) -> set[str]:
        """The names of the secrets that data has, compressed or not."""
        found: set[str] = set()
        for piece in _pieces(data):
            found |= {
                name for name, forms in self._forms.items() if any(form in piece for form in forms)
            }
        return found

    def within_files(self, files: Iterable[Path]) -> dict[str, set[str]]:
        """The files that have secrets, each with their names."""
        found = {}
        for path in files:
            try:
                names = self.within(_content(path))
            except OSError:  # gone meanwhile
                continue
            if names:
                found[str(path)] = names
        return found


def written_since(moment: float, *folders: Path, without: Iterable[Path] = ()) -> Iterator[Path]:
    """The regular files below folders that were written, renamed or linked since a moment."""
    own = tuple(without)
    for top in folders:
        for folder, folders_in_it, names in os.walk(top):  # what vanishes meanwhile is no error
            # What is mounted below is another's: of /proc, some files are read for ever.
            if Path(folder) in own or (folder != str(top) and os.path.ismount(folder)):
                folders_in_it.clear()
                continue
            for path in (Path(folder, name) for name in names):
                try:
                    status = path.lstat()
                except OSError:
                    continue
                if status.st_ctime >= moment and stat.S_ISREG(status.st_mode):
                    yield path


class ProcessWatch:
    """Looks at all processes again and again; what they show of secrets is in ``seen``.

    Each entry is the place (``cmdline`` or ``environ``), the secret's name and the program. The
    environments of containers are left out: those of apps have what they are to have.
    """

    def __init__(self, canaries: Canaries) -> None:
        self.seen: set[tuple[str, str, str]] = set()
        self.looks = 0
        self._canaries = canaries
        self._known: set[bytes] = set()
        self._own = Path("/proc/self/ns/pid").readlink()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> ProcessWatch:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(SAMPLE_SECONDS):
            self.looks += 1
            for process in Path("/proc").glob("[0-9]*"):
                for place in ("cmdline", "environ"):
                    try:
                        data = (process / place).read_bytes()
                        if data in self._known:
                            continue
                        program = (process / "comm").read_text().strip()
                        inside = (process / "ns/pid").readlink() != self._own
                    except OSError:  # ended meanwhile
                        continue
                    self._known.add(data)
                    if inside and place == "environ":
                        continue
                    self.seen |= {(place, name, program) for name in self._canaries.within(data)}


def _content(path: Path) -> bytes:
    """What was written to a file; of one with holes, which may be of any size, that alone."""
    with path.open("rb") as file:
        state = os.fstat(file.fileno())
        if state.st_blocks * 512 >= state.st_size:
            return file.read()
        written: list[bytes] = []
        at = 0
        while True:
            try:
                at = os.lseek(file.fileno(), at, os.SEEK_DATA)
            except OSError:  # there is no more
                return b"".join(written)
            end = os.lseek(file.fileno(), at, os.SEEK_HOLE)
            written.append(os.pread(file.fileno(), end - at, at))
            at = end


def _forms(value: str) -> Iterator[bytes]:
    """A value and its telling lines: as they are, in a URL, in base64 at every offset."""
    lines = [line.strip() for line in value.strip().splitlines()]
    if lines[0].startswith("-----BEGIN"):  # all keys of a kind begin alike
        lines = [line for line in lines[2:] if not line.startswith("-----")]
    if len(lines) > 1:
        lines = [line for line in lines if len(line) >= TELLING]
    for line in lines:
        yield from (line.encode(), quote(line, safe="").encode())
        for offset in range(3):
            coded = b64encode(b"\0" * offset + line.encode()).rstrip(b"=")
            # The ends share a character with what is beside the value.
            yield coded[(0, 2, 3)[offset] : len(coded) - 1]


def _pieces(data: bytes) -> Iterator[bytes]:
    """Data itself, and what is packed in it."""
    yield data
    try:
        if data.startswith(_GZIP):
            yield from _pieces(gzip.decompress(data))
        elif data.startswith(_ZIP):
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                for name in archive.namelist():
                    yield from _pieces(archive.read(name))
        elif data[257:262] == b"ustar":
            with tarfile.open(fileobj=io.BytesIO(data)) as archive:
                for member in filter(tarfile.TarInfo.isreg, archive):
                    content = archive.extractfile(member)
                    if content and (packed := content.read()).startswith((_GZIP, _ZIP)):
                        yield from _pieces(packed)
        elif data.startswith(_ZLIB):  # a loose object of git
            yield zlib.decompress(data)
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, tarfile.TarError):
        return  # only looks like one
