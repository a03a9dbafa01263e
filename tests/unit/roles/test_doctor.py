"""What the doctor knows beforehand of other roles is what they do."""

from __future__ import annotations

from typing import Any

import yaml

from slipway.doctor import disk, network
from tests.support.checkout import PROJECT


def loaded(path: str) -> Any:
    """A YAML file of the project."""
    return yaml.safe_load((PROJECT / path).read_text())


def test_the_tools_that_it_looks_for_are_those_that_builds_have() -> None:
    (examine,) = loaded("roles/doctor/tasks/examine.yml")
    (*_, play) = loaded("playbooks/control_node.yml")
    (needed,) = (task["vars"] for task in play["tasks"] if "vars" in task)
    assert examine["doctor"]["tools"] == needed["__control_node_tools"]


def test_the_ways_to_pods_that_it_knows_are_those_of_the_pod_network() -> None:
    role = PROJECT / "roles/pod_network"
    protocol = loaded("roles/pod_network/vars/main.yml")["__pod_network_protocol"]
    assert str(protocol) == network.OWN_PROTOCOL
    bridge = (role / "templates/slipway.conflist.j2").read_text()
    assert all(f'"bridge": "{device}"' in bridge for device in network.OWN_DEVICES)


def test_the_programs_of_nodes_are_put_where_it_looks() -> None:
    unit = (PROJECT / "roles/kubelet/templates/kubelet.service.j2").read_text()
    assert f"{disk.NODE['programs']}/kubelet" in unit


def test_it_is_the_first_that_make_up_does() -> None:
    first, second, *_ = (each["ansible.builtin.import_playbook"] for each in loaded("site.yml"))
    assert (first, second) == ("playbooks/doctor.yml", "playbooks/bundle.yml")


def test_it_looks_at_nodes_as_the_run_does_that_changes_them() -> None:
    look, *_ = loaded("roles/kubeadm/tasks/look.yml")
    (machine,) = loaded("roles/doctor/tasks/machine.yml")
    assert machine["machine_look"]["node"] == look["node_look"]
    assert machine["check_mode"] is True
