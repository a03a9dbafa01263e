"""The first process of a sandbox: it runs one program, and everything there ends with it.

Its text is the container's command, and the standard library all that it has. What it is to run
comes through a pipe, for the engine keeps what a container is made with, secrets would be among it.
A second pipe is held open by whoever wants the sandbox: with that process, the sandbox ends.

It has no more rights than the program that it runs.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PORT = 39187
"""Where the registry is that takes the image, on this sandbox's own loopback interface."""

CODE, FRONT = "code", "front"
"""In its own folder, the file of the program's exit code, and the socket at which it is asked."""

START_SECONDS = 60.0
"""How long a program that answers may take until it listens."""

PART = 1 << 16


def main(root: Path = Path("/")) -> int:
    """Run the program that is asked for, and note its exit code, as a shell has it."""
    handover, work = root / "handover", root / "work"
    # Before all else: who would tell what to run may be gone already.
    threading.Thread(target=_end_with, args=(handover / "life",), daemon=True).start()
    order = json.loads(_line(handover / "order"))
    if order["registry"]:
        _listen(socket.create_server(("127.0.0.1", PORT)), handover / "registry")
    if (root / "in" / "home").is_dir():
        shutil.copytree(root / "in" / "home", work / "home", dirs_exist_ok=True)

    def refresh() -> None:
        fill(work / "source", order["folder"], root / "in" / "source")

    refresh()
    names = (CODE, FRONT, order["asked"], order["output"])
    for name in filter(None, names):  # of one that was here before
        (work / name).unlink(missing_ok=True)
    with (
        (work / order["output"]).open("wb")
        if order["output"]
        else contextlib.nullcontext() as output
    ):
        program = subprocess.Popen(
            order["argv"],
            cwd=work / "source" / order["folder"],
            env={**os.environ, **order["env"]},
            stdin=subprocess.DEVNULL,
            stdout=output,
            start_new_session=True,
        )
    if order["asked"]:
        front = socket.socket(socket.AF_UNIX)
        front.bind(str(work / FRONT))
        front.listen()
        _listen(front, work / order["asked"], refresh)
    code = _code_of(program.pid)
    (work / CODE).write_text(f"{code}")
    return code


def fill(place: Path, folder: str, source: Path) -> None:
    """Put what is in ``source``, and nothing else, into a place.

    The project's own ``folder`` there stays, as a program may be in it, and so does the place.
    """
    project = place / folder
    project.mkdir(parents=True, exist_ok=True)
    _empty(place, project)
    shutil.copytree(source, place, symlinks=True, dirs_exist_ok=True)


def _empty(folder: Path, project: Path) -> None:
    """Remove all that is in a folder but the project's, of which all that is in it."""
    for old in folder.iterdir():
        if project.is_relative_to(old):
            _empty(old, project)
        elif old.is_dir() and not old.is_symlink():
            shutil.rmtree(old)
        else:
            old.unlink()


def _line(pipe: Path) -> bytes:
    """The first line that comes through a pipe."""
    with pipe.open("rb") as file:
        return file.readline()


def _end_with(pipe: Path) -> None:
    """End when nobody holds a pipe open for writing."""
    descriptor = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    ended = select.poll()
    ended.register(descriptor, select.POLLIN | select.POLLHUP)
    with contextlib.suppress(BlockingIOError):  # somebody does, and says nothing
        while os.read(descriptor, PART):
            pass
        os._exit(143)
    while True:
        ended.poll()
        with contextlib.suppress(BlockingIOError):
            if not os.read(descriptor, PART):
                os._exit(143)


def _listen(server: socket.socket, target: Path, first: Callable[[], None] | None = None) -> None:
    """Connect whoever comes with the socket at ``target``, of which ``first`` is done before.

    Who comes while that is being done waits for its turn. Where it cannot be done, as where one
    leaves whose files make room for the next one's meanwhile, that connection alone ends.
    """

    def serve() -> None:
        while True:
            client, _ = server.accept()
            try:
                if first:
                    first()
            except OSError as error:
                print(error, file=sys.stderr)
                client.close()
                continue
            threading.Thread(target=_relay, args=(client, target), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()


def _relay(client: socket.socket, target: Path) -> None:
    """Carry bytes both ways until both sides have ended; without the other side, all ends."""
    try:
        server = _connected(target)
    except OSError:
        os._exit(1)
    with client, server:
        back = threading.Thread(target=_pump, args=(server, client), daemon=True)
        back.start()
        _pump(client, server)
        back.join()


def _connected(target: Path) -> socket.socket:
    """A connection to a socket that is there, or will be soon; raises OSError."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        peer = socket.socket(socket.AF_UNIX)
        try:
            peer.connect(str(target))
        except OSError:
            peer.close()
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return peer


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while part := source.recv(PART):
            target.sendall(part)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _code_of(program: int) -> int:
    """The exit code of a child; others that end meanwhile were orphans, and are forgotten."""
    while True:
        found: tuple[int, Any] = os.wait()
        if found[0] == program:
            code = os.waitstatus_to_exitcode(found[1])
            return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
