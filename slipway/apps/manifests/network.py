"""Who reaches whom on the network: the NetworkPolicies of environments.

Pods of an environment are reached by one another, by the ingress controller and by their node. They
reach one another, names, the ingress controller, which serves everybody, and what is outside of the
cluster. Other environments are reached where apps.yml says so.

Policies add up. So that those which apps bring can close something, pods that they select reach one
another as these say, and no more because they are of one environment.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from slipway.apps.app import App, Reach
from slipway.apps.manifests.documents import Fault
from slipway.apps.manifests.labels import HTTP, OWN, selector
from slipway.kube.client import ENDPOINT_SLICES, NETWORK_POLICIES, SERVICES, Kube, Object
from slipway.kube.objects import sealed

NAME = "slipway-environment"
"""The name of the policy that every environment has."""

INGRESS = {"slipway.internal/ingress": "true"}
"""The label of the namespace that the ingress controller is in."""

MAIN = "main"
"""The branch that is meant where there is none of the same name."""

_Term = tuple[str, str, tuple[str, ...]]
"""One requirement of a selector: a label, an operator, and its values."""

_OPPOSITES = {
    one: other
    for pair in (("In", "NotIn"), ("Exists", "DoesNotExist"))
    for one, other in (pair, pair[::-1])
}

_MOST = 50
"""With more selectors than these, pods that no policy selects reach their own no more."""

_SPACE = "kubernetes.io/metadata.name"
_ANYWHERE = "0.0.0.0/0"


@dataclass(frozen=True)
class Network:
    """The cluster's network: the ranges of its pods and services, and where its API answers."""

    pods: str
    services: str
    api: Sequence[tuple[str, int]] = ()

    @classmethod
    def of(cls, kube: Kube, pods: str, services: str) -> Network:
        """The network with the addresses at which a cluster's API answers to its own pods."""
        found = kube.get(ENDPOINT_SLICES, "kubernetes", "default") or {}
        api = [
            (address, port["port"])
            for port in found.get("ports", ())
            for endpoint in found.get("endpoints", ())
            for address in endpoint["addresses"]
        ]
        return cls(pods, services, tuple(sorted(api)))


def reached(app: App, entry: Reach, apps: Iterable[App]) -> App | None:
    """The app that an entry of ``reach`` means; None where there is none.

    It is that of the branch that the entry names. Without one, it is a service of the app's own
    environment, or whose service it is, else that of the app's own branch, else that of the branch
    main, else the first that is no pattern's.
    """
    named = [each for each in apps if each.name == entry.app and each.id != app.id]
    by_branch = {each.git_branch: each for each in reversed(named)}
    if entry.branch:
        return by_branch.get(entry.branch)
    beside = [each for each in named if each.namespace == app.namespace]
    if own := [each for each in beside if each.family == app.family]:
        return own[0]
    written = [each for each in named if not each.pattern]
    found = by_branch.get(app.git_branch) or by_branch.get(MAIN)
    return found or (written[0] if written else None)


def policies(
    apps: Collection[App],
    network: Network,
    live: Iterable[Object] = (),
    leaving: Collection[str] = (),
    brought: Iterable[Object] = (),
) -> dict[str, list[Object]]:
    """The policies of each namespace of the apps, beside those ``brought`` by the apps.

    Whom the namespaces that are ``leaving`` reach by the ``live`` policies, they go on to reach.
    """
    ways = {
        (app.namespace, target.id): target
        for app in apps
        for entry in app.reach
        if (target := reached(app, entry, apps))
    }
    targets: dict[str, list[App]] = defaultdict(list)
    sources: dict[str, set[str]] = defaultdict(set)
    for (space, target_id), target in ways.items():
        targets[space].append(target)
        sources[target_id].add(space)
    kept = {
        (obj["metadata"]["namespace"], obj["metadata"]["name"]): {*_sources(obj)} & {*leaving}
        for obj in live
    }
    said: dict[str, list[Object]] = defaultdict(list)
    for obj in brought:
        said[obj["metadata"]["namespace"]].append(obj["spec"])
    by_space: dict[str, list[App]] = defaultdict(list)
    for app in apps:
        by_space[app.namespace].append(app)
    found = {}
    for space, users in by_space.items():
        objects = [_environment(space, users, targets[space], network), *_among(space, said[space])]
        for app in users:
            spaces = sources[app.id] | kept.get((space, _opened(app)), set())
            objects += [_reached(app, sorted(spaces))] if spaces else []
            objects += [_open(app, network)] if app.is_open else []
        found[space] = [*map(sealed, objects)]
    return found


def _environment(
    space: str, users: Iterable[App], targets: Iterable[App], network: Network
) -> Object:
    """What holds for all pods of an environment."""
    users = list(users)
    controller: Object = {"namespaceSelector": {"matchLabels": dict(INGRESS)}}
    incoming: list[Object] = [{"from": [controller]}]
    if any(SERVICES.kind in app.allow_kinds for app in users):
        # Services with an address outside, which only the operator brings.
        incoming.append({"from": [_block([network.pods])]})
    api = [f"{address}/32" for address, _port in network.api]
    outgoing: list[Object] = [
        {"to": [_block([network.pods, network.services, *dict.fromkeys(api)])]},
        {"to": [_names()], "ports": [*_ports(["UDP", "TCP"], 53)]},
        {"to": [controller], "ports": [*_ports(["TCP"], "http", "https")]},
    ]
    if any(app.account for app in users):
        outgoing += [
            {"to": [{"ipBlock": {"cidr": f"{address}/32"}}], "ports": [*_ports(["TCP"], port)]}
            for address, port in network.api
        ]
    outgoing += [{"to": [_pods_of(target)]} for target in sorted(targets, key=lambda each: each.id)]
    return _policy(space, NAME, {}, {"ingress": incoming, "egress": outgoing})


