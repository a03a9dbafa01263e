"""Somebody is certified by the cluster, for a while, with a key that stays here."""

from __future__ import annotations

from base64 import b64decode, b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from slipway.errors import SlipwayError
from slipway.kube import access
from slipway.kube.access import admit
from slipway.kube.client import Kube, Object

USER = "slipway:person:ada"


class Api:
    """An API server whose controller manager signs what is approved, unless it ``sleeps``."""

    def __init__(self, *, sleeps: bool = False) -> None:
        self.sleeps = sleeps
        self.requests: dict[str, Object] = {}
        self.sent: list[str] = []
        self._key = ec.generate_private_key(ec.SECP256R1())

    def apply(self, obj: Object, *, part: str = "") -> None:
        self.sent.append(str(obj))
        name = obj["metadata"]["name"]
        if not part:
            self.requests[name] = obj
        elif not self.sleeps:
            certificate = b64encode(self._sign(self.requests[name]["spec"])).decode()
            self.requests[name]["status"] = {"certificate": certificate}

    def _sign(self, spec: Object) -> bytes:
        asked = x509.load_pem_x509_csr(b64decode(spec["request"]))
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(asked.subject)
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubernetes")]))
            .public_key(asked.public_key())
            .serial_number(1)
            .not_valid_before(now)
            .not_valid_after(now + timedelta(seconds=spec["expirationSeconds"]))
            .sign(self._key, hashes.SHA256())
            .public_bytes(serialization.Encoding.PEM)
        )

    def get(self, _resource: object, name: str) -> Object | None:
        return self.requests.get(name)

    def delete(self, _resource: object, name: str) -> bool:
        return self.requests.pop(name, None) is not None


def as_kube(api: Api) -> Kube:
    found: Any = api
    return found  # type: ignore[no-any-return]


def test_the_certificate_is_for_the_user_alone_and_of_the_key() -> None:
    pair = admit(as_kube(Api()), USER, timedelta(hours=12))
    certificate = x509.load_pem_x509_certificate(pair.certificate.encode())
    assert certificate.subject.rfc4514_string() == f"CN={USER}"
    key = serialization.load_pem_private_key(pair.key.encode(), None)
    assert key.public_key() == certificate.public_key()
    left = certificate.not_valid_after_utc - datetime.now(UTC)
    assert timedelta(hours=11) < left < timedelta(hours=13)


def test_the_key_is_sent_to_nobody_and_no_request_is_left() -> None:
    api = Api()
    pair = admit(as_kube(api), USER, timedelta(hours=12))
    assert pair.key.splitlines()[1] not in "".join(api.sent)
    assert api.requests == {}


def test_a_certificate_that_nobody_signs_is_told_and_asked_for_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(access, "SIGNED_SECONDS", 0.0)
    api = Api(sleeps=True)
    with pytest.raises(SlipwayError, match="nobody signed it"):
        admit(as_kube(api), USER, timedelta(hours=12))
    assert api.requests == {}
