"""What the tests of this scenario's runs start from."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import shelves
from tests.support.apps_file import AppsFile
from tests.support.scenario import Scenario
from tests.support.shelves import Shelf


@pytest.fixture(scope="module")
def apps_file(scenario: Scenario, tmp_path_factory: pytest.TempPathFactory) -> AppsFile:
    """Copies of the cluster's apps.yml."""
    return AppsFile(scenario.apps_file, tmp_path_factory.mktemp("apps"))


@pytest.fixture(scope="module")
def shelf(
    scenario: Scenario, apps_file: AppsFile, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shelf]:
    """A registry of images, whose apps are gone again after the tests."""
    with shelves.shelf(scenario, apps_file, tmp_path_factory.mktemp("registry") / "own") as made:
        yield made
