"""The cluster's objects, as far as the controller reads them.

Each ``parse_*`` takes an object as the API server sends it (JSON) and keeps only what decisions
are made from, so that two versions of an object which mean the same compare equal.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

CLASS_ANNOTATION = "kubernetes.io/ingress.class"
"""Deprecated; where it is present it wins over ``spec.ingressClassName``."""

Json = Mapping[str, Any]


class Key(NamedTuple):
    """Which object of its kind; ``namespace`` is empty for objects of the whole cluster."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Backend:
    """Where a path leads; ``service`` None is a backend that is not a Service.

    ``port`` is a Service's port by number or by name.
    """

    service: str | None
    port: int | str


@dataclass(frozen=True, slots=True)
class Path:
    """One path of a rule."""

    path: str
    path_type: str
    backend: Backend


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; ``paths`` None means that it has no ``http`` part."""

    host: str
    paths: tuple[Path, ...] | None


@dataclass(frozen=True, slots=True)
class TlsEntry:
    """One entry of ``spec.tls``."""

    hosts: tuple[str, ...]
    secret: str


@dataclass(frozen=True, slots=True)
class Address:
    """One load balancer address; one of the two is empty."""

    ip: str = ""
    hostname: str = ""

    def as_json(self) -> dict[str, str]:
        """The address as an Ingress status has it."""
        return {"ip": self.ip} if self.ip else {"hostname": self.hostname}


@dataclass(frozen=True, slots=True)
class Ingress:
    """An Ingress; ``created`` is RFC 3339 in UTC, so that texts compare as times do."""

    key: Key
    uid: str
    created: str
    generation: int
    annotations: Mapping[str, str]
    class_name: str | None
    class_by_annotation: bool
    rules: tuple[Rule, ...]
    tls: tuple[TlsEntry, ...] = ()
    default_backend: Backend | None = None
    addresses: tuple[Address, ...] = ()


@dataclass(frozen=True, slots=True)
class IngressClass:
    """Which controller a class belongs to."""

    key: Key
    controller: str


@dataclass(frozen=True, slots=True)
class Service:
    """A Service's ports (number to name) and its load balancer addresses."""

    key: Key
    ports: Mapping[int, str]
    addresses: tuple[Address, ...] = ()


@dataclass(frozen=True, slots=True)
class EndpointSlice:
    """A slice's ready addresses and its ports (name to number)."""

    key: Key
    service: Key
    ports: Mapping[str, int]
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TlsSecret:
    """A certificate chain and its key in one PEM text; ``problem`` is why it cannot be used."""

    key: Key
    pem: bytes = field(repr=False)
    problem: str = ""

    @property
    def file_name(self) -> str:
        """A file name that changes with the content, so that a new certificate is a new config."""
        return f"{hashlib.sha256(self.pem).hexdigest()[:32]}.pem"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that is known of the cluster at one moment."""

    ingresses: Mapping[Key, Ingress] = field(default_factory=dict)
    classes: Mapping[Key, IngressClass] = field(default_factory=dict)
    services: Mapping[Key, Service] = field(default_factory=dict)
    slices: Mapping[Key, EndpointSlice] = field(default_factory=dict)
    secrets: Mapping[Key, TlsSecret] = field(default_factory=dict)


def key_of(document: Json) -> Key:
    """The key in an object's metadata."""
    metadata = document["metadata"]
    return Key(metadata.get("namespace", ""), metadata["name"])


def parse_ingress(document: Json) -> Ingress:
    """A networking.k8s.io/v1 Ingress."""
    metadata = document["metadata"]
    spec = document.get("spec") or {}
    annotations = metadata.get("annotations") or {}
    by_annotation = CLASS_ANNOTATION in annotations
    default = spec.get("defaultBackend")
    return Ingress(
        key=key_of(document),
        uid=metadata.get("uid", ""),
        created=metadata.get("creationTimestamp", ""),
        generation=metadata.get("generation", 0),
        annotations=annotations,
        class_name=annotations[CLASS_ANNOTATION] if by_annotation else spec.get("ingressClassName"),
        class_by_annotation=by_annotation,
        rules=tuple(_rule(rule) for rule in spec.get("rules") or ()),
        tls=tuple(
            TlsEntry(tuple(entry.get("hosts") or ()), entry.get("secretName") or "")
            for entry in spec.get("tls") or ()
        ),
        default_backend=_backend(default) if default else None,
        addresses=_addresses(document),
    )


