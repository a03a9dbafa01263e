"""A certificate by which the API knows a user, for a while: by the cluster's own authority."""

from __future__ import annotations

import secrets
from base64 import b64decode, b64encode
from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from slipway.certificates import Pair, key_text
from slipway.errors import Problem, SlipwayError
from slipway.kube.client import Kube, Object
from slipway.kube.objects import of_kind
from slipway.kube.requests import REQUESTS, approve
from slipway.waiting import allowed, wait_until

SIGNER = "kubernetes.io/kube-apiserver-client"

SIGNED_SECONDS = 30.0
"""How long the controller manager may take to sign."""

REASON = "The operator asked for it, for a person of slipway_people."
"""Kept with each request that is approved."""


def admit(kube: Kube, user: str, life: timedelta) -> Pair:
    """A certificate for a ``user`` in no group, and its key, which is nowhere else.

    Raises SlipwayError when nobody signs it in time.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = f"slipway-{secrets.token_hex(8)}"
    try:
        kube.apply(_request(name, user, key, life))
        approve(kube, name, REASON)
        if not wait_until(lambda: _signed(kube, name), allowed(SIGNED_SECONDS), 0.2):
            what = f"nobody signed it within {allowed(SIGNED_SECONDS):.0f} s"
            fix = "see the log of kube-controller-manager on a control plane"
            raise SlipwayError(Problem(f"certificate of {user}", what, fix))
        return Pair(_signed(kube, name), key_text(key))
    finally:
        kube.delete(REQUESTS, name)


def _request(name: str, user: str, key: ec.EllipticCurvePrivateKey, life: timedelta) -> Object:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, user)])
    asked = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    spec = {
        "signerName": SIGNER,
        "usages": ["client auth"],
        "expirationSeconds": int(life.total_seconds()),
        "request": b64encode(asked.public_bytes(serialization.Encoding.PEM)).decode(),
    }
    return of_kind(REQUESTS, {"name": name}, spec)


def _signed(kube: Kube, name: str) -> str:
    """The certificate of a request as PEM; empty as long as there is none."""
    found = kube.get(REQUESTS, name) or {}
    return b64decode(found.get("status", {}).get("certificate", "")).decode()
