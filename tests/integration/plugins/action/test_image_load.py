"""The action plugin under Ansible itself, with this machine as the node."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.play_context import PlayContext
from ansible.playbook.task import Task
from ansible.plugins import loader as plugins
from ansible.template import Templar

from plugins.action.image_load import ActionModule
from slipway.errors import Problem, SlipwayError
from slipway.nodes.load import Node
from slipway.oci import ImageConfig, ImageStore, layer_from_tree
from tests.support.checkout import PROJECT

REF = "apps.slipway.internal/greeter:main"


@pytest.fixture
def arguments(tmp_path: Path) -> dict[str, Any]:
    store = ImageStore(tmp_path / "store")
    store.add_image(REF, [layer_from_tree({"/a": b"1"})], ImageConfig(architecture="amd64"))
    uname = tmp_path / "bin/uname"
    uname.parent.mkdir()
    uname.write_text("#!/bin/sh\necho x86_64\n")
    uname.chmod(0o755)
    fake = PROJECT / "tests/support/fake_ctr.py"
    node = tmp_path / "node"
    node.mkdir()
    return {
        "store": str(store.root),
        "images": [REF],
        "ctr": shlex.join([sys.executable, "-IS", str(fake), str(node)]),
        "containerd_root": str(node),
    }


def ansible(arguments: dict[str, Any], *options: str, connection: str = "local") -> dict[str, Any]:
    """One run of the module; the result that Ansible shows."""
    path = Path(arguments["containerd_root"]).parent / "bin"
    done = subprocess.run(
        [
            Path(sys.executable).with_name("ansible"),
            *("node1", "--inventory", "node1,", "--connection", connection),
            *("--module-name", "image_load", "--args", json.dumps(arguments), *options),
        ],
        cwd=PROJECT,
        env={
            **os.environ,
            "PATH": f"{path}:{os.environ['PATH']}",
            "PYTHONPATH": str(PROJECT),
            "ANSIBLE_LOAD_CALLBACK_PLUGINS": "false",
            "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
            "ANSIBLE_NOCOLOR": "true",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    said, found, result = done.stdout.partition(" => ")
    assert found, done.stdout + done.stderr
    return {**json.loads(result), "said": said}


def test_a_node_is_loaded_once_and_says_so(arguments: dict[str, Any]) -> None:
    image = ImageStore(Path(arguments["store"])).require([REF])[0]
    preview = ansible(arguments, "--check")
    assert (preview["changed"], preview["loaded"]) == (True, [REF])
    assert not (Path(arguments["containerd_root"]) / "images.json").exists()
    first = ansible(arguments)
    assert (first["changed"], first["loaded"], first["bytes_sent"]) == (True, [REF], image.size)
    assert "    node1: 1 image, 10.9 kB of 10.9 kB to send\n" in first["said"]
    second = ansible(arguments)
    assert (second["changed"], second["loaded"], second["bytes_sent"]) == (False, [], 0)
    assert "to send" not in second["said"]


def test_a_failure_is_the_tasks_failure(arguments: dict[str, Any]) -> None:
    result = ansible({**arguments, "images": [REF, "a.b/c:1"]})
    assert (result["changed"], result["msg"]) == (
        False,
        f"a.b/c:1: is not in the image store {arguments['store']}",
    )


def test_what_is_not_kept_is_removed(arguments: dict[str, Any]) -> None:
    store, old = ImageStore(Path(arguments["store"])), f"{REF}-old"
    store.add_image(old, [layer_from_tree({"/a": b"0"})], ImageConfig(architecture="amd64"))
    ansible({**arguments, "images": [REF, old]})
    tidy = {**arguments, "prune_prefix": "apps.slipway.internal/"}
    assert ansible({**tidy, "keep": [old]})["changed"] is False
    foreseen = ansible(tidy, "--check")
    assert (foreseen["changed"], foreseen["removed"]) == (True, [old])
    result = ansible(tidy)
    assert (result["changed"], result["loaded"], result["removed"]) == (True, [], [old])
    assert ansible(tidy)["changed"] is False


def test_a_prefix_that_is_none_is_refused(arguments: dict[str, Any]) -> None:
    result = ansible({**arguments, "prune_prefix": "apps"})
    assert "apps: is no beginning of image names" in result["msg"]
    assert not (Path(arguments["containerd_root"]) / "images.json").exists()


class Plugin:
    """The action plugin as Ansible's worker makes it, on a local connection."""

    def __init__(self, arguments: dict[str, Any], transport: str = "local", **task: bool) -> None:
        data = DataLoader()
        context = PlayContext()
        self.connection = plugins.connection_loader.get("local", context)
        self.connection.set_options(var_options={})
        self.connection._shell = plugins.shell_loader.get("sh")
        self.connection._shell.set_options(var_options={})
        self.connection.transport = transport
        self.action = ActionModule(
            task=Task.load({"action": {"module": "image_load", **arguments}, **task}),
            connection=self.connection,
            play_context=context,
            loader=data,
            templar=Templar(data),
            shared_loader_obj=plugins,
        )

    def run(self) -> dict[str, Any]:
        result: dict[str, Any] = self.action.run(task_vars={"inventory_hostname": "node1"})
        return result

    def node(self) -> AbstractContextManager[Node]:
        node: AbstractContextManager[Node] = self.action._node("node1")
        return node


