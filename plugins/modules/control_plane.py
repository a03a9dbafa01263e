#!/usr/bin/python
"""A control plane that is there runs as its configuration says."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: control_plane
short_description: Have a control plane run as kubeadm's configuration says
description:
  - kubeadm reads its configuration when it makes a cluster. This module has it write the static
    pods of a cluster that is there anew, waits until those that differ have been started with what
    is new, and brings the Secrets into the form in which they are kept now.
  - A control plane that does not come up so gets its former static pods back.
  - It notes which configuration it carried out, and does nothing for one that it did. That is noted
    last, so that what is interrupted is done again.
options:
  config:
    description: The file with kubeadm's configuration.
    type: path
    default: /etc/kubernetes/kubeadm.yaml
  sum:
    description: The SHA-256 sum that the file has, or will have.
    type: str
    required: true
  made:
    description: Whether kubeadm made the cluster just now, with this configuration.
    type: bool
    required: true
  timeout:
    description: Seconds that static pods may take to run.
    type: int
    required: true
attributes:
  check_mode:
    description: Reports whether another configuration was carried out last, and changes nothing.
    support: full
  diff_mode:
    description: There is no content to compare.
    support: none
author:
  - Slipway
"""

EXAMPLES = r"""
- name: Have the control plane run as it is configured
  control_plane:
    sum: "{{ configuration | hash('sha256') }}"
    made: false
    timeout: 240
"""

RETURN = r"""
restarted:
  description: The static pods that were written anew, and so started anew.
  returned: success
  type: list
  elements: str
"""

ROOT = Path("/")
"""Of the file system that the paths are in."""

TOOL_SECONDS = 1800.0
"""How long a tool may take; kubeadm's own waits are shorter."""

PATH = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where programs are; Slipway's are in the first, which sudo leaves out on many machines."""

NOTE = "/var/lib/slipway/control-plane"
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


def place(path: str) -> Path:
    """Where a path of the node is."""
    return ROOT / path.lstrip("/")


def tool(*argv: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run a tool and return what came of it."""
    with subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
        env={**os.environ, "PATH": PATH},
        start_new_session=True,
    ) as process:
        try:
            out, said = process.communicate(given, timeout=TOOL_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # and what it started
            out, _said = process.communicate()
            said = f"{argv[0]} took longer than {TOOL_SECONDS:.0f} s"
    return subprocess.CompletedProcess(argv, process.returncode, out, said)


def kubectl(*argv: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """Ask the API server as its administrator."""
    admin = str(place("/etc/kubernetes/admin.conf"))
    return tool("kubectl", "--kubeconfig", admin, "--request-timeout=30s", *argv, given=given)


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
    done = tool("kubeadm", "init", "phase", *names, f"--config={config}")
    if done.returncode != 0:
        raise Failure(f"kubeadm init phase {' '.join(names)}: {done.stderr.strip()}")


def wait(changed: list[str], before: dict[str, dict[str, Any]], timeout: int) -> None:
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
            raise Failure(f"after {timeout} s, not ready: {' '.join(sorted(late))}{answer}")
        time.sleep(POLL_SECONDS)


def last_lines(names: list[str]) -> str:
    """The ends of the kubelet's log, which starts static pods, and of their own newest ones."""
    asked = ("journalctl", "--no-pager", "-o", "cat", "-n", str(LINES), "-u", "kubelet")
    parts = [f"the last lines of the kubelet:\n{tool(*asked).stdout.strip()}"]
    for component in (name[: -len(".yaml")] for name in names):
        logs = ROOT.glob(f"var/log/pods/kube-system_{component}-*/{component}/*.log")
        newest = max(logs, key=lambda path: path.stat().st_mtime, default=None)
        if newest:
            lines = newest.read_text(encoding="utf-8", errors="replace").splitlines()[-LINES:]
            parts.append("\n".join([f"the last lines of {component}:", *lines]))
    return "\n".join(parts)


def carry_out(config: str, timeout: int) -> list[str]:
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


def main() -> None:
    """Compare with the note, carry out, and note."""
    module = AnsibleModule(
        argument_spec={
            "config": {"type": "path", "default": "/etc/kubernetes/kubeadm.yaml"},
            "sum": {"type": "str", "required": True},
            "made": {"type": "bool", "required": True},
            "timeout": {"type": "int", "required": True},
        },
        supports_check_mode=True,
    )
    wanted, note = module.params["sum"], place(NOTE)
    if note.exists() and note.read_text(encoding="utf-8") == wanted:
        module.exit_json(changed=False, restarted=[])
    if module.check_mode:
        module.exit_json(changed=True, restarted=[])
    restarted: list[str] = []
    if not module.params["made"]:
        try:
            restarted = carry_out(module.params["config"], module.params["timeout"])
            rewrite_secrets()
        except Failure as failure:
            module.fail_json(msg=f"the control plane does not run as it is configured: {failure}")
    write(note, wanted.encode())
    module.exit_json(changed=True, restarted=restarted)


if __name__ == "__main__":
    main()
