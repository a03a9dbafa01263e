"""What a workload's status and its pods say."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.kube.workloads import deployment_trouble, patient, pod_trouble, rolled_out
from slipway.waiting import Patience
from tests.support.rollouts import UNSCHEDULABLE, deployment, pod, waiting


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
    ("strategy", "expected"),
    [
        ({}, False),
        ({"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}, False),
        ({"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}, True),
        ({"type": "OnDelete"}, True),
    ],
)
@pytest.mark.parametrize("kind", ["StatefulSet", "DaemonSet"])
def test_older_pods_may_stay_where_the_workload_says_so(
    kind: str, strategy: dict[str, Any], expected: bool
) -> None:
    status = {"replicas": 2, "availableReplicas": 2, "updatedReplicas": 1}
    daemons = {"desiredNumberScheduled": 2, "numberAvailable": 2, "updatedNumberScheduled": 1}
    found = {
        "kind": kind,
        "metadata": {"generation": 1},
        "spec": {"replicas": 2, "updateStrategy": strategy},
        "status": {"observedGeneration": 1, **status, **daemons},
    }
    assert rolled_out(found) is expected


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
        (waiting("RunContainerError", "no such file", 1), "RunContainerError: no such file", False),
        (
            waiting("CreateContainerConfigError", 'configmap "x" not found'),
            'CreateContainerConfigError: configmap "x" not found',
            False,
        ),
        (
            waiting("CreateContainerConfigError", "container has runAsNonRoot and image has root"),
            "CreateContainerConfigError: container has runAsNonRoot and image has root: have USER "
            "in its Dockerfile name a number but 0, or give the pod a runAsUser",
            True,
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
        waiting("RunContainerError", "unable to freeze"),
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
    assert found and not found.final
    words = 'pods "a" is forbidden: violates PodSecurity "restricted:latest": hostNetwork'
    found = deployment_trouble(deployment(conditions=[{**condition, "message": words}]))
    assert found and (str(found), found.final) == (f"FailedCreate: {words}", True)
    assert deployment_trouble(deployment()) is None


def test_checks_of_pods_are_as_patient_as_all_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    probe = {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 10}
    given = {
        "livenessProbe": {**probe, "timeoutSeconds": 2, "failureThreshold": 5},
        "readinessProbe": probe,
    }
    spec = {"template": {"spec": {"containers": [{"name": "a", **given}], "volumes": []}}}
    workload = {"kind": "DaemonSet", "metadata": {"name": "a"}, "spec": spec}
    assert patient(workload) == workload

    monkeypatch.setattr(Patience, "factor", 2.5)
    [found] = patient(workload)["spec"]["template"]["spec"]["containers"]
    assert found == {
        "name": "a",
        "livenessProbe": {**probe, "timeoutSeconds": 5, "failureThreshold": 12},
        "readinessProbe": {**probe, "timeoutSeconds": 2, "failureThreshold": 8},
    }
    assert patient({**workload, "kind": "Thing"}) == {**workload, "kind": "Thing"}
