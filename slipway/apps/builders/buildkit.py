"""Dockerfiles, built by a BuildKit daemon of our own.

BuildKit reads base images where they are stored, writes what is new of an image and nothing else,
and keeps one cache of layers for all apps and branches; cache mounts are a repository's own. Steps
are on a network apart from the machine's, with bounds of memory and processes. The daemon is shared
by all runs with the same cache: the first one starts it, the last one to leave stops it.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import select
import signal
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import IO

from slipway.apps.app import BuildxBuild
from slipway.apps.builders.bases import StoredImage
from slipway.apps.builders.cgroup import bounded
from slipway.apps.builders.logins import Logins, docker_config
from slipway.apps.builders.order import Order, context_of
from slipway.apps.builders.reference import check
from slipway.errors import Problem, SlipwayError
from slipway.interrupts import on_signal, undivided
from slipway.locks import locked, take
from slipway.nodes.containers import nameservers, resolv_conf
from slipway.oci import ImageStore, machine_platform
from slipway.run import last_lines, run
from slipway.waiting import allowed, wait_until

RECIPE = "buildkit 1"
"""Changes whenever the same source would be built into another image."""

BASE_ARGUMENT = "BASE_IMAGE"
"""The build argument that holds the base image."""

SYNTAX_ARGUMENT = "BUILDKIT_SYNTAX"
"""The build argument that asks for a frontend in place of the Dockerfile's."""

CACHE_ARGUMENT = "BUILDKIT_CACHE_MOUNT_NS"
"""The build argument that BuildKit puts before the ids of cache mounts."""

BRIDGE = "slipway-builds0"
"""The network device at which builds are."""

RANGES = ("10.209.0.0/16", "172.30.0.0/16", "192.168.224.0/20")
"""Ranges of addresses for builds; the first counts that leads nowhere else yet."""

PLUGINS = ("bridge", "firewall", "host-local", "loopback")
"""The CNI plugins that connect a build."""

MEMORY = 4 << 30
PROCESSES = 1024
"""How many bytes of memory and how many processes the steps of a build may have."""

CACHE_SIZE = "10GB"
"""What the daemon's cache may take of the disk; it removes what was not used for longest."""

BUILD_SECONDS = 3600.0
START_SECONDS = 30.0
STOP_SECONDS = 30.0

RUNTIME_FOLDER = Path("/run/slipway")
"""Where the daemons' sockets are: a socket's path must be short (unix(7))."""

_OWN_FRONTEND = re.compile(
    r"(?:(?:index\.)?docker\.io/)?docker/dockerfile(?:-upstream)?"
    r"(?::(?:1(?:[.-][\w.-]+)?|experimental|labs|latest|master))?(?:@sha256:[0-9a-f]{64})?"
)
"""The frontends that are what BuildKit has built in, as they are asked for from a registry."""

_DIRECTIVES_BY = {
    mark: re.compile(mark + r"\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*") for mark in ("#", "//")
}
"""A line before all others that says how to read a file, by how comments begin there."""

HEAD = 1 << 16
"""How many characters of a Dockerfile are looked at for such lines."""

_DIRECTIVES = ("syntax", "check", "escape")


@dataclass(frozen=True)
class Programs:
    """The programs that it takes, all in a bundle."""

    buildkitd: Path
    buildctl: Path
    runc: Path
    plugins: Sequence[Path]

    @classmethod
    def of(cls, bundle: Path) -> Programs:
        """Where a bundle has them."""
        tools = bundle / "tools"
        plugins = [*map((bundle / "cni").joinpath, PLUGINS)]
        return cls(tools / "buildkitd", tools / "buildctl", bundle / "bin" / "runc", plugins)

    def can_run(self) -> bool:
        """Whether all are there, and this user may run containers with them."""
        all_of_it = (self.buildkitd, self.buildctl, self.runc, *self.plugins)
        there = all(path.exists() for path in all_of_it)
        return there and os.geteuid() == 0


