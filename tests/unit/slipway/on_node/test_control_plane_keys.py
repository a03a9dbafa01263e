"""control_plane_keys on a directory as a control plane, with an etcd that answers as prepared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from slipway.on_node import control_plane_keys, shared
from tests.support.on_node import result_of

MEMBERS = [
    {"ID": "1", "name": "lab-1", "peerURLs": ["https://192.0.2.11:2380"]},
    {"ID": "2", "name": "lab-2", "peerURLs": ["https://192.0.2.12:2380"]},
    # It never started.
    {"ID": "3", "peerURLs": ["https://192.0.2.13:2380"], "isLearner": True},
]


class ControlPlane:
    """The files of a control plane, and what its etcd is asked."""

    def __init__(self, root: Path) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        for path in (*control_plane_keys.SHARED, control_plane_keys.SECRETS):
            target = root / path.removeprefix("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(f"content of {path}")

    def etcd(self, method: str, asked: dict[str, Any]) -> dict[str, Any]:
        """Answer as etcd does."""
        self.asked.append((method, asked))
        found = {"header": {"member_id": "1"}, "members": MEMBERS}
        return found if method == "member/list" else {}

    def removed(self) -> list[str]:
        """The members that were taken out."""
        return [asked["ID"] for method, asked in self.asked if method == "member/remove"]

    def run(self, joining: dict[str, str], *, check: bool = False) -> dict[str, Any]:
        """Run the module."""
        return result_of(control_plane_keys, {"joining": joining}, check=check)


@pytest.fixture
def control_plane(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ControlPlane:
    made = ControlPlane(tmp_path)
    monkeypatch.setattr(shared, "ROOT", tmp_path)
    monkeypatch.setattr(control_plane_keys, "etcd", made.etcd)
    return made


def test_what_control_planes_have_in_common_is_returned(control_plane: ControlPlane) -> None:
    result = control_plane.run({"new": "192.0.2.14"})
    assert result["files"] == {path: f"content of {path}" for path in control_plane_keys.SHARED}
    assert result["secrets"] == f"content of {control_plane_keys.SECRETS}"
    assert not any("apiserver" in path or "peer" in path for path in result["files"])
    assert (result["changed"], control_plane.removed()) == (False, [])


@pytest.mark.parametrize(
    ("joining", "removed"),
    [
        ({"lab-2": "192.0.2.12"}, ["2"]),
        ({"lab-2": "192.0.2.99"}, ["2"]),
        ({"new": "192.0.2.13"}, ["3"]),
        ({"lab-2": "192.0.2.12", "lab-3": "192.0.2.13"}, ["2", "3"]),
    ],
)
def test_members_that_machines_left_which_join_anew_are_taken_out(
    control_plane: ControlPlane, joining: dict[str, str], removed: list[str]
) -> None:
    assert control_plane.run(joining)["changed"]
    assert control_plane.removed() == removed


def test_the_member_that_is_asked_is_never_taken_out(control_plane: ControlPlane) -> None:
    control_plane.run({"lab-1": "192.0.2.11", "lab-2": "192.0.2.12"})
    assert control_plane.removed() == ["2"]


def test_a_check_takes_nobody_out(control_plane: ControlPlane) -> None:
    assert control_plane.run({"lab-2": "192.0.2.12"}, check=True)["changed"]
    assert control_plane.removed() == []
