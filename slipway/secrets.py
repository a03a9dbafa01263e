"""The secrets of a run: values by name, which nothing that is shown may hold."""

from __future__ import annotations

import ctypes
import json
import os
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from urllib.parse import quote

from slipway.errors import Problem, SlipwayError

MASK = "***"

ENCRYPTED = "$ANSIBLE_VAULT;"
"""What begins a text that Ansible Vault encrypted."""

VAULT_PASSWORD = "SLIPWAY_VAULT_PASSWORD"
"""The variable that may bring the password of the vault."""

SHORTEST_LINE = 8
"""Characters of a line of a secret (a key, a certificate) from which on it is masked by itself."""


class Secrets(Mapping[str, str]):
    """Values by name; printing it shows only the names."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        """Take texts, or mappings with a text and the apps that it is for.

        Raises SlipwayError for what is neither, with all of it.
        """
        if problems := [each for name, value in values.items() for each in _faults(name, value)]:
            raise SlipwayError(problems)
        self._values = {
            name: str(value["value"] if isinstance(value, Mapping) else value)
            for name, value in values.items()
        }
        self._apps = {
            name: value["apps"]
            for name, value in values.items()
            if isinstance(value, Mapping) and "apps" in value
        }
        # The longest first: a value may be a part of another one.
        self._masked = sorted(set(_forms(self._values.values())), key=len, reverse=True)

    def granted(self, name: str, app: str) -> bool:
        """Whether an app may name a secret: any may that is for no apps in particular."""
        patterns = self._apps.get(name, ["*"])
        return any(fnmatchcase(app, pattern) for pattern in patterns)

    def is_for_some(self, name: str) -> bool:
        """Whether a secret is for apps in particular, and not for any."""
        return name in self._apps

    def redact(self, text: str) -> str:
        """The text with every value masked, also in base64, in a URL and line by line."""
        for secret in self._masked:
            text = text.replace(secret, MASK)
        return text

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Secrets({', '.join(self._values)})"


def _faults(name: str, given: Any) -> Iterator[Problem]:
    """What is wrong with an entry of slipway_secrets."""
    where, value = f"slipway_secrets.{name}", given
    if isinstance(given, Mapping) and "value" in given:
        apps, value = given.get("apps", []), given["value"]
        example = "write {value: ..., apps: [orders, shop-*]}"
        for key in given.keys() - {"value", "apps"}:
            yield Problem(f"{where}.{key}", "unknown key", example)
        if not isinstance(apps, list) or not all(isinstance(each, str) for each in apps):
            yield Problem(f"{where}.apps", "is no list of names of apps", example)
        where = f"{where}.value"
    if not isinstance(value, str):
        what = "is empty" if value is None else "is no text to YAML, which makes 567 of 01067"
        fix = "write text in the vault: after |, or in quotes if YAML takes it for another type"
        yield Problem(where, what, fix)


def _forms(values: Iterable[str]) -> Iterator[str]:
    """What a value may look like where a tool shows it; nothing of an empty one."""
    for value in values:
        text = value.strip()
        if not text:
            continue
        yield from (text, quote(text, safe=""), json.dumps(text)[1:-1])
        yield from (b64encode(form.encode()).decode() for form in (text, value))
        for line in map(str.strip, text.splitlines()):
            if len(line) >= SHORTEST_LINE and not line.startswith("-----"):
                yield line


def in_memory(text: str, stack: ExitStack) -> str:
    """The path of a file in memory with this text, for as long as the stack is open.

    It has no name and is gone with this process; only this user may open it.
    """
    number = os.memfd_create("slipway")
    stack.callback(os.close, number)
    os.fchmod(number, 0o600)
    with open(number, "w", closefd=False) as file:
        file.write(text)
    return f"/proc/{os.getpid()}/fd/{number}"


def conceal(variable: str) -> None:
    """Have ``/proc/<pid>/environ`` of this process show no value of a variable any more.

    What is there is the text with which the kernel started the process (proc(5)): to change the
    environment does not change it. The variable stays what it is, also for children.
    """
    value = os.environ.get(variable)
    if not value:
        return
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = (int(fields[number - 3]) for number in (50, 51))  # env_start, env_end
    if start:
        block = b"\0" + ctypes.string_at(start, end - start)
        name = os.fsencode(variable) + b"="
        at = block.find(b"\0" + name)
        while at >= 0:
            begin = at + len(name)
            ctypes.memset(start + begin, 0, block.index(b"\0", begin + 1) - begin - 1)
            at = block.find(b"\0" + name, begin)
    os.environ[variable] = value  # the C library looked it up in there
