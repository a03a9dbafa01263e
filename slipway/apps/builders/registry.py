"""A registry for one build, for as long as it takes.

Jib pushes what it built layer by layer, and only what is not there yet, which costs less than to
write and to read whole images as archives. The registry is the CNCF's (Debian's docker-registry);
it knows the layers that the image store has, by symbolic links, and its own files become the
store's, by hard links.

Everything pushed is checked against its digest. It listens on a socket that is in one sandbox, so
that nobody else can push to it or read from it: its place takes the place of a login.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from slipway.apps.builders.sandbox import give
from slipway.errors import Problem, SlipwayError
from slipway.files import read_bytes
from slipway.oci import Image, ImageStore
from slipway.run import last_lines
from slipway.waiting import allowed, wait_until

REPOSITORY = "app"
"""The one repository of the registry."""

START_SECONDS = 30.0
STOP_SECONDS = 10.0

LISTENING = "listening on "
"""What it says when it can be asked."""

LONGEST = 4 << 20
"""How many bytes a manifest or a config may have, as registries take them."""

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class Registry:
    """A registry that runs, or has run.

    Its files are laid out as its own documentation says (registry/storage/paths.go of the
    distribution project): a blob's ``data`` is shared by all repositories, and a ``link`` says
    that a repository has it.
    """

    def __init__(self, root: Path) -> None:
        self._root = root / "docker" / "registry" / "v2"

    def path(self, digest: str) -> Path:
        """The file of a blob or manifest, if it was pushed."""
        value = digest.removeprefix("sha256:")
        return self._root / "blobs" / "sha256" / value[:2] / value / "data"

    def read(self, digest: str) -> bytes:
        """A manifest or config, checked; SlipwayError when it was never pushed or is damaged."""
        if not _DIGEST.fullmatch(digest):
            raise SlipwayError(Problem("registry", "the builder named no digest of its image"))
        try:
            content = read_bytes(self.path(digest), LONGEST)
        except OSError as error:
            missing = isinstance(error, FileNotFoundError)
            what = "was named by the builder but never pushed" if missing else str(error.strerror)
            raise SlipwayError(Problem(digest, what)) from error
        if f"sha256:{sha256(content).hexdigest()}" != digest:
            raise SlipwayError(Problem(digest, "is not what was pushed under this digest"))
        return content

    def know(self, digest: str, file: Path) -> None:
        """Have a layer that is in ``file``, so that nobody pushes it."""
        layers = self._root / "repositories" / REPOSITORY / "_layers" / "sha256"
        link = layers / digest.removeprefix("sha256:") / "link"
        if not link.exists():
            for path in (link, self.path(digest)):
                path.parent.mkdir(parents=True)
            self.path(digest).symlink_to(file.resolve())
            link.write_text(digest)


@contextmanager
def serve(
    program: Path, scratch: Path, place: Path, store: ImageStore, images: Iterable[Image]
) -> Iterator[Registry]:
    """Run a registry that has the layers of ``images`` of ``store``, at the socket ``place``.

    Its files are in the folder ``scratch``. Raises SlipwayError when ``program`` is not there or
    does not start.
    """
    root = scratch / "root"
    root.mkdir(parents=True)
    settings = {
        "version": 0.1,
        "log": {"level": "info", "accesslog": {"disabled": True}},
        "storage": {
            "filesystem": {"rootdirectory": str(root)},
            "maintenance": {"uploadpurging": {"enabled": False}},
        },
        "http": {"net": "unix", "addr": str(place)},
    }
    (scratch / "config.yml").write_text(json.dumps(settings))
    registry = Registry(root)
    for image in images:
        for layer in image.layers:
            name = layer.digest.removeprefix("sha256:")
            registry.know(layer.digest, store.root / "blobs" / "sha256" / name)
    place.unlink(missing_ok=True)
    with _running(program, scratch):
        give(place)
        yield registry


@contextmanager
def _running(program: Path, scratch: Path) -> Iterator[None]:
    """The registry, which ends when this does or when this process does."""
    log = scratch / "log"
    try:
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", program, "serve", scratch / "config.yml"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
    except OSError as error:
        raise SlipwayError(Problem("registry", f"{error.filename}: {error.strerror}")) from error
    try:
        wait_until(
            lambda: LISTENING in log.read_text() or process.poll() is not None,
            allowed(START_SECONDS),
            pause=0.01,
        )
        said = log.read_text()
        if LISTENING not in said:
            what = f"{program} does not start; it last said\n{last_lines(said)}"
            raise SlipwayError(Problem("registry", what, "make the bundle first"))
        yield
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
