"""Volumes as folders: pods that have them, and a kubectl that runs there what it is told."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from slipway.apps.app import Built
from slipway.apps.volumes import in_pod
from slipway.apps.volumes.helper import Helper
from slipway.kube.client import Kube, Object
from tests.support.app_cluster import FakeApi, rolled_out_at_once
from tests.support.apps import built

KUBECTL = """#!{python}
import json, os, sys

argv = sys.argv[1:]
space = argv[argv.index("--namespace") + 1]
at = argv.index("--")
with open({log!r}, "a") as log:
    print(json.dumps(argv[:at]), file=log)
if os.path.exists({broken!r}):
    sys.exit("the connection was lost")
folder = os.path.join({volumes!r}, space)
command = [folder if word == "/data" else word for word in argv[at + 1 :]]
os.environ["SLIPWAY_PROGRAM"] = open({program!r}).read()
os.execv(sys.executable, [sys.executable, *command[1:]])
"""

VOLUMES: dict[str, Any] = {"volumes": {"data": {"path": "/srv"}}}


def keeper(name: str = "greeter", **changes: Any) -> Built:
    """An app with a volume."""
    return built(name, **{**VOLUMES, **changes})


class Volumes:
    """The volumes of a cluster, a folder for each namespace."""

    def __init__(self, kube: Kube, api: FakeApi, folder: Path) -> None:
        self.folder = folder / "volumes"
        self.broken = folder / "broken"
        self.log = folder / "log"
        self.said: list[str] = []
        kubectl = folder / "kubectl"
        kubectl.write_text(
            KUBECTL.format(
                python=sys.executable,
                log=str(self.log),
                broken=str(self.broken),
                volumes=str(self.folder),
                program=in_pod.__file__,
            )
        )
        kubectl.chmod(0o755)
        self.helper = Helper(kube, kubectl, folder / "kubeconfig", "python:1", self.said.append)
        self.pods: list[Object] = []
        """The pods that were made beside volumes."""
        self.replicas: list[int] = []
        """How many pods the app was to have, each time that it changed."""
        api.on_apply = self._on_apply

    def _on_apply(self, api: FakeApi, obj: Object) -> None:
        rolled_out_at_once(api, obj)
        if obj["kind"] == "Deployment":
            self.replicas.append(obj["spec"]["replicas"])
        if obj["kind"] == "Pod":
            self.pods.append(obj)
            api.put("pods", {**obj, "status": {"phase": "Running"}})

    def has(self, namespace: str, **files: str) -> Path:
        """Have files in the volume of a namespace; return its folder."""
        folder = self.folder / namespace
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text)
        return folder

    def content(self, namespace: str) -> dict[str, str]:
        """The files in the volume of a namespace."""
        return {each.name: each.read_text() for each in (self.folder / namespace).iterdir()}
