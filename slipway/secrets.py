"""The secrets of a run: values by name, which nothing that is shown may hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

MASK = "***"

SHORTEST_LINE = 8
"""Characters of a line of a secret (a key, a certificate) from which on it is masked by itself."""


class Secrets(Mapping[str, str]):
    """Values by name; printing it shows only the names."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = {name: str(value) for name, value in values.items()}
        masked = {value.strip() for value in self._values.values()}
        masked |= {line.strip() for value in masked for line in value.splitlines()[1:-1]}
        # The longest first: a value may be a part of another one.
        self._masked = sorted(
            (text for text in masked if text in self._values.values() or _telling(text)),
            key=len,
            reverse=True,
        )

    def redact(self, text: str) -> str:
        """The text with every value, and every line of one of several lines, masked."""
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


def _telling(text: str) -> bool:
    return len(text) >= SHORTEST_LINE
