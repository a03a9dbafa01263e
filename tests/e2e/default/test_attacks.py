"""What branches try is told; the API server refuses it too, where Slipway's check is passed by."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest

from slipway.apps.app import BuildxBuild
from slipway.apps.manifests.environment import acting_in
from slipway.kube.client import CONFIG_MAPS, PODS, ApiError, Object, Resource
from tests.support.apps_file import Apps, AppsFile
from tests.support.attacks import ATTACKS
from tests.support.checkout import PROJECT
from tests.support.scenario import Run, Scenario

TRIED = {
    f"attack-{number}": attack
    for number, attack in enumerate(
        attack for attack in ATTACKS.values() if "odd/main" not in attack.text
    )
}
"""By the name of the app that tries it, what does not need the host or the path of another app."""

COUNT = 20
"""How many are tried by whole apps."""


@pytest.fixture(scope="module")
def attacked(scenario: Scenario, apps_file: AppsFile) -> Iterator[Run]:
    """A run with an app for each attack; afterwards the apps are made what they were."""
    dockerfile = (PROJECT / "examples/quotes/main/Dockerfile").read_text()

    def add(apps: Apps) -> None:
        for name, attack in [*TRIED.items()][:COUNT]:
            files = {"odd.yaml": attack.text, "Dockerfile": dockerfile}
            source = apps_file.repository(name, files, like="quotes")
            apps.append(
                {"name": name, "git_url": source, "port": 8000, "ingress": {"rules": _rules(name)}}
                | {"manifests": [{"source": "odd.yaml"}]}
            )

    yield scenario.deploy(apps_file.changed(add))
    run = scenario.deploy(scenario.apps_file)
    assert run.code == 0, str(run)


def _rules(name: str) -> list[dict[str, str]]:
    return [{"path": f"/{name}/", "rewrite": "/"}]


def _place(scenario: Scenario, obj: Object, namespace: str) -> tuple[Resource, str | None]:
    """Where the API has an object, or would have it."""
    resource = scenario.kube.find(obj["apiVersion"], obj["kind"])
    assert resource, obj
    own = obj["metadata"].get("namespace", namespace)
    return resource, own if resource.namespaced else None


@pytest.fixture(scope="module")
def namespace(scenario: Scenario) -> str:
    """The namespace of an environment that runs."""
    apps = scenario.planned()
    return next(app.namespace for app in apps if isinstance(app.build, BuildxBuild))


@pytest.mark.parametrize("name", [name for name in ATTACKS if ATTACKS[name].api])
def test_the_api_server_refuses_what_an_environment_may_not(
    scenario: Scenario, namespace: str, name: str
) -> None:
    environment = acting_in(scenario.kube, namespace)
    for obj in ATTACKS[name].objects:
        _resource, place = _place(scenario, obj, namespace)
        metadata = {**obj["metadata"], **({"namespace": place} if place else {})}
        with pytest.raises(ApiError) as refused:
            environment.apply({**obj, "metadata": metadata}, dry_run=True)
        assert refused.value.status == 403
        assert ATTACKS[name].api in str(refused.value)


def test_an_environment_s_identity_works_in_its_own_namespace(
    scenario: Scenario, namespace: str
) -> None:
    environment = acting_in(scenario.kube, namespace)
    obj = {"apiVersion": "v1", "kind": "ConfigMap"}
    environment.apply({**obj, "metadata": {"name": "a", "namespace": namespace}}, dry_run=True)
    assert environment.may("patch", CONFIG_MAPS, namespace)
    assert not environment.may("patch", CONFIG_MAPS, "kube-system")
    assert not environment.may("get", PODS, namespace)


def test_each_attack_is_told_and_the_others_serve(scenario: Scenario, attacked: Run) -> None:
    assert attacked.code != 0
    [message] = attacked.failures
    tried = dict([*TRIED.items()][:COUNT])
    places = {message.index(f"{name} (main), deploy"): name for name in tried}
    ends = [*sorted(places), len(message)]
    for start, end in pairwise(ends):
        for words in tried[places[start]].said:
            assert words in message[start:end], message[start:end]
    assert scenario.wrong_routes() == {}


def test_nothing_of_an_attack_is_in_the_cluster(scenario: Scenario, attacked: Run) -> None:
    assert attacked.code != 0
    there = [
        f"{obj['kind']} {obj['metadata']['name']} of {attack.attack}"
        for name, attack in [*TRIED.items()][:COUNT]
        for obj in attack.objects
        if _is_there(scenario, obj, f"{name}-main")
    ]
    assert there == []


def _is_there(scenario: Scenario, obj: Object, namespace: str) -> bool:
    if scenario.kube.find(obj["apiVersion"], obj["kind"]) is None:
        return False
    resource, place = _place(scenario, obj, namespace)
    if resource.kind == "Lease":
        found = scenario.kube.get(resource, obj["metadata"]["name"], place) or {"spec": {}}
        return bool(found["spec"].get("holderIdentity") == "odd")
    return scenario.kube.get(resource, obj["metadata"]["name"], place) is not None
