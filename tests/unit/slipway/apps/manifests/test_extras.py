"""Manifests of apps: applied, kept, and removed, through an API over HTTP."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from slipway.apps.app import App, Built, Manifest
from slipway.apps.deploy.deploy import Outcome, deploy, render_change
from slipway.apps.manifests.labels import EXTRA_KINDS, EXTRA_OF
from slipway.apps.manifests.network import Network
from slipway.kube.client import Kube, Object
from tests.support.app_cluster import FakeApi, rolled_out_at_once
from tests.support.apps import built

ACCOUNT = """
apiVersion: v1
kind: ServiceAccount
metadata:
  name: reader
"""
REDIS = """
apiVersion: v1
kind: Service
metadata:
  name: redis
  labels: {app.kubernetes.io/name: redis}
spec:
  ports: [{port: 6379}]
---
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: redis
spec:
  replicas: 1
  selector: {matchLabels: {app.kubernetes.io/name: redis}}
"""
ROLE = """
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: "{{ namespace }}-reader"
rules: []
"""
DEFINITION = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: boats.example.org
spec:
  group: example.org
  names: {kind: Boat, plural: boats}
  scope: Namespaced
  versions: [{name: v1}]
"""
BOAT = "apiVersion: example.org/v1\nkind: Boat\nmetadata: {name: small}\n"
JOB = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: migrate}\nspec: {image: '{{ image }}'}\n"
SETTINGS = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {speed: fast}\n"
STORE = (
    "apiVersion: v1\nkind: Secret\nmetadata: {name: store}\n"
    "data: {key.p12: MIID/w==, nul: YQBi, tls.crt: LS0t}\n"
)


ALLOWED = ["ClusterRole", "CustomResourceDefinition", "Boat", "Ship"]


def app(*texts: str, **changes: Any) -> Built:
    """An app with these manifests, which the operator wrote."""
    entries = [Manifest(content=text, allow_kinds=ALLOWED) for text in texts]
    return built(**{"manifests": entries, **changes})


def run(kube: Kube, apps: Sequence[App], **options: Any) -> Outcome:
    settings: dict[str, Any] = {"secrets": {}, "ca_dir": Path("/nonexistent"), "seconds": 10}
    return deploy(kube, apps, "nginx", say=print, **{**settings, **options})


def reason(outcome: Outcome, at: int = 0) -> str:
    failed = outcome.apps[at].failed
    assert failed
    assert failed.step == "deploy"
    return failed.reason


def deployment(api: FakeApi) -> Object:
    return api.named("deployments", "greeter-main", "greeter")


def written(api: FakeApi) -> list[str]:
    """Method, plural and name of what was written about apps' objects since the last look."""
    paths = [(method, path.split("/")[-2:]) for method, path in api.writes]
    api.requests.clear()
    return [
        f"{method} {plural}/{name}" for method, (plural, name) in paths if name != "environments"
    ]


@pytest.fixture(autouse=True)
def controllers(api: FakeApi) -> None:
    """Deployments are ready at once."""
    api.on_apply = rolled_out_at_once


def test_extras_get_the_apps_namespace_and_keep_their_own_labels(kube: Kube, api: FakeApi) -> None:
    outcome = run(kube, [app(REDIS, ACCOUNT)])
    assert not outcome.apps[0].failed
    service = api.named("services", "greeter-main", "redis")
    assert service["metadata"]["labels"] == {"app.kubernetes.io/name": "redis", EXTRA_OF: "greeter"}
    assert api.named("statefulsets", "greeter-main", "redis")["spec"]["replicas"] == 1
    assert api.named("serviceaccounts", "greeter-main", "reader")


def test_extras_come_before_the_app_that_needs_them(kube: Kube, api: FakeApi) -> None:
    run(kube, [app(ACCOUNT)])
    order = written(api)
    assert order.index("PATCH serviceaccounts/reader") < order.index("PATCH deployments/greeter")


