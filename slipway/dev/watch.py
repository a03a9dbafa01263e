"""Wait until there is something to take up: a commit, a file that was saved, another apps.yml.

A clone on this machine is followed as its files are, committed or not, on the branch that is
checked out there; its other branches and all other repositories by their commits. Only what git
would commit counts, so a compiler may write what ``.gitignore`` names.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from watchfiles import Change, DefaultFilter, watch

from slipway.apps.app import App
from slipway.apps.environments.resolve import CONNECTIONS, Repositories
from slipway.apps.plan.branches import Matches, Sample
from slipway.apps.plan.plan import plan
from slipway.apps.plan.routes import DOMAIN
from slipway.apps.source.examples import make_repositories
from slipway.apps.source.git import Mirror
from slipway.apps.source.working_copy import git_folder, heads_of
from slipway.dev_session import Session
from slipway.errors import Problem, SlipwayError
from slipway.secrets import Secrets

LOOK_SECONDS = 1.0
"""How often apps.yml is looked at; folders are followed by the kernel's notices. Those are of a
file and not of its name, under which an editor may put another one."""

STILL_MILLISECONDS = 20
"""How long nothing may change until a change counts as done; if it was not, another run follows."""

_BRANCHES = re.compile(r"HEAD|refs/|packed-refs|worktrees/[^/]+/HEAD")
"""Where git has branches, and which of them is checked out (gitrepository-layout(5))."""

Heads = dict[str, dict[str, str]]
"""The newest commits by repository and branch."""


@dataclass
class Watch:
    """Follows the apps of the file at ``path``, and the samples in ``examples``.

    The samples become ``samples``, repositories of their own. Other machines are asked every
    ``interval`` seconds; ``say`` shows a line. ``domain`` is what ``{{ domain }}`` stands for.
    """

    path: Path
    secrets: Secrets
    examples: Path
    samples: Path
    repositories: Repositories
    interval: float
    say: Callable[[str], None]
    domain: str = DOMAIN
    _asked: float | None = None
    _elsewhere: Heads = field(default_factory=dict)
    _known: Heads = field(default_factory=dict)
    _told: set[str] = field(default_factory=set)

    def wait(self, session: Session) -> float:
        """Return when there is something that the session has not taken up; then it has.

        The result are the seconds that nothing was to be done.
        """
        since = time.monotonic()
        taken = session.taken()
        self._known = taken["heads"] if taken else {}
        found = self._look()
        if taken == found:
            self.say("waiting for a change (Ctrl-C ends this)")
            found = next(found for found in self._looks() if found != taken)
        for line in differences(taken or found, found):
            self.say(line)
        session.take(found)
        return time.monotonic() - since

    def _look(self) -> dict[str, Any]:
        """What there is now: the hash of the file, and the commits of its repositories.

        What a repository had that does not answer still holds.
        """
        try:
            file = sha256(self.path.read_bytes()).hexdigest()
        except FileNotFoundError:
            file = ""
        try:
            make_repositories(self.examples, self.samples, check=False)
            apps = self._apps()
        except SlipwayError:
            # The run says what is wrong with it.
            return {"file": file, "heads": {}}
        if self._due:
            self._ask([app for app in apps if not _is_local(app.git_url)])
        return {"file": file, "heads": {**self._elsewhere, **self._here(apps)}}

    def _apps(self) -> list[App]:
        """One app of each repository."""
        samples: list[App] = []

        def find(patterns: Sequence[Sample]) -> list[Matches]:
            samples.extend(pattern.app for pattern in patterns)
            return [Matches() for _ in patterns]

        planned = plan(self.path, domain=self.domain, secrets=self.secrets, find_branches=find)
        apps = [*planned, *samples]
        return [*{app.git_url: app for app in apps if app.git_url}.values()]

    @property
    def _due(self) -> bool:
        """Whether it is time to ask other machines."""
        return self._asked is None or time.monotonic() - self._asked > self.interval

    def _ask(self, apps: Sequence[App]) -> None:
        """Ask the repositories on other machines."""
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            answers = pool.map(self._answer, apps)
            self._elsewhere = {
                app.git_url: dict(answer) for app, answer in zip(apps, answers, strict=True)
            }
        self._asked = time.monotonic()

    def _answer(self, app: App) -> Mapping[str, str]:
        try:
            return self.repositories.branches(app)
        except SlipwayError as error:
            return self._unanswered(app.git_url, error)

    def _here(self, apps: Sequence[App]) -> Heads:
        """The commits of the repositories on this machine."""
        local = [app.git_url for app in apps if _is_local(app.git_url)]
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            return dict(zip(local, pool.map(self._heads, local), strict=True))

    def _heads(self, url: str) -> dict[str, str]:
        try:
            return heads_of(Mirror(url, self.repositories.cache))
        except SlipwayError as error:
            return self._unanswered(url, error)

    def _unanswered(self, url: str, error: SlipwayError) -> dict[str, str]:
        """What a repository had that does not answer now, which is told once."""
        if url not in self._told:
            self._told.add(url)
            self.say(f"{url} cannot be followed now: {error}")
        return self._known.get(url, {})

    def _looks(self) -> Iterator[dict[str, Any]]:
        """What there is, each time it may have changed."""
        local = [Path(url) for url in self._known if _is_local(url)]
        missing = [path for path in local if not path.exists()]
        notices = _Notices(
            [path for path in (self.examples, *local) if path.exists()],
            [folder for folder in map(git_folder, local) if folder],
        )
        # Something may have changed before the kernel was asked for notices.
        stamp = None
        try:
            for changes in watch(
                *notices.folders,
                watch_filter=None,
                step=STILL_MILLISECONDS,
                rust_timeout=int(LOOK_SECONDS * 1000),
                yield_on_timeout=True,
            ):
                before, stamp = stamp, _stamp(self.path)
                if (
                    stamp != before
                    or any(notices.count(change, path) for change, path in changes)
                    or any(path.exists() for path in missing)
                    or (self._elsewhere and self._due)
                ):
                    yield self._look()
        except OSError as error:
            what = f"the kernel gives no notice of their changes: {error}"
            fix = "raise fs.inotify.max_user_watches, or set WATCHFILES_FORCE_POLLING=true"
            raise SlipwayError(Problem("sources", what, fix)) from error


class _Notices:
    """What the kernel is asked to tell, and which of that may count.

    ``repositories`` are the folders in which git has branches, ``folders`` those with files.
    """

    def __init__(self, folders: Sequence[Path], repositories: Sequence[Path]) -> None:
        self.folders = {*folders, *repositories}
        self._git = [f"{folder}/" for folder in repositories]
        self._files = [f"{folder}/" for folder in folders]
        self._usual = DefaultFilter()

    def count(self, change: Change, path: str) -> bool:
        """Whether a change may be one of a branch, or of a file that is followed."""
        for folder in self._git:
            if path.startswith(folder):
                return bool(_BRANCHES.match(path.removeprefix(folder)))
        inside = (path.removeprefix(folder) for folder in self._files if path.startswith(folder))
        return any(self._usual(change, f"/{name}") for name in inside)


def _stamp(path: Path) -> tuple[int, int] | None:
    """What tells a file from the one that was there before; None while there is none."""
    try:
        state = path.stat()
    except FileNotFoundError:
        return None
    return state.st_ino, state.st_mtime_ns


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """A line for each thing that is not as it was."""
    if before["file"] != now["file"]:
        yield "apps.yml has changed"
    for url, heads in now["heads"].items():
        known = before["heads"].get(url, {})
        for branch in sorted(heads.keys() | known.keys()):
            if heads.get(branch) != known.get(branch):
                commit = heads.get(branch)
                yield f"{url}: {branch} is {f'at {commit[:7]}' if commit else 'gone'}"


def _is_local(url: str) -> bool:
    return url.startswith("/")