class Daemon:
    """The BuildKit daemon of the folder ``state``; ``with`` it, others may use it as well.

    Two locks order what runs do: ``gate`` is held to start and to stop, ``users`` is shared by
    everyone who uses the daemon. The daemon is known by its socket, not by a number in a file.
    """

    def __init__(self, programs: Programs, state: Path) -> None:
        self.programs = programs
        self._state = state
        key = sha256(str(state.resolve()).encode()).hexdigest()[:12]
        self._socket = RUNTIME_FOLDER / f"buildkit-{key}.sock"
        self._starting = threading.Lock()
        self._use: IO[str] | None = None
        self._watching = ExitStack()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Where clients find it."""
        return f"unix://{self._socket}"

    def __enter__(self) -> Daemon:
        return self

    def start(self) -> None:
        """Have it running; SlipwayError with its last words when it does not start."""
        with self._starting:
            if self._use is None:
                self._state.mkdir(parents=True, exist_ok=True)
                with self._locked("gate"):
                    if not self.answers():
                        self._launch()
                    self._use = self._path("users").open("a")
                    take(self._use, "the BuildKit daemon", fcntl.LOCK_SH)
                    self._watching.enter_context(on_signal(self._leave_at_once))

    def call(self, *arguments: str, what: str, env: Mapping[str, str] | None = None) -> None:
        """Have buildctl do something; SlipwayError, of ``what``, with its last lines."""
        run(
            [self.programs.buildctl, f"--addr={self.address}", *arguments],
            what=what,
            env=env,
            timeout=BUILD_SECONDS,
        )

    def __exit__(self, *_: object) -> None:
        self._watching.close()
        if self._use is None:
            return
        with self._locked("gate"), self._use as use, suppress(BlockingIOError):
            fcntl.flock(use, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if self.answers():
                try:
                    # It keeps what builds said, and a build may say its secrets.
                    self.call("prune-histories", what="buildkitd")
                finally:
                    self._stop()
        self._use = None

    def _leave_at_once(self) -> None:
        """Stop it unless others use it; a signal came, perhaps while the gate is held here."""
        if self._use:
            with suppress(BlockingIOError):
                fcntl.flock(self._use, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._stop()

    def _launch(self) -> None:
        RUNTIME_FOLDER.mkdir(mode=0o700, exist_ok=True)
        settings = self._state / "buildkitd.toml"
        settings.write_text(self._settings())
        log = self._state / "buildkitd.log"
        with ExitStack() as launching:
            try:
                with log.open("wb") as output, undivided():
                    # In a session of its own: another run may go on with it when this one is
                    # broken off at its terminal.
                    process = subprocess.Popen(
                        [self.programs.buildkitd, "--config", settings],
                        stdin=subprocess.DEVNULL,
                        stdout=output,
                        stderr=output,
                        start_new_session=True,
                        cwd="/",
                    )
                    launching.enter_context(on_signal(process.kill))
            except OSError as error:
                raise SlipwayError(Problem("buildkitd", f"{error.strerror}")) from error
            self._process = process
            seconds = allowed(START_SECONDS)
            wait_until(lambda: self.answers() or process.poll() is not None, seconds, 0.02)
        if not self.answers():
            process.kill()
            process.wait()
            said = last_lines(log.read_text(errors="replace"))
            raise SlipwayError(Problem("buildkitd", f"does not start; it last said\n{said}"))

    def _stop(self) -> None:
        """End the daemon, whoever started it, and wait until it has ended."""
        with suppress(OSError):  # it has ended by itself
            daemon = os.pidfd_open(self._pid())
            try:
                ended = select.poll()
                ended.register(daemon, select.POLLIN)
                signal.pidfd_send_signal(daemon, signal.SIGTERM)
                if not ended.poll(allowed(STOP_SECONDS) * 1000):
                    signal.pidfd_send_signal(daemon, signal.SIGKILL)
                    ended.poll()
            finally:
                os.close(daemon)
        if self._process:
            self._process.wait()

    def answers(self) -> bool:
        try:
            self._pid()
        except OSError:
            return False
        return True

    def _pid(self) -> int:
        """The process that listens on the socket (SO_PEERCRED, unix(7)); OSError if none does."""
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(self._socket))
            credentials = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        pid: int = struct.unpack("3i", credentials)[0]
        return pid

    def _path(self, lock: str) -> Path:
        return self._state / f"{lock}.lock"

    @contextmanager
    def _locked(self, lock: str) -> Iterator[None]:
        with locked(self._path(lock), "the BuildKit daemon"):
            yield

    def _settings(self) -> str:
        """The daemon's configuration; TOML takes JSON's strings and arrays as they are.

        Steps of builds are on a network of their own, and no frontend is fetched.
        """
        places = {path.parent for path in self.programs.plugins}
        return f"""\
