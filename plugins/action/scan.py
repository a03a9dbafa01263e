"""Look up known faults: see ``plugins/modules/scan.py`` for the documentation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slipway.action_plugin import SlipwayAction
from slipway.sbom.scan import scan


class ActionModule(SlipwayAction):
    """Shows a line for each known fault, and fails if there is one."""

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return the lines about what is not known; those about faults are shown, and fail."""
        found = scan(Path(args["folder"]), args["databases"])
        lines = [*found.lines()]
        self.say(*lines, *found.unknown)
        if lines:  # of which Ansible shows the result, too
            return {"changed": False, "failed": True, "msg": f"known faults: {len(lines)}"}
        self.say("no known faults" + (" in what could be looked up" if found.unknown else ""))
        return {"changed": False, "unknown": found.unknown}
