"""Who reaches whom, by the policies of environments as a network enforces them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from itertools import product
from typing import Any

import pytest

from slipway.apps.app import App
from slipway.apps.manifests.labels import selector
from slipway.apps.manifests.network import INGRESS, Network, others, policies, reached
from slipway.kube.client import Object
from tests.support.apps import planned

NETWORK = Network("10.244.0.0/16", "10.96.0.0/16", [("192.0.2.11", 6443)])

SERVICE = {"content": "kind: Service", "allow_kinds": ["Service"]}


@dataclass(frozen=True)
class Peer:
    """A pod, or with an address alone somebody else."""

    space: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    address: str = "10.244.1.2"


WORLD = Peer(address="198.51.100.7")
API = Peer(address="192.0.2.11")
NAMES = Peer("kube-system", {"k8s-app": "kube-dns"})
CONTROLLER = Peer("nginx-ingress", {"app.kubernetes.io/name": "nginx-ingress"})
OTHER_SERVICE = Peer(address="10.96.0.20")

SPACES = {"nginx-ingress": INGRESS}
"""The labels of namespaces beside their name."""


def pod(app: App) -> Peer:
    """A pod of an app itself."""
    return Peer(app.namespace, selector(app))


def chosen(selects: Object | None, labels: dict[str, str]) -> bool:
    """Whether a selector of labels selects something."""
    wanted = (selects or {}).get("matchLabels", {})
    terms = (selects or {}).get("matchExpressions", [])
    return wanted.items() <= labels.items() and all(
        {
            "In": lambda term: labels.get(term["key"]) in term["values"],
            "NotIn": lambda term: labels.get(term["key"]) not in term["values"],
            "Exists": lambda term: term["key"] in labels,
            "DoesNotExist": lambda term: term["key"] not in labels,
        }[term["operator"]](term)
        for term in terms
    )


def is_peer(peer: Object, found: Peer, space: str) -> bool:
    if block := peer.get("ipBlock"):
        address = ip_address(found.address)
        without = any(address in ip_network(each) for each in block.get("except", ()))
        return address in ip_network(block["cidr"]) and not without
    if not found.space:
        return False
    named = {"kubernetes.io/metadata.name": found.space, **SPACES.get(found.space, {})}
    if "namespaceSelector" not in peer:
        return found.space == space and chosen(peer["podSelector"], found.labels)
    return chosen(peer["namespaceSelector"], named) and chosen(
        peer.get("podSelector"), found.labels
    )


def lets(objects: Iterable[Object], one: Peer, other: Peer, way: str, port: Any) -> bool:
    """Whether what is said of one lets it reach the other, or be reached by it."""
    of_one = [
        obj["spec"]
        for obj in objects
        if obj["metadata"]["namespace"] == one.space
        and way.capitalize() in obj["spec"].get("policyTypes", ["Ingress"])
        and chosen(obj["spec"]["podSelector"], one.labels)
    ]
    key = "to" if way == "egress" else "from"
    return not of_one or any(
        is_peer(peer, other, one.space)
        for spec in of_one
        for rule in spec[way]
        if "ports" not in rule or any(each["port"] == port for each in rule["ports"])
        for peer in rule[key]
    )


def may(
    apps: list[App], one: Peer, other: Peer, port: Any = 8080, brought: Sequence[Object] = ()
) -> bool:
    """Whether one reaches the other, where the apps have their policies, and some ``brought``."""
    made = policies(apps, NETWORK, brought=brought).values()
    objects = [*brought, *(obj for each in made for obj in each)]
    return lets(objects, one, other, "egress", port) and lets(objects, other, one, "ingress", port)


WEB, ORDERS = planned("web"), planned("orders")


def test_environments_do_not_reach_each_other() -> None:
    assert not may([WEB, ORDERS], pod(WEB), pod(ORDERS))
    assert not may([WEB, ORDERS], pod(WEB), Peer("kube-system", {"k8s-app": "other"}))
    assert not may([WEB, ORDERS], Peer("default"), pod(WEB))
    assert not may([WEB, ORDERS], WORLD, pod(WEB))


def test_pods_of_one_environment_reach_each_other() -> None:
    beside = planned("beside", namespace=WEB.namespace)
    brought = Peer(WEB.namespace, {"app": "cache"})
    for apps in ([WEB, ORDERS], [WEB, beside]):
        assert may(apps, pod(WEB), brought)
        assert may(apps, brought, pod(WEB))
    assert may([WEB, beside], pod(WEB), pod(beside))


def test_the_ingress_controller_reaches_them_and_is_reached_as_by_everybody() -> None:
    assert may([WEB], CONTROLLER, pod(WEB))
    assert may([WEB], pod(WEB), CONTROLLER, "http")
    assert may([WEB], pod(WEB), CONTROLLER, "https")
    assert not may([WEB], pod(WEB), CONTROLLER, 8081)


def test_they_reach_names_and_what_is_outside() -> None:
    assert may([WEB], pod(WEB), NAMES, 53)
    assert not may([WEB], pod(WEB), NAMES, 9153)
    assert may([WEB], pod(WEB), WORLD)
    assert not may([WEB], pod(WEB), OTHER_SERVICE)


def test_they_reach_the_api_only_with_an_account() -> None:
    assert not may([WEB], pod(WEB), API, 6443)
    rule = {"resources": ["pods"], "verbs": ["list"]}
    for named in (planned("web", service_account="reader"), planned("web", rbac=[rule])):
        assert may([named], pod(named), API, 6443)
        assert not may([named], pod(named), API, 10250)


def test_reach_opens_one_way_to_the_app_alone() -> None:
    web = planned("web", reach=[{"app": "orders"}])
    apps = [web, ORDERS, planned("third")]
    assert may(apps, pod(web), pod(ORDERS))
    assert may(apps, Peer(web.namespace, {"app": "worker"}), pod(ORDERS))
    assert not may(apps, pod(ORDERS), pod(web))
    assert not may(apps, pod(web), Peer(ORDERS.namespace, {"app": "database"}))
    assert not may(apps, pod(planned("third")), pod(ORDERS))


def test_services_with_an_address_are_reached_from_outside_alone() -> None:
    """Those that the operator's own files bring."""
    web = planned("web", manifests=[SERVICE])
    assert may([web, ORDERS], WORLD, pod(web))
    assert not may([web, ORDERS], pod(ORDERS), pod(web))
    assert not may([web, ORDERS], Peer("default"), pod(web))