def test_a_run_with_nothing_to_do_reads_two_things_more_for_each_kind(
    kube: Kube, api: FakeApi, kubeconfig: Path
) -> None:
    """Where the API keeps it, and the objects; whatever the number of apps."""
    redis = REDIS.partition("---\n")[2]
    apps = [app(redis), app(redis, branch="feature")]
    plain = [built(), built(branch="feature")]
    counts = []
    for wanted in (plain, apps):
        run(kube, wanted)
        with Kube(kubeconfig) as client:
            api.requests.clear()
            assert not run(client, wanted).changed
        assert api.writes == []
        counts.append(len(api.requests))
    assert counts[1] - counts[0] == 2


def test_what_leaves_the_list_is_removed_whatever_its_kind(kube: Kube, api: FakeApi) -> None:
    run(kube, [app(REDIS, ACCOUNT)])
    noted = deployment(api)["metadata"]["annotations"][EXTRA_KINDS]
    assert noted == "apps/v1 StatefulSet,v1 Service,v1 ServiceAccount"
    written(api)
    assert run(kube, [app(ACCOUNT)]).changed
    assert "DELETE services/redis" in (writes := written(api))
    assert "DELETE statefulsets/redis" in writes
    # Its own Service, of a kind that has left the list, stays.
    assert api.named("services", "greeter-main", "greeter")
    assert deployment(api)["metadata"]["annotations"][EXTRA_KINDS] == "v1 ServiceAccount"
    assert not run(kube, [app(ACCOUNT)]).changed
    assert run(kube, [app()]).changed
    assert EXTRA_KINDS not in deployment(api)["metadata"]["annotations"]
    assert ("serviceaccounts", "greeter-main", "reader") not in api.objects
    assert not run(kube, [app()]).changed


def test_what_was_not_removed_is_removed_the_next_time(kube: Kube, api: FakeApi) -> None:
    """A run that ended early leaves the kinds noted until what is of them is gone."""
    run(kube, [app(ACCOUNT)])
    stuck = app()
    newer = structs.replace(stuck, image="apps.slipway.internal/greeter:main-other")

    def never_ready(_api: FakeApi, _obj: Object) -> None:
        """Nothing rolls out."""

    api.on_apply = never_ready
    outcome = run(kube, [newer], seconds=0)
    assert outcome.apps[0].failed
    assert api.named("serviceaccounts", "greeter-main", "reader")  # the older version may need it
    assert deployment(api)["metadata"]["annotations"][EXTRA_KINDS] == "v1 ServiceAccount"
    api.on_apply = rolled_out_at_once
    run(kube, [stuck])
    assert ("serviceaccounts", "greeter-main", "reader") not in api.objects
    assert EXTRA_KINDS not in deployment(api)["metadata"]["annotations"]


def test_an_app_that_leaves_takes_its_extras_along(kube: Kube, api: FakeApi) -> None:
    other = app(REDIS, branch="feature")
    run(kube, [app(REDIS, ROLE), other])
    outcome = run(kube, [other])
    assert outcome.changed
    assert not [key for key in api.objects if "greeter-main" in key]
    assert ("clusterroles", "", "greeter-main-reader") not in api.objects
    assert api.named("statefulsets", "greeter-feature", "redis")
    assert not run(kube, [other]).changed


def test_an_app_whose_own_workload_does_not_run_fails_until_it_does(
    kube: Kube, api: FakeApi
) -> None:
    def only_the_app(api: FakeApi, obj: Object) -> None:
        if obj["kind"] == "Deployment":
            rolled_out_at_once(api, obj)

    api.on_apply = only_the_app
    apps = [app(REDIS), app(SETTINGS, branch="feature")]
    for _ in range(2):
        outcome = run(kube, apps, seconds=0.5)
        assert "StatefulSet redis: does not run after" in reason(outcome)
        assert not outcome.apps[1].failed
    rolled_out_at_once(api, api.named("statefulsets", "greeter-main", "redis"))
    assert not run(kube, apps, seconds=0.5).apps[0].failed


