"""A service that an app brings along runs before the app does, and both know one password."""

from __future__ import annotations

import base64
import json
from datetime import datetime
from typing import Any

from slipway.kube.client import DEPLOYMENTS, PODS, SECRETS, Object
from tests.support.shelves import NAME, Shelf

SPACE = "notebook-main"
ASK = "import urllib.request as u; print(u.urlopen('http://notebook-store:8000/healthz').status)"
TELL = "import os; print(os.environ['{name}'])"


def notebook(shelf: Shelf, tag: str = "1") -> dict[str, Any]:
    """An app with a store of its own, whose password it knows."""
    store = {
        "image": f"{shelf.address}/{NAME}:{tag}",
        "port": 8000,
        "env": {"OWN": {"password": "own"}},
    }
    env = {"STORE": {"password": "own", "app": "notebook-store"}}
    return {
        "image": f"{shelf.address}/{NAME}:1",
        "registry_auth": shelf.login(),
        "env": env,
        "services": {"store": store},
    }


def in_pod(shelf: Shelf, name: str, program: str) -> str:
    """What a program prints in the pod of a Deployment."""
    target = ("exec", "--namespace", SPACE, f"deployment/{name}", "--", "python3", "-c", program)
    return shelf.scenario.kubectl(*target).strip()


def ready(pod: Object) -> datetime:
    """When a pod was ready."""
    [found] = [each for each in pod["status"]["conditions"] if each["type"] == "Ready"]
    return datetime.fromisoformat(found["lastTransitionTime"])


def test_a_service_is_there_before_the_app_and_both_know_its_password(shelf: Shelf) -> None:
    run = shelf.deploy(notebook=notebook(shelf))
    assert run.code == 0, str(run)
    kube = shelf.scenario.kube
    kept = kube.get(SECRETS, "notebook-store-passwords", SPACE)
    assert kept
    password = base64.b64decode(kept["data"]["own"]).decode()
    assert in_pod(shelf, "notebook-store", TELL.format(name="OWN")) == password
    assert in_pod(shelf, "notebook", TELL.format(name="STORE")) == password
    assert password not in f"{run.output}{run.errors}"
    assert in_pod(shelf, "notebook", ASK) == "200"
    app = kube.get(DEPLOYMENTS, "notebook", SPACE)
    assert app
    labels = "app.kubernetes.io/name=notebook-store"
    [pod] = kube.list(PODS, namespace=SPACE, labels=labels).items
    assert datetime.fromisoformat(app["metadata"]["creationTimestamp"]) >= ready(pod)

    again = shelf.deploy(notebook=notebook(shelf))
    assert set(again.changed.values()) == {0}, str(again)
    assert kube.get(SECRETS, "notebook-store-passwords", SPACE) == kept


def test_an_app_whose_service_cannot_be_had_says_so(shelf: Shelf) -> None:
    run = shelf.deploy(notebook=notebook(shelf), other=notebook(shelf, "none"))
    assert run.code != 0
    failures = json.dumps(run.failures)
    assert "other-store (main)" in failures, str(run)
    assert "it needs other-store (main), which does not run" in failures, str(run)
    assert "notebook (main)" not in failures, str(run)
    assert in_pod(shelf, "notebook", ASK) == "200"
