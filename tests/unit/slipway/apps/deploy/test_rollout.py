"""Why a roll-out fails, read from what a cluster says about it."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.apps.app import Built
from slipway.apps.deploy import rollout
from slipway.apps.deploy.rollout import Rollouts, newest_pods
from slipway.apps.manifests.labels import owner_of
from slipway.apps.manifests.render import render
from slipway.kube.client import DEPLOYMENTS, PODS, Kube, Object
from slipway.kube.objects import grouped
from tests.support.app_cluster import FakeApi, deployment_status
from tests.support.apps import built
from tests.support.rollouts import APP, UNSCHEDULABLE, deployment, pod, waiting


def test_only_pods_of_the_present_template_count() -> None:
    older, leaving, other = pod("older"), pod("leaving"), pod("other")
    older["metadata"]["annotations"] = {}
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    other["metadata"]["namespace"] = "elsewhere"
    pods = grouped([older, leaving, other, pod("now")], owner_of)
    assert newest_pods(deployment(), pods) == [pod("now")]


def paths(api: FakeApi) -> list[str]:
    """What the API was asked for."""
    return [path for _method, path in api.requests]


def wait(kube: Kube, seconds: float = 30) -> tuple[dict[str, str], list[str]]:
    """Wait for the app; its failure by id, and what was said."""
    said: list[str] = []
    return Rollouts(kube, {APP.id: APP}, said.append).wait(seconds), said


def test_a_crash_is_told_with_the_last_words_and_events(kube: Kube, api: FakeApi) -> None:
    api.put("deployments", deployment(availableReplicas=1, observedGeneration=2, replicas=2))
    api.put("pods", pod(**waiting("CrashLoopBackOff", "", 2, exitCode=1, reason="Error")))
    api.logs["greeter-1", False] = ""
    api.logs["greeter-1", True] = "starting\nno greeting is configured\n"
    for time, message in (("T2", "Back-off restarting"), ("T1", "Startup probe failed")):
        event = {
            "metadata": {"name": time, "namespace": APP.namespace},
            "involvedObject": {"name": "greeter-1"},
            "type": "Warning",
            "reason": "BackOff",
            "message": message,
            "lastTimestamp": time,
        }
        api.put("events", event)
    failed, said = wait(kube)
    assert failed == {
        APP.id: "pod greeter-1: CrashLoopBackOff: exit code 1, 3 times; "
        "what was deployed before still serves\n"
        "its last lines:\n"
        "    | starting\n"
        "    | no greeting is configured\n"
        "its last events:\n"
        "    | BackOff: Startup probe failed\n"
        "    | BackOff: Back-off restarting"
    }
    assert said == [
        "greeter (main): failed after 0 s: pod greeter-1: CrashLoopBackOff: exit code 1, 3 times; "
        "what was deployed before still serves"
    ]
    assert paths(api).count(DEPLOYMENTS.path(APP.namespace)) == 1
    assert DEPLOYMENTS.path() not in paths(api)  # nothing is left to be watched


def test_a_roll_out_is_seen_as_soon_as_it_is_done(kube: Kube, api: FakeApi) -> None:
    obj = deployment()
    api.put("deployments", obj)

    class Rolling(Rollouts):
        """Completes the roll-out while it is being watched."""

        def _follow(self, version: str) -> None:
            api.put("deployments", {**obj, "status": deployment_status(obj)})
            super()._follow(version)

    said: list[str] = []
    assert Rolling(kube, {APP.id: APP}, said.append).wait(30) == {}
    assert said == ["greeter (main): 1/1 ready after 0 s"]
    assert paths(api) == [
        DEPLOYMENTS.path(APP.namespace),
        PODS.path(APP.namespace),
        DEPLOYMENTS.path(),  # the watch
    ]


def test_a_trouble_that_may_pass_fails_only_when_it_lasts(
    kube: Kube, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollout, "GRACE_SECONDS", 0.2)
    monkeypatch.setattr(rollout, "LOOK_SECONDS", 0)
    api.put("deployments", deployment())
    api.put("pods", pod(**UNSCHEDULABLE))
    failed, _said = wait(kube)
    assert failed[APP.id].startswith("pod greeter-1: Unschedulable: 0/2 nodes are available")
    assert paths(api).count(PODS.path(APP.namespace)) > 1


def with_claim(**status: Any) -> Object:
    """A pod of the app that wants a volume."""
    found = pod(**status)
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": "greeter-data"}}
    return {**found, "spec": {**found["spec"], "volumes": [volume]}}


def claim(api: FakeApi, **spec: Any) -> None:
    """Its claim, which is not bound."""
    metadata = {"name": "greeter-data", "namespace": APP.namespace}
    status = {"phase": "Pending"}
    api.put("persistentvolumeclaims", {"metadata": metadata, "spec": spec, "status": status})


def test_a_pod_that_will_get_no_volume_fails_soon_though_the_scheduler_is_silent(
    kube: Kube, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollout, "GRACE_SECONDS", 0.2)
    monkeypatch.setattr(rollout, "LOOK_SECONDS", 0)
    api.put("deployments", deployment())
    api.put("pods", with_claim(phase="Pending"))
    claim(api, storageClassName="quick")
    failed, _said = wait(kube)
    assert failed[APP.id].startswith(
        "pod greeter-1: claim greeter-data is not bound: there is no StorageClass quick"
    )


def test_a_volume_that_may_yet_come_is_waited_for_and_named_at_the_end(
    kube: Kube, api: FakeApi
) -> None:
    api.put("deployments", deployment())
    api.put("pods", with_claim(phase="Pending"))
    api.put("storageclasses", {"metadata": {"name": "quick"}})
    claim(api, storageClassName="quick")
    failed, _said = wait(kube, 0)
    assert failed[APP.id].startswith(
        "pod greeter-1: not ready after 0 s: waiting for its pods; claim greeter-data is not bound"
    )


def test_a_roll_out_that_never_ends_says_what_its_pods_do(kube: Kube, api: FakeApi) -> None:
    api.put("deployments", deployment())
    api.put("pods", pod(**waiting("ContainerCreating")))
    api.logs["greeter-1", False] = "still loading\n"
    failed, _said = wait(kube, 0)
    assert failed[APP.id] == (
        "pod greeter-1: not ready after 0 s: waiting (ContainerCreating)\n"
        "its last lines:\n    | still loading"
    )


def test_a_deployment_that_vanishes_is_a_failure(kube: Kube) -> None:
    assert wait(kube)[0] == {APP.id: f"its Deployment {APP.id} was deleted meanwhile"}


def test_a_long_wait_is_reported(kube: Kube, api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollout, "REPORT_SECONDS", 0.0)
    monkeypatch.setattr(rollout, "LOOK_SECONDS", 0)
    api.put("deployments", deployment())
    api.put("pods", pod(**waiting("ContainerCreating")))
    _failed, said = wait(kube, 0.2)
    assert said[0] == "greeter (main): waiting (ContainerCreating) after 0 s"


def test_pods_that_hold_back_after_old_failures_are_replaced(kube: Kube, api: FakeApi) -> None:
    api.put("pods", pod("stuck", **waiting("ImagePullBackOff", "back-off")))
    api.put("pods", pod("starting", **waiting("ContainerCreating")))
    rollouts = Rollouts(kube, {APP.id: APP}, print)
    assert rollouts.retry([deployment()])
    assert [key[2] for key in api.objects] == ["starting"]
    assert not rollouts.retry([deployment()])


def roll_outs(api: FakeApi, count: int) -> dict[str, Built]:
    """Have apps in the cluster, each in its namespace, whose pods never start."""
    apps = [built(branch=f"branch-{number}") for number in range(count)]
    for app in apps:
        [obj] = [obj for obj in render(app, "nginx") if obj["kind"] == "Deployment"]
        api.put("deployments", {**obj, "status": {}})
        metadata = {**obj["spec"]["template"]["metadata"], "namespace": app.namespace}
        stuck = waiting("ErrImagePull", f"no image of {app.git_branch}")
        api.put("pods", {**pod(**stuck), "metadata": {**metadata, "name": "p"}})
    return {app.id: app for app in apps}


def test_of_many_apps_only_those_that_are_waited_for_are_looked_at(
    kube: Kube, api: FakeApi
) -> None:
    apps = roll_outs(api, 20)
    api.logs["p", False] = "hello"
    one = dict([*apps.items()][:1])
    assert list(Rollouts(kube, one, print).wait(30)) == list(one)
    assert {path.split("/namespaces/")[1].split("/")[0] for path in paths(api)} == {
        "greeter-branch-0"
    }


@pytest.mark.parametrize(("count", "looks"), [(rollout.FEW, rollout.FEW), (rollout.FEW + 1, 1)])
def test_few_namespaces_are_looked_at_one_by_one_and_many_at_once(
    kube: Kube, api: FakeApi, count: int, looks: int
) -> None:
    apps = roll_outs(api, count)
    api.logs["p", False] = "hello"
    failed = Rollouts(kube, apps, print).wait(30)
    assert {app_id: reason.splitlines()[0] for app_id, reason in failed.items()} == {
        app_id: f"pod p: ErrImagePull: no image of {app.git_branch}" for app_id, app in apps.items()
    }
    for kind in ("deployments", "pods"):
        assert len([path for path in paths(api) if path.endswith(f"/{kind}")]) == looks


def test_pods_that_hold_back_are_looked_for_in_one_request_if_there_are_many(
    kube: Kube, api: FakeApi
) -> None:
    apps = roll_outs(api, rollout.FEW + 1)
    deployments = kube.list(DEPLOYMENTS).items
    api.requests.clear()
    assert Rollouts(kube, apps, print).retry(deployments)
    assert [path for method, path in api.requests if method == "GET"] == [PODS.path()]
    assert len(api.writes) == len(apps)


def test_nothing_is_asked_where_nothing_is_waited_for(kube: Kube, api: FakeApi) -> None:
    rollouts = Rollouts(kube, {}, print)
    assert not rollouts.retry([])
    assert rollouts.wait(30) == {}
    assert paths(api) == []
