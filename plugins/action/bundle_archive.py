"""Write the bundle as one file: see ``plugins/modules/bundle_archive.py`` for the documentation."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from slipway.action_plugin import SlipwayAction
from slipway.apps import provisions
from slipway.apps.app import load
from slipway.apps.builders.build import Settings
from slipway.architecture import Architecture
from slipway.bundle import environment, licences, packed, signature
from slipway.bundle.requested import Requested
from slipway.bundle.source import SourceProvider
from slipway.cache.layout import CacheLayout
from slipway.nodes import containers
from slipway.nodes import image as node_image
from slipway.oci.model import readable


class ActionModule(SlipwayAction):
    """Gathers what goes beside the bundle, and writes both."""

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return the file, which is another one each time."""
        out, bundle = Path(args["path"]).absolute(), Path(args["bundle"])
        if self.check_mode:
            return {"changed": True, "path": str(out)}
        cache = CacheLayout(Path(args["cache"]))
        versions = {name: str(version) for name, version in args["versions"].items()}
        architecture = Architecture.of(args["architecture"])
        source = SourceProvider(Path(args["project"]), versions, cache, architecture)
        sign = partial(signature.sign, key=Path(args["key"])) if args["key"] else None
        cache.work.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache.work, prefix="archive-") as folder:
            beside = Path(folder, "beside")
            beside.mkdir()
            licences.collect(source, bundle, beside, self.say)
            environment.collect(source.project, bundle, architecture, beside, self.say)
            if args["apps"]:
                settings = Settings(
                    cache=cache.root,
                    bundle=bundle,
                    bases={"jib": args["base_image"]},
                    maven={int(java): ref for java, ref in args["maven_images"].items()},
                    requested=Requested(source, bundle),
                    secrets=args["secrets"],
                )
                provisions.collect(load(args["apps"]), settings, beside, self.say)
            if args["image"]:
                client = containers.connect()
                of_node = (bundle, args["image"], self.say, args["images"])
                node_image.carry(client, *of_node, beside)
            contents = packed.write(out, bundle, beside, source.key, sign, self.say)
        by = f", signed with {args['key']}" if contents.signature else ""
        self.say(f"{out}: {readable(out.stat().st_size)}, for {contents.platform}{by}")
        return {"changed": True, "path": str(out)}
