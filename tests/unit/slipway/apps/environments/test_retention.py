"""Which images stay, by what the cluster ran, and the action that asks it."""

from __future__ import annotations

import pytest

from slipway.apps.app import App
from slipway.apps.environments.retention import History
from slipway.kube.client import Object
from tests.support.apps import built, planned
from tests.support.workloads import FAILED, deployment, ref, replica_set


def retained(apps: list[App], deployments: list[Object], replica_sets: list[Object]) -> list[str]:
    return History.of(deployments, replica_sets).retained(apps)


HISTORY = [replica_set(1, 9), replica_set(2, 10), replica_set(3, 11, replicas=1)]


@pytest.mark.parametrize(
    ("app", "versions"),
    [
        (built(image=ref(4)), [3, 4]),
        (built(image=ref(3)), [2, 3]),
        (built(image=ref(1)), [1, 3]),
        (built(image=ref(4), failed=FAILED), [1, 2, 3, 4]),
        (planned(failed=FAILED), [1, 2, 3]),
        (planned(), [1, 2, 3]),
    ],
)
def test_an_app_keeps_its_image_and_the_one_before(app: App, versions: list[int]) -> None:
    assert retained([app], [deployment(3)], HISTORY) == [ref(each) for each in versions]


def test_a_new_app_keeps_its_image() -> None:
    assert retained([built(image=ref(1))], [], []) == [ref(1)]


def test_what_the_deployment_names_counts_as_newest() -> None:
    history = [replica_set(1, 12, replicas=1), replica_set(2, 11)]
    assert retained([built(image=ref(3))], [deployment(2)], history) == [ref(1), ref(2), ref(3)]


def test_a_version_that_never_started_does_not_push_out_the_one_that_serves() -> None:
    history = [replica_set(1, 1, replicas=2), replica_set(2, 2, replicas=1)]
    assert retained([built(image=ref(3))], [deployment(2)], history) == [ref(1), ref(2), ref(3)]


def test_the_same_image_with_another_config_is_one_version() -> None:
    history = [replica_set(1, 1), replica_set(2, 2), replica_set(2, 3, replicas=1)]
    assert retained([built(image=ref(2))], [deployment(2)], history) == [ref(1), ref(2)]


def test_an_app_that_is_no_more_keeps_nothing() -> None:
    other = replica_set(1, 1, replicas=1, owner="quotes")
    assert retained([built(image=ref(2))], [], [other]) == [ref(2)]
