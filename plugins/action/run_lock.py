"""One run at a time: see ``plugins/modules/run_lock.py`` for the documentation."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from slipway.action_plugin import SlipwayAction
from slipway.cache.layout import CacheLayout
from slipway.control_node.run_lock import Run, be_alone


class ActionModule(SlipwayAction):
    """Waits for other runs, and has later ones wait for this one."""

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return that nothing changed, once this run is the only one."""
        run = Run(os.getppid(), str(self.run_folder), args["kubeconfig"])
        if not self.check_mode:
            be_alone(run, CacheLayout(Path(args["cache"])).run_lock(args["cluster"]))
        return {"changed": False, "known_elsewhere": run.is_alone.exists()}
