"""This checkout: what it locks, and where its cache is."""

from __future__ import annotations

import os
from pathlib import Path

import yaml

PROJECT = Path(__file__).parents[2]

VERSIONS: dict[str, str] = yaml.safe_load(
    (PROJECT / "group_vars/all/versions.yml").read_text(encoding="utf-8")
)["slipway_versions"]
"""The versions that Slipway installs, by component."""


def cache_folder() -> Path:
    """Slipway's cache, as group_vars have it."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "slipway"
