"""Which images stay, by what the cluster ran, and the action that asks it."""

from __future__ import annotations

import pytest

from slipway.apps.app import App
from slipway.apps.environments.retention import History, Serving, serving
from slipway.apps.manifests.labels import APP, EXTRA_IMAGES, NAME
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


@pytest.mark.parametrize("told", [built(failed=FAILED), planned()])
def test_what_an_app_of_which_nothing_is_known_brought_along_keeps_its_images(told: App) -> None:
    store = replica_set(5, 1, replicas=1)
    store["metadata"]["labels"] |= {NAME: "greeter-store", APP: "greeter-store"}
    assert ref(5) in retained([told], [], [store])
    assert ref(5) in [each.image for each in serving([told], [store])]
    assert ref(5) not in retained([built()], [], [store])


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


def noting(obj: Object, *images: str) -> Object:
    """A workload that notes images of its app's manifests."""
    obj["metadata"]["annotations"][EXTRA_IMAGES] = ",".join(images)
    return obj


def test_images_of_manifests_stay_with_the_version_that_has_them() -> None:
    history = [
        noting(replica_set(1, 1), "old:1"),
        noting(replica_set(2, 2, replicas=1), "cache:1", "tool:1"),
    ]
    new = built(image=ref(3), carried=[{"named": "cache", "image": "cache:2"}])
    now = noting(deployment(2), "cache:1", "tool:1")
    assert retained([new], [now], history) == sorted(
        [ref(2), ref(3), "cache:1", "cache:2", "tool:1"]
    )
    same = built(image=ref(2), carried=[{"named": "cache", "image": "cache:2"}])
    assert retained([same], [now], history) == sorted([ref(1), ref(2), "cache:2", "old:1"])
    assert "cache:1" in retained([planned(failed=FAILED)], [now], history)
    assert retained([], [now], history) == []


def test_pods_of_an_app_that_failed_have_what_was_noted_of_its_manifests() -> None:
    history = [noting(replica_set(2, 2, replicas=1), "cache:1"), noting(replica_set(1, 1), "old:1")]
    assert Serving("cache:1", {}) in serving([planned(failed=FAILED)], history)
    assert serving([built(image=ref(3))], history) == [Serving(ref(2), {})]


def test_an_app_that_is_no_more_keeps_nothing() -> None:
    other = replica_set(1, 1, replicas=1, owner="quotes")
    assert retained([built(image=ref(2))], [], [other]) == [ref(2)]
