"""What a machine has: see ``plugins/modules/machine_look.py`` for the documentation."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from ansible.errors import AnsibleError

from slipway.action_plugin import SlipwayAction
from slipway.doctor.disk import NODE
from slipway.preflight import pool_range

MOST_ASKED = 256
"""How many addresses are asked for, of pools that have more."""


class ActionModule(SlipwayAction):
    """Looks at a node as two modules do, and lets nothing that stands in the way end the run."""

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return the facts of the machine, or why there are none."""
        result: dict[str, Any] = {"changed": False, "failure": ""}
        try:
            node = self._execute_module("node_look", args["node"], task_vars=task_vars)
            if node.get("failed") and "refusals" not in node:
                return result | {"failure": _said(node)}
            bare = node.get("state") == "bare" and args["node"]["control_plane"]
            wanted = {
                "places": NODE,
                "address": args["address"],
                "addresses": [*_asked(args["pool"])] if bare else [],
            }
            before = time.time()
            seen = self._execute_module("machine_look", wanted, task_vars=task_vars)
            after = time.time()
        except AnsibleError as error:  # it is not reached, or nobody may become root
            return result | {"failure": str(error)}
        if seen.get("failed"):
            return result | {"failure": _said(seen)}
        return result | {
            "facts": seen["facts"],
            "unknown": seen["unknown"],
            "state": node.get("state", ""),
            "refusals": node.get("refusals", []),
            "skew": _skew(seen["facts"]["clock"], before, after),
        }


def _skew(clock: float, before: float, after: float) -> float:
    """How far a clock is out of the time in which it was read."""
    return min(clock - before, 0.0) + max(clock - after, 0.0)


def _said(result: dict[str, Any]) -> str:
    """The words of a module that did not run, as on a machine without Python."""
    words = [str(result.get(name) or "").strip() for name in ("msg", "module_stderr")]
    return "\n".join(word for word in words if word)


def _asked(pool: Iterable[str]) -> Iterator[str]:
    """The addresses of the pool that ARP can ask for."""
    for text in pool:
        try:
            first, last = pool_range(text)
        except ValueError:
            continue  # said of the inventory
        if first.version == 4:
            numbers = range(int(first), int(last) + 1)
            yield from (str(ipaddress.ip_address(each)) for each in islice(numbers, MOST_ASKED))
