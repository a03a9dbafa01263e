"""Which node of the embedded cluster is reached by ports of this machine."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.support.checkout import PROJECT
from tests.support.role_templates import rendered, variables

TASKS = PROJECT / "roles" / "node_containers" / "tasks/main.yml"


@pytest.mark.parametrize(
    ("groups", "reached"),
    [({"control_plane": ["first", "second"]}, ["first"]), ({"nodes": ["node"]}, [])],
    ids=["a cluster", "nodes alone"],
)
def test_the_first_control_plane_is_reached(groups: dict[str, Any], reached: list[str]) -> None:
    (make, *_) = yaml.safe_load(TASKS.read_text())
    known = variables("local", "node_containers", groups=groups)
    found = rendered(make["node_containers"]["ports"], known)
    assert list(found) == reached
    ports = rendered(known["__node_containers_ports"], known)
    assert ports
    assert [*found.values()] == [ports] * len(reached)


def test_load_balancers_that_are_no_nodes_are_containers_as_well() -> None:
    groups = {"nodes": ["first", "second"], "load_balancers": ["first", "front"]}
    known = variables("local", "node_containers", groups=groups)
    machines = rendered("{{ __node_containers_machines }}", known)
    assert machines == ["first", "second", "front"]
