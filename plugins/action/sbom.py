"""Write bills of materials: see ``plugins/modules/sbom.py`` for the documentation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slipway import __version__
from slipway.action_plugin import SlipwayAction
from slipway.architecture import Architecture
from slipway.bundle.choice import ARCHIVE, AUTO, chosen
from slipway.bundle.provider import bundle_path
from slipway.bundle.source import SourceProvider
from slipway.sbom.write import Bills


class ActionModule(SlipwayAction):
    """Writes the documents that are not as they should be."""

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return the documents that were written or removed."""
        if self.check_mode:
            return {"changed": False, "skipped": True, "msg": "nothing is read in a check"}
        # Of machines that no archive is for, there may be a bundle from elsewhere.
        provider = AUTO if args["provider"] == ARCHIVE else args["provider"]
        given = {**args, "provider": provider}
        choices = chosen(given, [*Architecture], self.say, ask=False)
        providers = {each: choice.provider for each, choice in choices.items()}
        bundles = {each: bundle_path(own, own.cache) for each, own in providers.items()}
        own = providers[Architecture.here()]
        source = own if isinstance(own, SourceProvider) else own.source
        folder = Path(args["folder"])
        changed = Bills(source, bundles, __version__).write(folder, self.say)
        count = len([*folder.rglob("*.json")])
        self.say(f"{count} bills of materials in {folder}, {len(changed)} of them changed")
        return {"changed": bool(changed), "files": [str(path) for path in changed]}
