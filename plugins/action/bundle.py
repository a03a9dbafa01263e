"""Have the bundle: see ``plugins/modules/bundle.py`` for the documentation."""

from __future__ import annotations

from typing import Any

from slipway.action_plugin import SlipwayAction
from slipway.bundle.archive import ArchiveProvider
from slipway.bundle.choice import chosen
from slipway.bundle.provider import bundle_path, ensure


class ActionModule(SlipwayAction):
    """Checks the bundle in the cache against its manifest and makes it where need be."""

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return where the bundle is and whether it was made just now."""
        choice = chosen(args, self.say)
        provider, cache = choice.provider, choice.provider.cache
        if args["locate"]:
            return {"changed": False, "path": str(bundle_path(provider, cache))}
        why = f"the bundle comes {choice.why}"
        bundle = ensure(provider, cache, self.say, check=self.check_mode, why=why)
        if isinstance(provider, ArchiveProvider) and not self.check_mode:
            provider.note()
        path = str(bundle.path)
        return {"changed": bundle.made, "path": path, "ansible_facts": {"bundle_dir": path}}