def test_who_is_no_pod_reaches_the_ports_of_a_service_with_an_address() -> None:
    ports = {"tls": {"port": 443, "target": 8443}, "plain": {"port": 81}}
    inner = planned("web", service={"ports": ports})
    assert not may([inner, ORDERS], WORLD, pod(inner), 8443)
    for kind in ("LoadBalancer", "NodePort"):
        web = planned("web", service={"type": kind, "ports": ports}, ingress=None)
        beside = planned("beside", namespace=web.namespace)
        apps = [web, beside, ORDERS]
        assert may(apps, WORLD, pod(web), 8443)
        assert may(apps, WORLD, pod(web), 81)
        assert not may(apps, WORLD, pod(web), "http")
        assert not may(apps, WORLD, pod(beside), 8443)
        assert not may(apps, pod(ORDERS), pod(web), 8443)
    assert may([planned("web", service={"type": "NodePort"})], WORLD, pod(WEB), "http")


@pytest.mark.parametrize(
    ("entry", "branches", "found"),
    [
        ({"app": "orders"}, ["main", "feature"], "feature"),
        ({"app": "orders"}, ["main", "other"], "main"),
        ({"app": "orders"}, ["stable", "other"], "stable"),
        ({"app": "orders", "branch": "other"}, ["main", "other"], "other"),
        ({"app": "orders", "branch": "none"}, ["main"], None),
        ({"app": "none"}, ["main"], None),
    ],
)
def test_it_is_of_the_same_branch_else_of_main(
    entry: dict[str, str], branches: list[str], found: str | None
) -> None:
    web = planned("web", "feature", reach=[entry])
    target = reached(web, web.reach[0], [web, *(planned("orders", each) for each in branches)])
    assert (target.git_branch if target else None) == found


