"""The certificate that an app itself shows: in a Secret beside it, for all of its versions.

What is there stays as long as it is right, for no two are alike. Its Secret is changed in place, so
a version that one goes back to has a certificate that has not ended.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping

from slipway.apps.app import App, Certificate
from slipway.apps.manifests.labels import CERTIFICATE, NAME, metadata
from slipway.apps.manifests.routes import CERTIFICATE_KEY, PRIVATE_KEY_KEY, pair_of
from slipway.apps.manifests.secrets import encoded, sealed_secret
from slipway.certificates import Authority
from slipway.keystores import certificates_in, key_in, keystore, truststore
from slipway.kube.client import SECRETS, Object
from slipway.kube.objects import digest

ROOT_KEY = "ca.crt"
KEYSTORE_KEY, TRUSTSTORE_KEY = "keystore.p12", "truststore.p12"

_SUFFIX = "-certificate"

DOMAIN = "cluster.local"
"""The domain of clusters that kubeadm makes."""


def name_of(app: App) -> str:
    """The name of the Secret with an app's certificate."""
    return f"{app.name}{_SUFFIX}"


def is_certificate(obj: Object) -> bool:
    """Whether an object of an app's is the Secret with its certificate."""
    about = obj["metadata"]
    own = f"{about['labels'].get(NAME, '')}{_SUFFIX}"
    return bool(obj["kind"] == SECRETS.kind and about["name"] == own)


def names(app: App, certificate: Certificate) -> list[str]:
    """What an app is reached by over TLS: its Service's names and address, and further hosts."""
    own, address = f"{app.name}.{app.namespace}", app.service.address
    service = [app.name, own, f"{own}.svc", f"{own}.svc.{DOMAIN}"]
    return [*dict.fromkeys([*service, *certificate.hosts, *([address] if address else [])])]


def certificate_of(
    app: App, certificate: Certificate, password: str, authority: Authority, live: Object | None
) -> Object:
    """The Secret with an app's certificate: what is ``live``, or with one that is new."""
    wanted = names(app, certificate)
    data = (live or {}).get("data") or {}
    if not (live and _stands(live, password, authority, wanted)):
        pair = authority.issue(*wanted)
        data = {
            CERTIFICATE_KEY: encoded(pair.certificate),
            PRIVATE_KEY_KEY: encoded(pair.key),
            ROOT_KEY: encoded(authority.root),
            KEYSTORE_KEY: _encoded(keystore(pair, authority.root, app.name, password)),
            TRUSTSTORE_KEY: _encoded(truststore(authority.root, password)),
        }
    return sealed_secret(
        {
            "apiVersion": SECRETS.api_version,
            "kind": SECRETS.kind,
            "metadata": metadata(app, name_of(app)),
            "type": "kubernetes.io/tls",
            "data": data,
        }
    )


def version_of(secret: Object) -> str:
    """What changes with the certificate in a Secret, and tells nothing of its key."""
    return digest(secret["data"][CERTIFICATE_KEY])


def version_in(template: Object) -> str:
    """The version of the certificate that pods of a template show; empty without one."""
    return str((template["metadata"].get("annotations") or {}).get(CERTIFICATE, ""))


def showing(template: Object, version: str) -> Object:
    """A template whose pods show a version of a certificate: with another one they roll."""
    if not version:
        return template
    about = template["metadata"]
    annotations = {**(about.get("annotations") or {}), CERTIFICATE: version}
    return {**template, "metadata": {**about, "annotations": annotations}}


def keys_of(secrets: Iterable[Object]) -> dict[str, str]:
    """The private keys in Secrets, each by a name that no secret of the vault has."""
    found = {}
    for each in secrets:
        about = each["metadata"]
        found[f"{about['namespace']}/{about['name']}/{PRIVATE_KEY_KEY}"] = pair_of(each).key
    return found


def _stands(live: Object, password: str, authority: Authority, wanted: Iterable[str]) -> bool:
    """Whether all that is in a Secret belongs together, is for these names, and lasts."""
    pair, data = pair_of(live), live.get("data") or {}
    store, trusted = _decoded(data, KEYSTORE_KEY), _decoded(data, TRUSTSTORE_KEY)
    return (
        authority.stands_by(pair, *wanted)
        and data.get(ROOT_KEY) == encoded(authority.root)
        and key_in(store, password) == pair.key
        and certificates_in(store, password) == [pair.certificate, authority.root]
        and certificates_in(trusted, password) == [authority.root]
    )


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _decoded(data: Mapping[str, str], key: str) -> bytes:
    try:
        return base64.b64decode(data.get(key, ""))
    except ValueError:
        return b""
