"""Build the apps' images: see ``plugins/modules/apps_build.py`` for the documentation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slipway.action_plugin import SlipwayAction
from slipway.apps.app import checkouts_of, images_of, load, save
from slipway.apps.builders.build import Settings
from slipway.apps.builders.maven_user import MavenUser
from slipway.apps.builders.sandbox import Sandboxes
from slipway.apps.carried import Finder, build_all
from slipway.apps.deploy.helm import Helm, helm_program
from slipway.architecture import Architecture
from slipway.bundle.requested import Requested
from slipway.bundle.source import SourceProvider
from slipway.cache.claims import Claimant
from slipway.cache.layout import CacheLayout
from slipway.dev_session import Session


class ActionModule(SlipwayAction):
    """Has each app's images in the app store."""

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return the apps with their images, which the cluster claims from now on."""
        cache, bundle = CacheLayout(Path(args["cache"])), Path(args["bundle"])
        versions = {name: str(version) for name, version in args["versions"].items()}
        source = SourceProvider(
            Path(args["project"]), versions, cache, Architecture.here(), args["strict"]
        )
        settings = Settings(
            cache=cache.root,
            bundle=bundle,
            bases={tool: ref for tool, ref in args["default_base_images"].items() if ref},
            maven={int(java): ref for java, ref in args["maven_images"].items()},
            requested=Requested(source, bundle),
            buildkit=args["buildkit"],
            repositories=MavenUser.here(cache).repositories(),
            secrets=args["secrets"],
            session=Session(Path(args["session"])) if args["session"] else None,
            nodes={name: Architecture.of(kind) for name, kind in args["nodes"].items()},
            bundles={Architecture.of(kind): Path(place) for kind, place in args["bundles"].items()},
        )
        sandboxes = Sandboxes(bundle, args["helm_image"], self.say)
        helm = Helm(helm_program(bundle), sandboxes, f"v{versions['kubernetes']}")
        finder = Finder(cache, helm, self.check_mode)
        apps = load(args["apps"])
        images = build_all(apps, settings, finder, check=self.check_mode, say=self.say)
        if not self.check_mode:
            cluster = Claimant(cache, args["cluster"])
            bundles = [*settings.bundles.values()]
            cluster.claim(images_of(images.apps), checkouts_of(images.apps), bundles)
        return {
            "changed": bool(images.built or images.pending),
            "built": images.built,
            "pending": images.pending,
            "apps": save(images.apps, self.run_folder),
        }
