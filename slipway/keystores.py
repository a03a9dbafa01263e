"""Certificates as Java has them: a key store for a server, a trust store for its clients.

Both are PKCS #12, which other servers read, too. Two of the same are never the same bytes: salts
are drawn for each.
"""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs12

from slipway.certificates import Pair

ROOT = "ca"
"""The name of the root in a trust store."""


def keystore(pair: Pair, root: str, name: str, password: str) -> bytes:
    """A key store with one entry of this name: a pair, with the root that it is proved by."""
    key = serialization.load_pem_private_key(pair.key.encode(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)  # as authorities issue them
    return pkcs12.serialize_key_and_certificates(
        name.encode(), key, _certificate(pair.certificate), [_certificate(root)], _locked(password)
    )


def truststore(root: str, password: str) -> bytes:
    """A trust store with a root."""
    trusted = pkcs12.PKCS12Certificate(_certificate(root), ROOT.encode())
    return pkcs12.serialize_java_truststore([trusted], _locked(password))


def key_in(store: bytes, password: str) -> str:
    """The key in a key store as PEM; empty where there is none, or where it does not open."""
    found = _opened(store, password)
    if found is None or found.key is None:
        return ""
    return found.key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def certificates_in(store: bytes, password: str) -> list[str]:
    """The certificates in a store as PEM, the key's own first; none where it does not open."""
    found = _opened(store, password)
    if found is None:
        return []
    own = [found.cert] if found.cert else []
    return [
        each.certificate.public_bytes(serialization.Encoding.PEM).decode()
        for each in (*own, *found.additional_certs)
    ]


def _opened(store: bytes, password: str) -> pkcs12.PKCS12KeyAndCertificates | None:
    try:
        return pkcs12.load_pkcs12(store, password.encode())
    except ValueError:
        return None


def _certificate(text: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(text.encode())


def _locked(password: str) -> serialization.KeySerializationEncryption:
    return serialization.BestAvailableEncryption(password.encode())
