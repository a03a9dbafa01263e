#!/usr/bin/python
"""Why nobody gets an answer from a node's API server."""

from __future__ import annotations

import ssl
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: api_server_report
short_description: Say what keeps a control plane's API server from answering
description:
  - Asks the API server on its node, and shows the last lines of what does not run.
  - It changes nothing.
options:
  endpoint:
    description: The URL at which others do not reach it.
    type: str
    required: true
attributes:
  check_mode:
    description: Changes nothing in any mode.
    support: full
  diff_mode:
    description: There is nothing to compare.
    support: N/A
author:
  - Slipway
"""

EXAMPLES = r"""
- name: See what the API server does
  api_server_report:
    endpoint: https://192.0.2.11:6443
"""

RETURN = r"""
text:
  description: What is known, in a few lines.
  returned: always
  type: str
"""

ROOT = Path("/")
"""Of the file system that the paths are in."""

TOOL_SECONDS = 30.0
"""How long a tool may take."""

LOCAL = "https://127.0.0.1:6443/livez"
SECONDS = 5.0
LINES = 10
"""Of each log that goes into the report."""


def tool(*argv: str) -> str:
    """What a tool says."""
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, check=False, timeout=TOOL_SECONDS
        )
    except subprocess.TimeoutExpired:
        return f"{argv[0]} took longer than {TOOL_SECONDS:.0f} s"
    return done.stdout.strip()


def answers(url: str) -> bool:
    """Whether a server speaks TLS and HTTP there; whose certificate it has is not at issue."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with urllib.request.urlopen(url, timeout=SECONDS, context=context):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def last_lines(component: str) -> str:
    """The end of the newest log of a static pod."""
    logs = ROOT.glob(f"var/log/pods/kube-system_{component}-*/{component}/*.log")
    newest = max(logs, key=lambda path: path.stat().st_mtime, default=None)
    if newest is None:
        return f"{component} has no log: it never ran"
    lines = newest.read_text(encoding="utf-8", errors="replace").splitlines()[-LINES:]
    return "\n".join([f"the last lines of {component}:", *lines])


def report(endpoint: str) -> str:
    """What is known."""
    if answers(LOCAL):
        return (
            f"It answers on the node itself. Is {endpoint} the node's address, does a firewall "
            "let this machine through to that port, and do the clocks of both agree with the "
            "certificates' dates (kubeadm certs check-expiration)?"
        )
    kubelet = tool("systemctl", "is-active", "kubelet.service")
    parts = ["It does not answer on the node itself either.", f"kubelet.service is {kubelet}"]
    if kubelet != "active":
        journal = tool("journalctl", "--no-pager", "-o", "cat", "-n", str(LINES), "-u", "kubelet")
        parts.append(f"the last lines of the kubelet:\n{journal}")
    return "\n".join([*parts, last_lines("kube-apiserver"), last_lines("etcd")])


def main() -> None:
    """Look and tell."""
    module = AnsibleModule(
        argument_spec={"endpoint": {"type": "str", "required": True}}, supports_check_mode=True
    )
    module.exit_json(changed=False, text=report(module.params["endpoint"]))


if __name__ == "__main__":
    main()
