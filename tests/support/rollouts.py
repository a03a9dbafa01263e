"""A Deployment on its way, and pods with their troubles."""

from __future__ import annotations

from typing import Any

from slipway.apps.manifests.render import render
from slipway.kube.client import Object
from tests.support.apps import built

APP = built()


def deployment(**status: Any) -> Object:
    """The app's Deployment with its status."""
    [obj] = [obj for obj in render(APP, "nginx") if obj["kind"] == "Deployment"]
    return {**obj, "metadata": {**obj["metadata"], "generation": 2}, "status": status}


def pod(name: str = "greeter-1", **status: Any) -> Object:
    """A pod of the app's present template."""
    template = deployment()["spec"]["template"]
    metadata = {**template["metadata"], "name": name, "namespace": APP.namespace}
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
