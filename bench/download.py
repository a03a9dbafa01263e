"""Have what upstream publishes in a cache, by its mirrors and a checkout; nothing is made here."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from slipway.architecture import Architecture
from slipway.bundle import parts
from slipway.bundle.mirrors import mirrors
from slipway.bundle.parts import DOWNLOAD
from slipway.bundle.source import SourceProvider
from slipway.bundle.upstream import UpstreamProvider
from slipway.cache.layout import CacheLayout
from tests.support.checkout import VERSIONS


def main(given: str, project: Path, folder: Path) -> None:
    """Download all that the lock of a checkout has at its versions."""
    cache = CacheLayout(folder)
    source = SourceProvider(project, VERSIONS, cache, Architecture.here())
    provider = UpstreamProvider(source, mirrors(json.loads(given), {}))
    wanted = [part for part in provider.parts if part.lane == DOWNLOAD]
    parts.make(wanted, cache.bundle_parts, print)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
