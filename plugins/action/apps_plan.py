"""Read apps.yml: see ``plugins/modules/apps_plan.py`` for the documentation."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from slipway.action_plugin import SlipwayAction
from slipway.apps.app import save
from slipway.apps.environments.resolve import Existing, Finder, Repositories
from slipway.apps.environments.settings import Reader
from slipway.apps.plan.bounds import Bounds
from slipway.apps.plan.plan import plan
from slipway.apps.source.git_auth import Keys
from slipway.dev_session import Session


class ActionModule(SlipwayAction):
    """Makes apps of apps.yml."""

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return the apps; fails with every mistake of the file."""
        secrets = args["secrets"]
        keys = Keys(secrets, args["github_api"])
        repositories = Repositories(Path(args["cache"]), keys, check=self.check_mode)
        finder = Finder(
            lambda: self._environments(Path(args["kubeconfig"])),
            repositories.branches,
            datetime.now(UTC),
        )
        known = Session(Path(args["session"])).heads if args["session"] else {}
        reader = Reader(repositories, self.say, known)
        apps = plan(
            Path(args["path"]),
            domain=args["domain"],
            bounds=Bounds.of(args),
            secrets=secrets,
            find_branches=finder,
            read_settings=reader,
        )
        for line in (*finder.waiting, *reader.unread):
            self.say(secrets.redact(line))
        return {
            "changed": False,
            "apps": save(apps, self.run_folder),
            "leaving": msgspec.to_builtins(finder.leaving),
            "gone": finder.gone,
            "waiting": finder.waiting,
        }

    def _environments(self, kubeconfig: Path) -> list[Existing]:
        """The environments that the cluster has; none before there is one."""
        if not kubeconfig.exists():
            return []
        # The client of the API takes as long to load as all else here, and few files need it.
        from slipway.apps.environments.found import existing
        from slipway.kube.client import Kube, Unreachable

        try:
            with Kube(kubeconfig) as kube:
                return existing(kube)
        except Unreachable:
            if self.check_mode:
                return []
            raise
