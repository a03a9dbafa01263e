"""Places in the cache, as roles name them."""

from __future__ import annotations

from plugins.filter.cache import FilterModule

FILTERS = FilterModule().filters()


def test_places_in_the_cache_are_those_of_its_layout() -> None:
    assert FILTERS["cached_images"]("/c") == "/c/images"
    assert FILTERS["cluster_claims"]("/c", "one") == "/c/clusters/one.json"