def test_an_app_whose_claim_is_never_bound_fails_soon_beside_a_healthy_one(
    kube: Kube, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    def only_deployments(api: FakeApi, obj: Object) -> None:
        place = {"namespace": "greeter-main"}
        claim = {"name": "data", "persistentVolumeClaim": {"claimName": "data-redis-0"}}
        if obj["kind"] == "Deployment":
            rolled_out_at_once(api, obj)
        elif obj["kind"] == "StatefulSet":
            labels = obj["spec"]["selector"]["matchLabels"]
            spec = {"containers": [{"name": "redis"}], "volumes": [claim]}
            api.put(
                "pods", {"metadata": {"name": "redis-0", "labels": labels, **place}, "spec": spec}
            )
            metadata = {"name": "data-redis-0", **place}
            api.put("persistentvolumeclaims", {"metadata": metadata, "spec": {}})

    monkeypatch.setattr("slipway.kube.apply.VOLUME_SECONDS", 0.1)
    api.on_apply = only_deployments
    began = time.monotonic()
    outcome = run(kube, [app(REDIS), built("quote")], seconds=60)
    assert time.monotonic() - began < 30
    assert "StatefulSet redis: does not run after" in reason(outcome)
    assert "claim data-redis-0 is not bound: it names no StorageClass" in reason(outcome)
    assert not outcome.apps[1].failed


def test_pods_of_removed_extras_do_not_keep_the_namespace(kube: Kube, api: FakeApi) -> None:
    run(kube, [app(REDIS)])
    owner = {"kind": "StatefulSet", "name": "redis"}
    place = {"name": "redis-0", "namespace": "greeter-main", "ownerReferences": [owner]}
    api.put("pods", {"metadata": place})
    run(kube, [])
    assert ("namespaces", "", "greeter-main") not in api.objects


def test_extras_of_an_app_that_failed_before_stay(kube: Kube, api: FakeApi) -> None:
    run(kube, [app(REDIS)])
    broken = app(failed={"step": "build", "reason": "no"})
    outcome = run(kube, [broken])
    assert api.named("statefulsets", "greeter-main", "redis")
    assert not outcome.changed


def test_a_change_by_hand_is_undone(kube: Kube, api: FakeApi) -> None:
    run(kube, [app(SETTINGS)])
    api.named("configmaps", "greeter-main", "settings")["data"]["speed"] = "slow"
    written(api)
    assert run(kube, [app(SETTINGS)]).changed
    assert written(api) == ["PATCH configmaps/settings"]
    assert api.named("configmaps", "greeter-main", "settings")["data"]["speed"] == "fast"


def test_what_the_api_writes_in_its_own_way_is_no_change(kube: Kube, api: FakeApi) -> None:
    text = REDIS + "  minReadySeconds: 0\n  limits: {cpu: 1000m}\n  nothing:\n"
    run(kube, [app(text)])
    spec = api.named("statefulsets", "greeter-main", "redis")["spec"]
    assert "nothing" not in spec
    del spec["minReadySeconds"]
    spec["limits"]["cpu"] = "1"
    written(api)
    assert not run(kube, [app(text)]).changed
    assert written(api) == []


def test_a_setting_of_a_manifest_rolls_the_app_that_has_it(kube: Kube, api: FakeApi) -> None:
    env = {"SPEED": {"config_map": "settings", "key": "speed"}}
    apps = [app(SETTINGS, env=env), app(SETTINGS, branch="feature")]
    slow = [Manifest(content=SETTINGS.replace("fast", "slow"))]
    slower = [structs.replace(each, manifests=slow) for each in apps]
    run(kube, apps)
    written(api)
    run(kube, slower)
    assert sorted(written(api)) == [
        "PATCH configmaps/settings",
        "PATCH configmaps/settings",
        "PATCH deployments/greeter",
    ]


def test_what_is_sent_again_but_stays_as_it_is_is_no_change(kube: Kube, api: FakeApi) -> None:
    def canonical(api: FakeApi, obj: Object) -> None:
        """Write a duration as Go does."""
        if obj["kind"] == "StatefulSet":
            obj["spec"] = {**obj["spec"], "period": "1m0s"}
        rolled_out_at_once(api, obj)

    api.on_apply = canonical
    text = REDIS + "  period: 60s\n"
    run(kube, [app(text)])
    written(api)
    outcome = run(kube, [app(text)])
    assert written(api) == ["PATCH statefulsets/redis"]
    assert not outcome.changes


def test_a_job_is_run_anew_when_it_changes(kube: Kube, api: FakeApi) -> None:
    run(kube, [app(JOB)])
    assert not run(kube, [app(JOB)]).changed
    written(api)
    image = "apps.slipway.internal/greeter:main-other"
    planned = run(kube, [app(JOB, image=image)], dry_run=True)
    assert "Job greeter-main migrate" in [render_change(c)["after_header"] for c in planned.changes]
    assert written(api) == []
    assert not run(kube, [app(JOB, image=image)]).apps[0].failed
    assert [each for each in written(api) if "jobs" in each] == [
        "PATCH jobs/migrate",
        "DELETE jobs/migrate",
        "PATCH jobs/migrate",
    ]
    assert api.named("jobs", "greeter-main", "migrate")["spec"]["image"] == image


def test_what_cannot_be_changed_is_the_apps_failure(kube: Kube, api: FakeApi) -> None:
    run(kube, [app(REDIS)])
    api.refusals["statefulsets/redis"] = "updates to statefulset spec are forbidden"
    said = reason(run(kube, [app(REDIS.replace("replicas: 1", "serviceName: other"))]))
    assert "updates to statefulset spec are forbidden; what cannot be changed needs" in said


def test_what_is_refused_fails_its_app_alone(kube: Kube, api: FakeApi) -> None:
    api.refusals["statefulsets/redis"] = "updates to statefulset spec are forbidden"
    outcome = run(kube, [app(REDIS), built("quote")])
    assert "updates to statefulset spec are forbidden" in reason(outcome)
    assert ("deployments", "greeter-main", "greeter") not in api.objects
    assert not outcome.apps[1].failed


def test_a_definition_may_come_with_its_objects_and_stays(kube: Kube, api: FakeApi) -> None:
    def define(api: FakeApi, obj: Object) -> None:
        rolled_out_at_once(api, obj)
        if obj["kind"] == "CustomResourceDefinition":
            api.kinds["example.org/v1"] = [("Boat", "boats", True)]

    api.on_apply = define
    apps = [app(BOAT, DEFINITION), app(BOAT, DEFINITION, branch="feature")]
    assert not run(kube, apps, dry_run=True).apps[0].failed
    outcome = run(kube, apps)
    assert not any(each.failed for each in outcome.apps)
    assert api.named("boats", "greeter-main", "small")
    assert not run(kube, apps).changed
    run(kube, [apps[1]])
    run(kube, [])
    assert not [key for key in api.objects if key[0] == "boats"]
    assert api.named("customresourcedefinitions", "", "boats.example.org")


def test_a_definition_stays_where_others_are_looked_at(kube: Kube, api: FakeApi) -> None:
    other = app(DEFINITION.replace("boats", "ships").replace("Boat", "Ship"), branch="feature")
    run(kube, [app(DEFINITION), other])
    outcome = run(kube, [app(), other])
    assert api.named("customresourcedefinitions", "", "boats.example.org")
    assert not outcome.changed


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (BOAT, "manifests[0]:1: the API does not know example.org/v1 Boat"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: [}\n", "manifests[0]:3: is not YAML"),
        ("apiVersion: v1\nkind: Pod\n", "manifests[0]:1: lacks a usable metadata.name"),
        ("kind: ../x\nmetadata: {name: a/b}", "a usable apiVersion and kind and metadata.name"),
        ("---\n- 1\n", "manifests[0]:2: is no Kubernetes object"),
        ("a: 1\nb: {{ bramch }}\n", "manifests[0]:2: 'bramch' is undefined; known: name, branch"),
        ("apiVersion: v1\nkind: Namespace\nmetadata: {name: x}\n", "Slipway makes the namespaces"),
        (
            ACCOUNT + "  namespace: kube-system\n",
            "ServiceAccount reader wants to be in namespace kube-system",
        ),
        (
            "apiVersion: v1\nkind: Service\nmetadata: {name: greeter}\n",
            "Service greeter of its manifests is already the app greeter-main/greeter's own",
        ),
        (f"{ACCOUNT}---{ACCOUNT}", "ServiceAccount reader of its manifests is already one of"),
        (
            "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {a: '%'}\n",
            "Secret s has data that is no base64",
        ),
    ],
)
@pytest.mark.parametrize("dry_run", [False, True])
def test_a_manifest_that_will_not_do_fails_its_app_alone(
    kube: Kube, api: FakeApi, text: str, complaint: str, dry_run: bool
) -> None:
    outcome = run(kube, [app(text), built("quote")], dry_run=dry_run)
    assert complaint in reason(outcome)
    assert not outcome.apps[1].failed
    assert not [key for key in api.objects if key[1] == "greeter-main"]


