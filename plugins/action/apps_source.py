"""Get the apps' sources: see ``plugins/modules/apps_source.py`` for the documentation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slipway.action_plugin import SlipwayAction
from slipway.apps.app import load, save
from slipway.apps.source.fetch import get_sources
from slipway.apps.source.git_auth import Keys
from slipway.dev_session import Session


class ActionModule(SlipwayAction):
    """Finds each app's commit and lays out its work tree."""

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return the apps with their commits and work trees."""
        sources = get_sources(
            load(args["apps"]),
            Path(args["cache"]),
            heads=Session(Path(args["session"])).heads if args["session"] else {},
            check=self.check_mode,
            say=self.say,
            keys=Keys(args["secrets"], args["github_api"]),
        )
        return {
            "changed": bool(sources.fetched),
            "fetched": sources.fetched,
            "apps": save(sources.apps, self.run_folder),
        }
