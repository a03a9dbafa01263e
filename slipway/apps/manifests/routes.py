"""An app's routes: its paths as minion Ingresses of a host's master, and the host's certificate.

The annotations are those that NGINX Inc documents for its controller. One that would say what
holds anyway is left out.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from urllib.parse import unquote

from slipway.apps.app import App, HostCertificate, Rule
from slipway.apps.manifests.labels import OWN, ROUTES_NAMESPACE, SERVICE_PORT, metadata
from slipway.apps.manifests.secrets import encoded, sealed_secret
from slipway.certificates import Pair
from slipway.control_node import localhost
from slipway.control_node.localhost import Ports
from slipway.kube.client import INGRESSES, SECRETS, Object
from slipway.kube.objects import grouped, sealed

MERGEABLE = "nginx.org/mergeable-ingress-type"
REWRITES = "nginx.org/rewrites"
WEBSOCKETS = "nginx.org/websocket-services"
MAX_BODY_SIZE = "nginx.org/client-max-body-size"
HEADER_SIZE, BUFFERS = "nginx.org/proxy-buffer-size", "nginx.org/proxy-buffers"
SET_HEADERS = "nginx.org/proxy-set-headers"
REWRITE_REDIRECTS = "slipway.internal/rewrite-redirects"
"""Of Slipway's own controller alone: NGINX Inc's has nothing for it."""

TIMEOUTS = ("nginx.org/proxy-read-timeout", "nginx.org/proxy-send-timeout")

DEFAULT_MAX_BODY_SIZE = "1m"
DEFAULT_TIMEOUT = "60s"
"""nginx's own."""

DEFAULT_HEADER_SIZE = "32k"
"""As the role nginx_ingress sets both controllers."""

CERTIFICATE_KEY = "tls.crt"
PRIVATE_KEY_KEY = "tls.key"


def hosts(apps: Iterable[App]) -> list[str]:
    """The hosts that apps have routes on."""
    return sorted({rule.host for app in apps for rule in app.rules})


def url(rule: Rule, ports: Ports) -> str:
    """The address of a route as a user types it; ``ports`` are those that this machine has."""
    return localhost.url("https" if rule.tls else "http", rule.host, rule.path, ports)


def tls_of(apps: Iterable[App]) -> dict[str, str | HostCertificate]:
    """Where the certificate of each host comes from that has one."""
    return {rule.host: rule.tls for app in apps for rule in app.rules if rule.tls}


def certificate(host: str, pair: Pair) -> Object:
    """The Secret of a host's certificate, beside the host's master, which names it."""
    data = {CERTIFICATE_KEY: pair.certificate, PRIVATE_KEY_KEY: pair.key}
    return sealed_secret(
        {
            "apiVersion": SECRETS.api_version,
            "kind": SECRETS.kind,
            "type": "kubernetes.io/tls",
            "metadata": {"name": host, "namespace": ROUTES_NAMESPACE, "labels": dict(OWN)},
            "data": {key: encoded(text) for key, text in data.items()},
        }
    )


def pair_of(secret: Object) -> Pair:
    """The certificate and key in a host's Secret; empty where it holds no text."""
    data = secret.get("data") or {}
    return Pair(_decoded(data.get(CERTIFICATE_KEY, "")), _decoded(data.get(PRIVATE_KEY_KEY, "")))


def master(host: str, ingress_class: str, *, tls: bool = False) -> Object:
    """The master Ingress of a host: it holds the host, the apps' minions hold the paths.

    Whether the host has a certificate changes it in place: made anew, it would for a moment serve
    no app, and be the youngest of those that claim the host.
    """
    secure = {"tls": [{"hosts": [host], "secretName": host}]} if tls else {}
    return sealed(
        {
            "apiVersion": INGRESSES.api_version,
            "kind": INGRESSES.kind,
            "metadata": {
                "name": host,
                "namespace": ROUTES_NAMESPACE,
                "labels": dict(OWN),
                "annotations": {MERGEABLE: "master"},
            },
            "spec": {"ingressClassName": ingress_class, "rules": [{"host": host}], **secure},
        }
    )


def minions(app: App, ingress_class: str) -> list[Object]:
    """The app's paths: a minion Ingress for each host and each different rewrite.

    What annotations say holds for all paths of one minion, so paths that are rewritten differently,
    or have something else in front, cannot share one.
    """
    kinds = grouped(app.rules, lambda rule: (rule.host, rule.rewrite, _front(rule)))
    return [
        _minion(app, f"{app.name}.{number}" if number else app.name, rules, ingress_class)
        for number, rules in enumerate(kinds.values())
    ]


def minion_of(ingress: Object, ingress_class: str) -> Object:
    """An Ingress that an app brings, with its paths below the master of its host."""
    about = ingress["metadata"]
    annotations = {**(about.get("annotations") or {}), MERGEABLE: "minion"}
    return {
        **ingress,
        "metadata": {**about, "annotations": annotations},
        "spec": {**ingress["spec"], "ingressClassName": ingress_class},
    }


def _front(rule: Rule) -> str:
    """What of a path a rewrite takes off in front; empty if it puts something else in its place."""
    path, rewrite = rule.path, rule.rewrite
    return path.removesuffix(rewrite) if rewrite and path.endswith(rewrite) else ""


def _minion(app: App, name: str, rules: Sequence[Rule], ingress_class: str) -> Object:
    """A minion of rules that have the host, the rewrite and what is in front in common."""
    host, rewrite = rules[0].host, rules[0].rewrite
    annotations = {MERGEABLE: "minion", **_settings(app)}
    if rewrite:
        annotations[REWRITES] = f"serviceName={app.name} rewrite={rewrite}"
    if front := _front(rules[0]):
        annotations[SET_HEADERS] = f"X-Forwarded-Prefix: {front}"
    backend = {"service": {"name": app.name, "port": {"number": SERVICE_PORT}}}
    # nginx decodes a request's path before it looks for its location.
    paths = [
        {"path": unquote(rule.path), "pathType": rule.path_type, "backend": backend}
        for rule in rules
    ]
    return {
        "apiVersion": INGRESSES.api_version,
        "kind": INGRESSES.kind,
        "metadata": {**metadata(app, name), "annotations": annotations},
        "spec": {
            "ingressClassName": ingress_class,
            "rules": [{"host": host, "http": {"paths": paths}}],
        },
    }


def _settings(app: App) -> dict[str, str]:
    """How the ingress treats the requests of an app, where it is not as by default."""
    ingress = app.ingress
    annotations: dict[str, str] = {}
    if ingress is None:
        return annotations
    if ingress.websocket:
        annotations[WEBSOCKETS] = app.name
    if ingress.max_body_size != DEFAULT_MAX_BODY_SIZE:
        annotations[MAX_BODY_SIZE] = ingress.max_body_size
    if ingress.max_header_size != DEFAULT_HEADER_SIZE:
        # nginx wants room for more than one of the size.
        annotations[HEADER_SIZE] = ingress.max_header_size
        annotations[BUFFERS] = f"4 {ingress.max_header_size}"
    if ingress.rewrite_redirects:
        annotations[REWRITE_REDIRECTS] = "true"
    if ingress.timeout != DEFAULT_TIMEOUT:
        annotations |= dict.fromkeys(TIMEOUTS, ingress.timeout)
    return annotations


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text).decode()
    except ValueError:
        return ""
