"""Make the sample repositories: see ``plugins/modules/apps_samples.py``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slipway.action_plugin import SlipwayAction
from slipway.apps.source.examples import Repository, make_repositories


class ActionModule(SlipwayAction):
    """Has the sample services as git repositories."""

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return each repository with its branches, and how they moved if that is asked for."""
        made = make_repositories(
            Path(args["examples"]), Path(args["repositories"]), check=self.check_mode
        )
        result: dict[str, Any] = {
            "changed": any(each.changed for each in made),
            "repositories": [{"path": str(each.path), "branches": each.after} for each in made],
        }
        if self.diff_mode:
            result["diff"] = [_diff(each) for each in made if each.changed]
        return result


def _diff(repository: Repository) -> dict[str, str]:
    return {
        "before_header": str(repository.path),
        "after_header": str(repository.path),
        "before": _listed(repository.before),
        "after": _listed(repository.after),
    }


def _listed(branches: dict[str, str]) -> str:
    return "".join(f"{branch} {commit}\n" for branch, commit in sorted(branches.items()))
