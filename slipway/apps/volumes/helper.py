"""A pod beside a volume, which reads and writes it: the data comes and goes by the API server.

It is in the namespace of the claim, and who the app's own pods are: it may no more than those. What
it runs is sent with it (:mod:`slipway.apps.volumes.in_pod`).
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

from slipway.apps.volumes import in_pod
from slipway.apps.volumes.archive import Contents, copied, feed
from slipway.errors import Problem, SlipwayError
from slipway.interrupts import also_when_ended
from slipway.kube.claims import claims_of, unbound
from slipway.kube.client import PODS, Kube, Object
from slipway.kube.objects import digest, key_of
from slipway.kube.workloads import explain, pod_trouble
from slipway.run import Running, running
from slipway.waiting import allowed, wait_until

START_SECONDS = 60.0
"""How long the pod may take until it runs."""

PATH = "/data"
"""Where it has the volume."""

PROGRAM = "SLIPWAY_PROGRAM"
"""The variable that has what it runs."""

_ROOTS_RIGHTS = ("CHOWN", "DAC_OVERRIDE", "FOWNER")
"""What it takes to keep the owners of files, which root alone can."""

_LASTS = 24 * 3600
"""Seconds after which a pod ends that nobody is there any more to remove."""


@dataclass(frozen=True)
class Volume:
    """A claim, and how pods that have it are: who, and on which nodes."""

    claim: Object
    security: Mapping[str, Any]
    node_selector: Mapping[str, str]

    @classmethod
    def of(cls, claim: Object, pod: Mapping[str, Any]) -> Volume:
        """The volume as the spec of an app's pod has it."""
        return cls(claim, pod.get("securityContext", {}), pod.get("nodeSelector", {}))

    @property
    def namespace(self) -> str:
        """Where the claim is."""
        return str(self.claim["metadata"]["namespace"])

    @property
    def name(self) -> str:
        """The name of the claim."""
        return str(self.claim["metadata"]["name"])


