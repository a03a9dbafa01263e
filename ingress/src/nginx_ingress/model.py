"""The cluster's objects, as far as the controller reads them.

Each ``parse_*`` takes an object as the API server sends it (JSON) and keeps only what decisions
are made from, so that two versions of an object which mean the same compare equal. What has not the
type that it should is Malformed; an Ingress or a TLS secret is kept even so, with the problem.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import ipaddress
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

CLASS_ANNOTATION = "kubernetes.io/ingress.class"
"""Deprecated; where it is present it wins over ``spec.ingressClassName``."""

LONGEST_CHAIN, LONGEST_KEY = 65_536, 4_096
"""In bytes, of a certificate chain and of its key in a TLS secret. Each handshake sends the one and
computes with the other, while everybody else of that worker waits: there is room for an RSA key of
4,096 bits, and with one of four times as many it takes some sixty times as long."""

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
    """An Ingress; ``created`` is RFC 3339 in UTC, so that texts compare as times do.

    ``problem`` is why it could not be read, if so; the fields that follow the class are then empty.
    """

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
    problem: str = ""


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


class Malformed(ValueError):
    """A field has not the type that it should; the text names the field."""


def key_of(document: Json) -> Key:
    """The key in an object's metadata."""
    metadata = _mapping(document, "metadata")
    return Key(_text(metadata, "namespace"), _required(_text(metadata, "name"), "metadata.name"))


def parse_ingress(document: Json) -> Ingress:
    """A networking.k8s.io/v1 Ingress, whatever it is made of."""
    try:
        return _ingress(document)
    # One object is not to end the reading of the others, not even as one that nobody foresaw.
    except Exception as error:
        return _unreadable(document, str(error) or type(error).__name__)


def parse_ingress_class(document: Json) -> IngressClass:
    """A networking.k8s.io/v1 IngressClass."""
    return IngressClass(key_of(document), _text(_mapping(document, "spec"), "controller"))


def parse_service(document: Json) -> Service:
    """A core/v1 Service."""
    ports = _mappings(_mapping(document, "spec"), "ports")
    return Service(
        key=key_of(document),
        ports={_number(port, "port"): _text(port, "name") for port in ports if _is_tcp(port)},
        addresses=_addresses(document),
    )


def parse_endpoint_slice(document: Json) -> EndpointSlice:
    """A discovery.k8s.io/v1 EndpointSlice.

    An endpoint counts unless it says that it is not ready. Its addresses are interchangeable and
    the first is taken, as kube-proxy does. Names (``addressType: FQDN``) are left out.
    """
    key = key_of(document)
    labels = _mapping(_mapping(document, "metadata"), "labels")
    named = document.get("addressType") == "FQDN"
    endpoints = [] if named else _mappings(document, "endpoints")
    return EndpointSlice(
        key=key,
        service=Key(key.namespace, _text(labels, "kubernetes.io/service-name")),
        ports={
            _text(port, "name"): _number(port, "port")
            for port in _mappings(document, "ports")
            if port.get("port") and _is_tcp(port)
        },
        addresses=tuple(
            sorted(
                _endpoint_address(endpoint)
                for endpoint in endpoints
                if _mapping(endpoint, "conditions").get("ready") is not False
            )
        ),
    )


def parse_tls_secret(document: Json) -> TlsSecret:
    """A core/v1 Secret of type kubernetes.io/tls, its certificate checked against its key."""
    key = key_of(document)
    try:
        data = _mapping(document, "data")
        parts = [base64.b64decode(_text(data, name), validate=True) for name in _TLS_DATA]
    except (binascii.Error, ValueError) as error:
        return TlsSecret(key, b"", f"its data is not base64: {error}")
    missing = [name for name, part in zip(_TLS_DATA, parts, strict=True) if not part.strip()]
    if missing:
        return TlsSecret(key, b"", f"it has no {' and no '.join(missing)}")
    for name, part, most in zip(_TLS_DATA, parts, (LONGEST_CHAIN, LONGEST_KEY), strict=True):
        if len(part) > most:
            return TlsSecret(key, b"", f"its {name} has more than {most} bytes")
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
        context.load_cert_chain(f"/proc/self/fd/{descriptor}", password=_no_password)
    except (ssl.SSLError, OSError, ValueError) as error:
        return f"its certificate and key cannot be used: {error}"
    finally:
        os.close(descriptor)
    return ""


def _no_password() -> str:
    """Refuse a key that is encrypted: it says itself how long it takes to try a password."""
    raise ValueError("the key is encrypted")


