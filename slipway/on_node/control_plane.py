"""A control plane runs as its configuration says: the work of the module control_plane."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from slipway.on_node.shared import HOME, LONG_SECONDS, Failed, Modes, log_end, place, tool

NOTE = f"{HOME}/control-plane"
"""Has the sum of the configuration that was carried out last."""

MANIFESTS = "/etc/kubernetes/manifests"

PHASES = (("control-plane", "all"), ("etcd", "local"))
"""Of kubeadm init: what writes static pods."""

UPLOAD = ("upload-config", "kubeadm")
"""What has the cluster itself know its configuration, for later commands of kubeadm."""

HASH = "kubernetes.io/config.hash"
"""Annotation by which the kubelet tells of which text a static pod is."""

POLL_SECONDS = 1.0

LINES = 5
"""Of each log that is shown of a control plane that does not come up."""

TRIES = 5
"""How often Secrets are read and written again if others change them in between."""


class Failure(Exception):
    """Why the control plane does not run as it is configured."""


def kubectl(*argv: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """Ask the API server as its administrator."""
    admin = str(place("/etc/kubernetes/admin.conf"))
    asked = ("kubectl", "--kubeconfig", admin, "--request-timeout=30s", *argv)
    return tool(*asked, given=given, seconds=LONG_SECONDS)


def manifests() -> dict[str, bytes]:
    """The static pods by their files' names."""
    return {path.name: path.read_bytes() for path in place(MANIFESTS).glob("*.yaml")}


def write(path: Path, content: bytes) -> None:
    """Put a file in its place as a whole, for root alone; the kubelet overlooks the one before."""
    handle, name = tempfile.mkstemp(dir=str(path.parent), prefix=".slipway-")
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(handle)
    Path(name).rename(path)


def running() -> dict[str, dict[str, Any]]:
    """Each static pod's text, as its hash, and whether it is ready; empty without an answer."""
    asked = ("--namespace=kube-system", "get", "pods", "--selector=tier=control-plane")
    found = kubectl(*asked, "--output=json")
    if found.returncode != 0:
        return {}
    return {
        f"{pod['metadata']['labels']['component']}.yaml": {
            "hash": pod["metadata"]["annotations"].get(HASH, ""),
            "ready": any(
                each["type"] == "Ready" and each["status"] == "True"
                for each in pod["status"].get("conditions", [])
            ),
        }
        for pod in json.loads(found.stdout)["items"]
    }


def phase(config: str, *names: str) -> None:
    """Carry out a phase of kubeadm init."""
    done = tool("kubeadm", "init", "phase", *names, f"--config={config}", seconds=LONG_SECONDS)
    if done.returncode != 0:
        raise Failure(f"kubeadm init phase {' '.join(names)}: {done.stderr.strip()}")


def wait(changed: list[str], before: dict[str, dict[str, Any]], timeout: float) -> None:
    """Wait until every static pod is ready, and those that changed are of their new text."""
    deadline = time.monotonic() + timeout
    while True:
        now = running()
        late = [
            name
            for name in before
            if not now.get(name, {}).get("ready")
            or (name in changed and now[name]["hash"] == before[name]["hash"])
        ]
        if not late:
            return
        if time.monotonic() > deadline:
            answer = "" if now else ", and the API server does not answer"
            raise Failure(f"after {timeout:.0f} s, not ready: {' '.join(sorted(late))}{answer}")
        time.sleep(POLL_SECONDS)


def last_lines(names: list[str]) -> str:
    """The ends of the kubelet's log, which starts static pods, and of their own newest ones."""
    asked = ("journalctl", "--no-pager", "-o", "cat", "-n", str(LINES), "-u", "kubelet")
    parts = [f"the last lines of the kubelet:\n{tool(*asked).stdout.strip()}"]
    logs = (log_end(name[: -len(".yaml")], LINES) for name in names)
    return "\n".join([*parts, *filter(None, logs)])


def carry_out(config: str, timeout: float) -> list[str]:
    """Have the static pods as the configuration says; return the names of those that changed."""
    before, ran = manifests(), running()
    if not ran:
        raise Failure("the API server does not answer on its node")
    try:
        for names in PHASES:
            phase(config, *names)
        now = manifests()
        changed = sorted(name for name in now if now[name] != before.get(name))
        wait(changed, ran, timeout)
    except Failure as failure:
        now = manifests()
        changed = sorted(name for name in now if now[name] != before.get(name))
        reason = f"{failure}\n{last_lines(changed)}"
        for name in changed:
            if name in before:
                write(place(f"{MANIFESTS}/{name}"), before[name])
        raise Failure(f"{reason}\nIt has its former static pods again.") from failure
    phase(config, *UPLOAD)
    return [name[: -len(".yaml")] for name in changed]


def rewrite_secrets() -> None:
    """Write every Secret as it is, which keeps it in the form of today.

    What kubectl says of a Secret that it could not write may show a part of it.
    """
    for _ in range(TRIES):
        found = kubectl("get", "--raw=/api/v1/secrets")
        if found.returncode != 0:
            raise Failure(f"the Secrets cannot be read: {found.stderr.strip()}")
        items = [
            {"apiVersion": "v1", "kind": "Secret", **item}
            for item in json.loads(found.stdout)["items"] or []
        ]
        if not items:
            return
        given = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
        done = kubectl("replace", "--validate=false", "--filename=-", given=given)
        if done.returncode == 0:
            return
        time.sleep(POLL_SECONDS)
    reasons = sorted(set(re.findall(r"from server \((\w+)\)", done.stderr)))
    raise Failure(f"some Secrets could not be written anew: {' '.join(reasons)}")


def main(args: dict[str, Any], modes: Modes) -> dict[str, Any]:
    """Compare with the note, carry out, and note; raises Failed where it does not run so."""
    wanted, note = args["sum"], place(NOTE)
    if note.exists() and note.read_text(encoding="utf-8") == wanted:
        return {"changed": False, "restarted": []}
    if modes.check:
        return {"changed": True, "restarted": []}
    restarted: list[str] = []
    if not args["made"]:
        try:
            restarted = carry_out(args["config"], args["timeout"])
            rewrite_secrets()
        except Failure as failure:
            what = "the control plane does not run as it is configured"
            raise Failed(f"{what}: {failure}") from failure
    write(note, wanted.encode())
    return {"changed": True, "restarted": restarted}
