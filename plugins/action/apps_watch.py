"""Wait for a change: see ``plugins/modules/apps_watch.py`` for the documentation."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from slipway.action_plugin import SlipwayAction
from slipway.apps.environments.resolve import Repositories
from slipway.apps.source.git_auth import Keys
from slipway.dev.watch import Watch
from slipway.dev_session import Session
from slipway.errors import Problem, SlipwayError
from slipway.kube.client import Kube

# The steps after the change begin with what Ansible's main process has loaded, and now there is
# time.
for each in ("slipway.apps.builders.build", "slipway.apps.deploy.deploy", "slipway.nodes.load"):
    import_module(each)


class ActionModule(SlipwayAction):
    """Returns when a source is not what the session's last run took up.

    A session begins on a cluster that answers.
    """

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return when there is something to take up."""
        if not args["session"]:
            raise SlipwayError(Problem("slipway_session_dir", "is empty", "start it by make dev"))
        session = Session(Path(args["session"]))
        secrets = args["secrets"]
        keys = Keys(secrets, args["github_api"])
        watch = Watch(
            path=Path(args["path"]),
            domain=args["domain"],
            secrets=secrets,
            examples=Path(args["examples"]),
            samples=Path(args["repositories"]),
            repositories=Repositories(Path(args["cache"]), keys, check=False),
            interval=args["interval"],
            say=self.say,
        )
        if session.taken() is None:
            with Kube(Path(args["kubeconfig"])) as kube:
                kube.version()
        return {"changed": False, "waited": watch.wait(session)}