def _among(space: str, brought: Collection[Object]) -> Iterator[Object]:
    """What lets pods of an environment to one another, of which no policy says whom they reach."""
    for way, key in (("ingress", "from"), ("egress", "to")):
        rules: Object = {way: [{key: [{"podSelector": {}}]}]}
        selectors = [spec.get("podSelector") or {} for spec in brought if way in _ways(spec)]
        for number, pods in enumerate(others(selectors)):
            yield _policy(space, f"slipway-own-pods-{way}-{number}", pods, rules)


def check(policy: Object) -> None:
    """Raise Fault when a policy that an app brings does not say whom it is about."""
    try:
        _ways(policy["spec"])
        others([policy["spec"].get("podSelector") or {}])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        name = policy["metadata"]["name"]
        raise Fault(f"NetworkPolicy {name}: its spec is none: correct its podSelector") from error


def _ways(policy: Object) -> set[str]:
    """The ways of which a policy says something."""
    usual = ["Ingress", *(["Egress"] if policy.get("egress") else [])]
    return {way.lower() for way in policy.get("policyTypes") or usual}


def others(selectors: Iterable[Object]) -> list[Object]:
    """Selectors that together select what none of the given ones does."""
    found: set[frozenset[_Term]] = {frozenset()}
    for selector_ in selectors:
        terms = {_opposite(term) for term in _terms(selector_)}
        if len(found) * len(terms) > 4 * _MOST:
            return []
        made = {each | {term} for each in found for term in terms}
        # One that asks for more than another selects nothing that this does not.
        found = {each for each in made if not any(less < each for less in made)}
        if len(found) > _MOST:
            return []
    return [_selector(each) for each in sorted(found, key=sorted)]


def _terms(selects: Object) -> Iterator[_Term]:
    for key, value in (selects.get("matchLabels") or {}).items():
        yield key, "In", (value,)
    for each in selects.get("matchExpressions") or ():
        yield each["key"], each["operator"], tuple(sorted(each.get("values") or ()))


def _opposite(term: _Term) -> _Term:
    key, operator, values = term
    return key, _OPPOSITES[operator], values


def _selector(terms: Iterable[_Term]) -> Object:
    expressions = [
        {"key": key, "operator": operator, **({"values": [*values]} if values else {})}
        for key, operator, values in sorted(terms)
    ]
    return {"matchExpressions": expressions} if expressions else {}


def _reached(app: App, spaces: Sequence[str]) -> Object:
    """What lets the pods of other namespaces to those of an app."""
    chosen = {"matchExpressions": [{"key": _SPACE, "operator": "In", "values": [*spaces]}]}
    rules = {"ingress": [{"from": [{"namespaceSelector": chosen}]}]}
    return _policy(app.namespace, _opened(app), {"matchLabels": selector(app)}, rules)


def _open(app: App, network: Network) -> Object:
    """What lets those who are no pods to the ports of an app's Service."""
    ports = [*_ports(["TCP"], HTTP)] if app.has_own_port else []
    for port in app.service.ports.values():
        ports += _ports([port.protocol], port.of_container)
    rules = {"ingress": [{"from": [_block([network.pods])], "ports": ports}]}
    return _policy(app.namespace, f"slipway-open-{app.name}", {"matchLabels": selector(app)}, rules)


def _opened(app: App) -> str:
    """The name of the policy that lets others to an app."""
    return f"slipway-reach-{app.name}"


def _sources(policy: Object) -> Iterator[str]:
    """The namespaces that a policy of :func:`_reached` lets in."""
    for rule in policy["spec"].get("ingress") or ():
        for peer in rule.get("from") or ():
            for each in peer.get("namespaceSelector", {}).get("matchExpressions") or ():
                yield from each.get("values") or ()


def _policy(space: str, name: str, pods: Object, rules: Mapping[str, list[Object]]) -> Object:
    return {
        "apiVersion": NETWORK_POLICIES.api_version,
        "kind": NETWORK_POLICIES.kind,
        "metadata": {"name": name, "namespace": space, "labels": dict(OWN)},
        "spec": {
            "podSelector": pods,
            "policyTypes": [each.capitalize() for each in rules],
            **rules,
        },
    }


def _block(without: Sequence[str]) -> Object:
    """All addresses but those of some ranges."""
    return {"ipBlock": {"cidr": _ANYWHERE, "except": [*without]}}


def _names() -> Object:
    """The pods that tell the addresses of names."""
    return {
        "namespaceSelector": {"matchLabels": {_SPACE: "kube-system"}},
        "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
    }


def _pods_of(app: App) -> Object:
    return {
        "namespaceSelector": {"matchLabels": {_SPACE: app.namespace}},
        "podSelector": {"matchLabels": selector(app)},
    }


def _ports(protocols: Iterable[str], *ports: int | str) -> Iterator[dict[str, Any]]:
    for port in ports:
        for protocol in protocols:
            yield {"port": port, "protocol": protocol}
