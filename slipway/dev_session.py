"""What the runs of one ``make dev`` know of one another."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slipway.files import write_whole


@dataclass(frozen=True)
class Session:
    """Runs that follow one another, with a folder of their own."""

    folder: Path

    @property
    def life(self) -> Path:
        """The pipe that the session holds open; what reads from it ends with the session."""
        return self.folder / "life"

    @property
    def taken_file(self) -> Path:
        """The file of what the newest run took up."""
        return self.folder / "taken.json"

    def taken(self) -> dict[str, Any] | None:
        """What the newest run took up; None before the first one has."""
        try:
            taken: dict[str, Any] = json.loads(self.taken_file.read_bytes())
        except FileNotFoundError:
            return None
        return taken

    @property
    def heads(self) -> dict[str, dict[str, str]]:
        """The commits by repository and branch that the newest run took up."""
        taken = self.taken()
        return dict(taken["heads"]) if taken else {}

    def take(self, found: dict[str, Any]) -> None:
        """Note what this run takes up."""
        write_whole(self.taken_file, json.dumps(found, indent=1))


@contextmanager
def new_session() -> Iterator[Session]:
    """A session of this process, for as long as that wants it."""
    # What belongs to the session ends by itself, and may still write a last file meanwhile.
    with tempfile.TemporaryDirectory(prefix="slipway-dev-", ignore_cleanup_errors=True) as folder:
        session = Session(Path(folder))
        os.mkfifo(session.life)
        # Nobody writes to it: the kernel closes it, however this process ends.
        held = os.open(session.life, os.O_RDWR)
        try:
            yield session
        finally:
            os.close(held)