def test_all_that_is_wrong_with_an_app_is_said_at_once(kube: Kube) -> None:
    said = reason(run(kube, [app("- 1", "{{ a }}", env={"B": {"value": "{{ c }}"}})]))
    assert all(each in said for each in ("manifests[0]", "manifests[1]", "env B"))


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("apps/v1\nkind: Deployment", "quote-work"),
        ("batch/v1\nkind: CronJob", "quote-nightly"),
        ("batch/v1\nkind: Job", "quote-seed"),
    ],
)
def test_what_runs_of_an_app_is_not_what_another_brings(kube: Kube, kind: str, name: str) -> None:
    quote = built(
        "quote",
        namespace="greeter-main",
        processes={"work": {"command": ["work"]}},
        jobs={
            "nightly": {"command": ["a"], "schedule": "@daily"},
            "seed": {"command": ["a"], "when": "first"},
        },
    )
    text = f"apiVersion: {kind}\nmetadata: {{name: {name}}}\nspec: {{selector: {{}}}}\n"
    said = reason(run(kube, [app(text), quote], dry_run=True))
    assert f"{name} of its manifests is already the app greeter-main/quote's own" in said


@pytest.mark.parametrize(
    "text",
    [
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n"
        "metadata: {name: slipway-environment}\nspec: {podSelector: {}, ingress: [{}]}\n",
        ACCOUNT.replace("reader", "default"),
    ],
)
def test_what_slipway_made_in_a_new_namespace_is_not_taken_over(
    kube: Kube, tmp_path: Path, text: str
) -> None:
    (tmp_path / "more.yaml").write_text(text)
    greeter = built(checkout=str(tmp_path), project=".", manifests=[Manifest(source="more.yaml")])
    outcome = run(kube, [greeter], network=Network("10.0.0.0/16", "10.1.0.0/16"))
    assert "it exists and is Slipway's own: give it another name" in reason(outcome)