def _ingress(document: Json) -> Ingress:
    metadata, spec = _mapping(document, "metadata"), _mapping(document, "spec")
    given = _mapping(metadata, "annotations")
    annotations = {name: _text(given, name) for name in given}
    by_annotation = CLASS_ANNOTATION in annotations
    default = _mapping(spec, "defaultBackend")
    return Ingress(
        key=key_of(document),
        uid=_text(metadata, "uid"),
        created=_text(metadata, "creationTimestamp"),
        generation=_number(metadata, "generation"),
        annotations=annotations,
        class_name=annotations.get(CLASS_ANNOTATION, _text(spec, "ingressClassName") or None),
        class_by_annotation=by_annotation,
        rules=tuple(_rule(rule) for rule in _mappings(spec, "rules")),
        tls=tuple(
            TlsEntry(_texts(entry, "hosts"), _text(entry, "secretName"))
            for entry in _mappings(spec, "tls")
        ),
        default_backend=_backend(default) if default else None,
        addresses=_addresses(document),
    )


def _unreadable(document: Json, problem: str) -> Ingress:
    """An Ingress of which only that is known which says whose it is and who is to be told."""
    metadata = _mapping(document, "metadata")

    def text(where: object, name: str) -> str:
        found = where.get(name) if isinstance(where, Mapping) else None
        return found if isinstance(found, str) else ""

    annotations, generation = metadata.get("annotations"), metadata.get("generation")
    by_annotation = isinstance(annotations, Mapping) and CLASS_ANNOTATION in annotations
    by_field = text(document.get("spec"), "ingressClassName")
    return Ingress(
        key=key_of(document),
        uid=text(metadata, "uid"),
        created=text(metadata, "creationTimestamp"),
        generation=generation if isinstance(generation, int) else 0,
        class_name=text(annotations, CLASS_ANNOTATION) if by_annotation else by_field or None,
        class_by_annotation=by_annotation,
        annotations={},
        rules=(),
        problem=problem,
    )


def _is_tcp(port: Json) -> bool:
    return bool(port.get("protocol", "TCP") == "TCP")


def _rule(rule: Json) -> Rule:
    http = _mapping(rule, "http")
    paths = None if rule.get("http") is None else tuple(map(_path, _mappings(http, "paths")))
    return Rule(_text(rule, "host"), paths)


def _path(path: Json) -> Path:
    backend = _backend(_required(_mapping(path, "backend"), "backend"))
    return Path(_text(path, "path"), _text(path, "pathType"), backend)


def _backend(backend: Json) -> Backend:
    if backend.get("service") is None:
        return Backend(None, 0)
    service = _mapping(backend, "service")
    port = _mapping(service, "port")
    name = _required(_text(service, "name"), "backend.service.name")
    return Backend(name, _text(port, "name") or _number(port, "number"))


def _addresses(document: Json) -> tuple[Address, ...]:
    balancer = _mapping(_mapping(document, "status"), "loadBalancer")
    return tuple(
        Address(_text(entry, "ip"), _text(entry, "hostname"))
        for entry in _mappings(balancer, "ingress")
    )


def _endpoint_address(endpoint: Json) -> str:
    """The first address, in brackets where nginx wants them."""
    text = _required(_texts(endpoint, "addresses"), "endpoints.addresses")[0]
    # A zone, which may be any text, is of use on the node alone that has it.
    address = ipaddress.ip_address(text.partition("%")[0])
    return f"[{address}]" if address.version == 6 else str(address)


# Fields. One that is null is like one that is not there.


def _mapping(where: Json, name: str) -> Json:
    found: Json = _typed(where, name, Mapping, {}, "a mapping")
    return found


def _mappings(where: Json, name: str) -> list[Json]:
    found: list[Json] = _typed(where, name, list, [], "a list")
    if not all(isinstance(each, Mapping) for each in found):
        raise Malformed(f"{name}: must be a list of mappings")
    return found


def _texts(where: Json, name: str) -> tuple[str, ...]:
    found: list[str] = _typed(where, name, list, [], "a list")
    if not all(isinstance(each, str) for each in found):
        raise Malformed(f"{name}: must be a list of texts")
    return tuple(found)


def _text(where: Json, name: str) -> str:
    found: str = _typed(where, name, str, "", "text")
    return found


def _number(where: Json, name: str) -> int:
    found: int = _typed(where, name, int, 0, "a whole number")
    return found


def _typed(where: Json, name: str, kind: type, absent: Any, wanted: str) -> Any:
    found = where.get(name)
    if found is None:
        return absent
    if not isinstance(found, kind) or isinstance(found, bool):
        raise Malformed(f"{name}: must be {wanted}")
    return found


def _required(found: Any, name: str) -> Any:
    if not found:
        raise Malformed(f"{name}: Required value")
    return found
