"""Nothing that a branch has in its repository gets beyond its environment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from slipway.apps.app import App
from slipway.apps.deploy.deploy import Outcome, deploy
from slipway.apps.environments.resolve import Leaving
from slipway.apps.manifests.environment import GROUP, identity
from slipway.apps.manifests.labels import ADMITS, EXTRA_OF
from slipway.apps.manifests.network import Network
from slipway.kube.client import NETWORK_POLICIES, ApiError, Kube
from tests.support.app_cluster import FakeApi, rolled_out_at_once
from tests.support.apps import built, reason
from tests.support.attacks import ATTACKS

ROLE = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: odd-admin}\n"
BALANCED = (
    "apiVersion: v1\nkind: Service\nmetadata: {name: odd-more}\n"
    "spec: {type: LoadBalancer, ports: [{port: 80}]}\n"
)
REDIS = "apps.slipway.internal/docker.io/library/redis:8-0123456789ab"
SOUND = """
apiVersion: v1
kind: ServiceAccount
metadata: {name: worker}
---
apiVersion: v1
kind: Service
metadata: {name: cache, annotations: {prometheus.io/scrape: "true"}}
spec: {clusterIP: None, ports: [{port: 80}], selector: {app: cache}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: cache}
spec:
  replicas: 1
  selector: {matchLabels: {app: cache}}
  template:
    metadata: {labels: {app: cache, app.kubernetes.io/managed-by: Helm}}
    spec:
      serviceAccountName: worker
      hostNetwork: false
      tolerations: [{key: disk, operator: Exists}]
      containers:
        - {name: a, image: "{{ image }}", ports: [{containerPort: 80}]}
        - {name: b, image: "docker.io/library/redis:8"}
      volumes: [{name: a, emptyDir: {}}, {name: b, secret: {secretName: s}}]
  volumeClaimTemplates: [{metadata: {name: data}, spec: {storageClassName: fast}}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: more, annotations: {nginx.org/client-max-body-size: 8m, helm.sh/chart: a}}
spec:
  ingressClassName: nginx
  rules:
    - host: demo.slipway.test
      http:
        paths:
          - path: /odd/main/more/
            pathType: Prefix
            backend: {service: {name: cache, port: {number: 80}}}
