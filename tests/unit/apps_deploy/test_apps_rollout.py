"""Why a roll-out fails, read from what a cluster says about it."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.apps.deploy import rollout
from slipway.apps.deploy.rollout import Rollouts, newest_pods
from slipway.apps.manifests import render
from slipway.kube import Kube, Object
from slipway.workloads import deployment_trouble, pod_trouble, rolled_out
from tests.unit.apps_deploy.app_cluster import FakeApi, deployment_status, record

APP = record()


def deployment(**status: Any) -> Object:
    """The app's Deployment with its status."""
    [obj] = [obj for obj in render(APP, "nginx") if obj["kind"] == "Deployment"]
    return {**obj, "metadata": {**obj["metadata"], "generation": 2}, "status": status}


def pod(name: str = "greeter-1", **status: Any) -> Object:
    """A pod of the app's present template."""
    template = deployment()["spec"]["template"]
    metadata = {**template["metadata"], "name": name, "namespace": APP["namespace"]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": template["spec"],
        "status": status,
    }


def waiting(why: str, message: str = "", restarts: int = 0, **ended: Any) -> dict[str, Any]:
    """The status of a pod whose container waits."""
    state = {"waiting": {"reason": why, "message": message}}
    container = {
        "name": "greeter",
        "ready": False,
        "restartCount": restarts,
        "state": state,
        "lastState": {"terminated": ended} if ended else {},
    }
    return {"phase": "Running", "containerStatuses": [container]}


UNSCHEDULABLE: dict[str, Any] = {
    "phase": "Pending",
    "conditions": [
        {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": "0/2 nodes are available: 2 node(s) didn't match node selector.",
        }
    ],
}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (
            {"observedGeneration": 2, "updatedReplicas": 1, "replicas": 1, "availableReplicas": 1},
            True,
        ),
        (
            {"observedGeneration": 1, "updatedReplicas": 1, "replicas": 1, "availableReplicas": 1},
            False,
        ),
        (
            {"observedGeneration": 2, "updatedReplicas": 1, "replicas": 2, "availableReplicas": 1},
            False,
        ),
        ({"observedGeneration": 2, "updatedReplicas": 1, "replicas": 1}, False),
        ({}, False),
    ],
)
def test_rolled_out(status: dict[str, int], expected: bool) -> None:
    assert rolled_out(deployment(**status)) is expected


@pytest.mark.parametrize(
    ("status", "reason", "final"),
    [
        (
            waiting("CrashLoopBackOff", "back-off", 2, exitCode=1, reason="Error"),
            "CrashLoopBackOff: exit code 1, 3 times",
            True,
        ),
        (
            waiting("CrashLoopBackOff", "back-off", 2, exitCode=137, reason="OOMKilled"),
            "CrashLoopBackOff: OOMKilled, 3 times",
            True,
        ),
        (waiting("ErrImagePull", "no such host"), "ErrImagePull: no such host", True),
        (waiting("ErrImageNeverPull", "not present"), "ErrImageNeverPull: not present", True),
        (
            waiting("CreateContainerConfigError", 'configmap "x" not found'),
            'CreateContainerConfigError: configmap "x" not found',
            False,
        ),
        (
            UNSCHEDULABLE,
            "Unschedulable: 0/2 nodes are available: 2 node(s) didn't match node selector.",
            False,
        ),
        ({"phase": "Failed", "reason": "Evicted", "message": "disk"}, "Evicted: disk", True),
    ],
)
def test_trouble_of_a_pod(status: dict[str, Any], reason: str, final: bool) -> None:
    trouble = pod_trouble(pod(**status))
    assert trouble is not None
    assert (str(trouble), trouble.final) == (reason, final)


@pytest.mark.parametrize(
    "status",
    [
        {},
        waiting("ContainerCreating"),
        waiting("CrashLoopBackOff", "back-off", 1, exitCode=1, reason="Error"),
        {"phase": "Running", "conditions": [{"type": "PodScheduled", "status": "True"}]},
    ],
)
def test_a_pod_that_is_on_its_way_is_in_no_trouble(status: dict[str, Any]) -> None:
    assert pod_trouble(pod(**status)) is None


