"""Read apps.yml: see ``plugins/modules/apps_plan.py`` for the documentation."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from slipway.ansible_support import SlipwayAction
from slipway.apps.plan import plan


class ActionModule(SlipwayAction):
    """Makes app records of apps.yml."""

    ARGUMENTS: ClassVar[dict[str, Any]] = {"path": {"type": "path", "required": True}}

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return the records; fails with every mistake of the file."""
        return {"changed": False, "apps": plan(Path(args["path"]))}
