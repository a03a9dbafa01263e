"""Which provider a run has its bundle from, and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slipway.bundle.archive import ArchiveProvider
from slipway.bundle.download import Login
from slipway.bundle.source import SourceProvider
from slipway.cache.layout import CacheLayout
from slipway.errors import Problem, SlipwayError

AUTO, ARCHIVE, SOURCE = "auto", "archive", "source"
"""The ways to a bundle by name; AUTO is the first of the others that is at hand."""

PROVIDERS = (AUTO, ARCHIVE, SOURCE)

AnyProvider = SourceProvider | ArchiveProvider


@dataclass(frozen=True)
class Choice:
    """A provider; ``why`` says in a line which it is, and what made it so."""

    provider: AnyProvider
    why: str


def chosen(args: Mapping[str, Any], say: Callable[[str], None]) -> Choice:
    """The provider that the options of a module mean (the fragment ``shared.provider``).

    Raises SlipwayError when they do not fit each other.
    """
    versions = {name: str(version) for name, version in args["versions"].items()}
    project, cache = Path(args["project"]), CacheLayout(Path(args["cache"]))
    source = SourceProvider(project, versions, cache, args["strict"])
    wanted, place = args["provider"], args["archive"]
    if wanted == SOURCE or (wanted == AUTO and not place):
        reason = "bundle_provider says so" if wanted == SOURCE else "no archive is named"
        return Choice(source, f"from source, as {reason}")
    if not place:
        fix = "SLIPWAY_BUNDLE=PATH or ADDRESS, or bundle_provider: auto"
        raise SlipwayError(Problem("bundle_provider", "is archive, and none is named", fix))
    signers = Path(args["signers"]) if args["signers"] else None
    provider = ArchiveProvider(source, place, signers, _login(args), say)
    return Choice(provider, f"from the archive {provider}, as slipway_bundle names it")


def _login(args: Mapping[str, Any]) -> Login | None:
    """Who asks for the archive, with the password that the secrets have."""
    given, secrets = args["login"], args["secrets"]
    if not given:
        return None
    where = "slipway_bundle_login"
    if {*given} != {"user", "password"}:
        fix = "write {user: NAME, password: NAME_OF_A_SECRET}"
        raise SlipwayError(Problem(where, "has other keys than user and password", fix))
    if given["password"] not in secrets:
        fix = "put it into the vault: docs/secrets.md"
        raise SlipwayError(Problem(f"{where}.password", "is not in slipway_secrets", fix))
    return Login(str(given["user"]), secrets[given["password"]])
