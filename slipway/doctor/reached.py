"""Whether a machine is reached, as root, and has a Python that modules run with.

It is asked by a shell, before anything relies on a Python there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct

from slipway.doctor.findings import Result, fail
from slipway.doctor.machine import numbers
from slipway.nodes.containerd import Answer, sections
from slipway.nodes.distributions import NEWER_PYTHON, distribution
from slipway.run import last_lines

PYTHON = (3, 8)
"""The oldest that ansible-core's modules run with, and so do those of Slipway that run on nodes."""

_VERSION = "-c 'import sys; print(\"%d.%d\" % sys.version_info[:2])'"


class Shell(Struct, frozen=True):
    """What a machine's shell said.

    ``interpreters`` are the commands by which Python may be started there, the first that does so
    is taken. ``user`` is the number of the user that commands run as, ``python`` the version that
    was found, ``release`` the lines of os-release(5); ``said`` is what came instead of all that.
    """

    interpreters: list[str]
    user: str = ""
    python: str = ""
    release: list[str] = []
    said: str = ""

    @property
    def has_python(self) -> bool:
        """Whether modules run with the Python that it has."""
        return numbers(self.python) >= PYTHON

    @property
    def runs_modules(self) -> bool:
        """Whether modules run, and may look at everything."""
        return self.user == "0" and self.has_python


def script(interpreters: Sequence[str]) -> str:
    """The script that a machine is asked by; it changes nothing."""
    parts = {
        "user": "id -u",
        "python": " || ".join(f"{each} {_VERSION}" for each in interpreters),
        "release": "cat /etc/os-release || cat /usr/lib/os-release",
    }
    steps = (f"echo '=== {title}'; {{ {ask}; }} 2>/dev/null" for title, ask in parts.items())
    return f"echo; {'; '.join(steps)}; :"


def read(interpreters: Sequence[str], answer: Answer) -> Shell:
    """What the answer to :func:`script` says."""
    said = sections(answer)
    return Shell(
        interpreters=[*interpreters],
        user="".join(said.get("user", [])[:1]),
        python="".join(said.get("python", [])[:1]),
        release=said.get("release", []),
        said="" if said.get("user") else last_lines(answer.err or answer.out) or "    | nothing",
    )


def hindrances(shell: Shell) -> Iterator[Result]:
    """What keeps modules from running there."""
    if not shell.user:
        yield fail(
            f"cannot be asked anything as root; it said\n{shell.said}",
            "give the user that Ansible logs in as sudo without a password, or set "
            "ansible_become_password",
        )
        return
    if shell.user != "0":
        yield fail(
            "commands do not run as root there",
            "set ansible_become: true, and give the user sudo without a password",
        )
    if not shell.has_python:
        yield _python(shell)


def _python(shell: Shell) -> Result:
    where, oldest = " or ".join(shell.interpreters), ".".join(map(str, PYTHON))
    install = distribution(shell.release).install([NEWER_PYTHON if shell.python else "python3"])
    if not shell.python:
        return fail(
            f"has no Python at {where}, which Ansible needs ({oldest} or newer)",
            f"{install or f'install Python {oldest} or newer'}; or name the one that it has, as "
            "ansible_python_interpreter in the inventory",
        )
    return fail(
        f"{where} is Python {shell.python}, and Ansible needs {oldest} or newer",
        f"{install or 'install a newer one'}, and name its path as ansible_python_interpreter in "
        "the inventory",
    )
