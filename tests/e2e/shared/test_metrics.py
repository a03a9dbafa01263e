"""The cluster measures what nodes and pods use, and both who tells and who asks are verified."""

from __future__ import annotations

from functools import partial

from slipway.kube.client import Resource
from tests.support.scenario import Scenario, wait_for

API_SERVICES = Resource("apiregistration.k8s.io/v1", "APIService", "apiservices", namespaced=False)


def used(scenario: Scenario) -> dict[str, tuple[str, str]]:
    """CPU and memory that each node uses, as kubectl says."""
    lines = scenario.kubectl("top", "nodes", "--no-headers").splitlines()
    return {name: (cpu, memory) for name, cpu, _, memory, _ in map(str.split, lines)}


def test_what_every_node_and_the_pods_on_it_use_is_told(scenario: Scenario) -> None:
    """Of a node that was just started, nothing is known yet."""
    found = wait_for(partial(used, scenario), lambda found: "<unknown>" not in str(found))
    assert found.keys() == scenario.nodes.keys()
    assert all(cpu.endswith("m") and memory.endswith("Mi") for cpu, memory in found.values())
    pods = scenario.kubectl("top", "pods", "--namespace", "kube-system", "--no-headers")
    assert "kube-apiserver" in pods
    assert "metrics-server" in pods


def test_the_api_server_believes_no_other_certificate(scenario: Scenario) -> None:
    found = scenario.kube.get(API_SERVICES, "v1beta1.metrics.k8s.io")
    assert found
    assert not found["spec"].get("insecureSkipTLSVerify")
    assert found["spec"]["caBundle"]
    conditions = {each["type"]: each["status"] for each in found["status"]["conditions"]}
    assert conditions["Available"] == "True"