def test_branches_may_not_share_what_is_of_the_whole_cluster(kube: Kube, api: FakeApi) -> None:
    text = ROLE.replace("{{ namespace }}-", "")
    outcome = run(kube, [app(text), app(text, branch="feature")])
    assert not outcome.apps[0].failed
    assert "put {{ namespace }} into its name" in reason(outcome, 1)
    assert not any(each.failed for each in run(kube, [app(ROLE)]).apps)


def test_somebody_elses_object_is_not_taken_over(kube: Kube, api: FakeApi) -> None:
    run(kube, [built()])
    theirs = {"metadata": {"name": "reader", "namespace": "greeter-main"}}
    api.put("serviceaccounts", theirs)
    outcome = run(kube, [app(ACCOUNT)])
    assert "was not made by Slipway" in reason(outcome)
    assert api.named("serviceaccounts", "greeter-main", "reader") == theirs


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"env": {"S": {"config_map": "other", "key": "a"}}}, "there is no ConfigMap other"),
        (
            {"env": {"S": {"config_map": "settings", "key": "sped"}}},
            "ConfigMap settings has no key sped; it has speed",
        ),
        (
            {"env": {"S": {"config_map": "settings", "key": "logo.png"}}},
            "ConfigMap settings has no key logo.png; it has speed",
        ),
        ({"env": {"S": {"kubernetes_secret": "db", "key": "p"}}}, "there is no Secret db"),
        (
            {"env": {"S": {"kubernetes_secret": "store", "key": "key.p12"}}},
            "env S: the key key.p12 of Secret store is no UTF-8 text",
        ),
        (
            {"env": {"S": {"kubernetes_secret": "store", "key": "nul"}}},
            "env S: the key nul of Secret store is no UTF-8 text",
        ),
        ({"service_account": "writer"}, "there is no ServiceAccount writer"),
    ],
)
def test_what_an_app_refers_to_has_to_be_there(
    kube: Kube, api: FakeApi, changes: dict[str, Any], complaint: str, dry_run: bool
) -> None:
    manifests = (f"{SETTINGS}binaryData: {{logo.png: iVBORw==}}\n", STORE)
    outcome = run(kube, [app(*manifests, **changes), built("quote")], dry_run=dry_run)
    assert complaint in reason(outcome)
    assert not outcome.apps[1].failed
    assert ("deployments", "greeter-main", "greeter") not in api.objects
    assert ("configmaps", "greeter-main", "settings") not in api.objects


