"""Images onto a node: see ``plugins/modules/image_load.py`` for the documentation."""

from __future__ import annotations

import contextlib
import shlex
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from ansible import constants

from slipway.action_plugin import SlipwayAction
from slipway.nodes.containerd import Answer, Containerd, Retention
from slipway.nodes.load import ConnectedNode, Loader, Node
from slipway.nodes.shell import Argv, session
from slipway.oci import ImageStore


class ActionModule(SlipwayAction):
    """Sends the blobs that the host's containerd lacks; itself the node that is loaded."""

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Load what is missing and remove what is not kept, or say what would be."""
        start = time.monotonic()
        refs = list(dict.fromkeys(args["images"]))
        with self._node(task_vars["inventory_hostname"]) as node:
            loader = Loader(
                store=ImageStore(Path(args["store"])),
                node=node,
                say=self.say,
                pinned=args["pinned"],
                containerd=Containerd(args["ctr"], args["containerd_root"]),
                retention=Retention(args["prune_prefix"], frozenset(args["keep"])),
                listing=self.diff_mode,
            )
            outcome = loader.preview(refs) if self.check_mode else loader.load(refs)
        result: dict[str, Any] = {
            "changed": bool(outcome.loaded or outcome.removed),
            "loaded": outcome.loaded,
            "removed": outcome.removed,
            "bytes_sent": outcome.bytes_sent,
            "seconds": round(time.monotonic() - start, 3),
        }
        if self.diff_mode:
            result["diff"] = {
                "before": _listing(outcome.before),
                "after": _listing(outcome.after),
                "before_header": "images on the node",
                "after_header": "images on the node",
            }
        return result

    @contextlib.contextmanager
    def _node(self, name: str) -> Iterator[Node]:
        """The task's host as the node that images are loaded onto.

        Commands go straight through the connection's own client program where that needs no
        password, and otherwise by Ansible's own way, input as a file.
        """
        if self._client("") is None:
            yield ConnectedNode(name, self._run_on_host, self._feed_by_file)
        else:
            with session(lambda command: self._client(command) or ()) as shell:
                yield ConnectedNode(name, shell.run, shell.feed)

    def _run_on_host(self, command: str) -> Answer:
        """Run a shell command on the host, as the task's user."""
        # As input it may be of any length, and there is no terminal, which would mix the errors
        # into the output.
        read = 'command=$(cat); eval "$command"'
        done = self._low_level_execute_command(read, in_data=command.encode())
        return Answer(done["rc"], done["stdout"], done["stderr"])

    def _client(self, command: str) -> Argv | None:
        """The client program that runs the command on the host, if input can be piped into it.

        Ansible's connections take input as bytes in memory, which an image is too large for.
        """
        connection = self._connection
        if self._becomes() and connection.become.get_option("become_pass"):
            return None
        shell = ["/bin/sh", "-c", self._as_become_user(command)]
        client: Argv | None = None
        match connection.transport:
            case "local":
                client = shell
            case "community.docker.docker":
                connection._connect()  # it finds out whose commands they are
                client = connection._build_exec_cmd(shell)
            case "ssh" if not connection.get_option("password"):
                ssh, host = connection.get_option("ssh_executable"), connection.host
                client = connection._build_command(ssh, "ssh", host, shlex.join(shell))
        return client

    def _becomes(self) -> bool:
        """Whether commands run as another user than the connection's (Ansible's own rule)."""
        user, wanted = self._get_remote_user(), self.get_become_option("become_user")
        return bool(self._connection.become) and (
            constants.BECOME_ALLOW_SAME_USER or user != wanted or not (user or wanted)
        )

    def _as_become_user(self, command: str) -> str:
        if not self._becomes():
            return command
        connection = self._connection
        wrapped: str = connection.become.build_become_command(command, connection._shell)
        return wrapped

    def _feed_by_file(self, command: str, write: Callable[[IO[bytes]], None]) -> Answer:
        remote = self._make_tmp_path()
        try:
            with tempfile.NamedTemporaryFile() as local:
                write(local)
                local.flush()
                path = self._transfer_file(
                    local.name, self._connection._shell.join_path(remote, "in")
                )
            return self._run_on_host(f"{{ {command}; }} < {shlex.quote(path)}")
        finally:
            self._remove_tmp_path(remote)


def _listing(images: dict[str, str]) -> str:
    return "".join(f"{ref} {text}\n" for ref, text in sorted(images.items()))
