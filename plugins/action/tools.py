"""Tools of this machine: see ``plugins/modules/tools.py`` for the documentation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slipway.action_plugin import SlipwayAction
from slipway.cache.layout import CacheLayout
from slipway.control_node import tools


class ActionModule(SlipwayAction):
    """Installs what is missing and starts the engine, or stops the one that it started."""

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return what was (or would be) installed, and whether the engine was touched."""
        engine = tools.Engine(CacheLayout(Path(args["cache"])).engine)
        names = args["names"]
        missing = tools.missing(names) if self.check_mode else tools.have(names, self.say)
        touched = self._engine(engine, args["engine"], bool(missing))
        return {"changed": bool(missing) or touched, "installed": missing, "engine": touched}

    def _engine(self, engine: tools.Engine, wanted: str, may_lack: bool) -> bool:
        """Bring the engine to the wanted state; return whether that needed (or needs) doing."""
        if wanted == "started":
            if not (self.check_mode and may_lack) and engine.answers():
                return False
            if not self.check_mode:
                engine.start(self.say)
            return True
        if wanted == "stopped" and engine.is_ours():
            if engine.has_containers():
                self.say("the container engine stays: containers of others run on it")
                return False
            if not self.check_mode:
                engine.stop()
            return True
        return False
