"""From the plan to the sources: which commit each app is at, and its work tree.

Each repository is asked once for each way into it, all repositories at the same time, and only
what is missing is fetched. One that was asked for the branches of a pattern is not asked again.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass
from pathlib import Path

from slipway.apps.app import App, GitAuth, ImageBuild, JibBuild, Sourced, advanced
from slipway.apps.boundary import failing
from slipway.apps.source import project
from slipway.apps.source.git import Mirror, branches, tree_of
from slipway.apps.source.git_auth import Access, Keys
from slipway.errors import SlipwayError
from slipway.interrupts import watched_signals
from slipway.kube.objects import grouped

STEP = "source"
"""What a failure of this step is noted under."""

_BOUNDARY = failing(STEP)

CONNECTIONS = 16
"""How many repositories are asked at the same time."""


@dataclass(frozen=True)
class Sources:
    """The apps, each with its source or with why not, and the URLs of those with another one."""

    apps: list[App]
    fetched: list[str]


def get_sources(
    apps: Iterable[App],
    cache: Path,
    *,
    check: bool,
    say: Callable[[str], None],
    keys: Keys | None = None,
    heads: Mapping[str, Mapping[str, str]] | None = None,
) -> Sources:
    """The apps with their sources, which are put into the cache where they are not there yet.

    ``heads`` are the newest commits of all branches of some repositories, which are not asked then;
    nor is one of which all apps have the ``head`` of their branch. ``keys`` open the
    repositories that want to know who asks. An app whose repository does not answer or lacks its
    branch gets ``failed`` instead. With ``check`` nothing is fetched or written: an app whose
    commit is not here yet stays as it is, and one whose local repository does not exist yet does
    not even get the ``head`` of its branch.
    """
    copies = [copy(app) for app in apps]
    sound = [app for app in copies if not app.failed]
    by_url = grouped((app for app in sound if app.git_url), lambda app: app.git_url)

    def get(url: str) -> _Repository:
        known = (heads or {}).get(url, {})
        repository = _Repository(url, by_url[url], known, cache, keys or Keys(), check, say)
        repository.get()
        return repository

    with watched_signals(), ThreadPoolExecutor(CONNECTIONS) as pool:
        repositories = list(pool.map(get, by_url))
    sourced = {app.id: _of_image_alone(app) for app in sound if not app.git_url}
    sourced |= {app.id: app for each in repositories for app in each.sourced}
    return Sources(
        [app if app.failed else sourced.get(app.id, app) for app in copies],
        [each.url for each in repositories if each.changed],
    )


class _Repository:
    """One repository and the apps that come from it.

    ``sourced`` are those of which the source is there, and ``changed`` says whether one of them
    has another source than before.
    """

    def __init__(
        self,
        url: str,
        apps: Sequence[App],
        heads: Mapping[str, str],
        cache: Path,
        keys: Keys,
        check: bool,
        say: Callable[[str], None],
    ) -> None:
        self.url = url
        self.sourced: list[Sourced] = []
        self.changed = False
        self._new: set[str] = set()
        """The commits that are laid out now."""
        self._apps = apps
        self._heads = heads
        self._mirror = Mirror(url, cache)
        self._keys = keys
        self._check = check
        self._say = say

    def get(self) -> None:
        """Get the sources of the apps."""
        if self._check and Path(self.url).is_absolute() and not Path(self.url).exists():
            return
        self.changed = not (self._check or self._mirror.path.exists())
        by_auth = grouped(self._apps, lambda app: app.git_auth)
        for auth, apps in by_auth.items():  # one after the other: they share the mirror
            _BOUNDARY.run(apps, self._get_by, auth, apps)

    def _get_by(self, auth: GitAuth | None, apps: Sequence[App]) -> None:
        """Get the sources of the apps that have the same way in."""
        known = self._heads
        if not known and all(app.head for app in apps):
            known = {app.git_branch: app.head for app in apps}
        if known and (self._check or self._has_all(apps, known)):
            return self._complete(_on_branches(self.url, apps, known), known, Access())
        if self._check and auth and auth.github_deploy_key:
            # Making a key would be a change: what is known must do.
            return self._complete(apps, self._mirror.branches(), Access())
        with self._keys.access(self.url, auth) as access:
            heads = known or branches(self.url, access)
            return self._complete(_on_branches(self.url, apps, heads), heads, access)

    def _has_all(self, apps: Sequence[App], heads: Mapping[str, str]) -> bool:
        """Whether the work trees of the apps are here, as far as there are branches."""
        commits = {heads.get(app.git_branch) for app in apps} - {None}
        return all(self._mirror.work_tree(str(commit)).exists() for commit in commits)

    def _complete(self, apps: Sequence[App], heads: Mapping[str, str], access: Access) -> None:
        """Get the sources of the apps whose branches are among ``heads``."""
        found = [app for app in apps if app.git_branch in heads]
        for app in found:
            app.head = heads[app.git_branch]
        if not self._check:
            fetch_missing(self._mirror, found, access, self._say)
        found = [app for app in found if not app.failed]
        for app, tree in zip(found, self._trees(found), strict=True):
            _BOUNDARY.run([app], self._lay_out, app, tree, access)

    def _lay_out(self, app: App, tree: str | None, access: Access) -> None:
        """Have the work tree of an app whose newest commit has this ``tree``."""
        if tree is None:
            if not self._check:
                app.fail(STEP, f"{self.url} changed meanwhile; run again")
            return
        place = self._mirror.work_tree(app.head)
        if not place.exists() and not self._check:
            self._mirror.lay_out(app.head, access, app.git_submodules)
            self._new.add(app.head)
        if place.exists():
            found = self._sourced(app, tree, place)
            self.sourced.append(found)
            self.changed |= found.commit in self._new

    def _sourced(self, app: App, tree: str, checkout: Path) -> Sourced:
        """An app with what of its work tree it is made of."""
        where = f"{self.url}, branch {app.git_branch} at {app.head[:7]}"
        folder = project.find(checkout, app.git_path, where)
        whole = folder == "." or _needs_more(app, checkout, folder)
        commit = app.head
        if not whole:
            [own] = self._mirror.trees([f"{commit}:{folder}"])
            tree = own or tree_of(checkout / folder)  # that of a submodule
            commit = self._mirror.last_change(commit, folder)
        found = {"commit": commit, "tree": tree, "checkout": str(checkout)}
        return advanced(app, Sourced, **found, project=folder, whole=whole)

    def _trees(self, apps: Sequence[App]) -> list[str | None]:
        return self._mirror.trees([app.head for app in apps])


def fetch_missing(
    mirror: Mirror, apps: Sequence[App], access: Access, say: Callable[[str], None]
) -> None:
    """Have the newest commits of apps in the mirror of their repository; raises SlipwayError.

    Where some cannot be had, it is their apps that fail.
    """
    trees = mirror.trees([app.head for app in apps])
    missing = {app.git_branch for app, tree in zip(apps, trees, strict=True) if tree is None}
    if not missing:
        return
    say(f"{mirror.url}: fetching {', '.join(sorted(missing))}")
    try:
        mirror.fetch(sorted(missing), access)
    except SlipwayError:
        if len(missing) == 1:
            raise
        for branch in sorted(missing):  # git brings all or none: one of them may be the cause
            own = [app for app in apps if app.git_branch == branch]
            _BOUNDARY.run(own, mirror.fetch, [branch], access)


def _of_image_alone(app: App) -> Sourced:
    """An app that has no repository: its image says which version it is."""
    version = app.build.version if isinstance(app.build, ImageBuild) else ""
    return advanced(
        app, Sourced, commit=version, tree="", checkout="", project=".", whole=True, head=version
    )


def _needs_more(app: App, checkout: Path, folder: str) -> bool:
    """Whether what is built is a Maven project that needs more than its folder."""
    if (
        not isinstance(app.build, JibBuild | None)
        or not (checkout / folder / project.POM).is_file()
    ):
        return False
    args = app.build.args if app.build else ()
    return project.needs_more(checkout / folder, checkout, app.label, args)


def _on_branches(url: str, apps: Iterable[App], heads: Mapping[str, str]) -> list[App]:
    """The apps whose branches there are; the others are noted as failed."""
    found = []
    for app in apps:
        if app.git_branch in heads:
            found.append(app)
        else:
            app.fail(STEP, _missing_branch(url, app.git_branch, heads))
    return found


def _missing_branch(url: str, branch: str, heads: Iterable[str]) -> str:
    """Why there is nothing to deploy, with the branches that may have been meant."""
    names = sorted(heads)
    near = difflib.get_close_matches(branch, names, n=3, cutoff=0.5)
    if near:
        hint = f"did you mean {' or '.join(near)}?"
    else:
        hint = f"it has {', '.join(names[:5])}{' ...' if len(names) > 5 else ''}" if names else ""
    return f"{url} has no branch {branch}; {hint or 'it has no branches at all'}"
