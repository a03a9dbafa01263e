"""Have the bundle: see ``plugins/modules/bundle.py`` for the documentation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slipway.action_plugin import SlipwayAction
from slipway.bundle.provider import Provider, bundle_path, ensure
from slipway.bundle.source import SourceProvider
from slipway.cache.layout import CacheLayout

PROVIDERS: dict[str, type[SourceProvider]] = {"source": SourceProvider}


class ActionModule(SlipwayAction):
    """Checks the bundle in the cache against its manifest and makes it where need be."""

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return where the bundle is and whether it was made just now."""
        cache = CacheLayout(Path(args["cache"]))
        versions = {name: str(version) for name, version in args["versions"].items()}
        kind, project = PROVIDERS[args["provider"]], Path(args["project"])
        provider: Provider = kind(project, versions, cache, args["strict"])
        if args["locate"]:
            return {"changed": False, "path": str(bundle_path(provider, cache))}
        bundle = ensure(provider, cache, self.say, check=self.check_mode)
        path = str(bundle.path)
        return {"changed": bundle.made, "path": path, "ansible_facts": {"bundle_dir": path}}
