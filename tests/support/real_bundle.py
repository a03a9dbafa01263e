"""The bundle of this checkout, which ``tests/prepare.yml`` makes for the integration tests."""

from __future__ import annotations

import os
from pathlib import Path

import yaml

from plugins.filter.image_ref import image_ref
from slipway.apps.builders.sandbox import Sandboxes
from slipway.architecture import Architecture
from slipway.bundle.provider import bundle_path
from slipway.bundle.source import SourceProvider
from slipway.cache.layout import CacheLayout

PROJECT = Path(__file__).parents[2]


def real_bundle() -> Path:
    """Where it is, as group_vars say."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "slipway"
    cache = CacheLayout(root)
    return bundle_path(SourceProvider(PROJECT, _versions(), cache, Architecture.here()), cache)


def _versions() -> dict[str, str]:
    text = (PROJECT / "group_vars/all/versions.yml").read_text()
    versions: dict[str, str] = yaml.safe_load(text)["slipway_versions"]
    return versions


def real_sandboxes() -> Sandboxes:
    """Those of this checkout, on this machine's engine."""
    return Sandboxes(real_bundle(), image_ref("maven", _versions()), print)
