"""A Maven that stands by: started once in a session, it builds a project again and again.

What a new JVM spends on loading Maven, its plugins and Jib, and on compiling them while it runs,
is most of the time of a small build. Within one session of ``make dev`` the JVM of a project stays,
with an extension (``Standby.java``) that has Maven build whenever it is asked over a socket,
in the same folder each time.

Nobody depends on it: where it cannot be had, or a build in it fails, Maven is started as always,
which also tells what is wrong in Maven's own words.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from slipway.apps.app import JibBuild
from slipway.apps.builders.maven_extension.compiled import CLASS_PATH, compiled
from slipway.apps.builders.order import Order
from slipway.apps.source.project import found
from slipway.waiting import allowed

MOST = 2
"""How many stay; each takes some 300 MB of memory."""

START_SECONDS = 60.0
BUILD_SECONDS = 3600.0


class Standbys:
    """The Mavens of the session in ``folder``, whose process is ``session``.

    They end with it. ``cache`` is where extensions are kept once they are compiled.
    """

    def __init__(self, folder: Path, session: int, cache: Path) -> None:
        self._folder = folder / "maven"
        self._session = session
        self._cache = cache

    def build(
        self,
        order: Order[JibBuild],
        command: Sequence[str],
        settings: Mapping[str, str],
        options: str,
    ) -> bool:
        """Build by the Maven that was started with this ``command``, or that is now.

        ``settings`` are the properties of this build, ``options`` those of the JVM. False when it
        has to be done in another way.
        """
        extension = compiled("Standby", self._cache)
        if extension is None:
            return False
        extensions = ":".join(filter(None, [str(extension), settings.get(CLASS_PATH)]))
        secrets = sorted(order.secrets.items())
        same = [extensions, options, command, order.folder, _read_at_start(order), secrets]
        key = hashlib.sha256(json.dumps(same).encode()).hexdigest()[:12]
        place = self._folder / key
        place.mkdir(parents=True, exist_ok=True)
        (place / "asked").touch()
        with _alone(place):
            _fill(place / "source", order)
            peer = _connected(place / "socket")
            if peer is None:
                (place / "socket").unlink(missing_ok=True)
                self._make_room()
                environment = {"MAVEN_OPTS": options, **order.secrets}
                peer = self._started(place, order.folder, command, extensions, environment)
            if peer is None:
                return False
            with peer:
                return _ask(peer, settings)

    def _make_room(self) -> None:
        """End those that were asked longest ago, so that one more may start."""
        there = [path.parent for path in self._folder.glob("*/socket")]
        there.sort(key=lambda place: (place / "asked").stat().st_mtime)
        for oldest in there[: max(0, len(there) - MOST + 1)]:
            (oldest / "socket").unlink(missing_ok=True)

    def _started(
        self,
        place: Path,
        folder: str,
        command: Sequence[str],
        extensions: str,
        environment: Mapping[str, str],
    ) -> socket.socket | None:
        """Start a Maven in a folder of what it is to build, and connect to it.

        None when it ends instead, or takes too long.
        """
        started = subprocess.Popen(
            [
                *command,
                # Maven 3.8 would keep the poms that it has read.
                "-Dmaven.defaultProjectBuilder.disableGlobalModelCache=true",
                f"-D{CLASS_PATH}={extensions}",
                f"-Dslipway.socket={place / 'socket'}",
                f"-Dslipway.session={self._session}",
            ],
            cwd=place / "source" / folder,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + allowed(START_SECONDS)
        while started.poll() is None and time.monotonic() < deadline:
            if peer := _connected(place / "socket"):
                return peer
            time.sleep(0.02)
        started.kill()
        started.wait()
        return None


@contextmanager
def _alone(place: Path) -> Iterator[None]:
    """Hold the folder of one Maven, which does one thing after the other."""
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fill(folder: Path, order: Order[JibBuild]) -> None:
    """Put what is to be built, and nothing else, into a folder; the project's, where a JVM is,
    stays.
    """
    project = folder / order.folder
    project.mkdir(parents=True, exist_ok=True)
    _empty(folder, project)
    order.copy_to(folder)


def _empty(folder: Path, project: Path) -> None:
    """Remove all that is in a folder but the project's, of which all that is in it."""
    for old in folder.iterdir():
        if project.is_relative_to(old):
            _empty(old, project)
        elif old.is_dir() and not old.is_symlink():
            shutil.rmtree(old)
        else:
            old.unlink()


def _read_at_start(order: Order[JibBuild]) -> list[tuple[str, str]]:
    """What Maven reads at its start alone, each file by its name."""
    project = order.project
    folders = [each for each in (project, *project.parents) if each.is_relative_to(order.source)]
    own = [path for folder in folders for path in sorted(folder.glob(".mvn/*"))]
    names = [str(path.relative_to(order.checkout)) for path in own]
    files = {name: found(order.checkout, name, order.label) for name in names}
    files["~/.m2/settings.xml"] = Path.home() / ".m2" / "settings.xml"
    return [
        (name, path.read_text(errors="replace"))
        for name, path in files.items()
        if path and path.is_file()
    ]


def _connected(path: Path) -> socket.socket | None:
    """A connection to the Maven at a socket; None when there is none."""
    peer = socket.socket(socket.AF_UNIX)
    peer.settimeout(BUILD_SECONDS)
    try:
        peer.connect(str(path))
    except OSError:
        peer.close()
        return None
    return peer


def _ask(peer: socket.socket, settings: Mapping[str, str]) -> bool:
    """Have Maven build; whether it has."""
    order = "".join(f"{name}={value}\n" for name, value in settings.items())
    try:
        peer.sendall(f"{order}\n".encode())
        with peer.makefile() as answer:
            return answer.readline() == "built\n"
    except OSError:
        return False
