"""A ``git_branch`` that stands for several branches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from slipway.apps.app import App, BranchRules, GitAuth
from slipway.apps.plan import schema
from slipway.apps.plan.places import Finding, Places, plain
from slipway.apps.templates import is_template

_SAMPLE = "branch"


@dataclass(frozen=True)
class Matches:
    """The branches that a pattern stands for.

    With a ``problem`` (the repository does not answer) they are those that have an environment.
    ``heads`` has the newest commits of branches, as far as they are known.
    """

    names: Sequence[str] = ()
    problem: str = ""
    heads: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Sample:
    """A pattern, as the ``app`` of a made-up branch that it matches, and the rules for it."""

    app: App
    rules: BranchRules

    @property
    def pattern(self) -> str:
        """The ``git_branch`` with its ``*``."""
        return str(self.app.pattern)


def source(app: App) -> tuple[str, GitAuth | None]:
    """What is asked for its branches once: a repository, with what is needed to reach it."""
    return app.git_url, app.git_auth


FindBranches = Callable[[Sequence[Sample]], Sequence[Matches]]
"""What each of the patterns stands for."""


def is_pattern(git_branch: str) -> bool:
    """Whether it is a pattern and not the name of one branch."""
    return "*" in git_branch


def matches(pattern: str, branch: str) -> bool:
    """Whether a branch is what a pattern, or a plain name, means."""
    first, *others = pattern.split("*")
    if not others:
        return branch == pattern
    *inner, last = others
    at, end = len(first), len(branch) - len(last)
    if at > end or not (branch.startswith(first) and branch.endswith(last)):
        return False
    for part in inner:
        # The leftmost place leaves the most to the parts that follow.
        at = branch.find(part, at, end)
        if at < 0:
            return False
        at += len(part)
    return True


def sample(pattern: str) -> str:
    """A branch that the pattern matches, to check with what every branch would give."""
    return pattern.replace("*", _SAMPLE)


def mistakes(places: Places, app: Mapping[str, Any]) -> Iterator[Finding]:
    """What would make the environments of a pattern collide, and settings that need a pattern."""
    if not is_pattern(app["git_branch"]):
        if "branches" in app and places.is_own("branches"):
            fix = "remove it, or write a git_branch with '*'"
            yield places.finding(("branches",), "is for a git_branch that is a pattern", fix)
        return
    namespace = app.get("namespace")
    if namespace is not None and not tells_branches_apart(namespace):
        yield places.finding(
            ("namespace",),
            f"is the same for every branch of {app['git_branch']}",
            f"write {namespace}-{{{{ branch_slug }}}}, or leave it out",
        )


def tells_branches_apart(text: str) -> bool:
    """Whether a template gives each branch a value of its own."""
    return is_template(text) and "branch" in text


def rules(app: Mapping[str, Any], others: Iterable[str] = ()) -> BranchRules:
    """What becomes of the environments of a pattern; branches of ``others`` are none of it."""
    keys = schema.schema()["definitions"]["branches"]["properties"]
    given = plain(app.get("branches", {}))
    found = msgspec.convert(
        {key: given.get(key, keys[key]["default"]) for key in keys}, BranchRules
    )
    found.exclude = [*found.exclude, *others]
    return found
