"""Files and units of a node: see ``plugins/modules/node_config.py`` for the documentation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slipway.action_plugin import SlipwayAction
from slipway.bundle.manifest import KnownSums
from slipway.errors import Problem, SlipwayError
from slipway.nodes.placed import measured


class ActionModule(SlipwayAction):
    """Describes the files to the node, sends what it says it lacks, and has it put in place."""

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """One program there when nothing large differs, two when something has to be sent."""
        sums = KnownSums()
        files = [_described(entry, sums, foresee=self.check_mode) for entry in args["files"]]
        wanted = {**args, "files": files, "role": str(task_vars.get("role_name", ""))}
        result = self.on_node("node_config", wanted, task_vars)
        if result["to_send"] and not self.check_mode:
            result = self._with_what_is_sent(wanted, result["to_send"], task_vars)
        return {name: value for name, value in result.items() if name != "to_send"}

    def _with_what_is_sent(
        self, wanted: dict[str, Any], to_send: list[str], task_vars: dict[str, Any]
    ) -> dict[str, Any]:
        """Send files, and others for as long as the node says that they differ by now."""
        result: dict[str, Any] = {}
        temporary = self._make_tmp_path()
        try:
            while to_send:
                for number, entry in enumerate(wanted["files"]):
                    if entry["path"] in to_send:
                        entry["sent"] = self._connection._shell.join_path(temporary, str(number))
                        self.say(f"{task_vars['inventory_hostname']}: sending {entry['path']}")
                        self._connection.put_file(entry["source"], entry["sent"])
                sent = [entry["sent"] for entry in wanted["files"] if "sent" in entry]
                self._fixup_perms2([temporary, *sent])
                result = self.on_node("node_config", wanted, task_vars)
                to_send = result["to_send"]
        finally:
            self._remove_tmp_path(temporary)
        return result


def _described(entry: dict[str, Any], sums: KnownSums, *, foresee: bool) -> dict[str, Any]:
    """The entry with the size and the sha256 of what it should be.

    With ``foresee``, a source that is still to be made is one that differs from every file.
    """
    if entry["content"] is not None:
        return {**entry, **measured(entry["content"])}
    source = Path(entry["source"])
    if source.is_file():
        return {**entry, "size": source.stat().st_size, "sha256": sums.of(source)}
    if foresee:
        return {**entry, "size": -1, "sha256": ""}
    raise SlipwayError(Problem(entry["path"], f"{source} is not there", "make the bundle"))
