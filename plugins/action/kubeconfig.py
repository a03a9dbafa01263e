"""Kubeconfig on the controller: see ``plugins/modules/kubeconfig.py`` for the documentation."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from slipway.action_plugin import SlipwayAction
from slipway.control_node import kubeconfig

ADMIN = "/etc/kubernetes/admin.conf"


class ActionModule(SlipwayAction):
    """Takes the kubeconfig that kubeadm left on the node, if it left one."""

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return whether the node has one; what is in it never leaves this method."""
        path = Path(args["path"])
        shared = Path(args["merge_into"]) if args["merge_into"] else None
        if args["state"] == "absent":
            return {"changed": self._remove(path, shared, args["name"])}
        # What is in it is shown at no verbosity, and why it could not be written is.
        self._play_context.no_log = True
        found = self._low_level_execute_command(f"cat {ADMIN}")
        if found["rc"] != 0:
            return {"changed": False, "exists": False}
        document = kubeconfig.named(found["stdout"], args["name"])
        changed = kubeconfig.read(path) != document
        if shared:
            both = kubeconfig.merged(kubeconfig.read(shared), document)
            changed = changed or kubeconfig.read(shared) != both
        if not self.check_mode:
            kubeconfig.write(path, document)
            if shared:
                kubeconfig.write(shared, both)
        if self.is_answer:
            self.say(f"{path} is the administrator's")
        return {"changed": changed, "exists": True}

    def _remove(self, path: Path, shared: Path | None, name: str) -> bool:
        others = kubeconfig.people_folder(path)
        changed = path.exists() or others.exists()
        if not self.check_mode:
            path.unlink(missing_ok=True)
            if others.exists():
                shutil.rmtree(others)
        if shared and shared.exists():
            before = kubeconfig.read(shared)
            after = kubeconfig.without(before, name)
            changed = changed or after != before
            if not self.check_mode:
                kubeconfig.write(shared, after)
        return changed
