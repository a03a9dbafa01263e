"""A store for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.oci import ImageStore


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    """An empty store."""
    return ImageStore(tmp_path / "store")