"""


@pytest.fixture(autouse=True)
def controllers(api: FakeApi) -> None:
    """Deployments are ready at once."""
    api.on_apply = rolled_out_at_once


def odd(tmp_path: Path, text: str, **changes: Any) -> App:
    """The app with a manifest in its repository."""
    (tmp_path / "odd.yaml").write_text(text)
    carried = [{"named": "docker.io/library/redis:8", "image": REDIS}]
    brought: dict[str, Any] = {"manifests": [{"source": "odd.yaml"}], "checkout": str(tmp_path)}
    return built("odd", **brought, carried=carried, **changes)


def run(kube: Kube, *apps: App, **options: Any) -> Outcome:
    settings: dict[str, Any] = {"secrets": {}, "ca_dir": Path("/nonexistent"), "seconds": 5}
    return deploy(kube, apps, "nginx", say=print, **{**settings, **options})


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_fails_its_app_alone_and_is_told(
    kube: Kube, api: FakeApi, tmp_path: Path, name: str, dry_run: bool
) -> None:
    attack = ATTACKS[name]
    outcome = run(kube, odd(tmp_path, attack.text), built("quote"), dry_run=dry_run)
    why = reason(outcome.apps[0])
    assert all(words in why for words in attack.said), why
    assert all(line.startswith("odd.yaml:") for line in why.splitlines()), why
    names = {obj["metadata"]["name"] for obj in attack.objects}
    assert not [key for key in api.objects if key[1] == "odd-main" and key[2] in names]
    assert ("deployments", "odd-main", "odd") not in api.objects
    assert not outcome.apps[1].failed
    assert dry_run or ("ingresses", "quote-main", "quote") in api.objects


def test_what_an_environment_needs_is_applied_by_its_own_identity(
    kube: Kube, api: FakeApi, tmp_path: Path
) -> None:
    outcome = run(kube, odd(tmp_path, SOUND), built("quote"))
    assert not any(app.failed for app in outcome.apps)
    pod = api.named("statefulsets", "odd-main", "cache")["spec"]["template"]["spec"]
    assert [each["image"] for each in pod["containers"]] == [built("odd").image, REDIS]
    space = "/namespaces/odd-main"
    assert sorted({*api.impersonated}) == [
        (identity("odd-main"), f"/api/v1{space}/serviceaccounts/worker"),
        (identity("odd-main"), f"/api/v1{space}/services/cache"),
        (identity("odd-main"), f"/apis/apps/v1{space}/statefulsets/cache"),
        (identity("odd-main"), f"/apis/networking.k8s.io/v1{space}/ingresses/more"),
    ]
    more = api.named("ingresses", "odd-main", "more")
    assert more["metadata"]["annotations"]["nginx.org/mergeable-ingress-type"] == "minion"
    assert more["spec"]["ingressClassName"] == "nginx"
    assert not run(kube, odd(tmp_path, SOUND), built("quote")).changed


@pytest.mark.parametrize("place", ["content", "file"])
@pytest.mark.parametrize("text", [ROLE, BALANCED])
def test_what_the_operator_wrote_may_be_more_where_apps_yml_says_so(
    kube: Kube, api: FakeApi, tmp_path: Path, place: str, text: str
) -> None:
    (tmp_path / "own.yaml").write_text(text)
    entry: dict[str, Any] = {place: text if place == "content" else str(tmp_path / "own.yaml")}
    outcome = run(kube, built("odd", manifests=[entry]))
    assert "add allow_kinds: [ClusterRole]" in reason(outcome.apps[0]) or text == BALANCED
    assert reason(outcome.apps[0])
    entry = {**entry, "allow_kinds": ["Service", "ClusterRole.rbac.authorization.k8s.io"]}

    def balanced(api: FakeApi, obj: dict[str, Any]) -> None:
        rolled_out_at_once(api, obj)
        if obj["kind"] == "Service":
            obj["status"] = {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}

    api.on_apply = balanced
    assert not reason(run(kube, built("odd", manifests=[entry])).apps[0])
    assert api.impersonated == []
    assert [key for key in api.objects if key[2] in ("odd-admin", "odd-more")]


def test_the_identity_of_an_environment_can_do_nothing_elsewhere(
    kube: Kube, api: FakeApi, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Also where the check that comes before it lets everything pass."""
    monkeypatch.setattr("slipway.apps.deploy.extras.check", lambda *_given: None)
    outcome = run(kube, odd(tmp_path, ROLE), built("quote"))
    assert f'User "{identity("odd-main")}" cannot patch resource "clusterroles"' in reason(
        outcome.apps[0]
    )
    other = kube.acting_as(identity("odd-main"), GROUP)
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}
    with pytest.raises(ApiError, match='in the namespace "quote-main"'):
        other.apply({**config, "metadata": {"name": "a", "namespace": "quote-main"}})
    assert not outcome.apps[1].failed


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("Service", "quote"),
        ("Deployment", "quote"),
        ("Secret", "quote-0123456789"),
        ("ConfigMap", "more"),
    ],
)
def test_what_is_another_app_s_in_the_same_namespace_is_not_taken(
    kube: Kube, api: FakeApi, tmp_path: Path, kind: str, name: str
) -> None:
    shared = {"namespace": "shop"}
    config = {"content": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: more}\n"}
    quote = built("quote", manifests=[config], **shared)
    run(kube, quote)
    if kind == "Secret":
        labels = api.named("deployments", "shop", "quote")["metadata"]["labels"]
        about = {"name": name, "namespace": "shop", "labels": labels}
        api.put("secrets", {"metadata": about, "data": {}})
    quote.fail("build", "no")  # so nothing of it is known but what is in the cluster
    version = "apps/v1" if kind == "Deployment" else "v1"
    text = f"apiVersion: {version}\nkind: {kind}\nmetadata: {{name: {name}}}\n"
    text += "spec: {selector: {}}\n" if kind in ("Service", "Deployment") else ""
    before = api.named(f"{kind.lower()}s", "shop", name)
    outcome = run(kube, odd(tmp_path, text, **shared), quote)
    assert "give it another name" in reason(outcome.apps[0])
    assert api.named(f"{kind.lower()}s", "shop", name) == before
    assert EXTRA_OF in before["metadata"]["labels"] or kind != "ConfigMap"