@dataclass(frozen=True)
class Helper:
    """What moves data: the program that speaks to pods, and the image of the pod."""

    kube: Kube
    kubectl: Path
    kubeconfig: Path
    image: str
    say: Callable[[str], None]

    @classmethod
    def with_bundle(
        cls, kube: Kube, bundle: Path, kubeconfig: Path, image: str, say: Callable[[str], None]
    ) -> Helper:
        """By the kubectl of a bundle."""
        return cls(kube, bundle / "bin" / "kubectl", kubeconfig, image, say)

    def save(self, volume: Volume, target: IO[bytes]) -> None:
        """Write what is in a volume; say what of it is left out."""
        refused = None
        with self._pod(volume) as pod:
            with self._run(pod, "save", stdout=subprocess.PIPE) as tool:
                try:
                    copied(tool.stdout, target)
                except SlipwayError as error:  # the tool may know why
                    refused = error
            if refused:
                raise refused
            self._tell(volume, tool)

    def load(self, volume: Volume, path: Path, contents: Contents) -> None:
        """Have what a file holds in place of what is in a volume, or leave that as it was."""
        size = str(contents.size)
        with (
            self._pod(volume) as pod,
            self._run(pod, "load", size, stdin=subprocess.PIPE) as tool,
        ):
            feed(path, tool.stdin)

    def copy(self, source: Volume, target: Volume) -> None:
        """Have what is in one volume in another, whose data it replaces."""
        problems: list[Problem] = []
        with self._pod(source) as giver, self._pod(target) as taker:
            try:
                with self._run(giver, "save", stdout=subprocess.PIPE) as given:
                    try:
                        with self._run(taker, "load", "0", stdin=given.stdout):
                            given.stdout.close()  # or it would not hear that the taker ended
                    except SlipwayError as error:  # the giver may know why
                        problems += error.problems
            except SlipwayError as error:
                problems += error.problems
            if problems:
                raise SlipwayError(problems)
            self._tell(source, given)

    def _tell(self, volume: Volume, tool: Running) -> None:
        """Say what was left out."""
        lines = [line for line in tool.said.splitlines() if line.startswith("{")]
        told = json.loads(lines[-1]) if lines else {}
        if told.get("left_out"):
            shown = ", ".join(told["shown"])
            self.say(
                f"{volume.namespace}/{volume.name}: left out {told['left_out']}, as no file, "
                f"folder or link within the volume: {shown}"
            )

    def _run(
        self,
        pod: Object,
        *argv: str,
        stdin: int | IO[bytes] = subprocess.DEVNULL,
        stdout: int | IO[bytes] = subprocess.DEVNULL,
    ) -> Any:
        """Run the program in a pod, for a verb and what it takes beside the volume."""
        doing, *more = argv
        _kind, space, name = key_of(pod)
        program = f"import os; exec(os.environ['{PROGRAM}'])"
        command = [
            *(self.kubectl, "--kubeconfig", self.kubeconfig, "exec", "--namespace", space),
            *((name,) if stdin is subprocess.DEVNULL else ("--stdin", name)),
            *("--", "python3", "-c", program, doing, PATH, *more),
        ]
        volume = pod["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"]
        return running(command, what=f"volume {space}/{volume}", stdin=stdin, stdout=stdout)

    @contextmanager
    def _pod(self, volume: Volume) -> Iterator[Object]:
        """A pod that runs and has a volume, for as long as the block lasts."""
        pod = _spec(volume, self.image, self._node_of(volume))
        self._remove(pod)
        with also_when_ended(partial(self._remove, pod)):
            self.kube.apply(pod)
            self._wait_for(pod)
            yield pod

    def _node_of(self, volume: Volume) -> str:
        """The node on which a volume is in use, which others may not have; empty if on none."""
        found = users(self.kube, volume.claim)
        return next((node for each in found if (node := each["spec"].get("nodeName"))), "")

    def _remove(self, pod: Object) -> None:
        """Remove a pod, also one that a run has left that was killed."""
        _kind, space, name = key_of(pod)
        if self.kube.delete(PODS, name, space):
            seconds = allowed(START_SECONDS)
            if not wait_until(lambda: not self.kube.get(PODS, name, space), seconds):
                what = f"has not gone after {seconds:.0f} s"
                raise SlipwayError(Problem(f"pod {space}/{name}", what))

    def _wait_for(self, pod: Object) -> None:
        _kind, space, name = key_of(pod)
        live: Object = {}

        def runs() -> bool:
            live.update(self.kube.get(PODS, name, space) or {})
            found = pod_trouble(live)
            return live.get("status", {}).get("phase") == "Running" or bool(found and found.final)

        seconds = allowed(START_SECONDS)
        in_time = wait_until(runs, seconds)
        trouble = pod_trouble(live)
        if trouble and (trouble.final or not in_time):
            raise SlipwayError(Problem(f"pod {space}/{name}", explain(self.kube, live, trouble)))
        if not in_time:
            claims = "; ".join(map(str, unbound(self.kube, live)))
            what = f"does not run after {seconds:.0f} s"
            raise SlipwayError(Problem(f"pod {space}/{name}", f"{what}; {claims}".rstrip("; ")))


def users(kube: Kube, claim: Object) -> list[Object]:
    """The pods that have the volume of a claim, or will have it: those that have not ended."""
    _kind, space, name = key_of(claim)
    return [
        pod
        for pod in kube.list(PODS, namespace=space).items
        if pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")
        and name in claims_of(pod)
    ]


def _spec(volume: Volume, image: str, node: str) -> Object:
    """The pod for a volume: who the app is, on the node that has it."""
    program = Path(in_pod.__file__).read_text(encoding="utf-8")
    is_root = volume.security.get("runAsUser") == 0
    container = {
        "name": "data",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python3", "-c", f"import time; time.sleep({_LASTS})"],
        "env": [{"name": PROGRAM, "value": program.replace("$", "$$")}],
        "volumeMounts": [{"name": "data", "mountPath": PATH}],
        "resources": {
            "requests": {"cpu": "10m", "memory": "64Mi"},
            "limits": {"memory": "512Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"], **({"add": [*_ROOTS_RIGHTS]} if is_root else {})},
        },
    }
    place: Mapping[str, Any] = (
        {"nodeName": node} if node else {"nodeSelector": dict(volume.node_selector)}
    )
    return {
        "apiVersion": PODS.api_version,
        "kind": PODS.kind,
        "metadata": {
            "name": f"slipway-data-{digest(volume.name)[:8]}",
            "namespace": volume.namespace,
        },
        "spec": {
            "restartPolicy": "Never",
            "activeDeadlineSeconds": _LASTS,
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": dict(volume.security),
            **place,
            "containers": [container],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": volume.name}}],
        },
    }
