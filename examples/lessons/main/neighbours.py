"""Tries to reach another service, the one that the path names, and says whether it does."""

from __future__ import annotations

import urllib.request

from serving import serve

SECONDS = 3
"""A connection that a NetworkPolicy forbids is answered by nothing at all."""


def answer(path: str) -> str:
    name = path.strip("/")
    if not name:
        return "here"
    try:
        with urllib.request.urlopen(f"http://{name}.{name}-main/", timeout=SECONDS):
            return f"{name} is reached"
    except OSError as error:
        return f"{name} is not reached: {error}"


serve(answer)