def minion(api: FakeApi, namespace: str, name: str) -> list[str]:
    """The paths of a minion; none if it is gone."""
    found = api.objects.get(("ingresses", namespace, name), {"spec": {"rules": []}})
    return [path["path"] for rule in found["spec"]["rules"] for path in rule["http"]["paths"]]


def routed(*paths: str) -> dict[str, Any]:
    rules = [{"host": "demo.slipway.test", "path": path} for path in paths]
    settings = {"websocket": False, "max_body_size": "1m", "timeout": "60s"}
    return {"ingress": {**settings, "rules": rules}}


def test_a_path_that_apps_yml_gave_to_another_app_is_not_kept(
    kube: Kube, api: FakeApi, tmp_path: Path
) -> None:
    """Not even by an app that fails, and so stays as it is; nor by what its branch brought."""
    run(kube, odd(tmp_path, SOUND, **routed("/odd/main/", "/first/")))
    assert minion(api, "odd-main", "odd") == ["/odd/main/", "/first/"]
    assert minion(api, "odd-main", "more") == ["/odd/main/more/"]
    failing = odd(tmp_path, SOUND, **routed("/odd/main/"))
    failing.fail("build", "no")
    heir = built("heir", **routed("/first/"))
    run(kube, failing, heir)
    assert minion(api, "odd-main", "odd") == ["/odd/main/"]
    assert minion(api, "odd-main", "more") == ["/odd/main/more/"]
    assert minion(api, "heir-main", "heir") == ["/first/"]
    elsewhere = structs.replace(failing, ingress=None)
    heir = built("heir", **routed("/first/", "/odd/main/"))
    run(kube, elsewhere, heir)
    assert minion(api, "odd-main", "odd") == minion(api, "odd-main", "more") == []
    assert ("ingresses", "odd-main", "odd") not in api.objects
    assert ("deployments", "odd-main", "odd") in api.objects
    assert not run(kube, elsewhere, heir).changed


def test_pods_that_pod_security_refuses_are_told_before_anything_is_written(
    kube: Kube, api: FakeApi, tmp_path: Path
) -> None:
    words = 'would violate PodSecurity "restricted:latest": allowPrivilegeEscalation != false'
    api.warnings["statefulsets/cache"] = words
    outcome = run(kube, odd(tmp_path, SOUND), built("quote"))
    why = reason(outcome.apps[0])
    assert f"StatefulSet cache: {words}" in why
    assert "securityContext" in why
    assert "pod_security" in why
    assert ("serviceaccounts", "odd-main", "worker") not in api.objects
    assert not outcome.apps[1].failed


