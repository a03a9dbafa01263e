"""Certificates by which the API server knows the services that it hands requests on to.

Each is of an authority of its own, whose key nobody keeps: the certificate is in a Secret beside
the service, and the authority's in the APIService. Both are made anew before they end.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from typing import Any

from slipway.certificates import Authority, Pair, is_issued
from slipway.kube.client import SECRETS, Kube, Object

API_SERVICE = "APIService"

CERTIFICATE, KEY, ROOT = "tls.crt", "tls.key", "ca.crt"


def certified(kube: Kube, objects: Sequence[Object]) -> list[Object]:
    """The objects of an add-on, where an APIService that trusts nobody yet knows its service.

    The certificate is in the Secret ``<service>-certificate``, before what takes it from there;
    what is there already stays while it is good.
    """
    secrets: list[Object] = []
    found: list[Object] = []
    for obj in objects:
        spec = obj.get("spec") or {}
        own = obj["kind"] == API_SERVICE and spec.get("service")
        if own and not (spec.get("caBundle") or spec.get("insecureSkipTLSVerify")):
            data = _data(kube, own)
            secrets.append(_secret(own, data))
            spec = {**spec, "caBundle": data[ROOT]}
            found.append({**obj, "spec": spec})
        else:
            found.append(obj)
    return [*secrets, *found]


def _data(kube: Kube, service: Mapping[str, str]) -> dict[str, str]:
    """What the Secret of a service has: that of the cluster, or new."""
    host = f"{service['name']}.{service['namespace']}.svc"
    live = kube.get(SECRETS, _name_of(service), service["namespace"]) or {}
    data = {key: str(live.get("data", {}).get(key, "")) for key in (CERTIFICATE, KEY, ROOT)}
    try:
        certificate, key, root = (b64decode(each, validate=True).decode() for each in data.values())
    except (binascii.Error, UnicodeDecodeError):
        certificate = key = root = ""
    if is_issued(Pair(certificate, key), root, host):
        return data
    authority = Authority.make()
    pair = authority.issue(host)
    texts = {CERTIFICATE: pair.certificate, KEY: pair.key, ROOT: authority.root}
    return {key: b64encode(text.encode()).decode() for key, text in texts.items()}


def _secret(service: Mapping[str, str], data: Mapping[str, str]) -> Object:
    metadata: dict[str, Any] = {"name": _name_of(service), "namespace": service["namespace"]}
    return {
        "apiVersion": SECRETS.api_version,
        "kind": SECRETS.kind,
        "metadata": metadata,
        "type": "kubernetes.io/tls",
        "data": dict(data),
    }


def _name_of(service: Mapping[str, str]) -> str:
    return f"{service['name']}-certificate"
