"""Show what a run would do: see ``plugins/modules/apps_preview.py`` for the documentation."""

from __future__ import annotations

from typing import Any, ClassVar

from slipway.action_plugin import SlipwayAction
from slipway.apps.app import load
from slipway.apps.deploy.dry_run import Intent, table


class ActionModule(SlipwayAction):
    """Shows a line for each app."""

    ARGUMENTS: ClassVar[dict[str, Any]] = {
        "apps": {"type": "path", "required": True},
        "intents": {"type": "list", "elements": "dict", "required": True},
        "pending": {"type": "list", "elements": "str", "default": []},
        "nodes": {"type": "dict", "default": {}},
        "loaded": {"type": "dict", "default": {}},
    }

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return the table."""
        shown = table(
            load(args["apps"]),
            [Intent(**each) for each in args["intents"]],
            args["pending"],
            args["nodes"],
            args["loaded"],
        )
        self.say(*shown)
        return {"changed": False, "table": shown}
