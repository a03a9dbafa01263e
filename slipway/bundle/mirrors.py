"""Where upstream's files and images are asked for: at upstream itself, or at mirrors of it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import msgspec

from slipway.bundle.download import Login, Server, is_here, login_of
from slipway.errors import Problem, SlipwayError

VARIABLE = "slipway_mirrors"

_DOCKER_HUB = {"docker.io": "registry-1.docker.io"}
"""Registries that are asked at another host than images are named by."""


def upstream_of(repository: str, scheme: str = "https") -> str:
    """Where a repository of images is at its own registry (OCI's distribution specification)."""
    host, _, path = repository.partition("/")
    return f"{scheme}://{_DOCKER_HUB.get(host, host)}/v2/{path}"


class _Given(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A mirror as it is written; ``password`` is the name of a secret."""

    url: str
    user: str = ""
    password: str = ""
    ca: str = ""


@dataclass(frozen=True)
class Mirror:
    """Where something is: its address, who asks, and whose certificates are trusted there."""

    url: str
    login: Login | None = None
    ca: str = ""

    def server(self) -> Server:
        """What is asked there."""
        return Server(self.url, self.login or login_of(self.url), self.ca)


@dataclass(frozen=True)
class Mirrors:
    """Mirrors by what they stand for: a host, or a host and the beginning of a path."""

    by_name: Mapping[str, Mirror] = field(default_factory=dict)

    def of_file(self, url: str) -> Mirror:
        """Where a file of upstream's is."""
        return self._at(url.partition("://")[2]) or Mirror(url)

    def of_repository(self, repository: str) -> Mirror:
        """Where a repository of images is, as registries have it in their addresses."""
        found = self._at(repository)
        if found is None:
            return Mirror(upstream_of(repository))
        parts = urlsplit(found.url)
        url = parts._replace(path=f"/v2{parts.path}").geturl()
        return Mirror(url, found.login, found.ca)

    def _at(self, address: str) -> Mirror | None:
        """Where an address is that a mirror stands for; of several the closest one."""
        for name in sorted(self.by_name, key=len, reverse=True):
            if f"{address}/".startswith(f"{name}/"):
                mirror = self.by_name[name]
                return Mirror(mirror.url + address[len(name) :], mirror.login, mirror.ca)
        return None


def mirrors(given: Mapping[str, Any], secrets: Mapping[str, str]) -> Mirrors:
    """The mirrors of the variable ``slipway_mirrors``; SlipwayError with all that is wrong."""
    found: dict[str, Mirror] = {}
    problems: list[Problem] = []
    for name, value in given.items():
        where = f"{VARIABLE}[{name}]"
        try:
            mirror = msgspec.convert({"url": value} if isinstance(value, str) else value, _Given)
        except msgspec.ValidationError as error:
            fix = "write the mirror's address, or {url: ..., user: ..., password: ..., ca: ...}"
            problems.append(Problem(where, f"is no mirror: {error}", fix))
            continue
        problems += (Problem(where, *each) for each in _faults(name, mirror, secrets))
        login = Login(mirror.user, secrets.get(mirror.password, "")) if mirror.user else None
        found[name] = Mirror(mirror.url.rstrip("/"), login, mirror.ca)
    if problems:
        raise SlipwayError(problems)
    return Mirrors(found)


def _faults(name: str, mirror: _Given, secrets: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    if "://" in name or name != name.strip("/"):
        yield "is named with more than a host and a path", "write it as in dl.k8s.io/release"
    parts = urlsplit(mirror.url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
        yield f"is at {mirror.url}, which is no address", "write https://HOST/PATH"
    readable = parts.scheme == "http" and not is_here(parts.hostname or "")
    yield from login_faults(mirror.user, mirror.password, secrets, readable=readable)


def login_faults(
    user: str, password: str, secrets: Mapping[str, str], *, readable: bool
) -> Iterable[tuple[str, str]]:
    """What is wrong with a login whose password is the name of a secret.

    ``readable`` says that others can read what is told on the way to who is asked.
    """
    if user and readable:
        yield "would be told a password that anybody on the way may read", "write https"
    if bool(user) != bool(password):
        yield "has one of user and password", "write both, the password as the name of a secret"
    elif password and password not in secrets:
        near = difflib.get_close_matches(password, secrets, n=1)
        fix = "put it into the vault, and write its name there: docs/secrets.md"
        # What is written is not shown: it may be the password itself.
        yield (
            "has a password that is no name in slipway_secrets",
            f"write {near[0]}" if near else fix,
        )
