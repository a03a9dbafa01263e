"""Places in the cache, as roles name them."""

from __future__ import annotations

from plugins.filter.cache import FilterModule
from slipway.architecture import Architecture

FILTERS = FilterModule().filters()


def test_places_in_the_cache_are_those_of_its_layout() -> None:
    own, other = (
        Architecture.here(),
        next(each for each in Architecture if each != Architecture.here()),
    )
    assert FILTERS["cached_images"]("/c", own.value) == "/c/images"
    assert FILTERS["cached_images"]("/c", other.value) == f"/c/images-of/{other}"
    assert FILTERS["cluster_claims"]("/c", "one") == "/c/clusters/one.json"
