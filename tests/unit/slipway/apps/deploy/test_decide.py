"""What a run decides to do, from apps and the cluster's state alone."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import replace
from itertools import chain
from typing import Any

import pytest
from msgspec import structs

from slipway.apps.app import Built, Failure, Sourced
from slipway.apps.deploy.decide import Decision, decide
from slipway.apps.deploy.state import State
from slipway.apps.manifests.environment import contents, namespace, rights
from slipway.apps.manifests.extras import Extra, adopted, extra_key
from slipway.apps.manifests.labels import ROUTES_NAMESPACE
from slipway.apps.manifests.render import render
from slipway.apps.manifests.routes import master
from slipway.apps.manifests.secrets import secret
from slipway.kube.client import Object
from slipway.kube.objects import Key, by_key
from tests.support.app_cluster import calls
from tests.support.apps import built, sourced

HOST = "demo.slipway.test"


def key(obj: Object) -> Key:
    return obj["kind"], obj["metadata"].get("namespace", ""), obj["metadata"]["name"]


def state_of(apps: Iterable[Built], *others: Object) -> State:
    """A cluster to which these apps were deployed, with what else is said."""
    apps = list(apps)
    objects = [obj for app in apps for obj in render(app, "nginx")]
    if apps:
        objects += [master(HOST, "nginx"), *rights()]
    names = {app.namespace for app in apps}
    objects += [obj for name in names for obj in contents(name)]
    names |= {ROUTES_NAMESPACE} if apps else set()
    spaces = [{**namespace(name), "status": {"phase": "Active"}} for name in names]
    found = {key(obj): copy.deepcopy(obj) for obj in (*objects, *others)}
    return State({obj["metadata"]["name"]: obj for obj in spaces}, found)


def is_idle(decision: Decision) -> bool:
    return not any(vars(decision).values())


def names(objects: Iterable[Object]) -> list[str]:
    return [f"{obj['kind']} {obj['metadata']['name']}" for obj in objects]


APPS = [built(), built(branch="feature"), built("quote", config_files=[])]


def test_everything_is_made_in_an_empty_cluster() -> None:
    decision = decide(APPS, state_of([]), "nginx")
    spaces = ["greeter-feature", "greeter-main", "quote-main", ROUTES_NAMESPACE]
    assert {name: names(found)[0] for name, found in decision.environments.items()} == {
        name: f"Namespace {name}" for name in spaces
    }
    assert decision.environments["quote-main"][1:] == contents("quote-main")
    assert decision.environments[ROUTES_NAMESPACE][1:] == []
    assert decision.rights == rights()
    assert names(decision.hosts.pop(HOST)) == [f"Ingress {HOST}"]
    assert not decision.hosts
    assert decision.apply == {app.id: render(app, "nginx") for app in APPS}
    assert not decision.delete


def test_nothing_is_done_when_nothing_differs() -> None:
    assert is_idle(decide(APPS, state_of(APPS), "nginx"))


def test_what_the_api_adds_is_no_difference() -> None:
    state = state_of(APPS)
    for obj in state.objects.values():
        obj["metadata"].update(uid="1", managedFields=[], resourceVersion="7")
        obj["status"] = {}
    deployment = state.objects["Deployment", "greeter-main", "greeter"]
    deployment["spec"]["template"]["spec"]["dnsPolicy"] = "ClusterFirst"
    deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = "2"
    assert is_idle(decide(APPS, state, "nginx"))


@pytest.mark.parametrize(
    ("change", "kinds"),
    [
        ({"image": "apps.slipway.internal/greeter:main-fedcba987654"}, ["Deployment"]),
        ({"commit": "f" * 40}, ["Deployment"]),
        ({"config_files": []}, ["Deployment"]),
        (
            {"config_files": [{"path": "/config/application.properties", "content": "a=2"}]},
            ["ConfigMap", "Deployment"],
        ),
    ],
)
def test_only_what_differs_is_applied(change: dict[str, Any], kinds: list[str]) -> None:
    decision = decide([built(**change), *APPS[1:]], state_of(APPS), "nginx")
    assert {app_id: [obj["kind"] for obj in objs] for app_id, objs in decision.apply.items()} == {
        "greeter-main/greeter": kinds
    }
    assert not decision.delete  # the older configuration stays for the older pods


def test_a_deleted_object_comes_back() -> None:
    state = state_of(APPS)
    del state.objects["Service", "greeter-main", "greeter"]  # type: ignore[attr-defined]
    decision = decide(APPS, state, "nginx")
    assert names(decision.apply["greeter-main/greeter"]) == ["Service greeter"]


def test_a_change_by_hand_is_undone() -> None:
    state = state_of(APPS)
    state.objects["Deployment", "greeter-main", "greeter"]["spec"]["replicas"] = 5
    decision = decide(APPS, state, "nginx")
    assert names(decision.apply["greeter-main/greeter"]) == ["Deployment greeter"]


def test_a_setting_that_is_taken_out_is_noticed() -> None:
    """The live object still has all that is wanted; only its hash tells."""
    plain = copy.deepcopy(APPS[0])
    plain.rules[0].rewrite = None
    decision = decide([plain, *APPS[1:]], state_of(APPS), "nginx")
    assert names(decision.apply["greeter-main/greeter"]) == ["Ingress greeter"]


def test_the_master_is_left_alone_while_its_minions_change() -> None:
    decision = decide([APPS[0], built("other")], state_of(APPS[:1]), "nginx")
    assert not decision.hosts
    assert list(decision.apply) == ["other-main/other"]


def test_an_app_that_left_is_removed_with_its_namespace() -> None:
    decision = decide(APPS[1:], state_of(APPS), "nginx")
    assert {key(obj)[1] for obj in decision.delete} == {"greeter-main"}
    own = [*contents("greeter-main"), *render(APPS[0], "nginx")]
    assert sorted(names(decision.delete)) == sorted(names(own))
    assert decision.spare_namespaces == ["greeter-main"]
    assert not decision.apply


def test_an_app_that_left_a_shared_namespace_leaves_the_other_there() -> None:
    one, two = (built(name, namespace="shared") for name in ("one", "two"))
    decision = decide([two], state_of([one, two]), "nginx")
    assert {obj["metadata"]["labels"]["app.kubernetes.io/name"] for obj in decision.delete} == {
        "one"
    }
    assert not decision.spare_namespaces


def test_the_last_app_takes_master_and_routes_namespace_along() -> None:
    decision = decide([], state_of(APPS[:1]), "nginx")
    assert f"Ingress {HOST}" in names(decision.delete)
    assert sorted(decision.spare_namespaces) == ["greeter-main", ROUTES_NAMESPACE]


def test_a_namespace_that_somebody_else_made_is_neither_written_nor_removed() -> None:
    theirs = {"metadata": {"name": "greeter-main"}, "status": {"phase": "Active"}}
    state = State({"greeter-main": theirs}, {})
    found = decide(APPS, state, "nginx").environments["greeter-main"]
    assert "Namespace greeter-main" not in names(found)
    assert not decide([], state, "nginx").spare_namespaces


def test_a_route_that_left_is_removed() -> None:
    decision = decide([built(ingress=None), *APPS[1:]], state_of(APPS), "nginx")
    assert names(decision.delete) == ["Ingress greeter"]


def test_what_an_app_has_stays_when_it_failed_before() -> None:
    broken = sourced(failed=Failure("build", "no"))
    assert is_idle(decide([broken, *APPS[1:]], state_of(APPS), "nginx"))


@pytest.mark.parametrize("told", [built(failed=Failure("source", "no")), sourced()])
def test_what_an_app_brought_along_stays_while_nothing_is_said_of_it(told: Sourced) -> None:
    store = built("greeter-store", namespace="greeter-main", id="greeter-main/greeter-store")
    state = state_of([*APPS, store])
    decision = decide([told, *APPS[1:]], state, "nginx")
    assert is_idle(replace(decision, undecided=[]))
    assert "Deployment greeter-store" in names(decide(APPS, state, "nginx").delete)


def test_an_app_that_failed_before_its_first_deployment_gets_nothing() -> None:
    broken = built(failed=Failure("source", "no"))
    decision = decide([broken], state_of([]), "nginx")
    [(name, found)] = decision.environments.items()
    assert (name, names(found)) == (ROUTES_NAMESPACE, [f"Namespace {name}"])  # for the notes of it
    assert is_idle(replace(decision, environments={}))


def test_an_app_without_an_image_is_undecided_and_stays() -> None:
    app = sourced()
    decision = decide([app, *APPS[1:]], state_of(APPS), "nginx")
    assert decision.undecided == [app.id]
    assert not decision.delete
    assert not decision.apply


def test_a_namespace_that_is_being_deleted_is_made_again() -> None:
    state = state_of(APPS)
    state.namespaces["greeter-main"]["status"]["phase"] = "Terminating"
    [found] = decide(APPS, state, "nginx").environments.values()
    assert names(found) == ["Namespace greeter-main"]
    assert decide([], state, "nginx").spare_namespaces.count("greeter-main") == 0


def test_twice_as_many_apps_cost_no_more_than_twice_as_much() -> None:
    """Every app has secrets, an older configuration, and an extra that it no longer wants."""

    def cost(count: int) -> int:
        before = [
            built(branch=f"b{number}", env={"P": {"secret": "password"}}) for number in range(count)
        ]
        passwords = [secret(app, {"password": "1"}) for app in before]
        settings = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "more"}}
        extras = [
            adopted(Extra("", settings), app, namespaced=True, ingress_class="nginx")
            for app in before
        ]
        state = state_of(before, *filter(None, passwords))
        state = replace(state, extras={extra_key(obj): obj for obj in extras})
        after = [structs.replace(app, config_files=[]) for app in before]

        def work() -> None:
            decision = decide(after, state, "nginx", secrets={"password": "2"})
            old = by_key(chain.from_iterable(decision.old_configs.values()))
            assert len(old) == 2 * count
            assert len(decision.leftovers) == count

        return calls(work)

    assert cost(100) < 2.1 * cost(50)


def with_data(keep: bool = False, **changes: Any) -> Built:
    """An app with a volume."""
    return built(volumes={"data": {"path": "/srv", "keep": keep}}, **changes)


def claim_of(app: Built) -> Object:
    [found] = [obj for obj in render(app, "nginx") if obj["kind"] == "PersistentVolumeClaim"]
    return found


def test_a_volume_that_leaves_apps_yml_stays_and_is_named() -> None:
    state = state_of([with_data()])
    decision = decide([built()], state, "nginx")
    assert decision.outlived == {"greeter-main/greeter": [claim_of(with_data())]}
    assert not decision.delete
    assert not decide([with_data()], state, "nginx").outlived


def test_a_volume_goes_with_its_app_unless_it_is_to_be_kept() -> None:
    gone, kept = with_data(), with_data(keep=True, name="quote")
    decision = decide([], state_of([gone, kept]), "nginx")
    assert claim_of(gone) in decision.delete
    assert claim_of(kept) not in decision.delete
    assert decision.kept == [claim_of(kept)]
    assert "greeter-main" in decision.spare_namespaces
    assert "quote-main" not in decision.spare_namespaces


@pytest.mark.parametrize("keep", [True, False])
def test_volumes_of_an_app_that_failed_stay(keep: bool) -> None:
    app = with_data(keep)
    state = state_of([app])
    failed = with_data(keep, failed={"step": "build", "reason": "no"})
    assert is_idle(decide([failed], state, "nginx"))


def test_a_volume_that_was_kept_is_its_app_s_again() -> None:
    app = with_data(keep=True)
    state = state_of([], claim_of(app))
    applied = names(decide([app], state, "nginx").apply[app.id])
    assert "PersistentVolumeClaim greeter-data" not in applied
    assert "Deployment greeter" in applied
