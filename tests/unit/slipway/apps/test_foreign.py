"""What others have in the cluster, Slipway's labels on it or not, ends no run."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from slipway.apps.app import App
from slipway.apps.deploy.deploy import Outcome, deploy
from slipway.apps.deploy.rollback import find
from slipway.apps.environments.found import existing
from slipway.apps.environments.retention import History
from slipway.apps.environments.rows import as_table, rows
from slipway.apps.environments.status import note_proof
from slipway.apps.manifests.labels import (
    ADMITS,
    ENVIRONMENTS,
    EXTRA_KINDS,
    EXTRA_OF,
    GONE_SINCE,
    NAME,
    NOTES_KEY,
    OWN,
    OWN_SELECTOR,
    PATTERN,
    ROUTES_NAMESPACE,
)
from slipway.apps.names import SYSTEM_NAMESPACES
from slipway.apps.verify import prove
from slipway.dashboard.page import as_page
from slipway.errors import SlipwayError
from slipway.kube.client import CONFIG_MAPS, DEPLOYMENTS, ApiError, Kube, Listing, Object, Resource
from tests.support.app_cluster import FakeApi, rolled_out_at_once
from tests.support.apps import built, planned, reason

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
NO_CA = Path("/nonexistent")
POD = {"metadata": {"labels": {}}, "spec": {"containers": [{"name": "c", "image": "theirs"}]}}
SPEC = {"replicas": 1, "selector": {"matchLabels": {}}, "template": POD}


@pytest.fixture(autouse=True)
def controllers(api: FakeApi) -> None:
    """Deployments are ready at once."""
    api.on_apply = rolled_out_at_once


def run(kube: Kube, *apps: App, **options: Any) -> Outcome:
    settings: dict[str, Any] = {"secrets": {}, "ca_dir": NO_CA, "seconds": 5, "say": print}
    return deploy(kube, apps, "nginx", **{**settings, **options})


def put(api: FakeApi, plural: str, name: str, **more: Any) -> Object:
    """An object that somebody made in a namespace of theirs, with Slipway's labels."""
    labels = {**OWN, **more.pop("labels", {})}
    about = {"name": name, "namespace": more.pop("namespace", "theirs"), "labels": labels}
    annotations = more.pop("annotations", None)
    metadata = {**about, "generation": 1, **({"annotations": annotations} if annotations else {})}
    return api.put(plural, {"metadata": metadata, **more})


def impostors(api: FakeApi) -> None:
    """Objects of all kinds that wear the labels of Slipway and have nothing else of its."""
    api.put("namespaces", {"metadata": {"name": "theirs"}, "status": {"phase": "Active"}})
    put(api, "deployments", "plain", spec=SPEC)
    put(api, "deployments", "matched", spec=SPEC, labels={NAME: "greeter", PATTERN: "x"})
    copied = {"labels": {NAME: "greeter", PATTERN: "x"}, "namespace": "greeter-main"}
    put(api, "deployments", "copied", spec=SPEC, **copied)
    noted = {EXTRA_KINDS: "nonsense,v1 Pod/../x,a\nb c,authorization.k8s.io/v1 Review"}
    put(api, "deployments", "noted", spec=SPEC, annotations=noted)
    odd = {"deployment.kubernetes.io/revision": "first"}
    put(api, "replicasets", "theirs", spec=SPEC, annotations=odd)
    put(api, "services", "theirs", spec={})
    put(api, "configmaps", "theirs", data={"a": "b"})
    put(api, "secrets", "theirs", data={"a": "%"})
    put(api, "ingresses", "theirs", spec={})
    put(api, "configmaps", "extra", labels={EXTRA_OF: "greeter"}, data={"a": "b"})


def test_objects_that_wear_slipways_labels_are_told_and_left_alone(
    kube: Kube, api: FakeApi
) -> None:
    run(kube, built(), built("quote"))
    api.kinds["authorization.k8s.io/v1"] = [("Review", "reviews", False)]
    impostors(api)
    theirs = {key: json.dumps(obj) for key, obj in api.objects.items() if "theirs" in key}
    said: list[str] = []
    outcome = run(kube, built(), built("quote"), say=said.append)
    assert not any(app.failed for app in outcome.apps)
    assert not outcome.changed
    [line] = [line for line in said if "others made them" in line]
    assert "Deployment theirs plain" in line
    assert {key: json.dumps(api.objects[key]) for key in theirs} == theirs
    run(kube)  # nor does the end of all apps take them along
    assert {key: json.dumps(api.objects[key]) for key in theirs} == theirs
    assert ("deployments", "greeter-main", "greeter") not in api.objects


