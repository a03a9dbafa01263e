"""What makes a live object be as wanted, and the hash that it carries."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from slipway.kube.objects import HASH, amount, contains, digest, quantity, sealed


@pytest.mark.parametrize(
    ("live", "wanted", "expected"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, True),
        ({"a": 1}, {"a": 2}, False),
        ({"b": 2}, {"a": 1}, False),
        ({"b": 2}, {"a": None, "c": [], "d": False}, True),
        ({"a": None}, {"a": []}, True),
        ({"d": True}, {"d": False}, False),
        ({"cpu": "1", "memory": "1Gi"}, {"cpu": "1000m", "memory": "1024Mi"}, True),
        ({"cpu": "500m"}, {"cpu": 0.5}, True),
        ({"cpu": "1"}, {"cpu": "100m"}, False),
        ([{"a": 1, "z": 0}], [{"a": 1}], True),
        ([{"a": 1}, {"a": 2}], [{"a": 1}], False),
        ({"a": "1"}, {"a": {"b": 1}}, False),
        ("x", ["x"], False),
        (None, {}, False),
    ],
)
def test_contains(live: Any, wanted: Any, expected: bool) -> None:
    assert contains(live, wanted) is expected


def test_hashes_are_of_the_content_alone() -> None:
    # printf '{"a":[2],"b":1}' | sha256sum
    assert digest({"b": 1, "a": [2]}) == digest({"a": [2], "b": 1}) == "63c9663de90ee828"


def test_a_date_of_yaml_has_a_hash() -> None:
    assert digest(datetime.date(2030, 1, 1)) == digest("2030-01-01")


@pytest.mark.parametrize("annotations", [None, {}, {"a": "1"}])
def test_a_sealed_object_carries_the_hash_of_what_it_was(annotations: Any) -> None:
    obj = {"kind": "ConfigMap", "metadata": {"name": "a", "annotations": annotations}}
    found = sealed(obj)
    assert found["metadata"]["annotations"] == {**(annotations or {}), HASH: digest(obj)}
    assert obj["metadata"] == {"name": "a", "annotations": annotations}


@pytest.mark.parametrize(
    "text", ["0", "4", "1500m", "1025", "64Mi", "1536Mi", "8Gi", "1Ti", "1000000000"]
)
def test_a_quantity_is_written_as_people_do(text: str) -> None:
    found = amount(text)
    assert found is not None
    assert quantity(found) == text
