"""Records on their way from step to step."""

from __future__ import annotations

from pathlib import Path

from slipway.apps.app import checkouts_of, images_of
from tests.support.apps import planned

RECORDS = [
    planned(image="greeter:1", checkout="/source/1"),
    planned(image="quotes:1"),
    planned(),
]


def test_images_and_work_trees_are_those_of_the_records_that_have_one() -> None:
    assert images_of(RECORDS) == {"greeter:1", "quotes:1"}
    assert checkouts_of(RECORDS) == {Path("/source/1")}
