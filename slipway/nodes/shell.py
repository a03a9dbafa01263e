"""One shell on another machine for several commands, since each start of one takes its time.

The shell is told how long a command is, reads that much of its input, runs it, and ends what it
printed with a mark. What else comes on the input is the command's own.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any, cast

from slipway.nodes.containerd import Answer

Argv = Sequence[Any]
"""A program and its arguments; Ansible's connections mix text and bytes."""


def loop(mark: str) -> str:
    """The shell command that does what is described above.

    A ``feed`` command gets the input and is the last one: what it leaves is no command.
    """
    return (
        "while read -r kind length; do "
        'command=$(head -c "$length"); '
        'if [ "$kind" = run ]; then (eval "$command") </dev/null; else (eval "$command"); fi; '
        f"printf '\\n%s %d\\n' {mark} $?; "
        '[ "$kind" = run ] || break; done'
    )


@contextlib.contextmanager
def session(client: Callable[[str], Argv]) -> Iterator[Session]:
    """A session for as long as it is needed; see :class:`Session` for ``client``."""
    with tempfile.TemporaryFile() as errors:
        opened = Session(client, errors)
        try:
            yield opened
        finally:
            opened.close()


class Session:
    """Runs commands by the shell whose program and arguments ``client`` makes of its command.

    It is started with the first command, and again after each :meth:`feed`, which ends it: nobody
    knows how much of its input that command has left. ``errors`` is a file for what commands
    write to standard error.
    """

    def __init__(self, client: Callable[[str], Argv], errors: IO[bytes]) -> None:
        self._client = client
        self._mark = f"mark-{uuid.uuid4().hex}"
        self._shell: subprocess.Popen[bytes] | None = None
        self._errors = errors

    def run(self, command: str) -> Answer:
        """Run a command without input."""
        shell = self._started()
        self._give(shell, "run", command)
        return self._answer(shell, self._until_mark(shell))

    def feed(self, command: str, write: Callable[[IO[bytes]], None]) -> Answer:
        """Run a command with what ``write`` gives as its input."""
        shell = self._started()
        said: list[bytes] = []
        # Output that nobody takes would keep the command from taking its input.
        listener = threading.Thread(target=lambda: said.extend(self._until_mark(shell)))
        listener.start()
        try:
            self._give(shell, "feed", command)
            with contextlib.suppress(BrokenPipeError):  # it ended early, and says why
                write(_pipe(shell.stdin))
        except BaseException:
            # Before its input ends, which the command would take for the whole of it.
            os.killpg(shell.pid, signal.SIGKILL)
            raise
        finally:
            with contextlib.suppress(BrokenPipeError):
                _pipe(shell.stdin).close()
            listener.join()
            self.close()
        return self._answer(shell, said)

    def close(self) -> None:
        """End the shell, if there is one."""
        shell, self._shell = self._shell, None
        if shell:
            with contextlib.suppress(BrokenPipeError):
                _pipe(shell.stdin).close()
            _pipe(shell.stdout).close()
            shell.wait()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._shell is None:
            self._shell = subprocess.Popen(
                self._client(loop(self._mark)),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                process_group=0,
            )
        return self._shell

    def _give(self, shell: subprocess.Popen[bytes], kind: str, command: str) -> None:
        content = command.encode()
        with contextlib.suppress(BrokenPipeError):
            _pipe(shell.stdin).write(b"%s %d\n%s" % (kind.encode(), len(content), content))
            _pipe(shell.stdin).flush()

    def _until_mark(self, shell: subprocess.Popen[bytes]) -> list[bytes]:
        """What a command prints, the mark with its exit code last; no mark if the shell ended."""
        lines = []
        for line in _pipe(shell.stdout):
            lines.append(line)
            if line.startswith(self._mark.encode()):
                break
        return lines

    def _answer(self, shell: subprocess.Popen[bytes], lines: list[bytes]) -> Answer:
        if lines and lines[-1].startswith(self._mark.encode()):
            *lines, mark = lines
            code = int(mark.split()[1])
        else:
            self.close()
            code = shell.returncode or 1
        texts = (b"".join(lines).removesuffix(b"\n"), self._errors_so_far())
        return Answer(code, *(text.decode(errors="replace") for text in texts))

    def _errors_so_far(self) -> bytes:
        """What was written to standard error since the last time.

        The shell writes at the end of the file, which is moved to its beginning again.
        """
        self._errors.seek(0)
        errors = self._errors.read()
        self._errors.seek(0)
        self._errors.truncate()
        return errors


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    """A pipe of a program that was started with pipes."""
    return cast(IO[bytes], stream)
