"""What an app becomes in the cluster."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.apps.manifests.environment import namespace
from slipway.apps.manifests.labels import COMMIT, EXTRA_IMAGES, POD_HASH, owner_of
from slipway.apps.manifests.render import render
from slipway.apps.manifests.routes import master
from slipway.kube.objects import HASH
from tests.support.apps import built
from tests.support.rendered import container, objects, only


def routes(*rules: tuple[str, str | None]) -> dict[str, Any]:
    """An ingress with a path and a rewrite for each rule."""
    return {
        "websocket": False,
        "max_body_size": "1m",
        "timeout": "60s",
        "rules": [
            {
                "host": "h.test",
                "path": path,
                "path_type": "Prefix",
                "rewrite": rewrite,
                "expect": None,
                "tls": None,
            }
            for path, rewrite in rules
        ],
    }


def test_objects_come_in_the_order_to_apply_them() -> None:
    kinds = [obj["kind"] for obj in render(built(), "nginx")]
    assert kinds == ["ConfigMap", "Service", "Deployment", "Ingress"]


def test_every_object_is_known_as_slipways_and_as_the_apps() -> None:
    for obj in render(built(), "nginx"):
        labels = obj["metadata"]["labels"]
        assert labels["app.kubernetes.io/managed-by"] == "slipway"
        assert labels["app.kubernetes.io/instance"] == "main"
        assert owner_of(obj) == "greeter-main/greeter"
        assert len(obj["metadata"]["annotations"][HASH]) == 16
    assert namespace("n")["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "slipway"


def test_service_deployment_and_pods_find_one_another() -> None:
    deployment, service = only("Deployment"), only("Service")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    for selector in (deployment["spec"]["selector"]["matchLabels"], service["spec"]["selector"]):
        assert selector.items() <= labels.items()
        assert "app.kubernetes.io/instance" not in selector  # selectors cannot change, branches can
    [port] = service["spec"]["ports"]
    assert port["targetPort"] == container()["ports"][0]["name"]
    assert container()["ports"][0]["containerPort"] == 8080


def service(**given: Any) -> Any:
    """The Service of an app that asks for it so, and has no routes."""
    return only("Service", service=given, ingress=None)


def test_a_service_has_the_ports_that_it_is_given_and_that_of_its_routes() -> None:
    ports = {"redis": {"port": 6379}, "dns": {"port": 53, "target": 5353, "protocol": "UDP"}}
    own = [
        {"name": "dns", "port": 53, "targetPort": 5353, "protocol": "UDP"},
        {"name": "redis", "port": 6379, "targetPort": 6379, "protocol": "TCP"},
    ]
    http = {"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}
    assert service()["spec"]["ports"] == [http]
    assert service(ports=ports)["spec"]["ports"] == own
    https = {"name": "https", "port": 443, "targetPort": "http", "protocol": "TCP"}
    assert only("Service", scheme="https", ingress=None)["spec"]["ports"] == [https]
    routed = only("Service", service={"ports": ports}, ingress=routes(("/", None)))
    assert routed["spec"]["ports"] == [http, *own]
    assert "type" not in routed["spec"]


def test_a_service_gets_the_address_that_it_asks_for() -> None:
    balanced = service(type="LoadBalancer", address="172.28.1.20")
    assert balanced["metadata"]["annotations"]["metallb.io/loadBalancerIPs"] == "172.28.1.20"
    assert balanced["spec"]["type"] == "LoadBalancer"
    assert balanced["spec"]["allocateLoadBalancerNodePorts"] is False
    of_nodes = service(type="NodePort", ports={"a": {"port": 1, "node_port": 30001}})
    assert of_nodes["spec"]["type"] == "NodePort"
    [port] = of_nodes["spec"]["ports"]
    assert port["nodePort"] == 30001


def test_a_deployment_notes_the_images_of_its_app_s_manifests() -> None:
    carried = [
        {"named": "redis", "image": "r:1"},
        {"named": "redis", "image": "r:1", "tolerant": True},
        {"named": "db", "image": "db:1"},
        {"named": "waiting", "image": ""},
    ]
    assert only("Deployment", carried=carried)["metadata"]["annotations"][EXTRA_IMAGES] == (
        "db:1,r:1"
    )
    assert EXTRA_IMAGES not in only("Deployment")["metadata"]["annotations"]
    assert template(carried=carried) == template()  # nothing rolls for it


def template(**changes: Any) -> Any:
    return only("Deployment", **changes)["spec"]["template"]


@pytest.mark.parametrize(
    "change",
    [
        {"image": "apps.slipway.internal/greeter:main-fedcba987654"},
        {"config_files": [{"path": "/config/application.properties", "content": "a=2\n"}]},
        {"env": {"GREETING": {"value": "Hi"}}},
        {"port": 9090},
        {"node_selector": {"disk": "fast"}},
    ],
)
def test_what_rolls_the_pods(change: dict[str, Any]) -> None:
    old, new = template(), template(**change)
    assert old["metadata"]["annotations"][POD_HASH] != new["metadata"]["annotations"][POD_HASH]


@pytest.mark.parametrize("change", [{"commit": "f" * 40}, {"replicas": 3}, {"ingress": None}])
def test_what_does_not_roll_the_pods(change: dict[str, Any]) -> None:
    assert template(**change) == template()


def test_the_commit_is_on_the_deployment() -> None:
    assert only("Deployment")["metadata"]["annotations"][COMMIT] == built().commit


def test_master_holds_the_host_and_nothing_else() -> None:
    obj = master("h.test", "nginx")
    assert obj["metadata"]["annotations"]["nginx.org/mergeable-ingress-type"] == "master"
    assert obj["spec"] == {"ingressClassName": "nginx", "rules": [{"host": "h.test"}]}
    assert "nginx.org/rewrites" not in obj["metadata"]["annotations"]


def test_a_minion_has_the_paths_and_one_rewrite() -> None:
    obj = only("Ingress", ingress=routes(("/a/", "/x/"), ("/b/", "/x/")))
    annotations = obj["metadata"]["annotations"]
    assert annotations["nginx.org/mergeable-ingress-type"] == "minion"
    assert annotations["nginx.org/rewrites"] == "serviceName=greeter rewrite=/x/"
    [rule] = obj["spec"]["rules"]
    assert rule["host"] == "h.test"
    assert [path["path"] for path in rule["http"]["paths"]] == ["/a/", "/b/"]
    service = rule["http"]["paths"][0]["backend"]["service"]
    assert service["name"] == only("Service")["metadata"]["name"]
    assert service["port"]["number"] == only("Service")["spec"]["ports"][0]["port"]


def test_paths_that_are_rewritten_differently_are_in_different_minions() -> None:
    """So are those with something else in front: a header tells the service of it."""
    paths = [("/a/", "/"), ("/b/", None), ("/c/", "/x/"), ("/d/", "/"), ("/e/f/", "/f/")]
    annotation = "nginx.org/proxy-set-headers"
    found = {
        obj["metadata"]["name"]: (
            obj["metadata"]["annotations"].get("nginx.org/rewrites", "").partition("=greeter ")[2],
            obj["metadata"]["annotations"].get(annotation),
            [path["path"] for path in obj["spec"]["rules"][0]["http"]["paths"]],
        )
        for obj in objects(ingress=routes(*paths, ("/y/", "/x/"), ("/", "/")))["Ingress"]
    }
    assert found == {
        "greeter": ("rewrite=/", "X-Forwarded-Prefix: /a", ["/a/"]),
        "greeter.1": ("", None, ["/b/"]),
        "greeter.2": ("rewrite=/x/", None, ["/c/", "/y/"]),
        "greeter.3": ("rewrite=/", "X-Forwarded-Prefix: /d", ["/d/"]),
        "greeter.4": ("rewrite=/f/", "X-Forwarded-Prefix: /e", ["/e/f/"]),
        "greeter.5": ("rewrite=/", None, ["/"]),
    }


def test_an_app_without_routes_has_no_ingress() -> None:
    assert "Ingress" not in objects(ingress=None)
