"""The bundle of this checkout, which ``tests/prepare.yml`` makes for the integration tests."""

from __future__ import annotations

import os
from pathlib import Path

import yaml

from slipway.bundle.provider import bundle_path
from slipway.bundle.source import SourceProvider
from slipway.cache.layout import CacheLayout

PROJECT = Path(__file__).parents[2]


def real_bundle() -> Path:
    """Where it is, as group_vars say."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "slipway"
    cache = CacheLayout(root)
    versions = yaml.safe_load((PROJECT / "group_vars/all/versions.yml").read_text())
    return bundle_path(SourceProvider(PROJECT, versions["slipway_versions"], cache), cache)
