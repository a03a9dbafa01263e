"""Nodes are Kubernetes nodes, and pods on them reach each other and know names."""

from __future__ import annotations

import json
import tomllib

from slipway.kube.client import NODES
from slipway.kube.objects import contains
from slipway.on_node.node_look import entries, reachable
from tests.support import nodes
from tests.support.scenario import Scenario


def test_every_node_runs_its_units_and_has_them_started_at_boot(scenario: Scenario) -> None:
    nodes.has_its_units(scenario)


def test_containerd_heeds_all_of_its_configuration(scenario: Scenario) -> None:
    for name, host in scenario.nodes.items():
        given = tomllib.loads(host.file("/etc/containerd/config.toml").content_string)
        used = tomllib.loads(host.check_output("/usr/local/bin/containerd config dump"))
        # containerd brings what it reads to its newest version.
        assert given.pop("version") <= used["version"]
        assert contains(used, given), name


def test_every_node_is_ready_and_of_the_locked_versions(scenario: Scenario) -> None:
    versions = scenario.facts["versions"]
    found = {
        node["metadata"]["name"]: (
            {each["type"]: each["status"] for each in node["status"]["conditions"]}["Ready"],
            node["status"]["nodeInfo"]["kubeletVersion"],
            node["status"]["nodeInfo"]["containerRuntimeVersion"].removeprefix("containerd://"),
        )
        for node in scenario.kube.list(NODES).items
    }
    wanted = ("True", f"v{versions['kubernetes']}", versions["containerd"])
    assert found == dict.fromkeys(scenario.nodes, wanted)


def test_every_kubelet_gives_pods_name_servers_that_they_can_reach(scenario: Scenario) -> None:
    for name, host in scenario.nodes.items():
        config = json.loads(scenario.kubectl("get", "--raw", f"/api/v1/nodes/{name}/proxy/configz"))
        text = host.file(config["kubeletconfig"]["resolvConf"]).content_string
        servers = [words[1] for words in entries(text, "nameserver")]
        assert all(map(reachable, servers)), (name, text)


def test_pods_reach_pods_of_every_node_and_resolve_services(scenario: Scenario) -> None:
    nodes.pods_reach_each_other(scenario)