def test_environments_hold_their_pods_to_pod_security(kube: Kube, api: FakeApi) -> None:
    run(kube, built("odd"), built("quote", pod_security="baseline"))
    modes = [f"pod-security.kubernetes.io/{mode}" for mode in ("enforce", "warn", "audit")]

    def levels(name: str) -> dict[str, str]:
        labels = api.named("namespaces", "", name)["metadata"]["labels"]
        return {key: labels[key] for key in labels if key.startswith("pod-security")}

    latest = dict.fromkeys([f"{mode}-version" for mode in modes], "latest")
    assert levels("odd-main") == {**dict.fromkeys(modes, "restricted"), **latest}
    assert levels("quote-main") == {**dict.fromkeys(modes, "baseline"), **latest}
    labels = api.named("namespaces", "", "odd-main")["metadata"]["labels"]
    labels["pod-security.kubernetes.io/enforce"] = "privileged"
    api.requests.clear()
    assert run(kube, built("odd"), built("quote")).changed
    assert levels("odd-main") == levels("quote-main")
    assert {path.split("/")[-1] for _method, path in api.writes} == {"odd-main", "quote-main"}
    assert not run(kube, built("odd"), built("quote")).changed


def test_pods_that_name_no_account_get_no_token(kube: Kube, api: FakeApi) -> None:
    given = {"metadata": {"name": "default", "namespace": "odd-main"}}
    api.put("serviceaccounts", given)  # as Kubernetes makes one in every namespace
    assert not run(kube, built("odd")).apps[0].failed
    account = api.named("serviceaccounts", "odd-main", "default")
    assert account["automountServiceAccountToken"] is False


def test_an_account_that_somebody_else_made_is_nobody_s(kube: Kube, api: FakeApi) -> None:
    run(kube, built("odd"))
    api.put("serviceaccounts", {"metadata": {"name": "deployer", "namespace": "odd-main"}})
    outcome = run(kube, built("odd", service_account="deployer"))
    assert "no ServiceAccount deployer among the manifests" in reason(outcome.apps[0])


@pytest.mark.parametrize(
    ("level", "wanted", "complaint"),
    [
        ("", "restricted", "pod-security.kubernetes.io/enforce=restricted"),
        ("baseline", "restricted", "pod-security.kubernetes.io/enforce=restricted"),
        ("baseline", "baseline", ""),
        ("restricted", "baseline", ""),
    ],
)
def test_a_namespace_that_somebody_else_made_holds_its_pods_itself(
    kube: Kube, api: FakeApi, level: str, wanted: str, complaint: str
) -> None:
    labels = {ADMITS: "true", **({"pod-security.kubernetes.io/enforce": level} if level else {})}
    space = {"metadata": {"name": "theirs", "labels": labels}, "status": {"phase": "Active"}}
    api.put("namespaces", space)
    outcome = run(kube, built("odd", namespace="theirs", pod_security=wanted))
    assert complaint in reason(outcome.apps[0])
    assert bool(outcome.apps[0].failed) == bool(complaint)
    assert api.named("namespaces", "", "theirs") == space
    assert ("serviceaccounts", "theirs", "default") not in api.objects


def test_an_environment_has_a_quota_and_limits(kube: Kube, api: FakeApi) -> None:
    usual = {"pods": "20", "requests.cpu": "4", "requests.memory": "8Gi"}
    more = {"pods": "50", "requests.cpu": "500m"}
    shared = {"namespace": "shop"}
    apps = [
        built("odd"),
        built("quote", quota=more),
        built("one", **shared),
        built("two", quota=more, **shared),
    ]
    assert not any(app.failed for app in run(kube, *apps, quota=usual).apps)

    def hard(name: str) -> dict[str, str]:
        quota = api.named("resourcequotas", name, "slipway-environment")
        return dict(quota["spec"]["hard"])

    none = {"services.loadbalancers": "0", "services.nodeports": "0"}
    assert hard("odd-main") == {**usual, **none}
    assert hard("quote-main") == {**usual, **more, **none}
    assert hard("shop") == {
        "pods": "70",
        "requests.cpu": "4500m",
        "requests.memory": "16Gi",
        **none,
    }
    [limit] = api.named("limitranges", "shop", "slipway-environment")["spec"]["limits"]
    assert limit["default"] == {"memory": "1Gi"}
    assert not run(kube, *apps, quota=usual).changed
    api.named("resourcequotas", "shop", "slipway-environment")["spec"]["hard"]["pods"] = "1000"
    assert run(kube, *apps, quota=usual).changed
    assert hard("shop")["pods"] == "70"


