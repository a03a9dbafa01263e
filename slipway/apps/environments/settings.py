"""What repositories say of their apps, read out of the newest commits of their branches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass, field, replace

from slipway.apps.app import App, GitAuth
from slipway.apps.boundary import tried
from slipway.apps.environments.resolve import CONNECTIONS, Repositories
from slipway.apps.plan.repository import LARGEST, Said, path_of, whose
from slipway.apps.source import git
from slipway.apps.source.fetch import fetch_missing
from slipway.apps.source.git import Mirror
from slipway.errors import Problem
from slipway.files import Refused
from slipway.interrupts import watched_signals
from slipway.kube.objects import grouped


@dataclass
class Reader:
    """Reads the files of all apps: each repository once for each way into it, all side by side.

    What is fetched for that is in the mirrors, where the next step finds it. A repository whose
    newest commits are ``known`` is not asked for them. In a check nothing is fetched; ``unread``
    has a line for each app whose file is not here yet.
    """

    repositories: Repositories
    say: Callable[[str], None]
    known: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)

    def __call__(self, apps: Sequence[App]) -> list[Said]:
        """What the repository of each app says of it, or why that is not known."""
        numbers = grouped(range(len(apps)), lambda number: apps[number].git_url)
        found: dict[int, Said] = {}

        def read(url: str) -> None:
            own = grouped(numbers[url], lambda number: apps[number].git_auth)
            for auth, some in own.items():  # one after the other: they share the mirror
                said = tried(self._read, url, auth, [copy(apps[number]) for number in some])
                every = [Said(problem=said)] * len(some) if isinstance(said, str) else said
                found.update(zip(some, every, strict=True))

        with watched_signals(), ThreadPoolExecutor(CONNECTIONS) as pool:
            list(pool.map(read, numbers))
        return [found[number] for number in range(len(apps))]

    def _read(self, url: str, auth: GitAuth | None, apps: Sequence[App]) -> list[Said]:
        """What a repository says of apps that have the same way in; raises SlipwayError."""
        mirror = Mirror(url, self.repositories.cache)
        heads = self.known.get(url, {})
        if not heads and all(app.head for app in apps):
            heads = {app.git_branch: app.head for app in apps}
        if not heads or not (self.repositories.check or _has_all(mirror, apps, heads)):
            heads = self._fetched(mirror, auth, apps, heads)
        _at(apps, heads)
        return [replace(said, heads=heads) for said in self._said(mirror, apps)]

    def _fetched(
        self, mirror: Mirror, auth: GitAuth | None, apps: Sequence[App], heads: Mapping[str, str]
    ) -> Mapping[str, str]:
        """The newest commits of branches, those of the apps in the mirror but for a check."""
        if self.repositories.check:
            return self.repositories.branches(apps[0])
        with self.repositories.keys.access(mirror.url, auth) as access:
            heads = heads or git.branches(mirror.url, access)
            _at(apps, heads)
            fetch_missing(mirror, [app for app in apps if app.head], access, self.say)
        return heads

    def _said(self, mirror: Mirror, apps: Sequence[App]) -> list[Said]:
        """What the mirror has of the apps' files."""
        found = mirror.files([(app.head, path_of(app)) for app in apps], LARGEST)
        trees = mirror.trees([app.head for app in apps])
        answers = zip(apps, found, trees, strict=True)
        return [self._one(mirror, app, file, tree) for app, file, tree in answers]

    def _one(
        self, mirror: Mirror, app: App, found: bytes | Refused | None, tree: str | None
    ) -> Said:
        """What was found of an app's file, in a commit with this ``tree``."""
        if app.failed:
            return Said(problem=app.failed.reason)
        if not app.head:
            return Said()  # there is no such branch, which the next step says
        where = f"{path_of(app)} of {whose(app, app.head)}"
        if tree is None and not self.repositories.check:
            return Said(problem=f"{mirror.url} changed meanwhile; run again")
        if tree is None:
            self.unread.append(
                f"{app.label}: as apps.yml alone has it, for nothing is fetched in a check: {where}"
            )
        elif isinstance(found, Refused):
            fix = f"have it be a plain file of at most {LARGEST >> 10} KiB"
            return Said(problem=str(Problem(where, f"cannot be read: {found}", fix)))
        elif found is None and (submodule := mirror.submodule(app.head, app.git_path)):
            what = f"cannot be read: {submodule} is a submodule"
            fix = "have apps.yml name that repository as git_url, or without repository_settings"
            return Said(problem=str(Problem(where, what, fix)))
        return Said(found if isinstance(found, bytes) else None, head=app.head)


def _at(apps: Sequence[App], heads: Mapping[str, str]) -> None:
    """Note in apps the newest commits of their branches."""
    for app in apps:
        app.head = heads.get(app.git_branch, "")


def _has_all(mirror: Mirror, apps: Sequence[App], heads: Mapping[str, str]) -> bool:
    """Whether the mirror has the newest commits of the apps, as far as there are branches."""
    commits = {heads.get(app.git_branch, "") for app in apps} - {""}
    return None not in mirror.trees(sorted(commits))