def put(content: bytes) -> Any:
    def write(out: IO[bytes]) -> None:
        out.write(content)

    return write


@pytest.mark.parametrize("transport", ["local", "other"])
def test_input_reaches_the_command_whole(arguments: dict[str, Any], transport: str) -> None:
    content = bytes(range(256)) * 4096
    with Plugin(arguments, transport).node() as node:
        answer = node.feed("sha256sum; echo done >&2; exit 3", put(content))
    expected = subprocess.run(["sha256sum"], input=content, capture_output=True, check=True)
    assert (answer.code, answer.out.strip(), answer.err.strip()) == (
        3,
        expected.stdout.decode().strip(),
        "done",
    )


@pytest.mark.parametrize("transport", ["local", "other"])
def test_a_command_may_be_long_and_has_no_input_of_its_own(
    arguments: dict[str, Any], transport: str
) -> None:
    with Plugin(arguments, transport).node() as node:
        long = f": {'x' * 1_000_000}; cat; echo 'two  words'"
        assert node.run(f"{long}; exit 3").out.strip() == "two  words"
        assert node.feed(long, put(b"input, ")).out.strip() == "input, two  words"


@pytest.mark.parametrize("transport", ["local", "other"])
def test_an_error_while_writing_is_the_error(
    arguments: dict[str, Any], transport: str, tmp_path: Path
) -> None:
    def write(out: IO[bytes]) -> None:
        out.write(b"half")
        raise SlipwayError(Problem("store", "is damaged"))

    with (
        Plugin(arguments, transport).node() as node,
        pytest.raises(SlipwayError, match="store: is damaged"),
    ):
        node.feed(f"cat; echo > {tmp_path}/end", write)
    assert not (tmp_path / "end").exists()


def test_nothing_of_a_file_transfer_stays(arguments: dict[str, Any]) -> None:
    with Plugin(arguments, "other").node() as node:
        answer = node.feed('readlink "/proc/$$/fd/0"', put(b"x"))
    assert answer.out.strip().endswith("/in")
    assert not Path(answer.out.strip()).parent.exists()


def test_the_difference_lists_images_before_and_after(
    arguments: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    bin_directory = Path(arguments["containerd_root"]).parent / "bin"
    monkeypatch.setenv("PATH", f"{bin_directory}:{os.environ['PATH']}")
    image = ImageStore(Path(arguments["store"])).require([REF])[0]
    diff = Plugin(arguments, diff=True).run()["diff"]
    assert diff["before"] == ""
    assert diff["after"] == f"{REF} {image.manifest_digest} pinned\n"
    again = Plugin(arguments, diff=True).run()["diff"]
    assert again["before"] == again["after"] == diff["after"]
    tidy = {**arguments, "images": [], "prune_prefix": "apps.slipway.internal/"}
    diff = Plugin(tidy, diff=True).run()["diff"]
    assert (diff["before"], diff["after"]) == (f"{REF} {image.manifest_digest}\n", "")