def test_services_that_the_operator_brings_may_have_addresses(kube: Kube, api: FakeApi) -> None:
    brought = [{"content": SOUND.split("---")[1], "allow_kinds": ["Service"]}]
    run(kube, built("odd", manifests=brought), quota={"pods": "20"})
    quota = api.named("resourcequotas", "odd-main", "slipway-environment")
    assert quota["spec"]["hard"] == {"pods": "20"}


def test_an_environment_has_the_addresses_that_its_apps_ask_for_and_no_more(
    kube: Kube, api: FakeApi
) -> None:
    balanced = built("odd", service={"type": "LoadBalancer"})
    ports = {"a": {"port": 1}, "b": {"port": 2}}
    of_nodes = built("even", namespace="odd-main", service={"type": "NodePort", "ports": ports})
    run(kube, balanced, of_nodes, quota={"pods": "20"})
    hard = api.named("resourcequotas", "odd-main", "slipway-environment")["spec"]["hard"]
    assert hard["services.loadbalancers"] == "1"
    assert hard["services.nodeports"] == "3"  # one for its routes


@pytest.mark.parametrize(("ports", "count"), [({}, "1"), ({"a": {"port": 1}}, "1")])
def test_an_app_without_routes_has_as_many_ports_of_nodes_as_its_service(
    ports: dict[str, Any], count: str, kube: Kube, api: FakeApi
) -> None:
    run(kube, built("odd", ingress=None, service={"type": "NodePort", "ports": ports}))
    hard = api.named("resourcequotas", "odd-main", "slipway-environment")["spec"]["hard"]
    assert hard["services.nodeports"] == count
    assert len(api.named("services", "odd-main", "odd")["spec"]["ports"]) == int(count)


@pytest.mark.parametrize(
    ("requests", "limits", "wanted"),
    [
        ({}, {}, None),
        ({"memory": "512Mi"}, {}, None),
        ({"memory": "2Gi"}, {}, "2Gi"),
        ({"memory": "2Gi"}, {"memory": "3Gi"}, "3Gi"),
    ],
)
def test_who_reserves_more_than_is_usual_may_use_it(
    kube: Kube, api: FakeApi, requests: dict[str, str], limits: dict[str, str], wanted: str | None
) -> None:
    resources = {"requests": requests, "limits": limits}
    run(kube, built("odd", resources=resources))
    pod = api.named("deployments", "odd-main", "odd")["spec"]["template"]["spec"]
    found = pod["containers"][0].get("resources", {}).get("limits", {})
    assert found.get("memory") == wanted


POLICIES = NETWORK_POLICIES.plural

NETWORK = Network("10.244.0.0/16", "10.96.0.0/16")


def guarded(api: FakeApi) -> list[str]:
    """The policies that Slipway made, as namespace and name."""
    return sorted(f"{place}/{name}" for kind, place, name in api.objects if kind == POLICIES)


def test_environments_are_apart_on_the_network(kube: Kube, api: FakeApi) -> None:
    """Also that of an app that fails, if it is there already."""
    web = built("web", reach=[{"app": "quote"}])
    run(kube, built("odd"))
    assert not guarded(api)
    failing = built("odd")
    failing.fail("build", "no compiler")
    unmade = built("unmade")
    unmade.fail("build", "no compiler")
    apps = [failing, unmade, built("quote"), web]
    assert run(kube, *apps, network=NETWORK).changed
    assert guarded(api) == [
        "odd-main/slipway-environment",
        "odd-main/slipway-own-pods-egress-0",
        "odd-main/slipway-own-pods-ingress-0",
        "quote-main/slipway-environment",
        "quote-main/slipway-own-pods-egress-0",
        "quote-main/slipway-own-pods-ingress-0",
        "quote-main/slipway-reach-quote",
        "web-main/slipway-environment",
        "web-main/slipway-own-pods-egress-0",
        "web-main/slipway-own-pods-ingress-0",
    ]
    assert not run(kube, *apps, network=NETWORK).changed
    api.named(POLICIES, "odd-main", "slipway-environment")["spec"]["ingress"] = [{}]
    assert run(kube, *apps, network=NETWORK).changed
    assert api.named(POLICIES, "odd-main", "slipway-environment")["spec"]["ingress"] != [{}]
    run(kube, *apps[:3], built("web"), network=NETWORK)
    assert "quote-main/slipway-reach-quote" not in guarded(api)