def test_a_kind_that_cannot_be_listed_is_told(
    kube: Kube, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(kube, built())
    api.kinds["authorization.k8s.io/v1"] = [("Review", "reviews", False)]
    impostors(api)
    plain = Kube.list

    def listed(self: Kube, resource: Resource, **options: Any) -> Listing:
        if resource.kind == "Review":
            raise ApiError("/reviews", 405, "the server does not allow this method")
        return plain(self, resource, **options)

    monkeypatch.setattr(Kube, "list", listed)
    said: list[str] = []
    assert not run(kube, built(), say=said.append).apps[0].failed
    [line] = [line for line in said if "cannot be listed" in line]
    assert "authorization.k8s.io/v1 Review: /reviews: the server does not allow" in line


def test_objects_of_others_are_no_environments(kube: Kube, api: FakeApi) -> None:
    app = built(pattern="*")
    run(kube, app)
    impostors(api)
    assert [each.id for each in existing(kube)] == ["greeter-main/greeter"]
    deployments = kube.list(DEPLOYMENTS, labels=OWN_SELECTOR).items
    assert [row.id for row in rows(deployments, None)] == ["greeter-main/greeter"]
    assert app.image in History.read(kube).retained([app])
    proof = prove(
        kube,
        [planned(ingress=None)],
        secrets={},
        ca_dir=NO_CA,
        address="127.0.0.1:1",
        seconds=0,
    )
    assert proof.table[1].split()[2] == app.commit[:7]
    api.named("deployments", "greeter-main", "greeter")["metadata"]["uid"] = "1"
    with pytest.raises(SlipwayError, match="has no version before"):
        find(kube, "greeter", "")


def test_a_namespace_whose_mark_is_spoilt_is_read(kube: Kube, api: FakeApi) -> None:
    run(kube, built(pattern="*"))
    space = api.named("namespaces", "", "greeter-main")
    space["metadata"]["annotations"][GONE_SINCE] = "[]"
    del space["status"]
    assert existing(kube) == []


ENTRY = {"app": "web", "namespace": "web-main", "branch": "main", "commit": "", "urls": []}


@pytest.mark.parametrize(
    "text",
    [
        "no JSON",
        "[]",
        '"text"',
        "[" * 100_000,
        json.dumps({"web-main/web": []}),
        json.dumps({"web-main/web": {**ENTRY, "urls": "text"}}),
        json.dumps({"web-main/web": {**ENTRY, "urls": [1]}}),
        json.dumps({"web-main/web": {**ENTRY, "app": 1}}),
        json.dumps({"web-main/web": {**ENTRY, "until": []}}),
        json.dumps({"web-main/web": {**ENTRY, "failing": True, "failure": {"step": "x"}}}),
        json.dumps({"web-main/web": {**ENTRY, "failing": True, "failure": []}}),
    ],
)
def test_notes_that_somebody_spoilt_are_none(kube: Kube, api: FakeApi, text: str) -> None:
    app = built()
    run(kube, app)
    notes = api.named("configmaps", ROUTES_NAMESPACE, ENVIRONMENTS)
    notes["data"] = {NOTES_KEY: text}
    assert rows([], notes) == []
    note_proof(kube, [app], str)
    assert not run(kube, app).apps[0].failed
    live = kube.get(CONFIG_MAPS, ENVIRONMENTS, ROUTES_NAMESPACE)
    assert [row.id for row in rows([], live)] == ["greeter-main/greeter"]


def test_an_entry_that_somebody_shortened_is_shown(kube: Kube, api: FakeApi) -> None:
    failure = {"step": "build", "reason": "no", "at": "yesterday"}
    entries = {"a/a": {"failing": True}, "b/b": {**ENTRY, "failure": failure}}
    found = rows([], {"data": {NOTES_KEY: json.dumps(entries)}})
    assert [row.id for row in found] == ["a/a", "b/b"]
    assert "build, - ago: no" in as_table(found, NOW)[2]
    assert "yesterday" not in as_page(found, NOW)
    run(kube, built("a", id="a/a"))


@pytest.mark.parametrize("name", [*SYSTEM_NAMESPACES, "kube-anything"])
def test_no_app_is_put_into_a_namespace_of_the_system(kube: Kube, api: FakeApi, name: str) -> None:
    outcome = run(kube, built("odd", namespace=name), built("quote"))
    assert f"namespace {name} " in reason(outcome.apps[0])
    assert not outcome.apps[1].failed
    assert not [key for key in api.objects if key[1:] == (name, "odd")]


@pytest.mark.parametrize("dry_run", [False, True])
def test_no_app_is_put_into_a_namespace_that_others_made(
    kube: Kube, api: FakeApi, dry_run: bool
) -> None:
    space: Object = {"metadata": {"name": "vault"}, "status": {"phase": "Active"}}
    api.put("namespaces", space)
    outcome = run(kube, built("odd", namespace="vault"), built("quote"), dry_run=dry_run)
    why = reason(outcome.apps[0])
    assert "namespace vault exists and was not made by Slipway" in why
    assert f"kubectl label namespace vault {ADMITS}=true" in why
    assert not outcome.apps[1].failed
    assert ("deployments", "vault", "odd") not in api.objects
    space["metadata"]["labels"] = {
        ADMITS: "true",
        "pod-security.kubernetes.io/enforce": "restricted",
    }
    outcome = run(kube, built("odd", namespace="vault"), dry_run=dry_run)
    assert not outcome.apps[0].failed
