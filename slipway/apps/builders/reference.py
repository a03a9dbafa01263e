"""Images of registries, by their references: nothing is built, they come as they are."""

from __future__ import annotations

import re
from collections import defaultdict
from functools import partial
from pathlib import Path
from threading import Lock

from slipway.apps.app import BuildxBuild, ImageBuild
from slipway.apps.builders.logins import DOCKER_HUB, Logins, registry_of
from slipway.apps.builders.order import Builder, Order
from slipway.bundle.download import Broken, Server, is_here, persistently
from slipway.bundle.mirrors import upstream_of
from slipway.bundle.registry import Repository
from slipway.errors import Problem, SlipwayError

RECIPE = "image 1"
"""Changes whenever the same image would be stored as another one."""

_LABEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    rf"(?P<host>{_LABEL}(?:\.{_LABEL})*(?::[0-9]+)?)/(?P<path>{_PART}(?:/{_PART})*)"
    r"(?P<tag>:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(?P<digest>@sha256:[0-9a-f]{64})?"
)
"""A reference with its host, as the distribution project has it."""

_OFFICIAL = "library/"
"""Where Docker Hub has the images that are named without anybody."""

_TRIES = 3
"""How often a registry is asked that does not answer."""

_LONGEST_NAME = 200
_LONGEST_TAG = 100
"""How much of a name and of a tag goes into the reference in the store, which has a bound."""


def full(text: str) -> str:
    """A reference as Docker's clients mean it, with host and tag or digest; empty if it is none."""
    host = registry_of(text)
    path = text.removeprefix(f"{host}/")
    if host == f"index.{DOCKER_HUB}":
        host = DOCKER_HUB
    if host == DOCKER_HUB and "/" not in path:
        path = f"{_OFFICIAL}{path}"
    found = _REFERENCE.fullmatch(f"{host.lower()}/{path}")
    if not found:
        return ""
    return found[0] if found["tag"] or found["digest"] else f"{found[0]}:latest"


def named_by(ref: str) -> tuple[str, str]:
    """What an image is called in the store after a full reference: a name, and how its tag begins.

    It is for those who read it: what tells images apart is their content.
    """
    found = _REFERENCE.fullmatch(ref)
    assert found, ref
    name = f"{found['host'].replace(':', '-')}/{found['path']}"
    version = found["digest"][8:20] if found["digest"] else found["tag"][1:]
    return name[:_LONGEST_NAME].rstrip("/._-"), version[:_LONGEST_TAG]


def identity(build: ImageBuild, logins: Logins) -> str:
    """What makes it the same image: the reference, and who asks for it.

    What was fetched with a login is only for those who have it.
    """
    login = logins.get(registry_of(build.ref))
    return f"{login.user}@{build.ref}" if login else build.ref


def check(ref: str, logins: Logins, what: str) -> None:
    """Raise SlipwayError, of ``what``, unless the image's registry gives it to who asks.

    BuildKit does not ask for what it has, and gives it by its digest to whoever names that.
    """
    found = _REFERENCE.fullmatch(full(ref))
    if found is None:  # whoever fetches it says so
        return None
    host, path = found["host"], found["path"]
    name = (found["digest"] or found["tag"])[1:]
    is_own = is_here(host.partition(":")[0])
    refusals = []
    for scheme in ("https", "http") if is_own else ("https",):
        server = Server(upstream_of(f"{host}/{path}", scheme), logins.get(host))
        try:
            ask = partial(Repository(server).check, name)
            return persistently(ask, lambda _: None, tries=1 if is_own else _TRIES)
        except Broken as broken:
            refusals.append(broken)
    # Of the two ways to this machine, one breaks because the other one is spoken there.
    reason = min(refusals, key=lambda each: each.again)
    raise SlipwayError(Problem(what, *_told(ref, reason))) from reason


def _told(ref: str, broken: Broken) -> tuple[str, str]:
    """What is wrong with an image, and what mends it for an app."""
    if broken.lacking:
        return f"{ref} is not found: its registry has no such image", "correct the reference"
    if broken.refused:
        return f"{ref}: {broken}", "registry_auth says who asks for an app: docs/secrets.md"
    return f"{ref}: {broken}", broken.fix


class Referenced:
    """Has the builder of Dockerfiles fetch images: it knows registries, and keeps what it has.

    Of one registry, one image is fetched at a time: BuildKit does the same thing once for all who
    ask for it meanwhile, as any one of them, so that a wrong login would be everybody's.
    """

    doing = "fetch"

    def __init__(self, dockerfiles: Builder[BuildxBuild]) -> None:
        self._dockerfiles = dockerfiles
        self._turns: dict[str, Lock] = defaultdict(Lock)

    def build(self, order: Order[ImageBuild]) -> Path:
        """As Builder; SlipwayError when the registry does not give the image."""
        check(order.build.ref, order.logins, order.label)
        with self._turns[registry_of(order.build.ref)]:
            return self._fetch(order)

    def _fetch(self, order: Order[ImageBuild]) -> Path:
        checkout = order.scratch / "checkout"
        checkout.mkdir()
        (checkout / "Dockerfile").write_text(f"FROM {order.build.ref}\n")
        return self._dockerfiles.build(
            Order(
                label=order.label,
                repository=order.repository,
                checkout=checkout,
                build=BuildxBuild(),
                base=None,
                secrets={},
                scratch=order.scratch,
                images=order.images,
                platform=order.platform,
                logins=order.logins,
            )
        )
