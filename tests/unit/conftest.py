"""Unit tests are hermetic: see ``tests/support/hermetic.py``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.hermetic import nothing_real


@pytest.fixture(autouse=True)
def hermetic() -> Iterator[None]:
    """Fails a test that starts a program or goes beyond this machine."""
    with nothing_real():
        yield
