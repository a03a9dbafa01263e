"""Files that stand in several places."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file that nobody changes another name; a copy where a hard link cannot be had.

    For a while only, a symbolic link is better: it leaves alone what the kernel notes of the file,
    by which others see that nothing has happened to it.
    """
    try:
        os.link(source.resolve(), target)
    except FileExistsError:
        raise
    except OSError:
        shutil.copy2(source, target)
