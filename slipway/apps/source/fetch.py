"""From the plan to the sources: which commit each app is at, and its work tree.

Each repository is asked once for each way into it, all repositories at the same time, and only
what is missing is fetched. One that was asked for the branches of a pattern is not asked again.
"""

from __future__ import annotations

import difflib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from slipway.apps.app import Record, app_label, fail
from slipway.apps.boundary import failing
from slipway.apps.source import project
from slipway.apps.source.git import Mirror, branches, tree_of
from slipway.apps.source.git_auth import Access, Keys
from slipway.apps.source.interrupts import watched_signals
from slipway.errors import SlipwayError

STEP = "source"
"""What a failure of this step is noted under."""

_BOUNDARY = failing(STEP)

CONNECTIONS = 16
"""How many repositories are asked at the same time."""


@dataclass(frozen=True)
class Sources:
    """The records, each with its ``commit`` and ``checkout`` or with why not, and what was done."""

    records: list[Record]
    fetched: list[str]


def get_sources(
    records: Iterable[Record],
    cache: Path,
    *,
    check: bool,
    say: Callable[[str], None],
    keys: Keys | None = None,
    heads: Mapping[str, Mapping[str, str]] | None = None,
) -> Sources:
    """Add ``commit``, ``tree`` (a git hash) and ``checkout`` to copies of the records.

    With a ``checkout`` there are also ``project``, the folder of it that is the app's, and
    ``whole``: whether the app is made of all the checkout. Otherwise ``tree`` is that of the
    project, and ``commit`` the newest one that changed it, which gives the same app as a later one.

    ``heads`` are the newest commits of all branches of some repositories, which are not asked then;
    nor is one of which all records have the ``head`` of their branch. ``keys`` open the
    repositories that want to know who asks. An app whose repository does not answer or lacks its
    branch gets ``failed`` instead. With ``check`` nothing is fetched or written: an app whose
    commit is not here yet gets no ``checkout``, and one whose local repository does not exist yet
    gets no ``commit`` either.
    """
    copies = [dict(record) for record in records]
    by_url: dict[str, list[Record]] = defaultdict(list)
    for record in copies:
        if "failed" not in record:
            by_url[record["git_url"]].append(record)

    def get(url: str) -> bool:
        known = (heads or {}).get(url, {})
        return _Repository(url, by_url[url], known, cache, keys or Keys(), check, say).get()

    with watched_signals(), ThreadPoolExecutor(CONNECTIONS) as pool:
        fetched = list(pool.map(get, by_url))
    return Sources(copies, [url for url, was in zip(by_url, fetched, strict=True) if was])


