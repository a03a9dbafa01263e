"""The Service that the ingress controller is behind, and what leads to it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from nginx_ingress.render import Settings, render_config

from plugins.filter.image_ref import image_ref
from slipway.oci import ImageConfig, ImageStore
from tests.support.checkout import PROJECT, VERSIONS
from tests.support.role_templates import rendered, variables


def spec(provider: str, kind: str, inventory: str = "lab", **more: Any) -> dict[str, Any]:
    """What a provider's one object of a kind is to be, or to hold."""
    path = PROJECT / "roles/nginx_ingress/templates" / f"{provider}.yml.j2"
    more |= {"nginx_ingress_image": "image:1", "__nginx_ingress_image_digest": "sha256:0"}
    text = rendered(path.read_text(), variables(inventory, "nginx_ingress", **more))
    [found] = [each for each in yaml.safe_load_all(str(text)) if each["kind"] == kind]
    return dict(found.get("spec") or found["data"])


def service(provider: str, inventory: str, **more: Any) -> dict[str, Any]:
    """The Service of a provider's controller."""
    return spec(provider, "Service", inventory, **more)


@pytest.mark.parametrize("provider", ["slipway", "nginx"])
@pytest.mark.parametrize("inventory", ["local", "single"])
def test_published_ports_of_the_embedded_cluster_lead_to_it(provider: str, inventory: str) -> None:
    """They lead to ports of the control plane's node, at which every node's kube-proxy listens."""
    known = variables(inventory, "node_containers")
    leads = rendered("{{ __node_containers_ports }}", known)
    here = known["slipway_published_ports"]
    found = service(provider, inventory)
    there = {each["name"]: each["nodePort"] for each in found["ports"]}
    assert {name: leads[port] for name, port in there.items()} == here
    assert found["externalTrafficPolicy"] == "Cluster"


@pytest.mark.parametrize("provider", ["slipway", "nginx"])
def test_without_published_ports_nobody_chooses_ports_of_the_nodes(provider: str) -> None:
    assert rendered("{{ __node_containers_ports }}", variables("lab", "node_containers")) == {}
    for found in (service(provider, "lab"), service(provider, "local", slipway_published_ports={})):
        assert [[*each] for each in found["ports"]] == [["name", "port", "targetPort"]] * 2


@pytest.mark.parametrize(
    ("inventory", "ports", "domain"),
    [
        ("local", None, "slipway.localhost"),
        ("single", None, "slipway.localhost"),
        ("local", {}, "slipway.test"),
        ("lab", None, "slipway.test"),
    ],
)
def test_hosts_are_below_localhost_where_ports_of_this_machine_lead_to_them(
    inventory: str, ports: dict[str, int] | None, domain: str
) -> None:
    more = {} if ports is None else {"slipway_published_ports": ports}
    known = variables(inventory, "nginx_ingress", **more)
    assert rendered("{{ slipway_dashboard_host }}", known) == f"environments.{domain}"


def test_two_embedded_clusters_do_not_want_the_same_ports() -> None:
    found = [
        port
        for inventory in ("local", "single")
        for port in variables(inventory, "node_containers")["slipway_published_ports"].values()
    ]
    assert len(found) == len({*found}) == 4


@pytest.mark.parametrize("wanted", ["auto", "slipway", "nginx"])
@pytest.mark.parametrize("has_image", [False, True])
def test_the_controller_is_nginx_inc_s_where_the_bundle_has_it_or_it_is_wanted(
    tmp_path: Path, wanted: str, has_image: bool
) -> None:
    store = ImageStore(tmp_path / "images")
    ref = image_ref("nginx_inc_ingress", VERSIONS)
    if has_image:
        store.add_image(ref, [], ImageConfig())
    more = {"slipway_bundle_dir": str(tmp_path), "slipway_ingress_provider": wanted}
    known = variables("lab", "nginx_ingress", **more)
    expected = {False: "slipway", True: "nginx"}[has_image] if wanted == "auto" else wanted
    assert rendered("{{ __nginx_ingress_provider }}", known) == expected
    image = rendered("{{ nginx_ingress_image }}", known)
    assert (image == ref) == (expected == "nginx")


@pytest.mark.parametrize("provider", ["slipway", "nginx"])
def test_a_pod_goes_when_another_is_ready_and_no_node_sends_it_connections(provider: str) -> None:
    deployment = spec(provider, "Deployment")
    assert deployment["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    pod = deployment["template"]["spec"]
    [controller] = pod["containers"]
    pause = controller["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert 0 < pause < pod["terminationGracePeriodSeconds"]
    assert controller["readinessProbe"]["periodSeconds"] == 1


def test_another_provider_takes_over_behind_the_same_service() -> None:
    """Pods of both are chosen by one Deployment and one Service, at the ports that each names."""
    services, deployments = (
        [spec(provider, kind) for provider in ("slipway", "nginx")]
        for kind in ("Service", "Deployment")
    )
    assert services[0] == services[1]
    assert deployments[0]["selector"] == deployments[1]["selector"]
    wanted = {each["targetPort"] for each in services[0]["ports"]}
    for deployment in deployments:
        labels = deployment["template"]["metadata"]["labels"]
        assert services[0]["selector"].items() <= labels.items()
        [controller] = deployment["template"]["spec"]["containers"]
        assert wanted <= {port["name"] for port in controller["ports"]}


def directives(text: str) -> dict[str, str]:
    """The directives of nginx in a text, wherever they are, but for blocks."""
    return dict(re.findall(r"^\s*([a-z_]+) ([^{};]+);$", text, re.MULTILINE))


def test_both_controllers_bear_with_slow_clients_alike() -> None:
    ours = directives(render_config("", 1, Settings(Path("/run/test"))))
    given = spec("nginx", "ConfigMap")
    snippets = directives(given.pop("http-snippets"))
    theirs = {name.replace("-", "_"): value for name, value in given.items()} | snippets
    assert {"client_header_timeout", "worker_rlimit_nofile", "send_timeout"} <= theirs.keys()
    assert theirs | {"proxy_buffering": "off"} == {name: ours[name] for name in theirs}


def test_what_waits_for_slow_clients_fills_no_disk() -> None:
    known = {"nginx_ingress_disk": "3Gi"}
    [volume] = spec("slipway", "Deployment", **known)["template"]["spec"]["volumes"]
    assert volume["emptyDir"] == {"sizeLimit": "3Gi"}
    [container] = spec("nginx", "Deployment", **known)["template"]["spec"]["containers"]
    assert container["resources"]["limits"] == {"ephemeral-storage": "3Gi"}
    # Or as much of the node's disk would be set aside.
    assert "ephemeral-storage" in container["resources"]["requests"]


@pytest.mark.parametrize("provider", ["slipway", "nginx"])
@pytest.mark.parametrize(("inventory", "pods"), [("lab", 1), ("ha", 2)])
def test_no_control_plane_that_may_be_lost_serves_requests(
    provider: str, inventory: str, pods: int
) -> None:
    groups = {"lab": {"control_plane": ["a"]}, "ha": {"control_plane": ["a", "b", "c"]}}
    found = spec(provider, "Deployment", inventory, groups=groups[inventory])
    assert found["replicas"] == pods
    prefers = found["template"]["spec"].get("affinity", {}).get("nodeAffinity", {})
    assert (str(prefers).count("node-role.kubernetes.io/control-plane") == 1) is (pods > 1)
