"""What kubeadm is told: of workers, or that there are none, and how long it may wait."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.support.role_templates import PROJECT, rendered, variables

TEMPLATES = {
    "init": PROJECT / "roles/kubeadm/templates/init.yaml.j2",
    "join": PROJECT / "roles/kubeadm/templates/join.yaml.j2",
}


def configuration(command: str, inventory: str, **more: Any) -> dict[str, Any]:
    """The first document of what kubeadm reads at ``command``."""
    found = {
        "kubeadm_look_result": {"control_groups": 2},
        "__kubeadm_token": {"stdout": "abcdef.0123456789abcdef"},
    }
    known = variables(inventory, "kubeadm", **found | more)
    text = rendered(TEMPLATES[command].read_text(), known)
    first: dict[str, Any] = next(iter(yaml.safe_load_all(str(text))))
    return first


def test_a_control_plane_without_workers_runs_the_services() -> None:
    assert configuration("init", "single")["nodeRegistration"]["taints"] == []


@pytest.mark.parametrize("inventory", ["local", "lab"])
def test_a_control_plane_with_workers_has_kubeadm_s_own_taint(inventory: str) -> None:
    assert "taints" not in configuration("init", inventory)["nodeRegistration"]


@pytest.mark.parametrize("command", ["init", "join"])
@pytest.mark.parametrize(("factor", "limit"), [(1, "1.0m"), ("2", "2.0m"), (15, "15.0m")])
def test_kubeadm_waits_as_long_as_the_variable_says(
    command: str, factor: object, limit: str
) -> None:
    told = configuration(command, "single", slipway_wait_factor=factor)
    assert told["timeouts"]["kubernetesAPICall"] == limit
    assert len(told["timeouts"]) == 6


@pytest.mark.parametrize("command", ["init", "join"])
@pytest.mark.parametrize(("version", "ignored"), [(1, ["SystemVerification"]), (2, [])])
def test_a_machine_may_have_control_groups_of_either_version(
    command: str, version: int, ignored: list[str]
) -> None:
    told = configuration(command, "lab", kubeadm_look_result={"control_groups": version})
    assert told["nodeRegistration"]["ignorePreflightErrors"] == ignored
