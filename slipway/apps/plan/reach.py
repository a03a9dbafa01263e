"""Which other apps an app reaches on the network."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from slipway.apps.manifests.network import MAIN
from slipway.apps.plan import schema
from slipway.apps.plan.branches import matches
from slipway.apps.plan.places import Finding, Places, nearest, plain
from slipway.apps.plan.services import CLUSTER, named, others_of
from slipway.apps.plan.services import of as services_of

Branches = Mapping[str, Collection[str]]
"""By the names of apps, the git_branch of each of their entries."""


def branches_of(document: Mapping[str, Any]) -> Branches:
    """Those that a whole file has, as far as its entries are sound."""
    usual = document.get("defaults", {}).get("git_branch", schema.default("git_branch"))
    found: dict[str, list[str]] = defaultdict(list)
    for app in document["apps"]:
        if isinstance(app, Mapping) and isinstance(app.get("name"), str):
            branch = str(app.get("git_branch", usual))
            found[app["name"]].append(branch)
            for name, service in services_of(app).items():
                is_shared = service.get("scope") == CLUSTER
                found[named(app["name"], name)].append(MAIN if is_shared else branch)
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
    given = [plain(entry) for entry in app.get("reach", ())]
    named_ = {entry["app"] for entry in given}
    return [*given, *({"app": each} for each in others_of(app) if each not in named_)]
