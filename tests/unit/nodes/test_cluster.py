"""What the nodes are said to be, and the wait for them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest

from slipway import cluster
from slipway.cluster import NODES, nodes_of, wait_for_nodes
from slipway.errors import Problem, SlipwayError
from slipway.kube import Kube, Listing, Resource, Unreachable


def node(name: str, *, cidr: str = "", ready: str = "", message: str = "") -> dict[str, Any]:
    """A Node object; without ``ready`` its kubelet has not reported yet."""
    found: dict[str, Any] = {"metadata": {"name": name}, "spec": {}, "status": {}}
    if cidr:
        found["spec"]["podCIDR"] = cidr
    if ready:
        found["status"] = {
            "addresses": [
                {"type": "Hostname", "address": name},
                {"type": "InternalIP", "address": "172.29.0.3"},
            ],
            "conditions": [
                {"type": "DiskPressure", "status": "True", "message": "the disk is full"},
                {"type": "Ready", "status": ready, "message": message},
            ],
        }
    return found


class Answers:
    """An API that gives one prepared answer after another, and then the last for ever."""

    def __init__(self, *answers: list[dict[str, Any]] | Exception) -> None:
        self.answers: Iterator[list[dict[str, Any]] | Exception] = iter(answers)
        self.last: list[dict[str, Any]] | Exception = []
        self.asked = 0

    def list(self, resource: Resource) -> Listing:
        """The next answer."""
        assert resource == NODES
        self.asked += 1
        self.last = next(self.answers, self.last)
        if isinstance(self.last, Exception):
            raise self.last
        return Listing(self.last, "1")


UNREACHABLE = Unreachable(Problem("https://172.29.0.2:6443", "connection refused"))


def wait(api: Answers, *names: str, wanted: str = "ready", timeout: float = 5.0) -> dict[str, Any]:
    """Wait for the nodes of the prepared API."""
    return wait_for_nodes(cast(Kube, api), names, wanted, timeout)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "POLL_SECONDS", 0.001)


def test_nodes_are_told_by_name() -> None:
    api = Answers([node("a", cidr="10.244.0.0/24", ready="True", message="fine"), node("b")])
    assert nodes_of(cast(Kube, api)) == {
        "a": {
            "pod_cidr": "10.244.0.0/24",
            "address": "172.29.0.3",
            "labels": {},
            "schedulable": True,
            "ready": True,
            "reason": "fine",
        },
        "b": {
            "pod_cidr": "",
            "address": "",
            "labels": {},
            "schedulable": True,
            "ready": False,
            "reason": "the kubelet has not reported yet",
        },
    }


@pytest.mark.parametrize(
    ("key", "effect", "schedulable"),
    [
        ("node-role.kubernetes.io/control-plane", "NoSchedule", False),
        ("example.com/maintenance", "NoExecute", False),
        ("example.com/slow", "PreferNoSchedule", True),
        # These go by themselves.
        ("node.kubernetes.io/not-ready", "NoSchedule", True),
        ("node.kubernetes.io/unreachable", "NoExecute", True),
    ],
)
def test_a_taint_that_stays_keeps_pods_away(key: str, effect: str, schedulable: bool) -> None:
    tainted = node("a")
    tainted["spec"]["taints"] = [{"key": key, "effect": effect}]
    tainted["metadata"]["labels"] = {"zone": "1"}
    found = nodes_of(cast(Kube, Answers([tainted])))["a"]
    assert found["schedulable"] is schedulable
    assert found["labels"] == {"zone": "1"}


def test_the_wait_ends_when_all_named_nodes_are_ready() -> None:
    unready, ready = node("a", ready="False"), node("a", ready="True")
    api = Answers([], [unready], [ready], [ready, node("b", ready="Unknown")])
    assert wait(api, "a")["a"]["ready"]
    assert api.asked == 3


def test_other_nodes_are_not_waited_for_but_told() -> None:
    found = wait(Answers([node("a", ready="True"), node("b")]), "a")
    assert list(found) == ["a", "b"]


def test_the_wait_for_address_ranges_does_not_ask_for_readiness() -> None:
    api = Answers([node("a", ready="True")], [node("a", cidr="10.244.0.0/24")])
    assert wait(api, "a", wanted="pod_cidr")["a"]["pod_cidr"] == "10.244.0.0/24"
    assert api.asked == 2


def test_an_api_that_is_still_starting_is_waited_for() -> None:
    api = Answers(UNREACHABLE, UNREACHABLE, [node("a", ready="True")])
    assert wait(api, "a")["a"]["ready"]


def test_an_api_that_never_answers_is_the_reason() -> None:
    api = Answers(UNREACHABLE)
    with pytest.raises(Unreachable, match="connection refused"):
        wait(api, timeout=0.02)
    assert api.asked > 1


def test_after_the_timeout_every_lacking_node_has_its_reason() -> None:
    api = Answers(
        [
            node("a", ready="True"),
            node("b", ready="False", message="cni plugin not initialized"),
            node("c"),
        ]
    )
    with pytest.raises(SlipwayError) as caught:
        wait(api, "a", "b", "c", "d", timeout=0)
    assert [str(problem) for problem in caught.value.problems] == [
        "node b: no ready after 0 s: cni plugin not initialized",
        "node c: no ready after 0 s: the kubelet has not reported yet",
        "node d: no ready after 0 s: is not there",
    ]