def test_a_way_to_others_stays_as_long_as_the_environment(kube: Kube, api: FakeApi) -> None:
    web = built("web", reach=[{"app": "quote"}])
    run(kube, built("quote"), web, network=NETWORK)
    before = guarded(api)
    going = Leaving(id=web.id, name="web", namespace=web.namespace, git_branch="main")
    assert not run(kube, built("quote"), network=NETWORK, leaving=[going]).changed
    assert guarded(api) == before


def test_a_namespace_of_others_gets_no_policies(kube: Kube, api: FakeApi) -> None:
    labels = {ADMITS: "true", "pod-security.kubernetes.io/enforce": "restricted"}
    space = {"metadata": {"name": "theirs", "labels": labels}, "status": {"phase": "Active"}}
    api.put("namespaces", space)
    run(kube, built("odd", namespace="theirs"), built("quote"), network=NETWORK)
    assert {each.partition("/")[0] for each in guarded(api)} == {"quote-main"}


def test_the_address_of_the_api_is_asked_of_the_cluster(kube: Kube, api: FakeApi) -> None:
    assert Network.of(kube, "10.244.0.0/16", "10.96.0.0/16") == NETWORK
    about = {"name": "kubernetes", "namespace": "default"}
    endpoints = [{"addresses": ["192.0.2.12"]}, {"addresses": ["192.0.2.11"]}]
    api.put("endpointslices", {"metadata": about, "endpoints": endpoints, "ports": [{"port": 1}]})
    found = Network.of(kube, "10.244.0.0/16", "10.96.0.0/16")
    assert found.api == (("192.0.2.11", 1), ("192.0.2.12", 1))


POLICY = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: own}}
spec: {spec}
"""


@pytest.mark.parametrize(
    "spec",
    [
        "text",
        "{podSelector: [a]}",
        "{policyTypes: [1]}",
        "{podSelector: {matchLabels: [a]}}",
        "{podSelector: {matchLabels: {a: [b, {}]}}}",
        "{podSelector: {matchExpressions: [{key: a, operator: Odd}]}}",
    ],
)
def test_a_policy_that_is_none_fails_its_app_alone(
    kube: Kube, api: FakeApi, tmp_path: Path, spec: str
) -> None:
    apps = [odd(tmp_path, POLICY.format(spec=spec)), built("quote")]
    outcome = run(kube, *apps, network=NETWORK)
    assert "NetworkPolicy own" in reason(outcome.apps[0])
    assert not outcome.apps[1].failed


def test_a_policy_of_a_branch_decides_for_the_pods_that_it_selects(
    kube: Kube, api: FakeApi, tmp_path: Path
) -> None:
    text = POLICY.format(spec="{podSelector: {matchLabels: {app: cache}}}")
    assert not run(kube, odd(tmp_path, text), network=NETWORK).apps[0].failed
    own = api.named(POLICIES, "odd-main", "slipway-own-pods-ingress-0")["spec"]["podSelector"]
    assert own == {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["cache"]}]}
    failing = odd(tmp_path, text)
    failing.fail("build", "no compiler")
    assert not run(kube, failing, network=NETWORK).changed
