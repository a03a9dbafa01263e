"""The nginx that the controller runs as its child: test, start, reload, quit."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import time
from collections.abc import Collection, Mapping, Set
from contextlib import suppress
from pathlib import Path

from nginx_ingress.render import VERSION_AFTER, VERSION_BEFORE, Settings, render_config

log = logging.getLogger(__name__)

CONFIRM_SECONDS = 10.0
"""How long new workers may take to answer."""
TEST_SECONDS = 30.0
"""How long nginx may look at a configuration."""
_POLL_SECONDS = 0.002
_STDOUT = 1


class NginxError(Exception):
    """nginx does not run a configuration."""


class ConfigRefused(NginxError):
    """nginx found a mistake in a configuration; the text is its own reason."""


class Nginx:
    """One nginx master process and its configuration file.

    ``program`` is nginx's path. Nothing is started before :meth:`resume` or the first
    :meth:`apply`. ``tested`` is when nginx last looked at a configuration, in monotonic time.
    """

    tested = 0.0

    def __init__(self, program: str, settings: Settings) -> None:
        self._command = [program, "-e", "stderr", "-p", str(settings.run_dir)]
        self._settings = settings
        self._config = settings.run_dir / "nginx.conf"
        self._process: subprocess.Popen[bytes] | None = None
        self._version = 0
        settings.certificates.mkdir(mode=0o700, parents=True, exist_ok=True)

    @property
    def exit_code(self) -> int | None:
        """The code that nginx ended with; None while it runs or has not been started."""
        return self._process.poll() if self._process else None

    @property
    def running(self) -> bool:
        """Whether the master process is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def leaving(self) -> int:
        """How many workers are there only for the connections that they still have."""
        try:
            return sum(b"shutting down" in title for title in self._workers().values())
        except OSError:
            return 0

    def add_certificates(self, certificates: Mapping[str, bytes]) -> None:
        """Write these files, with the key in them, where the configuration looks for them."""
        for name, pem in certificates.items():
            path = self._settings.certificates / name
            if not path.exists():
                # Whole or not at all: what is there is not written again.
                new = path.with_suffix(".new")
                new.touch(mode=0o600)
                new.write_bytes(pem)
                new.replace(path)

    def keep_certificates(self, names: Collection[str]) -> None:
        """Remove all other files; workers have read them when they started."""
        for path in self._settings.certificates.iterdir():
            if path.name not in names:
                path.unlink()

    def test(self, servers: str) -> str:
        """Why nginx would not take this configuration, or nothing.

        Raises NginxError if nginx cannot say.
        """
        candidate = self._write(servers, "nginx.conf.test")
        problem = self._problem(candidate)
        candidate.unlink()
        return problem

    def resume(self) -> bool:
        """Run with the configuration that a predecessor left; say whether there was one that runs.

        It is what the predecessor ran with last, so it serves until there is a newer one.
        """
        try:
            text = self._config.read_text(encoding="utf-8")
            # What stands around the servers is that of these settings, and comes before them.
            version = text.partition(VERSION_BEFORE)[2].partition(VERSION_AFTER)[0]
            frame = render_config("", int(version), self._settings)
            if not text.startswith(frame.rstrip("}\n")) or self._problem(self._config):
                return False
            self._version = int(version)
            self._start()
            self._confirm(set())
        except (OSError, ValueError, NginxError) as error:
            log.warning("nothing to go on with: %s", error)
            self.quit(0.0)
            self._process = None
            return False
        return True

    def apply(self, servers: str) -> None:
        """Run with this configuration from now on, without dropping a connection.

        Returns when workers answer with it. Raises ConfigRefused when nginx finds a mistake in it
        and NginxError when workers do not come to run it; the one before it then counts.
        """
        self._version += 1
        candidate = self._write(servers, "nginx.conf.new")
        if problem := self._problem(candidate):
            candidate.unlink()
            raise ConfigRefused(problem)
        previous = self._settings.run_dir / "nginx.conf.previous"
        if self.running:
            previous.write_bytes(self._config.read_bytes())
        candidate.replace(self._config)
        before = self._workers().keys()
        if self._process is None:
            self._start()
        else:
            self._process.send_signal(signal.SIGHUP)
        try:
            self._confirm(before)
        except NginxError:
            if previous.exists():
                previous.replace(self._config)
            raise
        previous.unlink(missing_ok=True)

    def quit(self, seconds: float) -> None:
        """Stop listening, let requests finish for at most ``seconds``, then end."""
        if self._process is None:
            return
        for number, patience in ((signal.SIGQUIT, seconds), (signal.SIGTERM, 2.0)):
            self._process.send_signal(number)
            try:
                self._process.wait(patience)
                return
            except subprocess.TimeoutExpired:
                log.warning("nginx has not ended %.0f s after %s", patience, number.name)
        self._process.kill()
        self._process.wait()

    def _start(self) -> None:
        # A predecessor, in a container that restarts, may have left it in the volume.
        self._settings.status_socket.unlink(missing_ok=True)
        command = [*self._command, "-c", str(self._config)]
        self._process = subprocess.Popen(command, stderr=_STDOUT)

    def _write(self, servers: str, name: str) -> Path:
        path = self._settings.run_dir / name
        text = render_config(servers, self._version, self._settings)
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise NginxError(f"its configuration cannot be written: {error}") from error
        return path

    def _problem(self, config: Path) -> str:
        self.tested = time.monotonic()
        try:
            done = subprocess.run(
                [*self._command, "-t", "-q", "-c", str(config)],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                timeout=TEST_SECONDS,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NginxError(str(error)) from error
        if done.returncode < 0:
            # It was ended from outside, which says nothing about the configuration.
            raise NginxError(f"its test ended by signal {-done.returncode}")
        # What nginx quotes may be cut in the middle of a character.
        said = done.stderr.decode(errors="replace")
        return reason_in(said) or f"exit code {done.returncode}" if done.returncode else ""

    def _confirm(self, before: Set[int]) -> None:
        """Wait until new workers answer and no others take connections.

        The workers from ``before`` are told to end as soon as there is a new one. There are others
        if an earlier reload, which had not been confirmed, comes about at the same time.
        """
        deadline = time.monotonic() + CONFIRM_SECONDS
        while time.monotonic() < deadline:
            if self.exit_code is not None:
                raise NginxError(f"nginx ended with code {self.exit_code}")
            workers = self._workers()
            staying = {worker for worker, title in workers.items() if _stays(title)}
            others = before & staying or len(staying) > self._settings.worker_processes
            if not others and self._answered_version() == self._version:
                return
            if any(b"worker process" in workers[worker] for worker in staying - before):
                _end(before & staying)
            time.sleep(_POLL_SECONDS)
        raise NginxError(f"after {CONFIRM_SECONDS:.0f} s not all connections met it")

    def _workers(self) -> dict[int, bytes]:
        """The titles of nginx's workers by process id, also of those that are about to end."""
        if not self.running or self._process is None:
            return {}
        return {int(child): _title(child) for child in _children(self._process.pid)}

    def _answered_version(self) -> int | None:
        """The version that a worker answers with; None if none answers."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(1.0)
            try:
                connection.connect(str(self._settings.status_socket))
                connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
                answer = b"".join(iter(lambda: connection.recv(4096), b""))
            except OSError:
                return None
        body = answer.partition(b"\r\n\r\n")[2]
        return int(body) if body.isdigit() else None


def reason_in(said: str) -> str:
    """Why nginx refuses, without the time and the place, which are others each time."""
    _, found, line = said.partition("[emerg] ")
    if not found:
        return said.strip()
    line = line.splitlines()[0]
    process, _, text = line.partition(": ")
    reason = text if "#" in process and process.replace("#", "").isdigit() else line
    before, _, place = reason.rpartition(" in ")
    return before if place.rpartition(":")[2].isdigit() and before else reason


def _children(process: int) -> Collection[str]:
    """The processes that another one has started.

    Not every kernel has the file that lists them (CONFIG_PROC_CHILDREN); all tell their parents.
    """
    try:
        return Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except FileNotFoundError:
        return [
            stat.parent.name
            for stat in Path("/proc").glob("[0-9]*/stat")
            if _parent(stat) == process
        ]


def _parent(stat: Path) -> int | None:
    """The parent of a process, by its file in ``/proc``; None once it has ended."""
    try:
        _, _, after_name = stat.read_text(errors="replace").rpartition(")")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(after_name.split()[1])


def _title(process: str) -> bytes:
    """What a process calls itself; nothing once it has ended."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def _stays(title: bytes) -> bool:
    """Whether a worker takes connections, or will: has neither ended nor been told to."""
    return bool(title) and b"shutting down" not in title


def _end(workers: Collection[int]) -> None:
    """Have workers finish what they have begun, now that others take the connections.

    nginx's master tells them too, but sleeps for 0.1 s before it does, and they go on taking most
    connections until then. It learns of their end after it has told them, so it replaces none.
    """
    for worker in workers:
        with suppress(ProcessLookupError):
            os.kill(worker, signal.SIGQUIT)
