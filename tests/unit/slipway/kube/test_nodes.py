"""What the nodes are said to be, and the wait for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import pytest

from slipway.errors import Problem, SlipwayError
from slipway.kube import nodes as cluster
from slipway.kube.client import NODES, Kube, Listing, Resource, Unreachable
from slipway.kube.nodes import mismatches, nodes_of, wait_for_nodes


def node(
    name: str, *, cidr: str = "", ready: str = "", message: str = "", version: str = "v1.36.3"
) -> dict[str, Any]:
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
            "nodeInfo": {"kubeletVersion": version},
        }
    return found


class Answers:
    """An API that gives one prepared answer after another, and then the last for ever."""

    server = "https://172.29.0.2:6443"

    def __init__(
        self, *answers: list[dict[str, Any]] | Exception, version: str = "v1.36.3"
    ) -> None:
        self._version = version
        self.answers: Iterator[list[dict[str, Any]] | Exception] = iter(answers)
        self.last: list[dict[str, Any]] | Exception = []
        self.asked = 0

    def version(self) -> str:
        """That of the API server."""
        return self._version

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
            "version": "v1.36.3",
            "schedulable": True,
            "ready": True,
            "reason": "fine",
        },
        "b": {
            "pod_cidr": "",
            "address": "",
            "labels": {},
            "version": "",
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


NODES_AT = {"a": "172.29.0.3", "b": "172.29.0.4"}


def told(
    api: Answers,
    version: str = "1.36.3",
    nodes: Mapping[str, str] = NODES_AT,
    control_plane: Sequence[str] = ("a",),
) -> list[str]:
    """Why the prepared API's cluster must not be worked on."""
    found = mismatches(cast(Kube, api), version, nodes, control_plane)
    assert all(problem.fix for problem in found)
    return [f"{problem.where}: {problem.what}" for problem in found]


@pytest.mark.parametrize(
    "nodes",
    [
        [node("a", ready="True")],
        [node("a", ready="False"), node("left", ready="Unknown", version="v1.30.0")],
        [],  # as between kubeadm's start and the kubelet's registration
    ],
)
def test_the_inventory_s_cluster_of_the_locked_version_may_be_worked_on(
    nodes: list[dict[str, Any]],
) -> None:
    assert told(Answers(nodes)) == []


def test_a_second_control_plane_that_is_not_there_makes_it_no_other_cluster() -> None:
    assert told(Answers([node("a", ready="True")]), control_plane=["b", "a"]) == []


@pytest.mark.parametrize(
    ("nodes", "control_plane", "named"),
    [
        ({"b": "172.29.0.3"}, ["b"], "b at 172.29.0.3"),
        ({"a": "172.29.0.4"}, ["a"], "a at 172.29.0.4"),
    ],
)
def test_a_cluster_without_the_inventory_s_control_plane_is_another(
    nodes: dict[str, str], control_plane: list[str], named: str
) -> None:
    api = Answers([node("a", ready="True", version="v1.30.0")])
    what = f"is not the inventory's cluster: it has no node {named}"
    assert told(api, nodes=nodes, control_plane=control_plane) == [
        f"cluster https://172.29.0.2:6443: {what}"
    ]


@pytest.mark.parametrize("locked", ["1.36.4", "1.37.0", "1.36.2", "1.3"])
def test_another_version_than_the_cluster_s_is_refused_in_one_sentence(locked: str) -> None:
    nodes = [node("a", ready="True"), node("b", ready="True")]
    assert told(Answers(nodes), locked) == [
        f"slipway_versions.kubernetes: {locked} is not what the cluster runs: the API server is "
        "v1.36.3, the kubelet of a is v1.36.3, the kubelet of b is v1.36.3"
    ]


def test_a_kubelet_or_an_api_server_alone_of_another_version_is_refused() -> None:
    newer = [node("a", ready="True"), node("b", ready="True", version="v1.36.4")]
    for api, what in (
        (Answers(newer), "the kubelet of b is v1.36.4"),
        (Answers(newer[:1], version="v1.35.4"), "the API server is v1.35.4"),
    ):
        assert [text.partition("runs: ")[2] for text in told(api)] == [what]