def parse_ingress_class(document: Json) -> IngressClass:
    """A networking.k8s.io/v1 IngressClass."""
    return IngressClass(key_of(document), (document.get("spec") or {}).get("controller", ""))


def parse_service(document: Json) -> Service:
    """A core/v1 Service."""
    ports = (document.get("spec") or {}).get("ports") or ()
    return Service(
        key=key_of(document),
        ports={port["port"]: port.get("name") or "" for port in ports if _is_tcp(port)},
        addresses=_addresses(document),
    )


def parse_endpoint_slice(document: Json) -> EndpointSlice:
    """A discovery.k8s.io/v1 EndpointSlice.

    An endpoint counts unless it says that it is not ready. Its addresses are interchangeable and
    the first is taken, as kube-proxy does. Names (``addressType: FQDN``) are left out.
    """
    key = key_of(document)
    labels = document["metadata"].get("labels") or {}
    form = "[{}]" if document.get("addressType") == "IPv6" else "{}"
    endpoints = () if document.get("addressType") == "FQDN" else document.get("endpoints") or ()
    return EndpointSlice(
        key=key,
        service=Key(key.namespace, labels.get("kubernetes.io/service-name", "")),
        ports={
            port.get("name") or "": port["port"]
            for port in document.get("ports") or ()
            if port.get("port") and _is_tcp(port)
        },
        addresses=tuple(
            sorted(
                form.format(endpoint["addresses"][0])
                for endpoint in endpoints
                if (endpoint.get("conditions") or {}).get("ready") is not False
            )
        ),
    )


def parse_tls_secret(document: Json) -> TlsSecret:
    """A core/v1 Secret of type kubernetes.io/tls, its certificate checked against its key."""
    key = key_of(document)
    data = document.get("data") or {}
    try:
        parts = [base64.b64decode(data.get(name) or "", validate=True) for name in _TLS_DATA]
    except binascii.Error as error:
        return TlsSecret(key, b"", f"its data is not base64: {error}")
    missing = [name for name, part in zip(_TLS_DATA, parts, strict=True) if not part.strip()]
    if missing:
        return TlsSecret(key, b"", f"it has no {' and no '.join(missing)}")
    pem = b"\n".join(part.strip() for part in parts) + b"\n"
    return TlsSecret(key, pem, _pem_problem(pem))


_TLS_DATA = ("tls.crt", "tls.key")


def _pem_problem(pem: bytes) -> str:
    """Why a server cannot use this certificate and key, or nothing."""
    # OpenSSL reads them from a file only; this one is never on a disk.
    descriptor = os.memfd_create("tls")
    try:
        os.write(descriptor, pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # A password keeps OpenSSL from asking for one on the terminal.
        context.load_cert_chain(f"/proc/self/fd/{descriptor}", password="")
    except (ssl.SSLError, OSError) as error:
        return f"its certificate and key cannot be used: {error}"
    finally:
        os.close(descriptor)
    return ""


def _is_tcp(port: Json) -> bool:
    return bool(port.get("protocol", "TCP") == "TCP")


def _rule(rule: Json) -> Rule:
    http = rule.get("http")
    paths = None if http is None else tuple(_path(path) for path in http.get("paths") or ())
    return Rule(rule.get("host") or "", paths)


def _path(path: Json) -> Path:
    return Path(path.get("path") or "", path.get("pathType") or "", _backend(path["backend"]))


def _backend(backend: Json) -> Backend:
    service = backend.get("service")
    if service is None:
        return Backend(None, 0)
    port = service.get("port") or {}
    return Backend(service["name"], port.get("name") or port.get("number") or 0)


def _addresses(document: Json) -> tuple[Address, ...]:
    balancer = (document.get("status") or {}).get("loadBalancer") or {}
    return tuple(
        Address(entry.get("ip") or "", entry.get("hostname") or "")
        for entry in balancer.get("ingress") or ()
    )
