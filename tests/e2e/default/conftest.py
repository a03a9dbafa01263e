"""What the tests of this scenario's runs start from."""

from __future__ import annotations

import pytest

from tests.support.apps_file import AppsFile
from tests.support.scenario import Scenario


@pytest.fixture(scope="module")
def apps_file(scenario: Scenario, tmp_path_factory: pytest.TempPathFactory) -> AppsFile:
    """Copies of the cluster's apps.yml."""
    return AppsFile(scenario.apps_file, tmp_path_factory.mktemp("apps"))
