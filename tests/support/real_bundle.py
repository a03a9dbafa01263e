"""The bundle of this checkout, which ``tests/prepare.yml`` makes for the integration tests."""

from __future__ import annotations

import os
from pathlib import Path

import yaml

from plugins.filter.image_ref import image_ref, maven_image_refs
from slipway.apps.app import JAVA
from slipway.apps.builders.sandbox import Sandboxes
from slipway.architecture import Architecture
from slipway.bundle.provider import bundle_path
from slipway.bundle.requested import Requested
from slipway.bundle.source import SourceProvider
from slipway.cache.layout import CacheLayout

PROJECT = Path(__file__).parents[2]


def real_bundle() -> Path:
    """Where it is, as group_vars say."""
    provider = source_provider()
    return bundle_path(provider, provider.cache)


def source_provider() -> SourceProvider:
    """What knows how to make it."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "slipway"
    return SourceProvider(PROJECT, _versions(), CacheLayout(root), Architecture.here())


def _versions() -> dict[str, str]:
    text = (PROJECT / "group_vars/all/versions.yml").read_text()
    versions: dict[str, str] = yaml.safe_load(text)["slipway_versions"]
    return versions


def real_sandboxes(java: int = JAVA) -> Sandboxes:
    """Those of this checkout with the JDK of a version, on this machine's engine."""
    ref, bundle = maven_image_refs(_versions())[str(java)], real_bundle()
    if java != JAVA:
        bundle = Requested(source_provider(), bundle).have(ref, print)
    return Sandboxes(bundle, ref, print)


def sandboxes_of_charts() -> Sandboxes:
    """Those in which charts are rendered."""
    return Sandboxes(real_bundle(), image_ref("python", _versions()), print)
