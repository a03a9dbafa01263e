"""What images call the processors of machines, as templates ask."""

from __future__ import annotations

import platform

import pytest

from plugins.filter import architecture
from tests.support.filters import rendered


def test_a_machine_s_processor_gets_the_name_that_images_have_for_it() -> None:
    assert rendered(architecture, "['aarch64', 'x86_64'] | map('architecture') | list") == [
        "arm64",
        "amd64",
    ]


def test_a_machine_that_nothing_is_known_of_is_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert rendered(architecture, "'' | architecture") == "arm64"
