"""Passwords that an environment has of its own: drawn once, kept in a Secret beside the app.

A service such as a database takes its password when it first starts, and its users have to know
the same one for as long as its data lives. So what was drawn stays, also where nothing names it for
a while, until the app goes; and what somebody else writes into the Secret holds.
"""

from __future__ import annotations

import string
from base64 import b64decode
from collections.abc import Collection, Iterable, Iterator, Mapping
from secrets import choice

from slipway.apps.app import App, Built, ConfigFile, Reach, Variable
from slipway.apps.manifests.documents import Fault
from slipway.apps.manifests.labels import NAME, metadata
from slipway.apps.manifests.network import reached
from slipway.apps.manifests.secrets import Passwords, encoded, sealed_secret
from slipway.kube.client import SECRETS, Object
from slipway.kube.objects import Key

LENGTH = 32
"""Characters of a password: letters and digits, which nothing has to quote."""

_SUFFIX = "-passwords"
_CHARACTERS = string.ascii_letters + string.digits


def _named(app: App) -> Iterator[tuple[str | None, str]]:
    """The passwords that an app names, by the app whose they are, None for itself."""
    users: list[Variable | ConfigFile] = [*app.env.values(), *app.config_files]
    for each in users:
        if each.password:
            yield each.app, each.password
    if app.certificate:
        yield None, app.certificate.password


def keepers(apps: Iterable[App], live: Mapping[Key, Object]) -> dict[str, Object]:
    """By app, the Secret that keeps its passwords, of those apps that have some.

    Of an app that is not to be deployed it is what is ``live``, if anything is.
    """
    found = {
        app.id: _keeper(app, there) if isinstance(app, Built) and not app.failed else there
        for app in apps
        for there in [live.get((SECRETS.kind, app.namespace, name_of_keeper(app)))]
    }
    return {app_id: obj for app_id, obj in found.items() if obj}


def is_keeper(obj: Object) -> bool:
    """Whether a Secret of an app's keeps its passwords."""
    labels = obj["metadata"].get("labels") or {}
    return bool(obj["metadata"]["name"] == f"{labels.get(NAME, '')}{_SUFFIX}")


def name_of_keeper(app: App) -> str:
    """The name of the Secret that keeps an app's passwords."""
    return f"{app.name}{_SUFFIX}"


def _keeper(app: App, live: Object | None) -> Object | None:
    """The Secret with what is ``live`` in it, and with what is lacking; None if that is nothing."""
    wanted = {name for owner, name in _named(app) if not owner}
    kept = (live or {}).get("data") or {}
    drawn = {name: encoded(_drawn()) for name in sorted(wanted - kept.keys())}
    if not (kept or drawn):
        return None
    return sealed_secret(
        {
            "apiVersion": SECRETS.api_version,
            "kind": SECRETS.kind,
            "metadata": metadata(app, name_of_keeper(app)),
            "type": "Opaque",
            "data": {**kept, **drawn},
        }
    )


def _drawn() -> str:
    return "".join(choice(_CHARACTERS) for _ in range(LENGTH))


def passwords(app: App, apps: Collection[App], keepers: Mapping[str, Object]) -> Passwords:
    """The values of the passwords that an app names, out of what ``keepers`` of apps have.

    Raises Fault with those that are nowhere.
    """
    found: dict[tuple[str | None, str], str] = {}
    lacking = []
    for of, name in _named(app):
        owner = reached(app, Reach(of), apps) if of else app
        data = keepers.get(owner.id, {}).get("data", {}) if owner else {}
        if name in data:
            found[of, name] = b64decode(data[name]).decode()
        else:
            lacking.append(f"there is no password {name} of {owner.label if owner else of}")
    if lacking:
        raise Fault("\n".join(dict.fromkeys(lacking)))
    return found


def stand_ins(app: App) -> Passwords:
    """What is as long as the passwords that an app names."""
    return dict.fromkeys(_named(app), "x" * LENGTH)


def values_of(keepers: Iterable[Object]) -> dict[str, str]:
    """All passwords there are, each by a name that no secret of the vault has."""
    return {
        f"{each['metadata']['namespace']}/{each['metadata']['name']}/{name}": _text(value)
        for each in keepers
        for name, value in each["data"].items()
    }


def _text(value: str) -> str:
    return b64decode(value).decode(errors="replace")
