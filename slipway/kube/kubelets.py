"""Serving certificates of kubelets: which are asked for, and which of them are given."""

from __future__ import annotations

import binascii
import ipaddress
import time
from base64 import b64decode
from collections.abc import Mapping

from cryptography import x509
from cryptography.x509.oid import NameOID

from slipway.errors import Problem, SlipwayError
from slipway.kube.client import ApiError, Kube, Object, Unreachable
from slipway.kube.requests import REQUESTS, approve

SIGNER = "kubernetes.io/kubelet-serving"
"""Who signs them, once they are approved: the controller manager, with the cluster's authority."""

USER, GROUP = "system:node:", "system:nodes"
"""As whom a node speaks to the API server, which makes sure of it."""

USAGES = {"digital signature", "key encipherment", "server auth"}

REASON = "It is a node's own, and good for its name and address alone."
"""Kept with each request that is approved."""

POLL_SECONDS = 0.5


def refusal(request: Object, nodes: Mapping[str, str]) -> str:
    """Why a request is not to be approved; nothing for a node's own, under its own address.

    ``nodes`` are those of the inventory, with their addresses.
    """
    spec = request["spec"]
    user = spec["username"]
    name = user[len(USER) :] if user.startswith(USER) else ""
    if name not in nodes or GROUP not in spec.get("groups", []):
        return f"{user} is no node of the inventory"
    if not {"digital signature", "server auth"} <= set(spec["usages"]) <= USAGES:
        return f"it is to be good for {', '.join(spec['usages'])}"
    try:
        asked = x509.load_pem_x509_csr(b64decode(spec["request"], validate=True))
        return _other_subject(asked, user) or _other_places(asked, name, nodes[name])
    except (binascii.Error, ValueError, x509.DuplicateExtension):
        return "it cannot be read"


def _other_subject(asked: x509.CertificateSigningRequest, user: str) -> str:
    """What is wrong with who it is to be for."""
    wanted = [(NameOID.COMMON_NAME, user), (NameOID.ORGANIZATION_NAME, GROUP)]
    found = [(each.oid, each.value) for each in asked.subject]
    if sorted(found, key=str) != sorted(wanted, key=str):
        return f"it is for {asked.subject.rfc4514_string()}"
    return "" if asked.is_signature_valid else "who asks does not have its key"


def _other_places(asked: x509.CertificateSigningRequest, name: str, address: str) -> str:
    """What is wrong with the names and addresses at which it is to be good."""
    found: list[x509.GeneralName] = []
    for extension in asked.extensions:
        if not isinstance(extension.value, x509.SubjectAlternativeName):
            return f"it has an extension {extension.oid.dotted_string}"
        found += extension.value
    allowed = (x509.DNSName(name), x509.IPAddress(ipaddress.ip_address(address)))
    if not found or any(each not in allowed for each in found):
        shown = ", ".join(str(each.value) for each in found) or "nowhere"
        return f"it is to be good at {shown}; the node is {name} at {address}"
    return ""


def certify(
    kube: Kube, nodes: Mapping[str, str], timeout: float, *, dry_run: bool = False
) -> tuple[list[str], list[str]]:
    """Approve what is right until the API server reaches every kubelet over a proved connection.

    Returns who was given a certificate, and which requests were left and why. With ``dry_run``, it
    looks once and approves nothing. Raises SlipwayError after ``timeout`` seconds, with what the
    API server says of each kubelet.
    """
    deadline = time.monotonic() + timeout
    given: set[str] = set()
    while True:
        refused = []
        for request in _pending(kube):
            reason = refusal(request, nodes)
            if reason:
                refused.append(f"{request['metadata']['name']}: {reason}")
                continue
            given.add(request["spec"]["username"].removeprefix(USER))
            if not dry_run:
                approve(kube, request["metadata"]["name"], REASON)
        lacking = {} if dry_run else _lacking(kube, nodes)
        if not lacking:
            return sorted(given), refused
        if time.monotonic() > deadline:
            left = "".join(f"\n    left: {each}" for each in refused)
            raise SlipwayError(
                Problem(
                    f"kubelet of {name}",
                    f"the API server cannot reach it after {timeout:.0f} s: {reason}{left}",
                    "see 'journalctl -u kubelet' on the node",
                )
                for name, reason in lacking.items()
            )
        time.sleep(POLL_SECONDS)


def _pending(kube: Kube) -> list[Object]:
    """The requests of kubelets that nobody has decided about."""
    return [
        each
        for each in kube.list(REQUESTS).items
        if each["spec"]["signerName"] == SIGNER and not each["status"].get("conditions")
    ]


def _lacking(kube: Kube, nodes: Mapping[str, str]) -> dict[str, str]:
    """The nodes whose kubelet the API server does not reach, and what it says."""
    found = {}
    for name in nodes:
        try:
            kube.kubelet(name, "/healthz")
        except (ApiError, Unreachable) as error:
            found[name] = error.problems[0].what
    return found
