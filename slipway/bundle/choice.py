"""Which provider a run has each of its bundles from, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from slipway.architecture import Architecture
from slipway.bundle import manifest
from slipway.bundle.archive import ArchiveProvider
from slipway.bundle.download import Login
from slipway.bundle.mirrors import mirrors
from slipway.bundle.provider import bundle_path
from slipway.bundle.source import SourceProvider
from slipway.bundle.upstream import UpstreamProvider
from slipway.cache.layout import CacheLayout
from slipway.errors import Problem, SlipwayError

AUTO, ARCHIVE, UPSTREAM, SOURCE = "auto", "archive", "upstream", "source"
"""The ways to a bundle by name; AUTO is the first of the others that is at hand."""

PROVIDERS = (AUTO, ARCHIVE, UPSTREAM, SOURCE)

AnyProvider = SourceProvider | ArchiveProvider | UpstreamProvider


@dataclass(frozen=True)
class Choice:
    """A provider; ``why`` says in a line which it is, and what made it so."""

    provider: AnyProvider
    why: str


def chosen(
    args: Mapping[str, Any],
    architectures: Iterable[Architecture],
    say: Callable[[str], None],
    *,
    ask: bool = True,
) -> dict[Architecture, Choice]:
    """Where the bundles for ``architectures`` come from, by the options of a module.

    They are those of the fragments ``shared.lock`` and ``shared.provider``.

    An archive has the bundle for one architecture; those that none is for come from upstream or
    source, unless archives alone are wanted. Who has nothing made need not ``ask`` upstream for
    that. Raises SlipwayError when the options do not fit each other, or no archive fits what is
    wanted.
    """
    versions = {name: str(version) for name, version in args["versions"].items()}
    project, cache = Path(args["project"]), CacheLayout(Path(args["cache"]))
    sources = {
        each: SourceProvider(project, versions, cache, each, args["strict"])
        for each in architectures
    }
    wanted = args["provider"]
    if wanted == SOURCE:
        why = "from source, as bundle_provider says so"
        return {each: Choice(source, why) for each, source in sources.items()}
    given = mirrors(args["mirrors"], args["secrets"])
    upstreams = {
        each: UpstreamProvider(source, given, wanted == AUTO, say, args["signatures"])
        for each, source in sources.items()
    }
    if wanted == UPSTREAM:
        why = "from upstream, as bundle_provider says so"
        return {each: Choice(upstream, why) for each, upstream in upstreams.items()}
    archives = _archives(args, next(iter(sources.values())), say)
    if wanted == ARCHIVE and not archives:
        fix = "SLIPWAY_BUNDLE=PATH or ADDRESS, or bundle_provider: auto"
        raise SlipwayError(Problem("bundle_provider", "is archive, and none is named", fix))
    found = _by_architecture(archives, sources)
    lacking = [each for each in sources if each not in found]
    if archives and lacking and (wanted == ARCHIVE or not found):
        raise SlipwayError(_of_lacking(lacking, archives))
    for each in lacking if ask else ():
        if not _needs_nobody(upstreams[each]):
            upstreams[each].ask()
    choices: dict[Architecture, Choice] = {}
    for each, upstream in upstreams.items():
        if archive := found.get(each):
            why = f"from the archive {archive}, as slipway_bundle names it"
            choices[each] = Choice(archive, why)
        else:
            why = f"as no archive is {f'for {each}' if archives else 'named'}"
            choices[each] = _first_at_hand(upstream, why, ask=ask)
    return choices


def _first_at_hand(upstream: UpstreamProvider, why: str, *, ask: bool) -> Choice:
    """Where there is no archive: what is in the cache, before upstream is asked, before source."""
    source = upstream.source
    if _source_will_do(source):
        return Choice(source, f"from source, {why} and its parts are in the cache")
    if _is_there(upstream) or not ask:
        return Choice(upstream, f"from upstream, {why}")
    if upstream.offer:
        return Choice(upstream, f"from upstream, {why} and it answers")
    lacking = next(iter(upstream.offer.lacking.values()), "bundle/upstream.yml knows none of it")
    return Choice(source, f"from source, {why} and upstream has nothing: {lacking}")


def _needs_nobody(upstream: UpstreamProvider) -> bool:
    """Whether what is in the cache will do."""
    return _source_will_do(upstream.source) or _is_there(upstream)


def _source_will_do(source: SourceProvider) -> bool:
    """Whether the bundle from source is there, or all that it is put together from."""
    return _is_there(source) or not source.to_make()


def _is_there(provider: SourceProvider | UpstreamProvider) -> bool:
    return manifest.is_there(bundle_path(provider, provider.cache))


def _archives(
    args: Mapping[str, Any], source: SourceProvider, say: Callable[[str], None]
) -> list[ArchiveProvider]:
    """Those that are named, as if each were for one architecture."""
    places = [place for each in args["archive"] if (place := each.strip())]
    if not places:
        return []
    signers = Path(args["signers"]) if args["signers"] else None
    login = _login(args)
    return [ArchiveProvider(source, place, signers, login, say) for place in places]


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
