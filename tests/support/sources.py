"""Fetching what apps are made of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slipway.apps.source.fetch import Sources, get_sources
from tests.support.apps import planned


def record(
    url: Path | str, branch: str = "main", name: str = "web", folder: str = ".", **build: Any
) -> dict[str, Any]:
    about = {"git_url": str(url), "git_path": folder, "build": {"tool": None, **build}}
    return planned(name, branch, **about)


def get(cache: Path, *records: dict[str, Any], check: bool = False) -> Sources:
    return get_sources(records, cache, check=check, say=lambda text: None)


def told(
    cache: Path,
    heads: dict[Path | str, dict[str, str]],
    *records: dict[str, Any],
    check: bool = False,
) -> Sources:
    """The sources by what is known already, and what is asked for beside it."""
    known = {str(url): commits for url, commits in heads.items()}
    return get_sources(records, cache, check=check, say=lambda text: None, heads=known)
