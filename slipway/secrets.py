"""The secrets of a run: values by name, which nothing that is shown may hold."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from slipway.errors import Problem, SlipwayError

MASK = "***"

ENCRYPTED = "$ANSIBLE_VAULT;"
"""What begins a text that Ansible Vault encrypted."""

SHORTEST_LINE = 8
"""Characters of a line of a secret (a key, a certificate) from which on it is masked by itself."""


class Secrets(Mapping[str, str]):
    """Values by name; printing it shows only the names."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        """Take texts; raises SlipwayError for what is none, with all of it."""
        if problems := list(_no_texts(values)):
            raise SlipwayError(problems)
        self._values = {name: str(value) for name, value in values.items()}
        # The longest first: a value may be a part of another one.
        self._masked = sorted(set(_forms(self._values.values())), key=len, reverse=True)

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


def _no_texts(values: Mapping[str, Any]) -> Iterator[Problem]:
    for name, value in values.items():
        if not isinstance(value, str):
            what = "is empty" if value is None else "is no text to YAML, which makes 567 of 01067"
            fix = "write text in the vault: after |, or in quotes if YAML takes it for another type"
            yield Problem(f"slipway_secrets.{name}", what, fix)


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
