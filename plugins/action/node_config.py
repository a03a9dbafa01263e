"""Files and units of a node: see ``plugins/modules/node_config.py`` for the documentation."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from slipway.action_plugin import SlipwayAction
from slipway.bundle.manifest import KnownSums
from slipway.errors import Problem, SlipwayError


class ActionModule(SlipwayAction):
    """Describes the files to the node, sends what it says it lacks, and has it put in place."""

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """One module run when nothing large differs, two when something has to be sent."""
        sums = KnownSums()
        files = [_described(entry, sums, foresee=self.check_mode) for entry in args["files"]]
        role = str(task_vars.get("role_name", ""))
        wanted = {**args, "files": files, "role": role, "probe": True}
        result = self._module(wanted, task_vars)
        to_send = result.pop("to_send", [])
        if result.get("failed") or self.check_mode or not to_send:
            return result
        temporary = self._make_tmp_path()
        try:
            for number, entry in enumerate(files):
                if entry["path"] in to_send:
                    entry["sent"] = self._connection._shell.join_path(temporary, str(number))
                    self.say(f"{task_vars['inventory_hostname']}: sending {entry['path']}")
                    self._connection.put_file(entry["source"], entry["sent"])
            self._fixup_perms2([temporary, *(e["sent"] for e in files if "sent" in e)])
            return self._module({**wanted, "probe": False}, task_vars)
        finally:
            self._remove_tmp_path(temporary)

    def _module(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        result: dict[str, Any] = self._execute_module(
            module_name="node_config", module_args=args, task_vars=task_vars
        )
        return result


def _described(entry: dict[str, Any], sums: KnownSums, *, foresee: bool) -> dict[str, Any]:
    """The entry with the size and the sha256 of what it should be.

    With ``foresee``, a source that is still to be made is one that differs from every file.
    """
    if entry["content"] is not None:
        content = entry["content"].encode()
        return {**entry, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    source = Path(entry["source"])
    if source.is_file():
        return {**entry, "size": source.stat().st_size, "sha256": sums.of(source)}
    if foresee:
        return {**entry, "size": -1, "sha256": ""}
    raise SlipwayError(Problem(entry["path"], f"{source} is not there", "make the bundle"))
