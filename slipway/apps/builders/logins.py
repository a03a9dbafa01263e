"""Who builders are to registries: by the logins that apps.yml gives an app, and by no other.

Docker's clients would read ``~/.docker/config.json``, and answer for the operator whatever registry
a branch's Dockerfile names. For each build they get another one, which is in memory alone.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from slipway.bundle.download import Login
from slipway.secrets import in_memory

DOCKER_HUB = "docker.io"

_KEYS = {DOCKER_HUB: "https://index.docker.io/v1/"}
"""How Docker's configuration calls a registry, where that is not its host."""

_NOBODY = {"nobody.slipway.internal": {"auth": ""}}
"""A login to nowhere: without any, Docker's clients look for a keyring of the user's."""

_OF_THE_USER = ("auths", "credHelpers", "credsStore")
"""What of Docker's configuration says who its user is to registries."""


Logins = Mapping[str, Login]
"""Logins by the hosts of registries."""


def registry_of(ref: str) -> str:
    """The host of the registry that a reference means."""
    first, slash, _ = ref.partition("/")
    is_host = slash and ("." in first or ":" in first or first == "localhost")
    return first if is_host else DOCKER_HUB


@contextmanager
def docker_config(logins: Logins, user: Path | None = None) -> Iterator[Mapping[str, str]]:
    """The variables by which Docker's clients have these logins, for as long as this lasts.

    Of the folder ``user`` with the user's own settings they have all else: which engine to ask, and
    its plugins.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="slipway-login-")))
        settings = _without_logins(user) if user else {}
        settings["auths"] = {**_NOBODY, **{_KEYS.get(h, h): _auth(logins[h]) for h in logins}}
        text = json.dumps(settings)
        (folder / "config.json").symlink_to(in_memory(text, stack))
        for name in ("cli-plugins", "contexts") if user else ():
            (folder / name).symlink_to(Path(user or "", name).resolve())
        yield {"DOCKER_CONFIG": str(folder), "DOCKER_AUTH_CONFIG": ""}


def _without_logins(user: Path) -> dict[str, Any]:
    """A user's settings; none where they cannot be read."""
    with suppress(OSError, ValueError):
        found = json.loads((user / "config.json").read_bytes())
        if isinstance(found, dict):
            return {key: value for key, value in found.items() if key not in _OF_THE_USER}
    return {}


def _auth(login: Login) -> dict[str, str]:
    return {"auth": b64encode(f"{login.user}:{login.password}".encode()).decode()}