root = {json.dumps(str(self._state / "root"))}
[grpc]
address = {json.dumps([self.address])}
[dns]
nameservers = {json.dumps(_name_servers())}
[worker.containerd]
enabled = false
[worker.oci]
enabled = true
binary = {json.dumps(str(self.programs.runc))}
networkMode = "bridge"
cniBinaryPath = {json.dumps(str(places.pop()))}
bridgeName = {json.dumps(BRIDGE)}
bridgeSubnet = {json.dumps(free_range())}
gc = true
maxUsedSpace = "{CACHE_SIZE}"
[frontend."gateway.v0"]
enabled = false
[history]
maxEntries = 0
maxAge = "0s"
"""


def free_range(routes: Path = Path("/proc/net/route")) -> str:
    """The first of the ranges to which no route of this machine leads."""
    taken = []
    for line in routes.read_text().splitlines()[1:]:
        device, target, _gateway, _flags, _, _, _, mask, *_ = line.split()
        if device != BRIDGE and mask != "00000000":
            network = (int(value, 16).to_bytes(4, "little") for value in (target, mask))
            taken.append(IPv4Network("/".join(str(IPv4Address(each)) for each in network)))
    free = (each for each in RANGES if not any(map(IPv4Network(each).overlaps, taken)))
    return next(free, RANGES[0])


def _name_servers() -> list[str]:
    """Those of this machine that another network can ask; without any, BuildKit decides."""
    path = resolv_conf()
    return nameservers(path.read_text(errors="replace")) if path else []


def command(
    context: Path,
    build: BuildxBuild,
    arguments: Mapping[str, str],
    base: StoredImage | None,
    secrets: Mapping[str, str],
) -> list[str]:
    """The options of ``buildctl build`` for the folder ``context``.

    ``build`` is what apps.yml says of it, ``arguments`` the build arguments; ``base`` is an image
    that stands below its reference wherever the Dockerfile names it, and ``secrets`` has the
    environment variable of each secret id.
    """
    dockerfile = context / build.dockerfile
    settings = {"filename": dockerfile.name}
    stored = []
    if base:
        settings[f"context:{base.image.ref}"] = f"oci-layout://base@{base.image.manifest_digest}"
        stored = [f"--oci-layout=base={base.store.root}"]
    if build.target:
        settings["target"] = build.target
    if _OWN_FRONTEND.fullmatch(asked_frontend(dockerfile, arguments)):
        settings["cmdline"] = "docker/dockerfile"
    settings |= {f"build-arg:{name}": value for name, value in arguments.items()}
    return [
        "--frontend=dockerfile.v0",
        f"--local=context={context}",
        f"--local=dockerfile={dockerfile.parent}",
        *stored,
        *(f"--opt={name}={value}" for name, value in settings.items()),
        *(f"--secret=id={name},env={variable}" for name, variable in secrets.items()),
    ]


def asked_frontend(dockerfile: Path, arguments: Mapping[str, str]) -> str:
    """What a Dockerfile wants to be read by; empty where it does not say."""
    asked = (arguments.get(SYNTAX_ARGUMENT) or _syntax(dockerfile)).split()
    return asked[0] if asked else ""


def refuse_foreign_frontend(order: Order[BuildxBuild], dockerfile: Path) -> None:
    """Raise SlipwayError where a Dockerfile wants to be read by another program than BuildKit's."""
    asked = asked_frontend(dockerfile, order.build.args)
    if asked and not _OWN_FRONTEND.fullmatch(asked):
        what = f"{order.build.dockerfile} asks for the frontend {asked}, which is a foreign program"
        fix = "remove the line, or name docker/dockerfile:1, which is what is built in"
        raise SlipwayError(Problem(order.label, what, fix))


