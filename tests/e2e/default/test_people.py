"""People get into what is theirs, by a certificate of a day, and no more when they are gone."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway.kube.client import DEPLOYMENTS, PODS, SECRETS, ApiError, Kube, Object, Resource
from tests.support.apps_file import Apps, AppsFile
from tests.support.scenario import Run, Scenario

NAME = "parcel"
PEOPLE = {
    "ada": {"develop": {"apps": [NAME]}},
    "ben": {"admin": {"apps": [NAME]}, "view": {"namespaces": ["kube-system"]}},
}


@pytest.fixture(scope="module")
def parcel(scenario: Scenario, apps_file: AppsFile) -> Iterator[Path]:
    """An apps.yml with one app more than the cluster's."""

    def add(apps: Apps) -> None:
        sample = next(app for app in apps if app["name"] == "quotes")
        alike = {key: value for key, value in sample.items() if key != "ingress"}
        apps.append({**alike, "name": NAME})

    yield apps_file.changed(add)
    undone = scenario.deploy(scenario.apps_file)
    assert undone.code == 0, str(undone)


def kubeconfig_for(scenario: Scenario, name: str) -> Path:
    """As ``make kubeconfig FOR=name``."""
    run = scenario.play("playbooks/kubeconfig.yml", __kubeadm_person=name, slipway_people=PEOPLE)
    assert run.code == 0, str(run)
    path = Path(scenario.facts["kubeconfig"]).with_suffix(".people") / f"{name}.yaml"
    assert str(path) in run.output
    return path


def deploy(scenario: Scenario, apps_file: Path, **people: object) -> Run:
    """Run the apps with these people."""
    run = scenario.play("playbooks/apps.yml", slipway_apps_file=apps_file, slipway_people=people)
    assert run.code == 0, str(run)
    return run


def token_of(namespace: str) -> Object:
    """A Secret that would be filled with a token of an account."""
    about = {"kubernetes.io/service-account.name": "default"}
    metadata = {"name": "lasting", "namespace": namespace, "annotations": about}
    kind = {"apiVersion": SECRETS.api_version, "kind": SECRETS.kind}
    return {**kind, "metadata": metadata, "type": "kubernetes.io/service-account-token"}


def copy_of(kube: Kube, namespace: str) -> Object:
    """A Deployment that would pass for an app, whose people the next run would let in."""
    found = kube.get(DEPLOYMENTS, NAME, namespace)
    assert found
    metadata = {"name": "lasting", "namespace": namespace, "labels": found["metadata"]["labels"]}
    kind = {"apiVersion": DEPLOYMENTS.api_version, "kind": DEPLOYMENTS.kind}
    return {**kind, "metadata": metadata, "spec": found["spec"]}


def sees(path: Path, resource: Resource, namespace: str) -> bool:
    """Whether the API lists somebody the objects of a namespace; it refuses that if not."""
    with Kube(path) as kube:
        try:
            return bool(kube.list(resource, namespace=namespace).items)
        except ApiError as error:
            assert error.status == 403, error
            return False


def test_somebody_sees_what_is_theirs_until_they_are_taken_away(
    scenario: Scenario, parcel: Path
) -> None:
    space = f"{NAME}-main"
    ada, ben = kubeconfig_for(scenario, "ada"), kubeconfig_for(scenario, "ben")
    assert stat.S_IMODE(ada.stat().st_mode) == 0o600
    assert not sees(ada, PODS, space), "there is no such environment yet"

    run = deploy(scenario, parcel, **PEOPLE)
    assert sees(ada, PODS, space), str(run)
    for resource, namespace in (
        (SECRETS, space),
        (PODS, "quotes-main"),
        (PODS, "kube-system"),
        (DEPLOYMENTS, "slipway-dashboard"),
    ):
        assert not sees(ada, resource, namespace), (resource, namespace)
    with Kube(ada) as kube:
        pod = kube.list(PODS, namespace=space).items[0]["metadata"]["name"]
        assert kube.delete(PODS, pod, space)
        with pytest.raises(ApiError, match="cannot patch resource"):
            kube.merge(DEPLOYMENTS, NAME, space, {"spec": {"replicas": 2}})
    with Kube(ben) as kube:
        assert kube.may("patch", DEPLOYMENTS, space)
        assert not kube.may("patch", DEPLOYMENTS, "kube-system")
        kube.merge(DEPLOYMENTS, NAME, space, {"metadata": {"annotations": {"seen": "yes"}}})
        for lasting in (token_of(space), copy_of(kube, space)):
            with pytest.raises(ApiError, match="not for people"):
                kube.apply(lasting)
    assert sees(ben, PODS, "kube-system")
    again = deploy(scenario, parcel, **PEOPLE)
    assert set(again.changed.values()) == {0}, str(again)

    deploy(scenario, parcel, ben=PEOPLE["ben"])
    assert not sees(ada, PODS, space)
    assert sees(ben, PODS, space)
    deploy(scenario, parcel)
    assert not sees(ben, PODS, space)


def test_an_operator_with_ssh_alone_gets_the_administrators_kubeconfig(
    scenario: Scenario, tmp_path: Path
) -> None:
    path = tmp_path / "kube" / "cluster.yaml"
    run = scenario.play("playbooks/kubeconfig.yml", __kubeadm_person="", slipway_kubeconfig=path)
    assert run.code == 0, str(run)
    assert str(path) in run.output
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sees(path, SECRETS, "kube-system")


def test_every_mistake_in_people_is_told_before_anything_is_changed(scenario: Scenario) -> None:
    wrong = {"ada": {"own": {"apps": [NAME]}}, "ben": {"view": {}}}
    run = scenario.play("playbooks/doctor.yml", slipway_people=wrong)
    assert run.code != 0
    for place in ("slipway_people.ada.own", "slipway_people.ben.view"):
        assert place in str(run)
