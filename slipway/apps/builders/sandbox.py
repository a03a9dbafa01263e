"""Sandboxes: containers of the engine in which what a branch's code has a say in is run.

A sandbox has name spaces of its own for processes, mounts and the network, a user without rights,
and bounds of memory, processes and time. It sees an image of the bundle, which it cannot change,
and four folders:

* ``/in``, which it only reads: the source, the user's settings, and what else it is given;
* ``/work``, its own, gone when it is: the source once more, to build in;
* ``/cache``, which only builds of the same repository share;
* ``/handover``, where it reaches the registry that takes its image.

It ends with the process that wants it, whatever becomes of that (see :mod:`.sandbox_init`). Nobody
outside follows a path in ``/work`` or ``/cache`` while it runs, for it may put links there.
"""

from __future__ import annotations

import errno
import fcntl
import inspect
import json
import os
import shutil
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from pathlib import Path

import docker
from docker.errors import APIError, DockerException, NotFound
from docker.models.containers import Container
from docker.types import LogConfig, Mount, Ulimit

from slipway.apps.builders import sandbox_init
from slipway.apps.builders.sandbox_init import CODE, FRONT
from slipway.errors import Problem, SlipwayError
from slipway.nodes.containers import connect
from slipway.nodes.image import bare
from slipway.run import last_lines
from slipway.waiting import allowed, wait_until

IN, WORK, CACHE, HANDOVER = "/in", "/work", "/cache", "/handover"

OBJECTS = "/objects"
"""Where a sandbox finds the objects of the git mirror that its source comes from, to read."""

REGISTRY = f"127.0.0.1:{sandbox_init.PORT}"
"""Where a sandbox finds the registry that takes its image."""

NETWORK = "slipway-builds"
"""The engine's network of sandboxes: the way out, and none to one another."""

LABEL = "internal.slipway.sandbox"
"""Label on every sandbox; its value tells sandboxes that stay from one another."""

USER = 65532
"""The user of sandboxes where root starts them; others' have theirs, and none of their rights."""

MEMORY = 4 << 30
"""Bytes of memory of a sandbox, of the machine's own where that is less."""

PROCESSES = 1024
"""Processes and threads of a sandbox."""

SAID = 1 << 16
"""How many of the last bytes that a program said are kept."""

ORDER = 1 << 20
"""How many bytes the pipe takes in which a sandbox is told what to run (pipe(7))."""

KILLED = "137"
"""The exit code of what was killed, as shells have it."""

HANDED_OVER = 4096
"""How many bytes a small file may have that a sandbox hands over."""

START_SECONDS = 60.0
GONE_SECONDS = 30.0


