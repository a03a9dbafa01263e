"""A control plane runs as its configuration says: the work of the module control_plane."""

from __future__ import annotations

import json
import re
import subprocess
import time
from typing import Any

from slipway.on_node.shared import (
    HOME,
    LONG_SECONDS,
    Failed,
    Modes,
    log_end,
    place,
    pointed_to,
    tool,
    write,
)

NOTE = f"{HOME}/control-plane"
"""Has the sum of the configuration that was carried out last."""

MANIFESTS = "/etc/kubernetes/manifests"

ADMIN = "/etc/kubernetes/admin.conf"
ADMINS = (ADMIN, "/etc/kubernetes/super-admin.conf")
"""Kubeconfigs of the cluster's administrator, of which one is everywhere."""

KNOWN = (("kube-public", "cluster-info"), ("kube-system", "kube-proxy"))
"""ConfigMaps that have a kubeconfig, and so say where the API is reached."""

CERTIFICATE = tuple(f"/etc/kubernetes/pki/apiserver.{kind}" for kind in ("crt", "key"))
CERTIFY = ("certs", "apiserver")

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
    admin = str(place(ADMIN))
    asked = ("kubectl", "--kubeconfig", admin, "--request-timeout=30s", *argv)
    return tool(*asked, given=given, seconds=LONG_SECONDS)


def manifests() -> dict[str, bytes]:
    """The static pods by their files' names."""
    return {path.name: path.read_bytes() for path in place(MANIFESTS).glob("*.yaml")}


def running(node: str) -> dict[str, dict[str, Any]]:
    """The text of each static pod of the node, as its hash, and whether it is ready.

    It is empty without an answer.
    """
    asked = ("--namespace=kube-system", "get", "pods", "--selector=tier=control-plane")
    found = kubectl(*asked, f"--field-selector=spec.nodeName={node}", "--output=json")
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


def certify(config: str) -> None:
    """Have a new certificate with all names of the API server, which takes it up by itself.

    kubeadm leaves one that is there, whatever names it has.
    """
    before = {path: path.read_bytes() for path in map(place, CERTIFICATE)}
    for path in before:
        path.unlink()
    try:
        phase(config, *CERTIFY)
    except Failure:
        for path, content in before.items():
            write(path, content)
        raise


def move(endpoint: str, timeout: float) -> None:
    """Have cluster and administrator know where the API is reached, if that is elsewhere now.

    It has to answer there before anybody is told. The kubeconfig by which that is found out comes
    last, so that what is interrupted is done again.
    """
    admins = {path: path.read_text() for path in map(place, ADMINS) if path.exists()}
    moved = {path: pointed_to(text, endpoint) for path, text in admins.items()}
    if moved == admins:
        return
    deadline = time.monotonic() + timeout
    while (asked := kubectl("--server", endpoint, "get", "--raw=/readyz")).returncode != 0:
        if time.monotonic() > deadline:
            raise Failure(f"the API is not reached at {endpoint}: {asked.stderr.strip()}")
        time.sleep(POLL_SECONDS)
    for namespace, name in KNOWN:
        found = kubectl("get", "configmap", f"--namespace={namespace}", name, "--output=json")
        if found.returncode == 0:
            held = json.loads(found.stdout)
            held["data"] = {key: pointed_to(text, endpoint) for key, text in held["data"].items()}
            tell("replace", "--filename=-", given=json.dumps(held))
    # It reads where the API is at its start; what it made of services stays meanwhile.
    tell("rollout", "restart", "--namespace=kube-system", "daemonset/kube-proxy")
    for path, text in reversed([*moved.items()]):
        write(path, text.encode())


def tell(*argv: str, given: str = "") -> None:
    """Change something in the cluster."""
    done = kubectl(*argv, given=given)
    if done.returncode != 0:
        raise Failure(f"kubectl {argv[0]}: {done.stderr.strip()}")


def wait(node: str, changed: list[str], before: dict[str, dict[str, Any]], timeout: float) -> None:
    """Wait until every static pod is ready, and those that changed are of their new text."""
    deadline = time.monotonic() + timeout
    while True:
        now = running(node)
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


def carry_out(node: str, config: str, timeout: float) -> list[str]:
    """Have the static pods as the configuration says; return the names of those that changed."""
    before, ran = manifests(), running(node)
    if not ran:
        raise Failure("the API server does not answer on its node")
    try:
        certify(config)
        for names in PHASES:
            phase(config, *names)
        now = manifests()
        changed = sorted(name for name in now if now[name] != before.get(name))
        wait(node, changed, ran, timeout)
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
            restarted = carry_out(args["node"], args["config"], args["timeout"])
            move(args["endpoint"], args["timeout"])
            rewrite_secrets()
        except Failure as failure:
            what = "the control plane does not run as it is configured"
            raise Failed(f"{what}: {failure}") from failure
    write(note, wanted.encode())
    return {"changed": True, "restarted": restarted}
