"""SSH's host keys: those that nobody has looked at yet, and those that have changed.

What ssh holds of a machine's key is asked of ssh itself, with the options by which Ansible reaches
the machine. So all that its settings and the inventory say of jump hosts, ports, other names and
files of known keys is heeded.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from slipway.errors import Problem

REFUSED = ("Host key verification failed", "Connection closed by UNKNOWN")
"""What ssh says when it may be for a key that it does not go on: its own words, and those that are
left where a silent ssh is on the way."""

_UNKNOWN = re.compile(r"No \S+ host key is known for (?P<name>\S+) and")
_CHANGED = re.compile(
    r"Offending (?:\S+ )?key in (?P<file>.+):(?P<line>\d+)$.*"
    r"^Host key for (?P<name>\S+) has changed and",
    re.MULTILINE | re.DOTALL,
)

_WITH_VALUE = {f"-{letter}" for letter in "BbcDEeFIiJLlmOoPpQRSw"}
"""Options of ssh that a word of its own follows."""

SECONDS = 30.0
"""How long ssh may take, with all hosts on the way."""


@dataclass(frozen=True)
class Client:
    """How ssh reaches a machine: the program with its options, and the host that it is given."""

    argv: Sequence[str]
    host: str

    def settings(self) -> dict[str, str]:
        """What ssh would do, by the names of ssh_config(5)."""
        lines = _told([*self.argv, "-G", self.host]).stdout.splitlines()
        return dict(line.split(" ", 1) for line in lines if " " in line)

    def attempt(self, **options: str) -> str:
        """What ssh says when it tries to get in with these options, which overrule all others."""
        program, *others = (part for part in self.argv if part != "-q")
        alone = {"BatchMode": "yes", "ControlPath": "none", "LogLevel": "INFO", **options}
        first = [part for name, value in alone.items() for part in ("-o", f"{name}={value}")]
        return _told([program, *first, *others, self.host, "true"]).stderr


@dataclass(frozen=True)
class HostKey:
    """The key that answers at a host, which ssh does not know as the host's.

    ``owner`` is what people call the host, and ``name`` what ssh does. ``line`` is what a file of
    known keys has for the key, and ``file`` the user's own. ``known`` is another key that ssh knows
    the host by, with ``known_in`` as its file; both are empty if it knows none.
    """

    owner: str
    name: str
    fingerprint: str
    line: str
    file: str
    known: str = ""
    known_in: str = ""


def look(machine: str, client: Client) -> HostKey | None:
    """The key for which ssh does not reach a machine: its own, or that of a host on the way.

    None if that is not the reason.
    """
    settings = client.settings()
    for host in _on_the_way(client, settings):
        key = look(machine, host)
        if key:
            return replace(key, owner=f"a host on the way to {machine}")
    said = client.attempt(StrictHostKeyChecking="yes")
    refused = _CHANGED.search(said) or _UNKNOWN.search(said)
    if not refused:
        return None
    line, fingerprint = _presented(client)
    file = settings["userknownhostsfile"].split()[0]
    key = HostKey(machine, refused["name"], fingerprint, line, file)
    if refused.re is _UNKNOWN:
        return key
    known = _known(key.name, refused["file"], refused["line"])
    return replace(key, known=known, known_in=refused["file"])


def problems(keys: Sequence[HostKey]) -> Iterator[Problem]:
    """All keys that nobody has looked at as one problem, and one for each that has changed."""
    new = [key for key in keys if not key.known]
    if new:
        shown = "".join(f"\n    {key.owner}: {key.fingerprint}" for key in new)
        yield Problem(
            "SSH",
            f"nobody has said yet that these keys are the machines' own{shown}",
            "compare each with what its machine's own console shows for 'ssh-keygen -lf "
            "/etc/ssh/ssh_host_ed25519_key.pub' (or for the file of that kind of key); if they "
            f"agree, make them known by{_adding(new)}",
        )
    for key in (each for each in keys if each.known):
        forget = f"ssh-keygen -f {shlex.quote(key.known_in)} -R {shlex.quote(key.name)}"
        yield Problem(
            key.owner,
            "another key answers than the one that is known, so this may be another machine\n"
            f"    known: {key.known}\n    now:   {key.fingerprint}",
            "find out why. Only if the machine was installed anew, and its own console shows the "
            f"key of now, have it known instead by\n    {forget}{_adding([key])}",
        )


def _adding(keys: Sequence[HostKey]) -> str:
    """The commands that make keys known, each once, as lines of their own."""
    commands = []
    for file in dict.fromkeys(key.file for key in keys):
        lines = dict.fromkeys(
            shlex.quote(key.line) for key in keys if key.file == file and key.line
        )
        command = [
            f"    printf '%s\\n' >>{shlex.quote(file)}",
            *(f"      {line}" for line in lines),
        ]
        commands += [" \\\n".join(command)] if lines else []
    return "".join(f"\n{command}" for command in commands)


def _presented(client: Client) -> tuple[str, str]:
    """The key that a host presents, as a line of a file of known keys and as its fingerprint."""
    with tempfile.TemporaryDirectory() as folder:
        known = Path(folder, "known_hosts")
        said = client.attempt(
            StrictHostKeyChecking="accept-new",
            UserKnownHostsFile=str(known),
            GlobalKnownHostsFile="/dev/null",
            HashKnownHosts="no",
            PreferredAuthentications="none",
        )
        if not known.exists():
            return "", f"it cannot be asked for ({said.strip()})"
        fingerprint = _told(["ssh-keygen", "-lf", str(known)]).stdout.strip()
        return known.read_text(encoding="utf-8").strip(), fingerprint


def _known(name: str, file: str, line: str) -> str:
    """The key that a line of a file has for a host, and where that is."""
    found = _told(["ssh-keygen", "-l", "-F", name, "-f", file]).stdout
    key = found.partition(f"found: line {line}")[2].strip().partition("\n")[0]
    return f"{key} ({file}, line {line})"


def _on_the_way(client: Client, settings: Mapping[str, str]) -> Iterator[Client]:
    """How ssh reaches the hosts through which it reaches another, the nearest first."""
    program, *options = client.argv
    config = options[options.index("-F") :][:2] if "-F" in options else []
    jumps = [jump for jump in settings.get("proxyjump", "none").split(",") if jump != "none"]
    for number, jump in enumerate(jumps):
        before = ["-J", ",".join(jumps[:number])] if number else []
        yield Client([program, *config, *before], f"ssh://{jump.removeprefix('ssh://')}")
    words = shlex.split(settings.get("proxycommand", "none"))
    if Path(words[0]).name == "ssh":
        yield from _of_command(words)


def _of_command(words: Sequence[str]) -> Iterator[Client]:
    """The host of a command that has ssh forward what it is given, if it is one."""
    argv, hosts = [words[0]], []
    rest = iter(words[1:])
    for word in rest:
        if word.startswith("-W"):
            _ = word.removeprefix("-W") or next(rest, "")  # where it forwards to
        elif word in _WITH_VALUE:
            argv += [word, next(rest, "")]
        elif word.startswith("-"):
            argv.append(word)
        else:
            hosts.append(word)
    if hosts:
        yield Client(argv, hosts[0])


def _told(argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """What a program says that has nobody to ask; nothing if it takes too long."""
    try:
        return subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(argv, 255, "", "")
