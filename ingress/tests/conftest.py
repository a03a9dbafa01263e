"""What tests of both suites take."""

from __future__ import annotations

import logging

import pytest


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """What the controller says in its log is not kept."""
    caplog.set_level(logging.CRITICAL + 1, "nginx_ingress")
