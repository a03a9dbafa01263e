"""Somebody's kubeconfig is for its user alone, and shown to nobody."""

from __future__ import annotations

import stat
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from plugins.action import person_kubeconfig
from slipway.certificates import Authority, Pair
from slipway.control_node.kubeconfig import read
from slipway.kube.client import Kube
from tests.support.fake_ansible import action

PAIR = Authority.make().issue("ada.test")


@pytest.fixture(autouse=True)
def certified(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, timedelta]]:
    """Whom the cluster was asked to certify, and for how long."""
    asked: list[tuple[str, timedelta]] = []

    def admit(_kube: Kube, user: str, life: timedelta) -> Pair:
        asked.append((user, life))
        return PAIR

    monkeypatch.setattr(person_kubeconfig, "admit", admit)
    return asked


def run(kubeconfig: Path, person: str, *, check: bool = False) -> dict[str, Any]:
    people = {"ada": {"view": {"apps": ["*"]}}}
    args = {"kubeconfig": str(kubeconfig), "name": "lab", "person": person, "people": people}
    result: dict[str, Any] = action(person_kubeconfig.ActionModule, args, check=check).run()
    return result


def test_it_is_beside_the_operators_for_nobody_else_to_read(
    kubeconfig: Path, certified: list[tuple[str, timedelta]], server: str
) -> None:
    own = kubeconfig.rename(kubeconfig.with_name("lab.yaml"))
    result = run(own, "ada")
    path = own.with_name("lab.people") / "ada.yaml"
    assert result["path"] == str(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    document = read(path)
    assert document["clusters"] == [{"name": "lab", "cluster": {"server": server}}]
    assert document["contexts"] == [{"name": "lab", "context": {"cluster": "lab", "user": "ada"}}]
    assert certified == [("slipway:person:ada", timedelta(hours=12))]
    assert PAIR.key.splitlines()[1] not in str(result)
    assert "a2V5" not in path.read_text(), "the operator's own key"


def test_a_check_asks_for_nothing(kubeconfig: Path, certified: list[tuple[str, timedelta]]) -> None:
    assert run(kubeconfig, "ada", check=True)["changed"]
    assert certified == []
    assert [*kubeconfig.parent.iterdir()] == [kubeconfig]


def test_who_is_no_person_gets_none(kubeconfig: Path) -> None:
    result = run(kubeconfig, "eve")
    assert result["failed"]
    assert "there is nobody called 'eve'" in result["msg"]
