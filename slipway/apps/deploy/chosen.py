"""Which app in the cluster somebody means by a name and a branch."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from slipway.apps.manifests.labels import BRANCH, NAME, owner_of
from slipway.errors import Problem, SlipwayError
from slipway.kube.client import Object


def chosen(deployments: Iterable[Object], app: str, branch: str, *, command: str) -> Object:
    """The one Deployment that is meant; raises SlipwayError when that is none or several.

    Of several, ``command`` names one.
    """
    there = {owner_of(each): each for each in sorted(deployments, key=owner_of)}
    named = {
        app_id: each
        for app_id, each in there.items()
        if app in (app_id, each["metadata"]["labels"][NAME])
    }
    meant = [each for each in named.values() if branch in ("", branch_of(each))]
    if len(meant) == 1:
        return meant[0]
    if meant:
        listed = ", ".join(f"{owner_of(each)} ({branch_of(each)})" for each in meant)
        fix = f"name one: {command} APP={owner_of(meant[0])}, or give a BRANCH"
        raise SlipwayError(Problem(f"APP={app}", f"is each of {listed}", fix))
    if named:
        branches = sorted(branch_of(each) for each in named.values())
        near = difflib.get_close_matches(branch, branches, n=3, cutoff=0.5) or branches
        what = f"{app} has no environment of that branch"
        raise SlipwayError(Problem(f"BRANCH={branch}", what, f"there is {', '.join(near)}"))
    names = sorted({app_id.partition("/")[2] for app_id in there} | there.keys())
    near = difflib.get_close_matches(app, names, n=3, cutoff=0.5)
    fix = f"did you mean {' or '.join(near)}?" if near else "make list shows what there is"
    raise SlipwayError(Problem(f"APP={app}", "is no app in the cluster", fix))


def title_of(deployment: Object) -> str:
    """How messages name the app of a Deployment."""
    return f"{deployment['metadata']['labels'][NAME]} ({branch_of(deployment)})"


def branch_of(obj: Object) -> str:
    """The branch that an object notes; empty if it notes none."""
    return str(obj["metadata"].get("annotations", {}).get(BRANCH, ""))
