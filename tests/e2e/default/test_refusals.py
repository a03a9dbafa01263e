"""What a run refuses to begin with, before anything is changed."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from slipway.kube.client import SERVICES
from tests.support.scenario import INGRESS, Run, Scenario, wait_for


@pytest.mark.parametrize(
    ("text", "reasons"),
    [
        ("apps: [\n  {name: a\n", ["apps.yml:", "is not YAML"]),
        (
            "version: 1\napps:\n  - {name: a, git_url: /a.git, git_brnach: main}\n",
            ["apps.yml:3", "git_brnach", "git_branch"],
        ),
    ],
    ids=["no YAML", "unknown key"],
)
def test_an_unsound_apps_file_is_refused_before_a_node_is_asked(
    scenario: Scenario, tmp_path: Path, text: str, reasons: list[str]
) -> None:
    (tmp_path / "apps.yml").write_text(text)
    before = scenario.pods()
    run = scenario.play("site.yml", slipway_apps_file=tmp_path / "apps.yml")
    assert run.code != 0
    assert run.changed == {"localhost": 0}, str(run)
    [message] = run.failures
    for reason in reasons:
        assert reason in message
    assert scenario.pods() == before


@pytest.mark.parametrize("version", ["1.36.99", "1.30.0"])
def test_another_version_than_the_cluster_s_is_refused_before_a_bundle_is_made(
    scenario: Scenario, version: str
) -> None:
    versions = {**scenario.facts["versions"], "kubernetes": version}
    run = scenario.play("site.yml", slipway_versions=versions)
    assert run.code != 0
    assert run.changed == {"localhost": 0}, str(run)
    [message] = run.failures
    assert f"slipway_versions.kubernetes: {version} is not what the cluster runs" in message
    for name in scenario.nodes:
        assert f"the kubelet of {name}" in message


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"slipway_endpoint": "https://192.0.2.99:6443"}, "is a node of the cluster at {endpoint}"),
        ({"slipway_cluster_name": "another"}, "is a node of the cluster '{cluster}' at {endpoint}"),
    ],
    ids=["another address", "another name"],
)
def test_nodes_of_another_cluster_are_left_as_they_are(
    scenario: Scenario, tmp_path: Path, variables: dict[str, str], named: str
) -> None:
    settings: dict[str, Any] = {**variables, "slipway_kubeconfig": tmp_path / "kubeconfig"}
    before = scenario.pods()
    run = scenario.play("playbooks/cluster.yml", **settings)
    assert run.code != 0
    assert set(run.changed.values()) == {0}, str(run)
    assert not (tmp_path / "kubeconfig").exists()
    assert any(named.format(**scenario.facts) in message for message in run.failures), str(run)
    for message in run.failures:
        assert "/etc/kubernetes/kubelet.conf" in message
        assert "kubelet.service runs" in message
    assert scenario.pods() == before


def test_machines_that_are_not_bare_are_refused_all_at_once(scenario: Scenario) -> None:
    """Without what says whose nodes they are, the nodes are machines with traces of a cluster."""
    kubeconfigs = ("kubelet.conf", "admin.conf")
    hide = "cd /etc/kubernetes && for f in %s %s; do [ ! -e $f ] || mv $f $f.hidden; done"
    show = "cd /etc/kubernetes && for f in %s %s; do [ ! -e $f.hidden ] || mv $f.hidden $f; done"
    try:
        for host in scenario.nodes.values():
            host.check_output(hide, *kubeconfigs)
        run = scenario.play("playbooks/cluster.yml")
    finally:
        for host in scenario.nodes.values():
            host.check_output(show, *kubeconfigs)
    assert run.code != 0
    assert set(run.changed.values()) == {0}, str(run)
    assert len(run.failures) == len(scenario.nodes)
    for message in run.failures:
        assert "this machine is not bare" in message
        assert "/var/lib/kubelet/config.yaml" in message
        assert "port 10250 is in use" in message
    assert any("/var/lib/etcd/member" in message for message in run.failures)
    assert scenario.play("playbooks/cluster.yml").code == 0


def test_a_control_plane_that_cannot_be_reached_is_not_made_anew(
    scenario: Scenario, tmp_path: Path
) -> None:
    """Its API server is away, and this machine has no kubeconfig."""
    manifest = "/etc/kubernetes/manifests/kube-apiserver.yaml"
    scenario.control_plane.check_output("mv %s /root/", manifest)
    try:
        run = scenario.play(
            "playbooks/cluster.yml",
            slipway_kubeconfig=tmp_path / "kubeconfig",
            kubeadm_api_timeout=20,
        )
    finally:
        scenario.control_plane.check_output("mv /root/kube-apiserver.yaml %s", manifest)
    assert run.code != 0
    message = run.failures[-1]
    assert "which is left as it is" in message
    assert "It does not answer on the node itself either." in message
    assert "the last lines of etcd:" in message
    wait_for(lambda: scenario.play("playbooks/cluster.yml").code, lambda code: code == 0)


def test_without_the_right_to_docker_the_fix_is_named(scenario: Scenario, tmp_path: Path) -> None:
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as engine:
        engine.bind(str(path))
        engine.listen()
        path.chmod(0)
        # Root minds no file's mode unless it gives up the capability not to.
        no_override = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
        run = scenario.play(
            "playbooks/nodes.yml",
            under=no_override if os.geteuid() == 0 else (),
            env={"DOCKER_HOST": f"unix://{path}"},
        )
    assert run.code != 0
    assert run.changed == {"localhost": 0}, str(run)
    [message] = run.failures
    assert "Docker: no right to use its socket" in message
    assert "add yourself to the group 'docker'" in message


def test_a_pool_without_a_free_address_is_named(scenario: Scenario) -> None:
    """Another service has the pool's only address when the ingress controller wants one."""
    taken = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "taken", "namespace": "default"},
        "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]},
    }
    scenario.kube.apply(taken)
    try:
        address = wait_for(lambda: _address(scenario, "taken", "default"), bool)
        scenario.kube.delete(SERVICES, *INGRESS)

        def play() -> Run:
            pool = [f"{address}-{address}"]
            return scenario.play(
                "playbooks/platform.yml", metallb_pool=pool, nginx_ingress_timeout=5
            )

        play()  # for a moment MetalLB may still give an address of the pool before
        wait_for(lambda: _address(scenario, *INGRESS), lambda given: not given)
        run = play()
    finally:
        scenario.kube.delete(SERVICES, "taken", "default")
        mended = scenario.play("playbooks/platform.yml")
    assert run.code != 0
    [message] = run.failures
    assert "Service nginx-ingress: has no address" in message
    assert "no available IPs" in message
    assert "metallb_pool" in message
    assert mended.code == 0, str(mended)
    assert wait_for(scenario.wrong_routes, lambda wrong: wrong == {}) == {}


def _address(scenario: Scenario, name: str, namespace: str) -> str:
    """The address of a service, empty as long as it has none."""
    service = scenario.kube.get(SERVICES, name, namespace) or {}
    balancer = service.get("status", {}).get("loadBalancer", {})
    return "".join(each["ip"] for each in balancer.get("ingress", []))