@dataclass(frozen=True)
class Place:
    """The folders of one sandbox: those below ``root``, which nobody else of the machine can enter,
    and ``handover``, where pipes and sockets between the two are.
    """

    root: Path
    handover: Path

    @property
    def given(self) -> Path:
        """What it only reads."""
        return self.root / "in"

    @property
    def source(self) -> Path:
        """The source, as it is given."""
        return self.given / "source"

    @property
    def work(self) -> Path:
        """What is its own."""
        return self.root / "work"

    @property
    def registry(self) -> Path:
        """The socket of the registry that takes its image."""
        return self.handover / "registry"

    def make(self) -> None:
        """Have the folders; those that are its own belong to its user."""
        self.root.mkdir(parents=True, exist_ok=True)
        self.root.chmod(0o700)
        for folder in (self.given, self.source, self.handover, self.work, self.work / "tmp"):
            folder.mkdir(exist_ok=True)
        for folder in (self.handover, self.work, self.work / "tmp"):
            give_folder(folder)
        for name in ("order", "life"):
            (self.handover / name).unlink(missing_ok=True)
            os.mkfifo(self.handover / name)
            give(self.handover / name)

    def handed_over(self, name: str, most: int = HANDED_OVER) -> str:
        """The text of a file that it has put into ``/work``; empty when there is none.

        No more than ``most`` bytes are read.

        It is no link, whose target this process might read and its user must not.
        """
        try:
            descriptor = os.open(self.work / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return ""
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            return ""
        with os.fdopen(descriptor, "rb") as file:
            return file.read(most).decode(errors="replace")

    def take(self, name: str, target: Path) -> None:
        """Copy a file that it has put into ``/work``, if there is one that is no link."""
        with suppress(OSError):
            descriptor = os.open(self.work / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(descriptor, "rb") as file, target.open("wb") as copy:
                shutil.copyfileobj(file, copy)

    def asked(self) -> socket.socket:
        """A connection to the program that answers there; raises OSError where there is none.

        It is a socket of its own, and no link to one of the machine's.
        """
        descriptor = os.open(self.work / FRONT, os.O_PATH | os.O_NOFOLLOW)
        try:
            if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                raise OSError(errno.ENOTSOCK, "it is no socket", str(self.work / FRONT))
            peer = socket.socket(socket.AF_UNIX)
            try:
                peer.connect(f"/proc/self/fd/{descriptor}")
            except OSError:
                peer.close()
                raise
        finally:
            os.close(descriptor)
        return peer


@dataclass(frozen=True)
class Program:
    """What a sandbox runs.

    ``folder`` is where in the source, ``environment`` all that it has beside the image's, ``cache``
    the folder that is its ``/cache``, and ``readable`` what else it may read, by the place where it
    finds it. One that has ``asked`` answers at that socket in ``/work``; what one with an
    ``output`` prints goes into that file there. ``network`` is whether it gets beyond itself, and
    ``memory`` how many bytes of that it may have.
    """

    argv: Sequence[str]
    environment: Mapping[str, str]
    folder: str = "."
    cache: Path | None = None
    readable: Mapping[str, Path] = field(default_factory=dict)
    asked: str = ""
    output: str = ""
    network: bool = True
    memory: int = MEMORY

    def order(self) -> bytes:
        """As the first process of a sandbox reads it."""
        said = {
            "argv": [*self.argv],
            "env": {"HOME": f"{WORK}/home", **self.environment},
            "folder": self.folder,
            "registry": self.network,
            "asked": self.asked,
            "output": self.output,
        }
        return json.dumps(said).encode() + b"\n"


Receive = Callable[[Place], AbstractContextManager[object]]
"""Has a place ready to take what a build there hands over, for as long as it takes."""


class Sandboxes:
    """Those made of the image ``ref`` of a bundle; ``client`` is asked for when one is needed."""

    def __init__(
        self,
        bundle: Path,
        ref: str,
        say: Callable[[str], None],
        client: Callable[[], docker.DockerClient] = connect,
    ) -> None:
        self._bundle = bundle
        self._ref = ref
        self._say = say
        self._connect = client
        self._lock = threading.RLock()
        self._image = ""

    @cached_property
    def _client(self) -> docker.DockerClient:
        return self._connect()

    @property
    def image(self) -> str:
        """The engine's id of the image, which is loaded when the first one needs it."""
        with self._lock:
            self._image = self._image or bare(self._client, self._bundle, self._ref, self._say)
            return self._image

    @cached_property
    def _network(self) -> str:
        """The network, which is made when the first one needs it."""
        try:
            return str(self._client.networks.get(NETWORK).name)
        except NotFound:
            apart = {"com.docker.network.bridge.enable_icc": "false"}
            made = self._client.networks.create(
                NETWORK, "bridge", options=apart, labels={LABEL: ""}, check_duplicate=True
            )
            return str(made.name)

    def run(self, place: Place, program: Program, *, what: str, timeout: float) -> str:
        """Run a program to its end; what it said last.

        Raises SlipwayError with that when it fails, when it takes longer than ``timeout`` seconds,
        or when the engine does not run it.
        """
        with (
            _open(place.handover / "life"),
            _telling(place.handover / "order", program),
            self._container(place, program, what) as container,
        ):
            said = _Said(container)
            late = _Late(timeout, container)
            with late:
                _start(container, what)
                said.read()
        code = place.handed_over(CODE)
        if code == "0":
            return said.text
        if late.has_come:
            reason = f"took longer than {timeout:.0f} s"
        elif code in ("", KILLED):
            reason = f"was ended, as what takes more than {program.memory >> 30} GiB of memory is"
        else:
            reason = f"ended with code {code}"
        what_of_it = f"{program.argv[0]} {reason}; it last said\n{last_lines(said.text)}"
        raise SlipwayError(Problem(what, what_of_it))

    def start(
        self, place: Place, program: Program, life: Path, name: str, *, what: str
    ) -> socket.socket | None:
        """Start a program that stays for as long as somebody holds the pipe ``life`` open.

        It can be ended by its ``name``. A connection to it, or None when it ends instead or does
        not answer in time. Raises SlipwayError when the engine does not run it.
        """
        (place.handover / "life").unlink()
        give_folder(life)
        os.link(life, place.handover / "life")
        with _telling(place.handover / "order", program):
            container = self._created(place, program, what, name)
            _start(container, what)
            deadline = time.monotonic() + allowed(START_SECONDS)
            while time.monotonic() < deadline and _is_there(container):
                with suppress(OSError):
                    return place.asked()
                time.sleep(0.02)
        _remove(container)
        return None

    def end(self, name: str) -> None:
        """End the one that stays under this name, if there is one."""
        mine = {"label": f"{LABEL}={name}"}
        for container in self._client.containers.list(all=True, filters=mine, ignore_removed=True):
            _remove(container)

    @contextmanager
    def _container(self, place: Place, program: Program, what: str) -> Iterator[Container]:
        """A container for as long as it is needed; nothing of it is left then."""
        container = self._created(place, program, what, "")
        try:
            yield container
        finally:
            _remove(container)

    def _created(self, place: Place, program: Program, what: str, name: str) -> Container:
        user, group = (USER, USER) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
        read = {IN: place.given, HANDOVER: place.handover, **program.readable}
        own = {WORK: place.work, "/tmp": place.work / "tmp"}
        if program.cache:
            own[CACHE] = program.cache
        with self._lock:
            image, network = self.image, self._network if program.network else "none"
        try:
            return self._client.containers.create(
                image,
                entrypoint=["python3", "-I", "-S", "-c", inspect.getsource(sandbox_init)],
                labels={LABEL: name},
                user=f"{user}:{group}",
                working_dir=WORK,
                mounts=[
                    *(Mount(to, str(at), type="bind", read_only=True) for to, at in read.items()),
                    *(Mount(to, str(at), type="bind") for to, at in own.items()),
                ],
                network=network,
                read_only=True,
                cap_drop=["ALL"],
                # The folders that it gets have no label of containers', where SELinux has labels.
                security_opt=["no-new-privileges", "label=disable"],
                pids_limit=PROCESSES,
                mem_limit=program.memory,
                memswap_limit=program.memory,
                ulimits=[Ulimit(name="core", soft=0, hard=0)],
                log_config=LogConfig(type="none"),  # it may say things without end, and secrets
                auto_remove=True,
            )
        except DockerException as error:
            raise SlipwayError(Problem(what, f"the engine makes no sandbox: {error}")) from error


class _Late(threading.Timer):
    """Ends a container after some seconds, unless what it is wanted for ends before."""

    def __init__(self, seconds: float, container: Container) -> None:
        super().__init__(seconds, self._end, [container])
        self.has_come = False

    def _end(self, container: Container) -> None:
        self.has_come = True
        _remove(container)

    def __enter__(self) -> None:
        self.start()

    def __exit__(self, *_: object) -> None:
        self.cancel()


class _Said:
    """What a container says, the last of it; it is begun before the container is."""

    def __init__(self, container: Container) -> None:
        self._stream = container.attach(stream=True, stdout=True, stderr=True)
        self._last = bytearray()

    def read(self) -> None:
        """Read until the container has ended."""
        for part in self._stream:
            self._last += part
            del self._last[:-SAID]

    @property
    def text(self) -> str:
        """The last of it."""
        return self._last.decode(errors="replace")


def give_folder(path: Path) -> None:
    """Have one file or folder belong to the user of sandboxes."""
    if os.geteuid() == 0:
        os.chown(path, USER, USER, follow_symlinks=False)


def give(path: Path) -> None:
    """Have a file, or a folder with all in it, belong to the user of sandboxes.

    No sandbox may write there meanwhile.
    """
    give_folder(path)
    if os.geteuid() == 0:
        for place, folders, files in os.walk(path):
            for name in (*folders, *files):
                os.chown(Path(place, name), USER, USER, follow_symlinks=False)


@contextmanager
def _open(pipe: Path) -> Iterator[int]:
    """A pipe that is open for writing, though nobody reads yet."""
    descriptor = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _telling(pipe: Path, program: Program) -> Iterator[None]:
    """Have a pipe say what to run, to whoever comes to read it meanwhile."""
    order = program.order()
    with _open(pipe) as descriptor:
        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, ORDER)
        if os.write(descriptor, order) < len(order):
            what = f"has options and variables of {len(order):,} bytes, and may have {ORDER:,}"
            raise SlipwayError(Problem(program.argv[0], what))
        yield


def _start(container: Container, what: str) -> None:
    try:
        container.start()
    except DockerException as error:
        raise SlipwayError(Problem(what, f"the engine starts no sandbox: {error}")) from error


def _is_there(container: Container) -> bool:
    try:
        container.reload()
    except NotFound:
        return False
    return True


def _remove(container: Container) -> None:
    """Have a container be gone, which the engine may have begun to remove already."""
    try:
        container.remove(force=True)
    except NotFound:
        return
    except APIError as error:
        if error.status_code != HTTPStatus.CONFLICT:
            raise
        wait_until(lambda: not _is_there(container), allowed(GONE_SECONDS), pause=0.01)
