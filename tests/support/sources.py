"""Fetching what apps are made of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slipway.apps.app import App, Sourced
from slipway.apps.source.fetch import Sources, get_sources
from tests.support.apps import planned


def app_of(
    url: Path | str,
    branch: str = "main",
    name: str = "web",
    folder: str = ".",
    build: dict[str, Any] | None = None,
) -> App:
    """An app of a folder of a repository."""
    return planned(name, branch, git_url=str(url), git_path=folder, build=build)


def get(cache: Path, *apps: App, check: bool = False) -> Sources:
    return get_sources(apps, cache, check=check, say=lambda text: None)


def told(
    cache: Path, heads: dict[Path | str, dict[str, str]], *apps: App, check: bool = False
) -> Sources:
    """The sources by what is known already, and what is asked for beside it."""
    known = {str(url): commits for url, commits in heads.items()}
    return get_sources(apps, cache, check=check, say=lambda text: None, heads=known)


def sourced(got: Sources) -> list[Sourced]:
    """The apps, all of which have their source."""
    found = [app for app in got.apps if isinstance(app, Sourced)]
    assert len(found) == len(got.apps), got.apps
    return found