def test_trouble_before_there_is_a_pod() -> None:
    condition = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate"}
    found = deployment_trouble(deployment(conditions=[{**condition, "message": "over quota"}]))
    assert str(found) == "FailedCreate: over quota"
    assert deployment_trouble(deployment()) is None


def test_only_pods_of_the_present_template_count() -> None:
    older, leaving, other = pod("older"), pod("leaving"), pod("other")
    older["metadata"]["annotations"] = {}
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    other["metadata"]["namespace"] = "elsewhere"
    assert newest_pods(deployment(), [older, leaving, other, pod("now")]) == [pod("now")]


def wait(kube: Kube, seconds: float = 30) -> tuple[dict[str, str], list[str]]:
    """Wait for the app; its failure by id, and what was said."""
    said: list[str] = []
    return Rollouts(kube, {APP["id"]: APP}, said.append).wait(seconds), said


def test_a_crash_is_told_with_the_last_words_and_events(kube: Kube, api: FakeApi) -> None:
    api.put("deployments", deployment(availableReplicas=1, observedGeneration=2, replicas=2))
    api.put("pods", pod(**waiting("CrashLoopBackOff", "", 2, exitCode=1, reason="Error")))
    api.logs["greeter-1", False] = ""
    api.logs["greeter-1", True] = "starting\nno greeting is configured\n"
    for time, message in (("T2", "Back-off restarting"), ("T1", "Startup probe failed")):
        event = {
            "metadata": {"name": time, "namespace": APP["namespace"]},
            "involvedObject": {"name": "greeter-1"},
            "type": "Warning",
            "reason": "BackOff",
            "message": message,
            "lastTimestamp": time,
        }
        api.put("events", event)
    failed, said = wait(kube)
    assert failed == {
        APP["id"]: "pod greeter-1: CrashLoopBackOff: exit code 1, 3 times; "
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
    asked = [path for _method, path in api.requests]
    assert asked.count("/apis/apps/v1/deployments") == 1  # nothing is left to be watched


def test_a_roll_out_is_seen_as_soon_as_it_is_done(kube: Kube, api: FakeApi) -> None:
    obj = deployment()
    api.put("deployments", obj)

    class Rolling(Rollouts):
        """Completes the roll-out while it is being watched."""

        def _follow(self, version: str) -> None:
            api.put("deployments", {**obj, "status": deployment_status(obj)})
            super()._follow(version)

    said: list[str] = []
    assert Rolling(kube, {APP["id"]: APP}, said.append).wait(30) == {}
    assert said == ["greeter (main): 1/1 ready after 0 s"]
    assert [path for _method, path in api.requests].count("/apis/apps/v1/deployments") == 2


def test_a_trouble_that_may_pass_fails_only_when_it_lasts(
    kube: Kube, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollout, "GRACE_SECONDS", 0.2)
    monkeypatch.setattr(rollout, "LOOK_SECONDS", 0)
    api.put("deployments", deployment())
    api.put("pods", pod(**UNSCHEDULABLE))
    failed, _said = wait(kube)
    assert failed[APP["id"]].startswith("pod greeter-1: Unschedulable: 0/2 nodes are available")
    assert len([path for _method, path in api.requests if path == "/api/v1/pods"]) > 1


def test_a_roll_out_that_never_ends_says_what_its_pods_do(kube: Kube, api: FakeApi) -> None:
    api.put("deployments", deployment())
    api.put("pods", pod(**waiting("ContainerCreating")))
    api.logs["greeter-1", False] = "still loading\n"
    failed, _said = wait(kube, 0)
    assert failed[APP["id"]] == (
        "pod greeter-1: not ready after 0 s: waiting (ContainerCreating)\n"
        "its last lines:\n    | still loading"
    )


def test_a_deployment_that_vanishes_is_a_failure(kube: Kube) -> None:
    assert wait(kube)[0] == {APP["id"]: f"its Deployment {APP['id']} was deleted meanwhile"}


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
    rollouts = Rollouts(kube, {APP["id"]: APP}, print)
    assert rollouts.retry([deployment()])
    assert [key[2] for key in api.objects] == ["starting"]
    assert not rollouts.retry([deployment()])
