"""People get their rights in what is theirs, and lose them when they are gone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from slipway.errors import SlipwayError
from slipway.kube.client import Kube, Object
from slipway.people import keep, people, person, unknown
from tests.support.app_cluster import FakeApi

ENVIRONMENTS = {
    "orders-main": {"orders"},
    "orders-next": {"orders", "orders-db"},
    "quotes-main": {"quotes"},
    "kube-system": set(),
}

ADA = {"ada": {"develop": {"apps": ["orders"]}, "view": {"namespaces": ["kube-system"]}}}


@pytest.fixture
def spaces(api: FakeApi) -> None:
    """The namespaces are there."""
    for name in ENVIRONMENTS:
        api.put("namespaces", {"metadata": {"name": name}})


def kept(
    kube: Kube, given: Mapping[str, Any], environments: Mapping[str, set[str]] = ENVIRONMENTS
) -> list[str]:
    """What changes to have these people, as the names of what is written or taken away."""
    found = keep(kube, people(given), environments)
    return [_title(each.after or each.before or {}) for each in found]


def _title(obj: Object) -> str:
    metadata = obj["metadata"]
    return f"{metadata.get('namespace', '')}/{metadata['name']}"


def subjects(api: FakeApi, namespace: str, name: str) -> list[str]:
    """The users whom a binding is for."""
    return [each["name"] for each in api.named("rolebindings", namespace, name)["subjects"]]


@pytest.mark.usefixtures("spaces")
def test_somebody_is_bound_where_their_apps_are_and_nowhere_else(api: FakeApi, kube: Kube) -> None:
    kept(kube, ADA)
    bindings = {key[1:] for key in api.objects if key[0] == "rolebindings"}
    assert bindings == {
        ("orders-main", "slipway-people-view"),
        ("orders-main", "slipway-people-develop"),
        ("orders-next", "slipway-people-view"),
        ("orders-next", "slipway-people-develop"),
        ("kube-system", "slipway-people-view"),
    }
    assert subjects(api, "orders-next", "slipway-people-develop") == ["slipway:person:ada"]


@pytest.mark.usefixtures("spaces")
def test_a_run_that_finds_all_as_it_is_to_be_writes_nothing(api: FakeApi, kube: Kube) -> None:
    kept(kube, ADA)
    api.requests.clear()
    assert kept(kube, ADA) == []
    assert api.writes == []


@pytest.mark.usefixtures("spaces")
def test_a_new_environment_of_an_app_is_theirs_too(api: FakeApi, kube: Kube) -> None:
    kept(kube, ADA)
    api.put("namespaces", {"metadata": {"name": "orders-new"}})
    assert kept(kube, ADA, {**ENVIRONMENTS, "orders-new": {"orders"}}) == [
        "orders-new/slipway-people-develop",
        "orders-new/slipway-people-view",
    ]


@pytest.mark.usefixtures("spaces")
def test_who_is_gone_from_the_variable_may_nothing_more(api: FakeApi, kube: Kube) -> None:
    both = {**ADA, "ben": {"view": {"apps": ["*"]}}}
    kept(kube, both)
    assert subjects(api, "orders-main", "slipway-people-view") == [
        "slipway:person:ada",
        "slipway:person:ben",
    ]
    kept(kube, {"ben": both["ben"]})
    assert subjects(api, "orders-main", "slipway-people-view") == ["slipway:person:ben"]
    assert ("rolebindings", "orders-main", "slipway-people-develop") not in api.objects
    kept(kube, {})
    assert {kind for kind, *_ in api.objects} == {"namespaces"}


@pytest.mark.usefixtures("spaces")
def test_what_is_changed_by_hand_is_mended(api: FakeApi, kube: Kube) -> None:
    kept(kube, ADA)
    binding = api.named("rolebindings", "orders-main", "slipway-people-view")
    binding["subjects"].append({"kind": "User", "name": "mallory"})
    binding = api.named("rolebindings", "orders-next", "slipway-people-view")
    binding["roleRef"]["name"] = "cluster-admin"
    assert kept(kube, ADA) == ["orders-main/slipway-people-view", "orders-next/slipway-people-view"]
    assert subjects(api, "orders-main", "slipway-people-view") == ["slipway:person:ada"]
    # Kubernetes lets nobody change which role is bound.
    assert ("DELETE", _path("orders-next", "slipway-people-view")) in api.writes
    assert ("DELETE", _path("orders-main", "slipway-people-view")) not in api.writes


def _path(namespace: str, name: str) -> str:
    group = "/apis/rbac.authorization.k8s.io/v1"
    return f"{group}/namespaces/{namespace}/rolebindings/{name}"


@pytest.mark.usefixtures("spaces")
def test_a_check_tells_the_same_and_writes_nothing(api: FakeApi, kube: Kube) -> None:
    told = keep(kube, people(ADA), ENVIRONMENTS, dry_run=True)
    assert api.writes == []
    assert keep(kube, people(ADA), ENVIRONMENTS) == told


def test_what_people_write_is_checked_as_long_as_there_are_any(api: FakeApi, kube: Kube) -> None:
    kinds = ("validatingadmissionpolicies", "validatingadmissionpolicybindings")
    kept(kube, ADA)
    for kind in kinds:
        assert api.named(kind, "", "slipway-people")["metadata"]["labels"]
    kept(kube, {})
    assert not [key for key in api.objects if key[0] in kinds]


@pytest.mark.usefixtures("spaces")
def test_a_namespace_that_went_meanwhile_keeps_no_other_from_its_bindings(
    api: FakeApi, kube: Kube
) -> None:
    del api.objects["namespaces", "", "kube-system"]
    kept(kube, ADA)
    assert subjects(api, "orders-main", "slipway-people-view") == ["slipway:person:ada"]


def test_every_app_is_no_namespace_without_one(api: FakeApi, kube: Kube) -> None:
    api.put("namespaces", {"metadata": {"name": "orders-main"}})
    kept(
        kube, {"ben": {"admin": {"apps": ["*"]}}}, {"orders-main": {"orders"}, "kube-system": set()}
    )
    assert {key[1] for key in api.objects if key[0] == "rolebindings"} == {"orders-main"}


def test_nobody_but_an_admin_may_write_what_runs_or_read_secrets(api: FakeApi, kube: Kube) -> None:
    kept(kube, ADA, {})
    rules = api.named("clusterroles", "", "slipway-people-develop")["rules"]
    opened = {
        (name, verb) for rule in rules for name in rule["resources"] for verb in rule["verbs"]
    }
    assert ("pods/exec", "create") in opened
    assert not {("secrets", "get"), ("pods", "create"), ("deployments", "patch")} & opened


def test_nobody_may_give_rights_that_a_run_does_not_know_of(api: FakeApi, kube: Kube) -> None:
    kept(kube, ADA, {})
    for name in ("slipway-people-develop", "slipway-people-admin"):
        rules = api.named("clusterroles", "", name)["rules"]
        resources = {each for rule in rules for each in rule["resources"]}
        verbs = {each for rule in rules for each in rule["verbs"]}
        assert not resources & {"*", "roles", "rolebindings", "serviceaccounts/token"}
        assert not verbs & {"*", "bind", "escalate", "impersonate"}


def test_every_mistake_is_told_with_its_place() -> None:
    given = {
        "Ada Lovelace": {"view": {"apps": ["orders"]}},
        "ben": None,
        "eva": {"own": {"apps": ["orders"]}, "view": {"app": ["orders"]}, "admin": {}},
        "kim": {"develop": {"namespaces": ["*"], "apps": "orders"}},
        "lou": {"develop": {"namespaces": ["*"]}},
    }
    with pytest.raises(SlipwayError) as raised:
        people(given)
    assert [each.where for each in raised.value.problems] == [
        "slipway_people.Ada Lovelace",
        "slipway_people.ben",
        "slipway_people.eva.own",
        "slipway_people.eva.view",
        "slipway_people.eva.admin",
        "slipway_people.kim.develop",
        "slipway_people.lou.develop.namespaces",
    ]
    assert all(each.fix for each in raised.value.problems)


def test_an_app_or_namespace_that_is_not_there_yet_is_told_and_no_mistake() -> None:
    given = people({"ada": {"view": {"apps": ["order", "*"], "namespaces": ["metallb-system"]}}})
    assert unknown(given, ENVIRONMENTS) == [
        "slipway_people.ada.view: there is no app order yet",
        "slipway_people.ada.view: there is no namespace metallb-system yet",
    ]


def test_who_is_asked_for_by_a_wrong_name_is_told_the_right_one() -> None:
    assert person(ADA, "ada").user == "slipway:person:ada"
    with pytest.raises(SlipwayError, match="did you mean ada"):
        person(ADA, "adda")
