"""Write bills of materials: see ``plugins/modules/sbom.py`` for the documentation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slipway import __version__
from slipway.action_plugin import SlipwayAction
from slipway.bundle.source import SourceProvider
from slipway.cache.layout import CacheLayout
from slipway.sbom.write import Bills


class ActionModule(SlipwayAction):
    """Writes the documents that are not as they should be."""

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return the documents that were written or removed."""
        if self.check_mode:
            return {"changed": False, "skipped": True, "msg": "nothing is read in a check"}
        versions = {name: str(version) for name, version in args["versions"].items()}
        cache = CacheLayout(Path(args["cache"]))
        provider = SourceProvider(Path(args["project"]), versions, cache)
        folder = Path(args["folder"])
        bills = Bills(provider, Path(args["bundle"]), __version__)
        changed = bills.write(folder, self.say)
        count = len([*folder.rglob("*.json")])
        self.say(f"{count} bills of materials in {folder}, {len(changed)} of them changed")
        return {"changed": bool(changed), "files": [str(path) for path in changed]}
