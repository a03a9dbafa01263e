"""The bundle of this checkout, which ``tests/prepare.yml`` makes for the integration tests."""

from __future__ import annotations

from pathlib import Path

from plugins.filter.image_ref import image_ref, maven_image_refs
from slipway.apps.app import JAVA
from slipway.apps.builders.sandbox import Sandboxes
from slipway.architecture import Architecture
from slipway.bundle.provider import bundle_path
from slipway.bundle.requested import Requested
from slipway.bundle.source import SourceProvider
from slipway.cache.layout import CacheLayout
from tests.support.checkout import PROJECT, VERSIONS, cache_folder


def real_bundle() -> Path:
    """Where it is, as group_vars say."""
    provider = source_provider()
    return bundle_path(provider, provider.cache)


def source_provider() -> SourceProvider:
    """What knows how to make it."""
    return SourceProvider(PROJECT, VERSIONS, CacheLayout(cache_folder()), Architecture.here())


def real_sandboxes(java: int = JAVA) -> Sandboxes:
    """Those of this checkout with the JDK of a version, on this machine's engine."""
    ref, bundle = maven_image_refs(VERSIONS)[str(java)], real_bundle()
    if java != JAVA:
        bundle = Requested(source_provider(), bundle).have(ref, print)
    return Sandboxes(bundle, ref, print)


def sandboxes_of_charts() -> Sandboxes:
    """Those in which charts are rendered."""
    return Sandboxes(real_bundle(), image_ref("python", VERSIONS), print)
