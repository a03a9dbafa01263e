"""Requests for certificates of the cluster's authority."""

from __future__ import annotations

from slipway.kube.client import Kube, Resource

REQUESTS = Resource(
    "certificates.k8s.io/v1",
    "CertificateSigningRequest",
    "certificatesigningrequests",
    namespaced=False,
)


def approve(kube: Kube, name: str, message: str) -> None:
    """Have a request signed; the message is kept with it, and says why it may be."""
    approved = {
        "type": "Approved",
        "status": "True",
        "reason": "SlipwayApproved",
        "message": message,
    }
    kube.apply(
        {
            "apiVersion": REQUESTS.api_version,
            "kind": REQUESTS.kind,
            "metadata": {"name": name},
            "status": {"conditions": [approved]},
        },
        part="approval",
    )
