"""The cluster that all tests of a session share: SLIPWAY_INVENTORY names its inventory."""

from __future__ import annotations

import os

import pytest

from tests.support.checkout import PROJECT
from tests.support.scenario import Scenario


@pytest.fixture(scope="session")
def scenario() -> Scenario:
    """The cluster under test; molecule's default scenario unless another is named."""
    return Scenario(
        os.environ.get("SLIPWAY_INVENTORY", str(PROJECT / "molecule/default/inventory"))
    )
