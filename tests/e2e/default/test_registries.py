"""Nodes pull images themselves, from a registry of this machine that wants to know who asks."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from slipway.kube.client import PODS, Object
from slipway.nodes.registries import FOLDER
from tests.support import registries, shelves
from tests.support.file_servers import tls
from tests.support.registries import PASSWORD, USER
from tests.support.scenario import Run, Scenario, wait_for
from tests.support.shelves import NAME

LOGIN = {"user": USER, "password": "pull"}


@contextmanager
def registry(scenario: Scenario, folder: Path) -> Iterator[tuple[str, Path]]:
    """One with an image, at an address that nodes reach; and who certifies it."""
    here = str(next(ip_network(scenario.facts["segment"]).hosts()))
    program = scenario.bundle / "tools" / "docker-registry"
    tls(folder, 2, here)
    with registries.served(program, folder / "own", asks=True, tls=folder, at=here) as address:
        image, ca = shelves.image_of(scenario), folder / "server.crt"
        registries.push(f"https://{address}", NAME, *image, ca, tag="1", asks=True)
        yield address, ca


def known(scenario: Scenario, given: dict[str, Any]) -> Run:
    """Let nodes know these registries, with all that a run shows."""
    secrets = {"pull": PASSWORD}
    run = scenario.play(
        "playbooks/cluster.yml", "--diff", slipway_registries=given, slipway_secrets=secrets
    )
    assert run.code == 0, str(run)
    header = b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    assert not [each for each in (PASSWORD, header) if each in f"{run.output}{run.errors}"]
    return run


@contextmanager
def pulling(scenario: Scenario, image: str) -> Iterator[str]:
    """The name of a pod of an image that its node has to ask the registry for."""
    name = "pulls"
    container = {"name": "quotes", "image": image, "imagePullPolicy": "Always"}
    pod: Object = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [container]},
    }
    scenario.kube.apply(pod)
    try:
        yield name
    finally:
        scenario.kube.delete(PODS, name, "default")
        wait_for(lambda: scenario.kube.get(PODS, name, "default"), lambda found: found is None)


def state(scenario: Scenario, pod: str) -> dict[str, Any]:
    """What its container does or waits for; nothing while nobody knows."""
    found = scenario.kube.get(PODS, pod, "default") or {}
    statuses = found.get("status", {}).get("containerStatuses", [])
    return dict(statuses[0]["state"]) if statuses else {}


def containerds(scenario: Scenario) -> dict[str, str]:
    """The process of each node's containerd."""
    show = "systemctl show --property=MainPID,ActiveEnterTimestamp containerd"
    return {name: host.check_output(show) for name, host in scenario.nodes.items()}


def test_nodes_pull_by_a_login_that_comes_and_goes_without_a_restart(
    scenario: Scenario, tmp_path: Path
) -> None:
    before, pods = containerds(scenario), scenario.pods()
    with registry(scenario, tmp_path) as (address, ca):
        image = f"{address}/{NAME}:1"
        known(scenario, {address: {"ca": str(ca)}})
        with pulling(scenario, image) as name:
            ask = partial(state, scenario, name)
            refused = wait_for(ask, lambda found: "message" in found.get("waiting", {}))
            assert "authorization" in refused["waiting"]["message"], refused
        run = known(scenario, {address: {"ca": str(ca), **LOGIN}})
        assert {run.changed[name] for name in scenario.nodes} == {1}, str(run)
        with pulling(scenario, image) as name:
            wait_for(partial(state, scenario, name), lambda found: "running" in found)
    known(scenario, {})
    for host in scenario.nodes.values():
        assert host.check_output("find %s -mindepth 1", FOLDER) == ""
    assert containerds(scenario) == before
    assert scenario.pods() == pods
