"""Names made of other names, as Kubernetes and image tags allow them."""

from __future__ import annotations

import hashlib
import re

from slipway.cache.layout import APPS

SLUG_LENGTH = 50
LABEL_LENGTH = 63
"""RFC 1123: the most characters of a DNS label."""


SYSTEM_NAMESPACES = {
    "default": "is where whoever names no namespace puts things",
    **dict.fromkeys(("kube-system", "kube-public", "kube-node-lease"), "is Kubernetes' own"),
    "istio-system": "is that of an add-on",
    "local-path-storage": "is that of what makes volumes",
    "metallb-system": "is that of the load balancer",
    "network-policies": "is that of what enforces NetworkPolicies",
    "nginx-ingress": "is that of the ingress controller",
    "slipway-dashboard": "is that of the page of all environments",
    "slipway-routes": "has the hosts and certificates of all apps",
}
"""The namespaces that no app may have, and why: there are Secrets and accounts of others in them.

Such ones of other names are found in the cluster, as others made them.
"""


BUNDLE_HOST = "bundle.slipway.internal/"
"""How references to images of the bundle begin; no registry answers to that name."""


def reserved(namespace: str) -> str:
    """Why no app may have a namespace; empty if it may."""
    why = SYSTEM_NAMESPACES.get(namespace, "")
    return "is Kubernetes' own" if namespace.startswith("kube-") else why


def slug(text: str, length: int = SLUG_LENGTH) -> str:
    """``text`` as a DNS label of at most ``length`` characters: ``Fix/42`` gives ``fix-42``.

    What a label cannot tell gets six digits of its hash, so that two names stay two: what is too
    long, and what has more than ASCII's letters and digits with one of ``/._-`` between them.
    """
    told = re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")
    if told and len(told) <= length and told == re.sub(r"[/._]", "-", text):
        return told.lower()
    mark = hashlib.sha256(text.encode()).hexdigest()[:6]
    return f"{told[: length - 7].rstrip('-').lower()}-{mark}".lstrip("-")


def namespace_of(name: str, branch: str) -> str:
    """The namespace of an app that names none: its name and its branch."""
    return slug(f"{name}-{slug(branch)}", LABEL_LENGTH)


def image_repository(name: str) -> str:
    """Under which name an app's images are kept; the tag is made of their content."""
    return f"{APPS}{name}"


def pattern_id(name: str, git_url: str, pattern: str) -> str:
    """By what label the environments of a pattern of branches are known."""
    return hashlib.sha256("\n".join((name, git_url, pattern)).encode()).hexdigest()[:16]
