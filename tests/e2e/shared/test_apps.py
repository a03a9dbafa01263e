"""The apps of apps.yml run from the images of the store, and answer where it says."""

from __future__ import annotations

import ipaddress

from testinfra.host import Host

from slipway.apps.app import BuildxBuild
from slipway.apps.manifests.routes import hosts
from slipway.kube.client import PODS
from slipway.kube.nodes import nodes_of
from slipway.oci import ImageStore
from slipway.preflight import pool_range
from tests.support.scenario import Scenario


def test_routes_answer_with_their_texts_at_an_address_of_the_pool(scenario: Scenario) -> None:
    address = ipaddress.ip_address(scenario.ingress_address())
    ranges = [pool_range(text) for text in scenario.facts["pool"]]
    assert any(int(first) <= int(address) <= int(last) for first, last in ranges)
    assert scenario.wrong_routes() == {}


def test_nothing_is_served_elsewhere(scenario: Scenario) -> None:
    address = scenario.ingress_address()
    [host] = hosts(scenario.planned())
    paths = [rule.path for app in scenario.planned() for rule in app.rules]
    elsewhere = [(host, "/"), (host, "/nowhere/"), *(("other.slipway.test", p) for p in paths)]
    statuses = {place: scenario.ask(address, *place).status for place in elsewhere}
    assert statuses == dict.fromkeys(elsewhere, 404)


def test_names_resolve_in_an_apps_own_pod(scenario: Scenario) -> None:
    app = next(each for each in scenario.planned() if isinstance(each.build, BuildxBuild))
    namespace, name = app.namespace, app.name
    resolve = f"import socket; print(socket.gethostbyname('{name}.{namespace}.svc.cluster.local'))"
    found = scenario.python_in_pod(namespace, f"deployment/{name}", resolve)
    service = ["get", "service", "--namespace", namespace, name]
    assert found == scenario.kubectl(*service, "--output", "jsonpath={.spec.clusterIP}")


def test_images_are_those_of_the_stores_on_every_node_that_needs_them(scenario: Scenario) -> None:
    apps = ImageStore(scenario.cache / "images").images()
    stored = {**apps, **ImageStore(scenario.bundle / "images").images()}
    there = {name: _images(host) for name, host in scenario.nodes.items()}
    needed = {
        (pod["spec"]["nodeName"], container["image"])
        for pod in scenario.kube.list(PODS).items
        for container in pod["spec"]["containers"]
    }
    assert {(node, image): there[node].get(image) for node, image in needed} == {
        (node, image): stored[image].manifest_digest for node, image in needed
    }
    deployed = {image for _, image in needed if image in apps}
    assert len(deployed) == len(scenario.planned())
    for name, node in nodes_of(scenario.kube).items():
        found = apps.keys() & there[name].keys()
        assert found >= deployed if node["schedulable"] else not found, name


def _images(host: Host) -> dict[str, str]:
    """The manifest's digest of every image on a node, by reference."""
    lines = host.check_output("/usr/local/bin/ctr -n k8s.io images ls").splitlines()[1:]
    return {line.split()[0]: line.split()[2] for line in lines}