def _syntax(dockerfile: Path) -> str:
    """The frontend that a Dockerfile asks for, as BuildKit finds it; empty for none."""
    try:
        with dockerfile.open(encoding="utf-8-sig", errors="replace") as file:
            text = file.read(HEAD)
    except OSError:  # BuildKit says so, in words that users know
        return ""
    lines = text.split("\n")
    lines = lines[1:] if lines[0].startswith("#!") else lines
    for directive in _DIRECTIVES_BY.values():
        for line in lines:
            found = directive.fullmatch(line)
            if found is None or (key := found[1].lower()) not in _DIRECTIVES:
                break
            if key == "syntax":
                return found[2]
    return _syntax_in_json("\n".join(lines))


def _syntax_in_json(text: str) -> str:
    """The frontend that a file asks for that is JSON, which no Dockerfile is."""
    if not text.lstrip().startswith("{"):
        return ""
    try:
        return str(json.loads(text).get("syntax", ""))
    except (ValueError, RecursionError):
        return "(JSON)" if len(text) >= HEAD - 1 else ""


def secret_variables(ids: Sequence[str]) -> dict[str, str]:
    """The environment variable that carries each secret to the client of a builder."""
    return {name: f"SLIPWAY_SECRET_{number}" for number, name in enumerate(sorted(ids))}


class BuildKit:
    """Builds Dockerfiles; what ``store`` has of an image is not written again."""

    doing = "buildx"

    def __init__(self, daemon: Daemon, store: ImageStore) -> None:
        self._daemon = daemon
        self._store = store

    def build(self, order: Order[BuildxBuild]) -> Path:
        """As Builder; the failure has BuildKit's last lines."""
        context = context_of(order)
        refuse_foreign_frontend(order, context / order.build.dockerfile)
        base = order.base.fetch() if order.base and order.base.fetch else None
        arguments = {BASE_ARGUMENT: order.base.ref} if order.base else {}
        arguments |= {**order.build.args, CACHE_ARGUMENT: order.repository}
        layout = order.scratch / "image"
        stores = [self._store, *([base.store] if base else [])]
        _link_layers(stores, layout / "blobs" / "sha256")
        variables = secret_variables(list(order.secrets))
        # To BuildKit, a step in another group is another step, which it has not done yet.
        with bounded(f"slipway-{order.repository}", MEMORY, PROCESSES) as group:
            self._solve(
                [
                    *command(context, order.build, arguments, base, variables),
                    *_platform(order.platform),
                    f"--opt=cgroup-parent={group}",
                ],
                layout,
                order.label,
                {variable: order.secrets[name] for name, variable in variables.items()},
                order.logins,
            )
        return layout

    def pull(self, ref: str, layout: Path, logins: Logins) -> None:
        """Bring the image ``ref`` of a registry as an OCI layout into the folder ``layout``.

        Raises SlipwayError when the registry cannot be reached or has no such image.
        """
        what = f"base image {ref}"
        check(ref, logins, what)
        context = layout / "context"
        context.mkdir()
        (context / "Dockerfile").write_text(f"FROM {ref}\n")
        asked = [*command(context, BuildxBuild(), {}, None, {}), *_platform(self._store.platform)]
        self._solve(asked, layout, what, {}, logins)

    def _solve(
        self,
        arguments: Sequence[str],
        layout: Path,
        what: str,
        env: Mapping[str, str],
        logins: Logins,
    ) -> None:
        self._daemon.start()
        with docker_config(logins) as config:
            self._daemon.call(
                "build",
                "--progress=plain",
                f"--output=type=oci,tar=false,compression=uncompressed,dest={layout}",
                *arguments,
                what=what,
                env={**env, **config},
            )


def _platform(platform: str) -> list[str]:
    """The option for images of another platform than this machine's."""
    return [] if platform == machine_platform() else [f"--opt=platform={platform}"]


def _link_layers(stores: Sequence[ImageStore], blobs: Path) -> None:
    """Have the stores' layers below ``blobs``, where BuildKit takes them for written already."""
    blobs.mkdir(parents=True)
    for store in stores:
        images = store.images().values()
        for digest in {layer.digest for image in images for layer in image.layers}:
            name = digest.removeprefix("sha256:")
            if not (blobs / name).exists():
                (blobs / name).symlink_to((store.root / "blobs" / "sha256" / name).resolve())
