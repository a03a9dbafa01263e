"""What a machine has: see ``plugins/modules/machine_look.py`` for the documentation."""

from __future__ import annotations

import ipaddress
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from itertools import islice
from typing import Any

import msgspec
from ansible.errors import AnsibleConnectionFailure, AnsibleError

from slipway.action_plugin import SlipwayAction
from slipway.doctor import reached
from slipway.doctor.disk import NODE
from slipway.errors import SlipwayError
from slipway.nodes import host_keys
from slipway.nodes.containerd import Answer
from slipway.preflight import address_of, pool_ends, pool_range

MOST_ASKED = 256
"""How many addresses are asked for, of pools that have more."""


class ActionModule(SlipwayAction):
    """Looks at a node as two modules do, and lets nothing that stands in the way end the run."""

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return the facts of the machine, or why there are none."""
        result: dict[str, Any] = {"changed": False, "reached": True, "host_key": {}, "failure": ""}
        try:
            shell = self._shell(task_vars)
            result["shell"] = msgspec.to_builtins(shell)
            return result | (self._facts(args, task_vars) if shell.runs_modules else {})
        except AnsibleConnectionFailure as error:
            key = self._host_key(str(error), task_vars)
            return result | {"reached": False, "host_key": key, "failure": str(error)}
        except AnsibleError as error:  # nobody may become root
            return result | {"failure": str(error)}
        except SlipwayError as error:  # a module came to no end there
            return result | {"failure": "\n".join(each.what for each in error.problems)}

    def _facts(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """What the modules say."""
        node = self.on_node("node_look", args["node"], task_vars)
        bare = node.get("state") == "bare" and args["node"]["control_plane"]
        others = [text for text in args["nodes"] if address_of(text) and text != args["address"]]
        wanted = {
            "places": NODE,
            "address": args["address"],
            # Its own, by which the API server is reached, may be somebody else's as well.
            "addresses": [*_asked([args["address"]]), *_asked(args["pool"])] if bare else [],
            "sync": bare,
            "ways": [*others, *pool_ends(args["pool"])],
        }
        before = time.time()
        seen = self.on_node("machine_look", wanted, task_vars)
        after = time.time()
        return {
            "facts": seen["facts"],
            "unknown": seen["unknown"],
            "state": node.get("state", ""),
            "refusals": node.get("refusals", []),
            "certificates": node.get("certificates", {}),
            "skew": _skew(seen["facts"]["clock"], before, after),
            "ansible_facts": _for_ansible(seen["facts"]),
        }

    def _shell(self, task_vars: dict[str, Any]) -> reached.Shell:
        """What the machine's shell says, asked as the task's user."""
        interpreters = self._interpreters(task_vars)
        # As input, as a terminal would mix the errors into the output.
        script = reached.script(interpreters).encode()
        done = self._low_level_execute_command("/bin/sh", in_data=script)
        return reached.read(interpreters, Answer(done["rc"], done["stdout"], done["stderr"]))

    def _host_key(self, said: str, task_vars: dict[str, Any]) -> dict[str, Any]:
        """The key of an SSH server, if ssh does not go on for it; empty for any other reason."""
        connection = self._connection
        if connection.transport != "ssh" or not any(each in said for each in host_keys.REFUSED):
            return {}
        program = connection.get_option("ssh_executable")
        argv = list(map(os.fsdecode, connection._build_command(program, "ssh")))
        client = host_keys.Client(argv[argv.index(program) :], connection.host)
        key = host_keys.look(task_vars["inventory_hostname"], client)
        return asdict(key) if key else {}


def _for_ansible(facts: Mapping[str, Any]) -> dict[str, str]:
    """What the run goes by later, under the name that Ansible's own module has for it."""
    return {"architecture": facts["system"]["processor"]} if "system" in facts else {}


def _skew(clock: float, before: float, after: float) -> float:
    """How far a clock is out of the time in which it was read."""
    return min(clock - before, 0.0) + max(clock - after, 0.0)


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
