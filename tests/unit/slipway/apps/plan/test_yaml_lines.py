"""YAML with its anchors, as the plan reads it."""

from __future__ import annotations

from pathlib import Path

from slipway.apps.app import App
from slipway.apps.plan.plan import plan


def planned(tmp_path: Path, text: str) -> list[App]:
    path = tmp_path / "apps.yml"
    path.write_text(text)
    return plan(path)


def test_anchors_and_merge_keys(tmp_path: Path) -> None:
    text = """
version: 1
x-common: &common {git_url: x, port: 80}
x-other: &other {port: 81, replicas: 2}
apps:
  - {<<: *common, name: one}
  - {<<: [*common, *other], name: two}
  - {name: three, port: 82, <<: *common}
"""
    one, two, three = planned(tmp_path, text)
    assert [one.port, two.port, three.port] == [80, 80, 82]
    assert [one.replicas, two.replicas] == [1, 2]
