"""Branches as environments: which ones a pattern stands for, and what becomes of those that left.

A ``*`` of a pattern stands for any text, slashes included, as in git's own refspecs: ``feature/*``
also means ``feature/shop/cart``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from msgspec import structs

from slipway.apps.app import App, BranchRules, Environment
from slipway.apps.boundary import tried
from slipway.apps.names import pattern_id, slug
from slipway.apps.plan.branches import Matches, Sample, matches, source
from slipway.apps.source import git
from slipway.apps.source.git import Mirror
from slipway.apps.source.git_auth import Keys
from slipway.text import listed

CONNECTIONS = 16
"""How many repositories are asked at the same time."""

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


class Existing(Environment, kw_only=True):
    """An environment of a pattern that the cluster has."""

    pattern: str
    """The pattern's id."""
    gone_since: datetime | None = None
    """When its branch was first missed."""
    kept: bool = False
    """Whether its namespace is marked to stay whatever becomes of the branch."""


class Leaving(Environment, kw_only=True):
    """An environment that serves on although its branch is gone.

    One that is kept has neither of the times, which are UTC.
    """

    since: str = ""
    """When a run first missed the branch; empty for one that is kept."""
    until: str = ""
    """When its grace ends; empty for one that is kept."""


@dataclass(frozen=True)
class Resolved:
    """What a pattern stands for now.

    ``waiting`` are branches that match and get no environment, with the reason; ``gone`` are the
    ids of environments whose time is over.
    """

    branches: Sequence[str]
    leaving: Sequence[Leaving]
    waiting: Mapping[str, str]
    gone: Sequence[str]


def seconds_of(grace: str) -> timedelta:
    """A number and ``m``, ``h`` or ``d`` as a time."""
    return timedelta(**{_UNITS[grace[-1]]: int(grace[:-1])})


def as_text(moment: datetime) -> str:
    """A time as Kubernetes writes it: ``2026-01-31T12:00:00Z``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def resolve(
    sample: Sample, heads: Iterable[str], existing: Iterable[Existing], now: datetime
) -> Resolved:
    """What a pattern stands for, by the branches that its repository has; pure.

    Branches that have an environment keep it; new ones get theirs in the order of their names,
    until there are as many as the pattern may have. What is on its way out counts as well, unless
    a branch with the same names takes its place.
    """
    rules = sample.rules
    heads, every = set(heads), list(existing)
    existing = [each for each in every if not _any(rules.exclude, each.git_branch)]
    leaving = [
        left
        for each in existing
        if each.git_branch not in heads and (left := _leaving(each, rules, now))
    ]
    names = {slug(left.git_branch) for left in leaving}
    kept = {slug(left.git_branch): left.git_branch for left in leaving if not left.until}
    has_one = {each.git_branch for each in existing}
    matching = [
        branch
        for branch in sorted(heads, key=lambda branch: (branch not in has_one, branch))
        if matches(sample.pattern, branch) and not _any(rules.exclude, branch)
    ]
    chosen: dict[str, str] = {}
    waiting: dict[str, str] = {}
    for branch in matching:
        name = slug(branch)
        if first := chosen.get(name) or kept.get(name):
            waiting[branch] = f"its names would be those of {first}"
        elif branch not in has_one and len({*names, *chosen, name}) > rules.max:
            waiting[branch] = f"there are {rules.max} environments already (branches.max)"
        else:
            chosen[name] = branch
    leaving = [left for left in leaving if slug(left.git_branch) not in chosen]
    staying = {left.id for left in leaving}
    gone = [
        each.id for each in every if slug(each.git_branch) not in chosen and each.id not in staying
    ]
    return Resolved(sorted(chosen.values()), leaving, waiting, gone)


def _any(patterns: Iterable[str], branch: str) -> bool:
    return any(matches(pattern, branch) for pattern in patterns)


def _leaving(found: Existing, rules: BranchRules, now: datetime) -> Leaving | None:
    """An environment whose branch is gone; None when its time is over."""
    left = Leaving(
        id=found.id, name=found.name, namespace=found.namespace, git_branch=found.git_branch
    )
    if found.kept or _any(rules.keep, found.git_branch):
        return left
    since = found.gone_since or now
    until = since + seconds_of(rules.grace)
    return (
        structs.replace(left, since=as_text(since), until=as_text(until)) if until > now else None
    )


class Finder:
    """Resolves the patterns of a file; what it found out beside the branches is kept in it.

    ``existing`` gives the environments that the cluster has, ``heads`` the newest commit of each
    branch of a repository; both are asked only if there are patterns, each repository once.
    """

    def __init__(
        self,
        existing: Callable[[], Sequence[Existing]],
        heads: Callable[[App], Mapping[str, str]],
        now: datetime,
    ) -> None:
        self._existing = existing
        self._heads = heads
        self._now = now.replace(microsecond=0)
        self.leaving: list[Leaving] = []
        self.gone: list[str] = []
        """Ids of environments whose time is over."""
        self.waiting: list[str] = []
        """Lines that say which branches get no environment, and why."""

    def __call__(self, samples: Sequence[Sample]) -> list[Matches]:
        """The branches of each pattern, or why they cannot be had."""
        existing = self._existing()
        by_source = {source(sample.app): sample.app for sample in samples}
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            answers = dict(zip(by_source, pool.map(self._ask, by_source.values()), strict=True))
        found = []
        for sample in samples:
            pattern = pattern_id(sample.app.name, sample.app.git_url, sample.pattern)
            own = [each for each in existing if each.pattern == pattern]
            matched = tried(self._match, sample, answers[source(sample.app)], own)
            if isinstance(matched, str):
                matched = Matches(sorted({each.git_branch for each in own}), matched)
            found.append(matched)
        return found

    def _ask(self, app: App) -> Mapping[str, str] | str:
        return tried(self._heads, app)

    def _match(
        self, sample: Sample, heads: Mapping[str, str] | str, own: Iterable[Existing]
    ) -> Matches:
        if isinstance(heads, str):
            return Matches(sorted({each.git_branch for each in own}), heads)
        resolved = resolve(sample, heads, own, self._now)
        self.leaving += resolved.leaving
        self.gone += resolved.gone
        self._note(sample, resolved.waiting)
        return Matches(resolved.branches, heads=heads)

    def _note(self, sample: Sample, waiting: Mapping[str, str]) -> None:
        for reason in dict.fromkeys(waiting.values()):
            names = [branch for branch, why in waiting.items() if why == reason]
            self.waiting.append(
                f"{sample.app.name} ({sample.pattern}): no environment for "
                f"{listed(names)}: {reason}"
            )


@dataclass(frozen=True)
class Repositories:
    """Where apps come from; ``keys`` open those that want to know who asks."""

    cache: Path
    keys: Keys
    check: bool

    def branches(self, app: App) -> Mapping[str, str]:
        """The newest commit of every branch of an app's repository; raises SlipwayError.

        In a check, a folder that is still to be made has none, and no deploy key is made to ask:
        what was known last must do.
        """
        url, auth = app.git_url, app.git_auth
        if self.check and Path(url).is_absolute() and not Path(url).exists():
            return {}
        if self.check and auth and auth.github_deploy_key:
            return Mirror(url, self.cache).branches()
        with self.keys.access(url, auth) as access:
            return git.branches(url, access)
