"""Prune the cache: see ``plugins/modules/apps_prune.py`` for the documentation."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import msgspec

from slipway.action_plugin import SlipwayAction
from slipway.apps.app import checkouts_of, images_of, load
from slipway.apps.environments.resolve import Leaving
from slipway.apps.environments.retention import History
from slipway.bundle import manifest
from slipway.cache.claims import Claimant
from slipway.cache.layout import APPS, CacheLayout
from slipway.cache.sweep import sweep
from slipway.kube.client import Kube
from slipway.oci.model import readable


class ActionModule(SlipwayAction):
    """Says which images stay, and removes from the cache what no cluster needs."""

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Claim what the cluster needs, and remove the rest."""
        start = time.monotonic()
        cache, kubeconfig = Path(args["cache"]), Path(args["kubeconfig"])
        mine = Claimant(CacheLayout(cache), args["cluster"])
        apps = load(args["apps"])
        staying = [*apps, *msgspec.convert(args["leaving"], list[Leaving])]
        if self.check_mode and not (cache.exists() and kubeconfig.exists()):
            return {"changed": False, "prune_prefix": "", "keep": [], "removed": []}
        with Kube(kubeconfig) as kube:
            keep = History.read(kube).retained(staying)
        bundles = [*map(Path, args["bundles"].values())]
        needs = mine.needs({*keep, *images_of(apps)}, checkouts_of(apps), bundles)
        swept = sweep(mine, needs, manifest.parts, check=self.check_mode)
        gone = [*swept.images, *swept.files]
        if gone:
            doing = "would be freed" if self.check_mode else "freed"
            self.say(f"cache: {readable(swept.bytes_freed)} {doing}")
        result: dict[str, Any] = {
            "changed": bool(gone),
            "prune_prefix": APPS,
            "keep": keep,
            "removed": gone,
            "bytes_freed": swept.bytes_freed,
            "seconds": round(time.monotonic() - start, 3),
        }
        if self.diff_mode:
            result["diff"] = {
                "before": "".join(f"{name}\n" for name in gone),
                "after": "",
                "before_header": "what nobody needs in the cache",
                "after_header": "what nobody needs in the cache",
            }
        return result
