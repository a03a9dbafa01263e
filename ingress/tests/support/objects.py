"""Kubernetes objects for tests, as the API server sends them."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Document = dict[str, Any]

PORT = 80


def ingress(
    name: str,
    namespace: str = "default",
    *,
    role: str | None = None,
    host: str | None = "cafe.example.com",
    paths: list[Document] | None = None,
    annotations: dict[str, str] | None = None,
    created: str = "2030-01-01T00:00:00Z",
    uid: str | None = None,
    class_name: str | None = "nginx",
    tls: list[Document] | None = None,
    **spec: Any,
) -> Document:
    """An Ingress with one rule."""
    rule: Document = {"host": host} if host else {}
    if paths is not None:
        rule["http"] = {"paths": paths}
    merging = {"nginx.org/mergeable-ingress-type": role} if role is not None else {}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": uid or f"uid-{namespace}-{name}",
            "creationTimestamp": created,
            "generation": 1,
            "annotations": {**merging, **(annotations or {})},
        },
        "spec": {
            **({"ingressClassName": class_name} if class_name else {}),
            **({"tls": tls} if tls else {}),
            "rules": [rule],
            **spec,
        },
    }


def master(name: str = "master", namespace: str = "default", **more: Any) -> Document:
    """A master."""
    return ingress(name, namespace, role="master", **more)


def minion(name: str, namespace: str = "default", *paths: Document, **more: Any) -> Document:
    """A minion."""
    return ingress(name, namespace, role="minion", paths=list(paths), **more)


def path(
    text: str, service: str = "tea", path_type: str = "Prefix", port: int | str = PORT
) -> Document:
    """A path to a Service."""
    number_or_name = {"name": port} if isinstance(port, str) else {"number": port}
    return {
        "path": text,
        "pathType": path_type,
        "backend": {"service": {"name": service, "port": number_or_name}},
    }


def ingress_class(
    name: str = "nginx", controller: str = "nginx.org/ingress-controller"
) -> Document:
    """An IngressClass."""
    return {"kind": "IngressClass", "metadata": {"name": name}, "spec": {"controller": controller}}


def service(name: str, namespace: str = "default", *, ip: str = "") -> Document:
    """A Service with one port, named http; with ``ip``, a load balancer's address."""
    status = {"loadBalancer": {"ingress": [{"ip": ip}]} if ip else {}}
    return {
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"ports": [{"name": "http", "port": PORT, "protocol": "TCP"}]},
        "status": status,
    }


def endpoint_slice(
    name: str, port: int, namespace: str = "default", addresses: tuple[str, ...] = ("127.0.0.1",)
) -> Document:
    """The ready endpoints of a Service."""
    return {
        "kind": "EndpointSlice",
        "addressType": "IPv4",
        "metadata": {
            "name": f"{name}-abc12",
            "namespace": namespace,
            "labels": {"kubernetes.io/service-name": name},
        },
        "endpoints": [
            {"addresses": [address], "conditions": {"ready": True}} for address in addresses
        ],
        "ports": [{"name": "http", "port": port, "protocol": "TCP"}],
    }


def make_certificate(host: str, *, days: int = 2) -> tuple[bytes, bytes]:
    """A self-signed certificate for ``host``, a name or an address, and its key, both PEM.

    It is valid from four days ago until ``days`` from now; it has expired if that is negative.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    is_address = host.replace(".", "").isdigit()
    known_as = x509.IPAddress(ip_address(host)) if is_address else x509.DNSName(host)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=4))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([known_as]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    return certificate.public_bytes(pem), key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, plain
    )


def tls_secret(name: str, certificate: bytes, key: bytes, namespace: str = "default") -> Document:
    """A Secret of type kubernetes.io/tls."""
    return {
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": {"name": name, "namespace": namespace},
        "data": {
            "tls.crt": base64.b64encode(certificate).decode(),
            "tls.key": base64.b64encode(key).decode(),
        },
    }