def test_a_branch_of_a_pattern_is_nobody_s_choice_but_its_own() -> None:
    web = planned("web", "feature", reach=[{"app": "orders"}])
    assert reached(web, web.reach[0], [planned("orders", "odd", pattern="o*")]) is None


def test_whom_a_branch_on_its_way_out_reaches_it_goes_on_to_reach() -> None:
    web = planned("web", reach=[{"app": "orders"}])
    live = policies([web, ORDERS], NETWORK)[ORDERS.namespace]
    kept = policies([ORDERS], NETWORK, live, [web.namespace])[ORDERS.namespace]
    assert lets(kept, pod(ORDERS), pod(web), "ingress", 8080)
    closed = policies([ORDERS], NETWORK, live)[ORDERS.namespace]
    assert not lets(closed, pod(ORDERS), pod(web), "ingress", 8080)


def user_s(spec: Object) -> Object:
    """A policy that the environment of the web brings."""
    return {"metadata": {"name": "own", "namespace": WEB.namespace}, "spec": spec}


CACHE, WORKER = (Peer(WEB.namespace, {"app": each}) for each in ("cache", "worker"))

FROM_WORKERS = {
    "podSelector": {"matchLabels": CACHE.labels},
    "policyTypes": ["Ingress"],
    "ingress": [{"from": [{"podSelector": {"matchLabels": WORKER.labels}}]}],
}


def test_a_policy_that_an_app_brings_closes_what_it_does_not_let_in() -> None:
    brought = [user_s(FROM_WORKERS)]
    assert may([WEB], WORKER, CACHE, brought=brought)
    assert not may([WEB], pod(WEB), CACHE, brought=brought)
    assert may([WEB], CACHE, WORKER, brought=brought)
    assert may([WEB], pod(WEB), WORKER, brought=brought)
    assert may([WEB], CONTROLLER, CACHE, brought=brought)


def test_one_that_selects_all_pods_says_of_all_of_them_whom_they_reach() -> None:
    closed = user_s({"podSelector": {}, "policyTypes": ["Ingress"], "ingress": []})
    assert not may([WEB], pod(WEB), CACHE, brought=[closed])
    out = user_s({"podSelector": {}, "policyTypes": ["Egress"], "egress": []})
    assert not may([WEB], pod(WEB), CACHE, brought=[out])
    assert may([WEB], pod(WEB), NAMES, 53, brought=[out])
    open_ = user_s({"podSelector": {}, "ingress": [{"from": [{"podSelector": {}}]}]})
    assert may([WEB], pod(WEB), CACHE, brought=[open_])


LABELS = [
    dict(zip(("app", "tier"), values, strict=True)) for values in product(("a", "b"), ("x", "y"))
] + [{}, {"app": "a"}]


@pytest.mark.parametrize(
    "selectors",
    [
        [],
        [{}],
        [{"matchLabels": {"app": "a"}}],
        [{"matchLabels": {"app": "a", "tier": "x"}}],
        [{"matchLabels": {"app": "a", "tier": "x"}}, {"matchLabels": {"app": "b"}}],
        [{"matchExpressions": [{"key": "tier", "operator": "Exists"}]}, {"matchLabels": {}}],
        [{"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}],
        [{"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["b", "a"]}]}],
    ],
)
def test_the_others_are_those_that_no_selector_selects(selectors: list[Object]) -> None:
    for labels in LABELS:
        selected = any(chosen(each, labels) for each in selectors)
        assert any(chosen(each, labels) for each in others(selectors)) is not selected


def test_charts_with_many_policies_do_not_make_many_more() -> None:
    selectors = [
        {"matchLabels": {"instance": "shop", "name": "redis", "component": str(number)}}
        for number in range(20)
    ]
    assert len(others(selectors)) == 3
    apart = [{"matchLabels": {f"a{number}": "1", f"b{number}": "1"}} for number in range(20)]
    assert others(apart) == []
