"""Which other apps an app reaches on the network."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from slipway.apps.plan import schema
from slipway.apps.plan.branches import matches
from slipway.apps.plan.places import Finding, Places, plain

Branches = Mapping[str, Collection[str]]
"""By the names of apps, the git_branch of each of their entries."""


def branches_of(document: Mapping[str, Any]) -> Branches:
    """Those that a whole file has, as far as its entries are sound."""
    usual = document.get("defaults", {}).get("git_branch", schema.default("git_branch"))
    found: dict[str, list[str]] = defaultdict(list)
    for app in document["apps"]:
        if isinstance(app, Mapping) and isinstance(app.get("name"), str):
            found[app["name"]].append(str(app.get("git_branch", usual)))
    return found


def mistakes(places: Places, app: Mapping[str, Any], known: Branches) -> Iterator[Finding]:
    """Apps and branches that are not in the file."""
    for number, entry in enumerate(app.get("reach", ())):
        name, branch = entry["app"], entry.get("branch")
        if name not in known:
            yield places.finding(
                ("reach", number, "app"), f"there is no app {name}", nearest(name, known)
            )
        elif branch and not any(matches(each, branch) for each in known[name]):
            what = f"{name} has no entry for the branch {branch}"
            yield places.finding(("reach", number, "branch"), what, nearest(branch, known[name]))


def settings_of(app: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The setting of an App."""
    return [plain(entry) for entry in app.get("reach", ())]


def nearest(wrong: str, known: Collection[str]) -> str:
    """What may have been meant, of the names that there are."""
    names = sorted({*known})
    close = difflib.get_close_matches(wrong, names, n=1)
    if close:
        return f"write {close[0]}"
    return f"write one of {', '.join(names)}" if names else "remove it"
