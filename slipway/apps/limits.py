"""How much a ConfigMap, a Secret and a variable may hold.

What takes them says less: the API names no file, and a container with more just does not start.
"""

from __future__ import annotations

from collections.abc import Mapping

from slipway.text import listed

LARGEST = 1 << 20
"""Bytes of all values together, before they are in base64."""

LONGEST_VARIABLE = (128 << 10) - 1
"""Bytes of ``NAME=value``: of more, Linux makes no program's environment (execve(2))."""

FIX = "put what is large into the image, or have the app fetch it"


def excess(holder: str, sizes: Mapping[str, int]) -> str:
    """What is wrong with an object whose data have these ``sizes``; empty if nothing is."""
    total = sum(sizes.values())
    if total <= LARGEST:
        return ""
    largest = sorted(sizes.items(), key=lambda each: -each[1])
    held = listed([f"{name} {size:,}" for name, size in largest])
    limit = f"Kubernetes takes at most {LARGEST:,} (1 MiB)"
    return f"{holder} would hold {total:,} bytes, and {limit}: {held}"


def unfit(name: str, value: str) -> str:
    """Why no environment can have a variable; empty if it can."""
    size = len(f"{name}={value}".encode())
    if size > LONGEST_VARIABLE:
        limit = f"a variable has at most {LONGEST_VARIABLE:,} with its name"
        return f"has {size:,} bytes, and {limit}: make it a config file"
    return "has a NUL in it, which no variable can have" if "\0" in value else ""
