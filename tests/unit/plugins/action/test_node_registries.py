"""What a node is asked for, that it knows the registries that it pulls from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from plugins.action import node_registries
from tests.support.fake_ansible import action

GIVEN = {"a.test": {"user": "ada", "password": "pull"}}
VARIABLES = {
    "inventory_hostname": "worker",
    "role_name": "container_runtime",
    "slipway_secrets": {"pull": "a {{ word }}"},
}


def test_the_node_gets_their_files_and_owns_none_of_others() -> None:
    asked: list[Mapping[str, Any]] = []

    def carry_out(name: str, args: Mapping[str, Any], _variables: object) -> dict[str, Any]:
        assert name == "node_config"
        asked.append(args)
        return {"changed": True, "replaced": ["/a"], "units": [], "to_send": [], "diff": []}

    plugin = action(node_registries.ActionModule, {"registries": GIVEN})
    plugin.on_node = carry_out  # type: ignore[method-assign, assignment]
    result = plugin.run(task_vars=VARIABLES)
    assert (result["changed"], result["replaced"]) == (True, ["/a"])
    (args,) = asked
    assert [each["path"] for each in args["files"]] == ["/etc/containerd/certs.d/a.test/hosts.toml"]
    assert args["owned"] == ["/etc/containerd/certs.d"]
    assert (args["units"], args["role"]) == ([], "container_runtime")


def test_what_will_not_do_is_told_before_the_node_is_asked() -> None:
    plugin = action(node_registries.ActionModule, {"registries": {"a.test": {"user": "ada"}}})
    result = plugin.run(task_vars=VARIABLES)
    assert result["failed"]
    assert "has one of user and password" in result["msg"]
