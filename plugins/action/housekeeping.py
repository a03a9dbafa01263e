"""Keep house: see ``plugins/modules/housekeeping.py`` for the documentation."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, ClassVar

from slipway.ansible_support import SlipwayAction
from slipway.apps.deploy.retention import History
from slipway.housekeeping import APPS, Cache
from slipway.kube import Kube
from slipway.oci import ImageStore
from slipway.oci.model import readable


class ActionModule(SlipwayAction):
    """Says which images stay, and removes from the cache what no cluster needs."""

    ARGUMENTS: ClassVar[dict[str, Any]] = {
        "cache": {"type": "path", "required": True},
        "cluster": {"type": "str", "required": True},
        "kubeconfig": {"type": "path", "required": True},
        "bundle": {"type": "path", "required": True},
        "apps": {"type": "list", "elements": "dict", "required": True},
        "sweep": {"type": "bool", "default": True},
    }

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Claim what the cluster needs and, if asked to, remove the rest."""
        start = time.monotonic()
        cache, kubeconfig = Path(args["cache"]), Path(args["kubeconfig"])
        house = Cache(cache, args["cluster"])
        apps, bundle = args["apps"], Path(args["bundle"])
        result: dict[str, Any] = {"changed": False, "prune_prefix": "", "keep": [], "serving": []}
        if self.check_mode and not (cache.exists() and kubeconfig.exists()):
            return result
        with Kube(kubeconfig) as kube:
            history = History.read(kube)
        stored = ImageStore(cache / "images").images()
        result["serving"] = [app for app in history.serving(apps) if app["image"] in stored]
        if not args["sweep"]:
            if not self.check_mode:
                house.claim(apps, bundle)
            return result
        keep = history.retained(apps)
        swept = house.sweep(house.needs(apps, bundle, keep), check=self.check_mode)
        gone = [*swept.images, *swept.files]
        if gone:
            doing = "would be freed" if self.check_mode else "freed"
            self.say(f"cache: {readable(swept.bytes_freed)} {doing}")
        result |= {
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
