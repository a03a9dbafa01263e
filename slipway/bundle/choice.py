"""Which provider a run has each of its bundles from, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from slipway.architecture import Architecture
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


def chosen(
    args: Mapping[str, Any], architectures: Iterable[Architecture], say: Callable[[str], None]
) -> dict[Architecture, Choice]:
    """Where the bundles for ``architectures`` come from, by the options of a module.

    They are those of the fragments ``shared.lock`` and ``shared.provider``.

    An archive has the bundle for one architecture; those that none is for come from source, unless
    archives alone are wanted. Raises SlipwayError when the options do not fit each other, or no
    archive fits what is wanted.
    """
    versions = {name: str(version) for name, version in args["versions"].items()}
    project, cache = Path(args["project"]), CacheLayout(Path(args["cache"]))
    sources = {
        each: SourceProvider(project, versions, cache, each, args["strict"])
        for each in architectures
    }
    wanted = args["provider"]
    places = [place for each in args["archive"] if (place := each.strip())]
    if wanted == SOURCE or (wanted == AUTO and not places):
        reason = "bundle_provider says so" if wanted == SOURCE else "no archive is named"
        return {
            each: Choice(source, f"from source, as {reason}") for each, source in sources.items()
        }
    if not places:
        fix = "SLIPWAY_BUNDLE=PATH or ADDRESS, or bundle_provider: auto"
        raise SlipwayError(Problem("bundle_provider", "is archive, and none is named", fix))
    signers = Path(args["signers"]) if args["signers"] else None
    first, login = next(iter(sources.values())), _login(args)
    archives = [ArchiveProvider(first, place, signers, login, say) for place in places]
    found = _by_architecture(archives, sources)
    lacking = [each for each in sources if each not in found]
    if lacking and (wanted == ARCHIVE or not found):
        raise SlipwayError(_of_lacking(lacking, archives))
    return {each: _choice(each, source, found) for each, source in sources.items()}


def _choice(
    architecture: Architecture,
    source: SourceProvider,
    archives: Mapping[Architecture, ArchiveProvider],
) -> Choice:
    if archive := archives.get(architecture):
        return Choice(archive, f"from the archive {archive}, as slipway_bundle names it")
    return Choice(source, f"from source, as no archive is for {architecture}")


def _by_architecture(
    archives: Sequence[ArchiveProvider], sources: Mapping[Architecture, SourceProvider]
) -> dict[Architecture, ArchiveProvider]:
    """The archives by what they are for; of those for the same, the first that is named.

    Of a single one for a single architecture nobody is asked yet: it will do, or is refused.
    """
    if len(archives) == len(sources) == 1:
        return dict(zip(sources, archives, strict=True))
    found: dict[Architecture, ArchiveProvider] = {}
    problems: list[Problem] = []
    for archive in archives:
        try:
            platform = archive.platform
        except SlipwayError as error:
            problems += error.problems
            continue
        for each, source in sources.items():
            if each.platform == platform and each not in found:
                own = source is archive.source
                found[each] = archive if own else replace(archive, source=source)
    if problems:
        raise SlipwayError(problems)
    return found


def _of_lacking(
    lacking: Iterable[Architecture], archives: Iterable[ArchiveProvider]
) -> list[Problem]:
    """What to say of architectures that no archive is for."""
    named = ", ".join(f"{archive} is for {archive.platform}" for archive in archives)
    return [
        Problem(
            "slipway_bundle",
            f"has no archive for {each.platform}: {named}",
            f"name one more, made by make bundle ARCH={each} OUT=..., or bundle_provider: source",
        )
        for each in lacking
    ]


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
