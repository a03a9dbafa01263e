"""What a run refuses to begin with, before anything is changed."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from slipway.kube import SERVICES
from tests.e2e.scenario import INGRESS, Scenario, wait_for


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
    assert run.changed == {"localhost": 0}, run
    [message] = run.failures
    for reason in reasons:
        assert reason in message
    assert scenario.pods() == before


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
    assert run.changed == {"localhost": 0}, run
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
        address = wait_for(lambda: _address(scenario), bool)
        scenario.kube.delete(SERVICES, *INGRESS)
        run = scenario.play(
            "playbooks/platform.yml",
            metallb_pool=[f"{address}-{address}"],
            nginx_ingress_timeout=5,
        )
    finally:
        scenario.kube.delete(SERVICES, "taken", "default")
        mended = scenario.play("playbooks/platform.yml")
    assert run.code != 0
    [message] = run.failures
    assert "Service nginx-ingress: has no address" in message
    assert "no available IPs" in message
    assert "metallb_pool" in message
    assert mended.code == 0, mended
    assert wait_for(scenario.wrong_routes, lambda wrong: wrong == {}) == {}


def _address(scenario: Scenario) -> str:
    service = scenario.kube.get(SERVICES, "taken", "default") or {}
    return "".join(each["ip"] for each in service["status"]["loadBalancer"].get("ingress", []))
