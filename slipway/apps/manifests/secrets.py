"""An app's secrets as an object that never changes: other values have another name.

The name is drawn by lot. Pods and Deployments say it, and many may read those who may not read a
Secret; a digest in it, however short or keyed with what is public, would let them find out a
password that can be guessed. Whether there is one with these very values is seen by comparing.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from secrets import token_hex
from types import MappingProxyType

from slipway.apps.app import ConfigFile, Sourced, Variable
from slipway.apps.manifests.config import config_keys
from slipway.apps.manifests.labels import metadata
from slipway.apps.templates import fill, variables_of
from slipway.kube.client import SECRETS, Object
from slipway.kube.objects import sealed

Passwords = Mapping[tuple[str | None, str], str]
"""Passwords of environments by the app whose they are, None for one's own, and by their names."""

NO_PASSWORDS: Passwords = MappingProxyType({})


def secret_data(
    app: Sourced, secrets: Mapping[str, str], passwords: Passwords = NO_PASSWORDS
) -> dict[str, str]:
    """What the app's Secret holds, in base64: files by the key of their mount, variables by name.

    The two cannot meet: keys of files begin with a digit, variables do not. Raises KeyError with
    the name of a secret that there is not, and Unfilled for a template that cannot be filled in.
    """

    def value(source: Variable | ConfigFile) -> str:
        name = source.password
        return passwords[source.app, name] if name else secrets[str(source.secret)]

    files = {
        key: _text(app, file, value(file))
        for key, file in config_keys(app).items()
        if file.is_secret
    }
    variables = {name: value(source) for name, source in app.env.items() if source.is_secret}
    return {key: encoded(text) for key, text in {**files, **variables}.items()}


def _text(app: Sourced, file: ConfigFile, value: str) -> str:
    return fill(value, variables_of(app)) if file.template else value


def secret(
    app: Sourced,
    secrets: Mapping[str, str],
    live: Iterable[Object] = (),
    passwords: Passwords = NO_PASSWORDS,
) -> Object | None:
    """The app's Secret; None when it has no secrets.

    One of the Secrets ``live`` of the app that has these values gives it its name.
    """
    data = secret_data(app, secrets, passwords)
    if not data:
        return None
    names = sorted(obj["metadata"]["name"] for obj in live if obj.get("data") == data)
    name = names[0] if names else f"{app.name}-{token_hex(5)}"
    return sealed_secret(
        {
            "apiVersion": SECRETS.api_version,
            "kind": SECRETS.kind,
            "metadata": metadata(app, name),
            "type": "Opaque",
            "immutable": True,
            "data": data,
        }
    )


def sealed_secret(obj: Object) -> Object:
    """A Secret with the hash of what it is, but for its values: those are compared themselves."""
    data = obj.get("data") or {}
    return {**sealed({**obj, "data": dict.fromkeys(data, "")}), "data": data}


def encoded(text: str) -> str:
    """Text as a Secret has it."""
    return base64.b64encode(text.encode()).decode()
