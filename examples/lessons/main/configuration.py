"""Says what its environment and its file say: a greeting, and the menu of the day."""

from __future__ import annotations

import os
from pathlib import Path

from serving import serve

MENU = Path("/etc/lesson/menu.txt")


def answer(path: str) -> str:
    return f"{os.environ['GREETING']}! Today there is {MENU.read_text(encoding='utf-8').strip()}."


serve(answer)
