"""Registries that nodes ask themselves: ``slipway_registries``, as containerd reads it.

Each host has a folder with a ``hosts.toml``, which containerd reads at every pull. A login is a
header there, which containerd sends to the registry, and to the service that the registry names for
tokens; its configuration could have logins, too, but would be read only when it starts.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from slipway.bundle.download import is_here
from slipway.bundle.mirrors import login_faults
from slipway.certificates import chain
from slipway.errors import Problem, SlipwayError
from slipway.nodes.placed import measured

VARIABLE = "slipway_registries"

FOLDER = "/etc/containerd/certs.d"
"""Where containerd looks for folders of hosts."""

EVERY = "_default"
"""What stands for each host that has no entry of its own."""

_HOST = re.compile(r"([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")

_MIRROR = re.compile(rf"https?://(?P<host>{_HOST.pattern})(/[A-Za-z0-9._~%+-]+)*/?")
"""The address of a mirror: what stands there is a key of TOML and a part of other addresses."""

_BEGIN = "-----BEGIN"


class _Given(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A registry as it is written; ``password`` is the name of a secret, ``ca`` a path or PEM."""

    mirrors: list[str] = []
    user: str = ""
    password: str = ""
    ca: str = ""
    plain_http: bool = False


@dataclass(frozen=True)
class Registry:
    """What is asked for images of a ``host``: its mirrors, in their order, and then itself.

    ``header`` says who asks the host, ``ca`` is the PEM of who certifies it. Those of a mirror are
    those that the mirror's own host has.
    """

    host: str
    mirrors: tuple[str, ...] = ()
    header: str = ""
    ca: str = ""
    plain_http: bool = False

    @property
    def folder(self) -> str:
        """The folder in which containerd looks first."""
        name, colon, port = self.host.rpartition(":")
        return f"{FOLDER}/{name}_{port}_" if colon and port.isdigit() else f"{FOLDER}/{self.host}"

    @property
    def ca_file(self) -> str:
        """Where nodes have its authorities."""
        return f"{self.folder}/ca.pem"


def registries(given: Mapping[str, Any], secrets: Mapping[str, str]) -> list[Registry]:
    """The registries of the variable; SlipwayError with all that is wrong."""
    problems: list[Problem] = []
    sound: dict[str, _Given] = {}
    for host, value in given.items():
        try:
            sound[host] = msgspec.convert({} if value is None else value, _Given)
        except msgspec.ValidationError as error:
            fix = "write {mirrors: [https://HOST], user: ..., password: ..., ca: ...}"
            problems.append(Problem(f"{VARIABLE}[{host}]", f"is no registry: {error}", fix))
    authorities: dict[str, str] = {}
    for host, each in sound.items():
        faults = [*_faults(host, each, secrets), *_mirror_faults(each, sound)]
        try:
            authorities[host] = _authorities(each.ca)
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            fix = "name a file of this machine, or write the certificates, as PEM"
            faults.append((f"has a ca that cannot be read: {why}", fix))
        problems += (Problem(f"{VARIABLE}[{host}]", *fault) for fault in faults)
    if problems:
        raise SlipwayError(problems)
    return [
        Registry(
            host,
            tuple(each.mirrors),
            _header(each.user, secrets[each.password]) if each.user else "",
            authorities[host],
            each.plain_http,
        )
        for host, each in sound.items()
    ]


def files(found: list[Registry]) -> list[dict[str, Any]]:
    """The files of nodes that say all this to containerd, for the program node_config."""
    by_host = {registry.host: registry for registry in found}
    written: list[dict[str, Any]] = []
    for registry in found:
        if registry.ca:
            written.append(_file(registry.ca_file, registry.ca))
        # None is shown, as one that has a login no more would show it as what was there before.
        hosts = _file(f"{registry.folder}/hosts.toml", _hosts_file(registry, by_host), "0600")
        written.append({**hosts, "secret": True})
    return written


def _file(path: str, text: str, mode: str = "0644") -> dict[str, Any]:
    return {"path": path, "content": text, "mode": mode, **measured(text)}


def _hosts_file(registry: Registry, by_host: Mapping[str, Registry]) -> str:
    """What containerd reads of a host; without a server it asks the host that images name."""
    lines = ["# Written by Slipway from slipway_registries; it is read at each pull."]
    if registry.plain_http:
        lines.append(f"server = {_quoted(f'http://{registry.host}')}")
    lines += _access(registry, "header")
    for url in registry.mirrors:
        parts = urlsplit(url)
        table = f"host.{_quoted(url)}"
        lines += ["", f"[{table}]", 'capabilities = ["pull", "resolve"]']
        if "v2" in parts.path.split("/"):  # or else it would be added behind
            lines.append("override_path = true")
        if mirror := by_host.get(parts.netloc):
            lines += _access(mirror, f"{table}.header")
    return "\n".join([*lines, ""])


def _access(registry: Registry, table: str) -> Iterator[str]:
    """Whose certificates a host has, and who asks it."""
    if registry.ca:
        yield f"ca = {_quoted(registry.ca_file)}"
    if registry.header:
        yield from (f"[{table}]", f"Authorization = {_quoted(registry.header)}")


def _quoted(text: str) -> str:
    """A string of TOML, which has JSON's escapes."""
    return json.dumps(text, ensure_ascii=False)


def _header(user: str, password: str) -> str:
    return f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"


def _authorities(ca: str) -> str:
    """The certificates of a file, or of what is written; ValueError or OSError without any."""
    text = ca if _BEGIN in ca or not ca else Path(ca).expanduser().read_text(encoding="utf-8")
    return "".join(chain(text)) if text else ""


def _is_host(text: object) -> bool:
    """Whether something is a host that may be asked, with a port or without."""
    if not (isinstance(text, str) and _HOST.fullmatch(text)):
        return False
    try:
        return urlsplit(f"//{text}").port != 0
    except ValueError:  # of an address, or of a port
        return False


def _faults(host: str, given: _Given, secrets: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    if host == EVERY:
        if given.user or given.password:
            what = "would tell every registry the password"
            yield what, "write the login to the host that it is for"
        if given.plain_http:
            yield "would ask every registry without TLS", "write plain_http to the host"
        return
    if not _is_host(host):
        fix = (
            f"write it as images have it, as in docker.io or registry.example.com:5000, or {EVERY}"
        )
        yield "is no host", fix
    far = _is_host(host) and not is_here(urlsplit(f"//{host}").hostname or "")
    readable = given.plain_http and far
    yield from login_faults(given.user, given.password, secrets, readable=readable)
    if ":" in given.user:
        yield "has a user with a colon, which ends it for registries", "correct user"
    if given.plain_http and given.ca:
        yield "has a ca, and is to be asked without TLS", "leave one of ca and plain_http out"


def _mirror_faults(given: _Given, others: Mapping[str, _Given]) -> Iterator[tuple[str, str]]:
    for url, count in Counter(given.mirrors).items():
        found = _MIRROR.fullmatch(url)
        if count > 1:
            yield f"has the mirror {url.rpartition('@')[2]} {count} times", "keep one of them"
        if not found or not _is_host(found["host"]):
            fix = "write https://HOST, or https://HOST/PATH; its login is that of an entry HOST"
            yield f"has the mirror {url.rpartition('@')[2]}, which is no address", fix
        elif url.startswith("http:") and not is_here(urlsplit(url).hostname or ""):
            mirror = others.get(found["host"])
            if mirror and mirror.user:
                what = f"has the mirror {url}, which would be told a password that anybody on the "
                yield what + "way may read", "write https"
