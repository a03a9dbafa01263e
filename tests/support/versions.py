"""Versions of an app, as a cluster keeps them and goes back to them."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from slipway.apps.app import App, Built
from slipway.apps.deploy.deploy import Outcome, deploy
from slipway.apps.deploy.rollback import Rollback, carry_out, find
from slipway.apps.manifests.labels import COMMIT, HELD_FROM
from slipway.kube.client import Kube, Object
from slipway.kube.objects import digest
from tests.support.app_cluster import FakeApi, rolled_out_at_once
from tests.support.apps import built

REVISION = "deployment.kubernetes.io/revision"


def deployment_controller(api: FakeApi, obj: Object) -> None:
    """Keeps a ReplicaSet for each template, the one in use with the annotations and the newest
    number, as the Deployment's controller does."""
    rolled_out_at_once(api, obj)
    if obj["kind"] != "Deployment":
        return
    metadata = obj["metadata"]
    template = copy.deepcopy(obj["spec"]["template"])
    name = f"{metadata['name']}-{digest(template)}"
    template["metadata"]["labels"]["pod-template-hash"] = digest(template)
    sets = [each for key, each in api.objects.items() if key[0] == "replicasets"]
    newest = max((int(each["metadata"]["annotations"][REVISION]) for each in sets), default=0)
    live = api.named("deployments", metadata["namespace"], metadata["name"])
    live["metadata"]["uid"] = uid = f"of-{metadata['name']}"
    api.put(
        "replicasets",
        {
            "metadata": {
                "name": name,
                "namespace": metadata["namespace"],
                "labels": metadata["labels"],
                "annotations": {**metadata["annotations"], REVISION: str(newest + 1)},
                "ownerReferences": [{"uid": uid}],
            },
            "spec": {"template": template},
        },
    )


def version(number: int, **changes: Any) -> Built:
    """The app at a version."""
    image = f"apps.slipway.internal/greeter:main-{number}"
    text = [{"path": "/config/application.properties", "content": f"a={number}\n"}]
    return built(image=image, commit=str(number) * 40, config_files=text, **changes)


def run(kube: Kube, *apps: App, ca_dir: Path = Path("/nowhere")) -> Outcome:
    return deploy(kube, apps, "nginx", secrets={}, ca_dir=ca_dir, seconds=10, say=print)


def back(kube: Kube, name: str = "greeter", branch: str = "") -> Rollback:
    rollback = find(kube, name, branch)
    carry_out(kube, rollback, seconds=10, say=print)
    return rollback


def live(api: FakeApi) -> tuple[str, str, bool]:
    """Image, commit and whether it is held, of what runs."""
    deployment = api.named("deployments", "greeter-main", "greeter")
    annotations = deployment["metadata"]["annotations"]
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    return container["image"].rsplit("-", 1)[1], annotations[COMMIT][0], HELD_FROM in annotations
