"""Propose newer versions: see ``plugins/modules/bundle_bump.py`` for the documentation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slipway.action_plugin import SlipwayAction
from slipway.bundle.bump import Bump, Change, as_table, write
from slipway.bundle.go import module_proxies
from slipway.bundle.mirrors import mirrors
from slipway.bundle.published import Published
from slipway.errors import SlipwayError


class ActionModule(SlipwayAction):
    """Edits the locks, shows what becomes of each component, and fails for what is refused."""

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return what the locks say otherwise."""
        given = mirrors(args["mirrors"], args["secrets"])
        published = Published(given, module_proxies(Path.home()), self.say)
        bump = Bump(Path(args["project"]), published)
        proposals = bump.proposals(args["wanted"])
        changes = bump.changes(proposals)
        if not self.check_mode:
            write(changes)
        self.say(*as_table(proposals))
        if left := [line for each in proposals if each for line in each.left()]:
            self.say("before a bundle is made:", *left)
        if problems := [problem for each in proposals for problem in each.problems]:
            raise SlipwayError(problems)
        versions = {each.name: each.version for each in proposals if each.is_newer}
        result: dict[str, Any] = {"changed": bool(changes), "versions": versions}
        if self.diff_mode:
            result["diff"] = [_diff(each) for each in changes]
        return result


def _diff(change: Change) -> dict[str, str]:
    path = str(change.path)
    headers = {"before_header": path, "after_header": path}
    return {**headers, "before": change.before, "after": change.after}
