"""A Maven that stands by: started once in a session, it builds a project again and again.

What a new JVM spends on loading Maven, its plugins and Jib, and on compiling them while it runs,
is most of the time of a small build. Within one session of ``make dev`` the JVM of a project stays
in its sandbox, with an extension (``Standby.java``) that has Maven build whenever it is asked over
a socket, in the same folder each time. No two repositories share one.

Nobody depends on it: where it cannot be had, or a build in it fails, Maven is started as always,
which also tells what is wrong in Maven's own words.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from slipway.apps.app import JibBuild
from slipway.apps.builders.maven_extension.compiled import CLASS_PATH, compiled
from slipway.apps.builders.maven_user import MavenUser
from slipway.apps.builders.order import Order
from slipway.apps.builders.sandbox import OBJECTS, WORK, Place, Program, Receive, Sandboxes, give
from slipway.apps.source.project import found
from slipway.dev_session import Session
from slipway.locks import locked

MOST = 2
"""How many stay; each takes some 300 MB of memory."""

BUILD_SECONDS = 3600.0

STANDING = "standing"
"""The file that says that a Maven was started in a folder."""

SOCKET = "standby"
"""The socket in ``/work`` at which Maven listens."""


class Standbys:
    """The Mavens of a session, each in a sandbox; they end with it.

    ``cache`` is where extensions are kept once they are compiled.
    """

    def __init__(self, session: Session, sandboxes: Sandboxes, cache: Path) -> None:
        self._session = session
        self._folder = session.folder / "maven"
        self._sandboxes = sandboxes
        self._cache = cache

    def build(
        self,
        order: Order[JibBuild],
        program: Program,
        user: MavenUser,
        settings: Mapping[str, str],
        receive: Receive,
        result: str,
    ) -> str | None:
        """Build by the Maven that was started as this ``program``, or that is now.

        ``settings`` are the properties of this build. The text of the file ``result`` that came of
        it; None when it has to be done in another way.
        """
        own = compiled("Standby", self._sandboxes, self._cache)
        extensions = ":".join(filter(None, [own, settings.get(CLASS_PATH)]))
        more = [
            # Maven 3.8 would keep the poms that it has read.
            "-Dmaven.defaultProjectBuilder.disableGlobalModelCache=true",
            f"-D{CLASS_PATH}={extensions}",
            f"-Dslipway.socket={WORK}/{SOCKET}",
        ]
        program = replace(program, argv=[*program.argv, *more], asked=SOCKET)
        same = [self._sandboxes.image, order.repository, program.order().decode(), user.state()]
        text = json.dumps([*same, _read_at_start(order)], sort_keys=True)
        key = hashlib.sha256(text.encode()).hexdigest()[:12]
        place = Place(self._folder / key, self._folder / key / "handover")
        place.root.mkdir(parents=True, exist_ok=True)
        (place.root / "asked").touch()
        with _alone(place):
            place.make()
            _refill(place, order, user)
            with receive(place):
                peer = self._asked(place) or self._started(place, program, order.label)
                if peer is None:
                    return None
                with peer:
                    return place.handed_over(result) if _build(peer, settings) else None

    def _asked(self, place: Place) -> socket.socket | None:
        """A connection to the Maven at a place; None when there is none."""
        with suppress(OSError):
            return place.asked() if (place.root / STANDING).exists() else None
        return None

    def _started(self, place: Place, program: Program, what: str) -> socket.socket | None:
        """Start a Maven, for which the one makes room that was asked longest ago.

        None when it ends instead, or takes too long.
        """
        self._end(place.root)
        there = [path.parent for path in self._folder.glob(f"*/{STANDING}")]
        there.sort(key=lambda place: (place / "asked").stat().st_mtime)
        for oldest in there[: max(0, len(there) - MOST + 1)]:
            self._end(oldest)
        (place.root / STANDING).touch()
        life, name = self._session.life, self._name(place.root)
        return self._sandboxes.start(place, program, life, name, what=what)

    def _end(self, root: Path) -> None:
        """Have no Maven in a folder."""
        self._sandboxes.end(self._name(root))
        (root / STANDING).unlink(missing_ok=True)

    def _name(self, root: Path) -> str:
        return f"{self._session.folder.name}-{root.name}"


def _refill(place: Place, order: Order[JibBuild], user: MavenUser) -> None:
    """Have what is to be built, and nothing else, where the sandbox takes it from."""
    for old in place.given.iterdir():
        if old.is_dir():
            shutil.rmtree(old)
        else:
            old.unlink()
    place.source.mkdir()
    order.copy_apart(place.source, OBJECTS)
    user.give(place.given)
    give(place.given)


@contextmanager
def _alone(place: Place) -> Iterator[None]:
    """Hold the folders of one Maven, which does one thing after the other."""
    with locked(place.root / "lock", "the Maven that stands by"):
        yield


def _read_at_start(order: Order[JibBuild]) -> list[tuple[str, str]]:
    """What Maven reads at its start alone, each file by its name."""
    project = order.project
    folders = [each for each in (project, *project.parents) if each.is_relative_to(order.source)]
    own = [path for folder in folders for path in sorted(folder.glob(".mvn/*"))]
    names = [str(path.relative_to(order.checkout)) for path in own]
    files = {name: found(order.checkout, name, order.label) for name in names}
    return [
        (name, path.read_text(errors="replace"))
        for name, path in files.items()
        if path and path.is_file()
    ]


def _build(peer: socket.socket, settings: Mapping[str, str]) -> bool:
    """Have Maven build; whether it has."""
    peer.settimeout(BUILD_SECONDS)
    order = "".join(f"{name}={value}\n" for name, value in settings.items())
    try:
        peer.sendall(f"{order}\n".encode())
        with peer.makefile() as answer:
            return answer.readline() == "built\n"
    except OSError:
        return False