@pytest.mark.parametrize(
    "changes",
    [
        {"env": {"S": {"config_map": "settings", "key": "speed"}}},
        {"env": {"S": {"kubernetes_secret": "db", "key": "p"}}},
        {"env": {"S": {"kubernetes_secret": "store", "key": "tls.crt"}}},
        {"service_account": "reader"},
        {"service_account": "default"},
    ],
)
def test_what_an_app_refers_to_may_be_in_the_cluster_or_a_manifest(
    kube: Kube, api: FakeApi, changes: dict[str, Any]
) -> None:
    run(kube, [built()])
    api.put("secrets", {"metadata": {"name": "db", "namespace": "greeter-main"}, "data": {"p": ""}})
    assert not run(kube, [app(SETTINGS, ACCOUNT, STORE, **changes)]).apps[0].failed


def test_what_several_variables_refer_to_is_asked_for_once(kube: Kube, api: FakeApi) -> None:
    run(kube, [built()])
    data = {"user": "", "password": ""}
    api.put("secrets", {"metadata": {"name": "db", "namespace": "greeter-main"}, "data": data})
    api.requests.clear()
    env = {key: {"kubernetes_secret": "db", "key": key} for key in data}
    assert not run(kube, [app(env=env)]).apps[0].failed
    assert api.requests.count(("GET", "/api/v1/namespaces/greeter-main/secrets/db")) == 1


def test_a_difference_of_a_secret_shows_no_value(kube: Kube) -> None:
    text = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: canary-%s}\n"
    run(kube, [app(text % 1)])
    [change] = run(kube, [app(text % 2)]).changes
    shown = render_change(change)
    assert shown["before"] != shown["after"]
    assert "canary" not in str(shown)
    assert "Y2FuYXJ5" not in str(shown)


def test_a_difference_of_what_is_no_text_is_short(kube: Kube) -> None:
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: s}\nbinaryData: {a: %s}\n"
    run(kube, [app(text % ("AAAA" * 1000))])
    [change] = run(kube, [app(text % ("BBBB" * 1000))]).changes
    shown = render_change(change)
    assert "a: no text, " in shown["before"]
    assert shown["before"] != shown["after"]
    assert "AAAA" not in str(shown)
