"""Why nobody gets an answer from an API server: the work of the module api_server_report."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from typing import Any

from slipway.on_node.shared import Modes, log_end, tool

TOOL_SECONDS = 30.0
"""How long a tool may take."""

LOCAL = "https://127.0.0.1:6443/livez"
SECONDS = 5.0
LINES = 10
"""Of each log that goes into the report."""


def said(*argv: str) -> str:
    """What a tool says, or that it takes too long to say something."""
    done = tool(*argv, seconds=TOOL_SECONDS)
    return (done.stderr if done.returncode < 0 else done.stdout).strip()


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


def report(endpoint: str) -> str:
    """What is known."""
    if answers(LOCAL):
        return (
            f"It answers on the node itself. Is {endpoint} the node's address, does a firewall "
            "let this machine through to that port, and do the clocks of both agree with the "
            "certificates' dates (kubeadm certs check-expiration)?"
        )
    kubelet = said("systemctl", "is-active", "kubelet.service")
    parts = ["It does not answer on the node itself either.", f"kubelet.service is {kubelet}"]
    if kubelet != "active":
        journal = said("journalctl", "--no-pager", "-o", "cat", "-n", str(LINES), "-u", "kubelet")
        parts.append(f"the last lines of the kubelet:\n{journal}")
    for component in ("kube-apiserver", "etcd"):
        parts.append(log_end(component, LINES) or f"{component} has no log: it never ran")
    return "\n".join(parts)


def main(args: dict[str, Any], modes: Modes) -> dict[str, Any]:
    """Look and tell."""
    return {"changed": False, "text": report(args["endpoint"])}
