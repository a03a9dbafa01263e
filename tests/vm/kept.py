"""What virtual machines are made of, each kept in a folder by what it is made of itself."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from slipway.bundle.keys import key_of


@contextmanager
def kept(folder: Path, kind: str, *made_of: object) -> Iterator[tuple[Path, Path | None]]:
    """A folder of a kind, and an empty one that becomes it when all is done.

    The latter is None where the folder is there. Others of its kind go.
    """
    target = folder / f"{kind}-{key_of(*made_of)[:16]}"
    for other in folder.glob(f"{kind}-*"):
        if other != target and re.fullmatch(rf"{kind}-[0-9a-f]+(\.unfinished)?", other.name):
            shutil.rmtree(other)
    if target.is_dir():
        yield target, None
        return
    unfinished = target.with_name(f"{target.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    yield target, unfinished
    unfinished.rename(target)
