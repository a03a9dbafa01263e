"""Processors by all their names."""

from __future__ import annotations

import platform

import pytest

from slipway.architecture import Architecture
from slipway.errors import SlipwayError


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("x86_64", "amd64"),
        ("amd64", "amd64"),
        ("aarch64", "arm64"),
        ("arm64", "arm64"),
        ("AMD64", "amd64"),
    ],
)
def test_a_processor_is_known_by_the_kernel_s_name_and_by_that_of_images(
    name: str, expected: str
) -> None:
    assert Architecture.of(name).value == expected


@pytest.mark.parametrize("name", ["i686", "armv7l", "riscv64", "x86_6", ""])
def test_of_others_it_is_said_that_there_is_no_bundle(name: str) -> None:
    with pytest.raises(SlipwayError) as caught:
        Architecture.of(name)
    (problem,) = caught.value.problems
    assert problem.where == f"processor {name}"
    assert problem.fix == "take one of amd64 (x86_64), arm64 (aarch64)"


def test_this_machine_has_what_its_kernel_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert Architecture.here() is Architecture.ARM64


def test_it_has_the_names_of_images_and_of_compilers() -> None:
    assert Architecture.ARM64.platform == "linux/arm64"
    assert Architecture.ARM64.triplet == "aarch64-linux-gnu"
    assert f"{Architecture.AMD64}" == "amd64"