class _Repository:
    """One repository and the apps that come from it."""

    def __init__(
        self,
        url: str,
        records: Sequence[Record],
        heads: Mapping[str, str],
        cache: Path,
        keys: Keys,
        check: bool,
        say: Callable[[str], None],
    ) -> None:
        self._url = url
        self._records = records
        self._heads = heads
        self._mirror = Mirror(url, cache)
        self._keys = keys
        self._check = check
        self._say = say

    def get(self) -> bool:
        """Complete the records; True when one of them has another source than before."""
        if self._check and Path(self._url).is_absolute() and not Path(self._url).exists():
            return False
        by_auth: dict[str, list[Record]] = defaultdict(list)
        for record in self._records:
            by_auth[json.dumps(record.get("git_auth"), sort_keys=True)].append(record)
        changed = not (self._check or self._mirror.path.exists())
        for auth, records in by_auth.items():  # one after the other: they share the mirror
            changed |= bool(_BOUNDARY.run(records, self._get_by, json.loads(auth), records))
        return changed

    def _get_by(self, auth: dict[str, str] | None, records: Sequence[Record]) -> bool:
        """Complete the records that have the same way in."""
        known = self._heads
        if not known and all("head" in each for each in records):
            known = {each["git_branch"]: each["head"] for each in records}
        if known and (self._check or self._has_all(records, known)):
            return self._complete(_on_branches(self._url, records, known), known, Access())
        if self._check and auth and "github_deploy_key" in auth:
            # Making a key would be a change: what is known must do.
            return self._complete(records, self._mirror.branches(), Access())
        with self._keys.access(self._url, auth) as access:
            heads = known or branches(self._url, access)
            return self._complete(_on_branches(self._url, records, heads), heads, access)

    def _has_all(self, records: Sequence[Record], heads: Mapping[str, str]) -> bool:
        """Whether the work trees of the records are here, as far as there are branches."""
        commits = {heads.get(record["git_branch"]) for record in records} - {None}
        return all(self._mirror.work_tree(str(commit)).exists() for commit in commits)

    def _complete(
        self, records: Sequence[Record], heads: Mapping[str, str], access: Access
    ) -> bool:
        """Complete the records whose branches are among ``heads``."""
        found = [record for record in records if record["git_branch"] in heads]
        for record in found:
            record["commit"] = heads[record["git_branch"]]
        self._fetch(found, access)
        found = [record for record in found if "failed" not in record]
        new: set[str] = set()
        for record, tree in zip(found, self._trees(found), strict=True):
            _BOUNDARY.run([record], self._lay_out, record, tree, access, new)
        return any(record["commit"] in new for record in found)

    def _lay_out(self, record: Record, tree: str | None, access: Access, new: set[str]) -> None:
        """Complete a record whose commit has this ``tree``; ``new`` gets commits laid out now."""
        head = record["commit"]
        if tree is None:
            if not self._check:
                fail(record, STEP, f"{self._url} changed meanwhile; run again")
            return
        record["tree"] = tree
        place = self._mirror.work_tree(head)
        if not place.exists() and not self._check:
            self._mirror.lay_out(head, access)
            new.add(head)
        if place.exists():
            record["checkout"] = str(place)
            self._find_project(record)

    def _find_project(self, record: Record) -> None:
        """Add what of its checkout the app is made of."""
        commit, checkout = record["commit"], Path(record["checkout"])
        where = f"{self._url}, branch {record['git_branch']} at {commit[:7]}"
        record["project"] = folder = project.find(checkout, record["git_path"], where)
        record["whole"] = folder == "." or _needs_more(record)
        if not record["whole"]:
            [tree] = self._mirror.trees([f"{commit}:{folder}"])
            record["tree"] = tree or tree_of(checkout / folder)  # that of a submodule
            record["commit"] = self._mirror.last_change(commit, folder)

    def _fetch(self, records: Sequence[Record], access: Access) -> None:
        missing = {
            record["git_branch"]
            for record, tree in zip(records, self._trees(records), strict=True)
            if tree is None
        }
        if not missing or self._check:
            return
        self._say(f"{self._url}: fetching {', '.join(sorted(missing))}")
        try:
            self._mirror.fetch(sorted(missing), access)
        except SlipwayError:
            if len(missing) == 1:
                raise
            for branch in sorted(missing):  # git brings all or none: one of them may be the cause
                own = [record for record in records if record["git_branch"] == branch]
                _BOUNDARY.run(own, self._mirror.fetch, [branch], access)

    def _trees(self, records: Sequence[Record]) -> list[str | None]:
        return self._mirror.trees([record["commit"] for record in records])


def _needs_more(record: Record) -> bool:
    """Whether what is built is a Maven project that needs more than its folder."""
    checkout, build = Path(record["checkout"]), record["build"]
    folder = checkout / record["project"]
    if build["tool"] not in (None, "jib") or not (folder / project.POM).is_file():
        return False
    return project.needs_more(folder, checkout, app_label(record), build.get("args", ()))


def _on_branches(url: str, records: Iterable[Record], heads: Mapping[str, str]) -> list[Record]:
    """The records whose branches there are; the others are noted as failed."""
    found = []
    for record in records:
        if record["git_branch"] in heads:
            found.append(record)
        else:
            fail(record, STEP, _missing_branch(url, record["git_branch"], heads))
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
