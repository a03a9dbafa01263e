"""node_config on a node: real files, and a systemctl that only writes down what it was told."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import stat
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from slipway.on_node import node_config, shared
from tests.support.on_node import result_of

SYSTEMCTL = """#!/bin/sh
home="$(dirname "$0")"
for unit; do :; done
case "$1" in
show) [ "$2" = --timestamp=us+utc ] && cat "$home/state/$unit" ;;
daemon-reload) echo daemon-reload >>"$home/log" ;;
*)
    echo "$1 $unit" >>"$home/log"
    if [ -e "$home/fails/$unit" ]; then echo "Job for $unit failed." >&2; exit 1; fi
    ;;
esac
"""

JOURNALCTL = """#!/bin/sh
for unit; do :; done
echo "what $unit said last"
"""


def state(
    *,
    enabled: str = "enabled",
    active: str = "active",
    condition: str = "yes",
    checked: int = 12,
    age: float = -60.0,
) -> str:
    """What ``systemctl show`` prints of a unit that became active ``age`` seconds ago, in UTC.

    The default is a unit that is newer than any file which a test writes.
    """
    entered = datetime.fromtimestamp(time.time() - age, UTC)
    return (
        f"UnitFileState={enabled}\nActiveState={active}\n"
        f"ActiveEnterTimestamp={entered:%a %Y-%m-%d %H:%M:%S.%f} UTC\n"
        f"ConditionResult={condition}\nConditionTimestampMonotonic={checked}\n"
    )


class Node:
    """A directory as a node, with a fake systemd."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tools = root / "tools"
        for name in ("state", "fails"):
            (self.tools / name).mkdir(parents=True)
        self.tool("systemctl", SYSTEMCTL)
        self.tool("journalctl", JOURNALCTL)
        self.tool("restorecon", "#!/bin/sh\n")

    def tool(self, name: str, script: str) -> None:
        """Let it have a tool."""
        (self.tools / name).write_text(script)
        (self.tools / name).chmod(0o755)

    def has_unit(self, name: str, shown: str) -> None:
        """Let systemd know a unit."""
        (self.tools / "state" / name).write_text(shown)

    def told(self) -> list[str]:
        """What systemd was told to do."""
        log = self.tools / "log"
        return log.read_text().splitlines() if log.exists() else []

    def file(self, name: str, content: str, mode: str = "0644") -> dict[str, Any]:
        """A wanted text file, as the action plugin describes it."""
        data = content.encode()
        return {
            "path": f"/{name}",
            "content": content,
            "mode": mode,
            "size": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
        }

    def binary(self, name: str, content: bytes) -> dict[str, Any]:
        """A wanted file whose content is on the controller."""
        sum_ = hashlib.sha256(content).hexdigest()
        return {"path": f"/{name}", "mode": "0755", "size": len(content), "sha256": sum_}

    def run(self, *, check: bool = False, diff: bool = False, **args: Any) -> dict[str, Any]:
        """Run the module."""
        return result_of(node_config, {"role": "", **args}, check=check, diff=diff)


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    node = Node(tmp_path)
    monkeypatch.setattr(shared, "ROOT", node.root)
    monkeypatch.setattr(shared, "PATH", f"{node.tools}:/usr/bin:/bin")
    return node


def mode(path: Path) -> int:
    """The permission bits."""
    return stat.S_IMODE(path.stat().st_mode)


def test_files_are_made_with_their_directories_and_modes(node: Node) -> None:
    wanted = [node.file("etc/a/one", "ein\n"), node.file("etc/two", "zwei\n", "0600")]
    result = node.run(files=wanted)
    assert result["changed"]
    assert result["replaced"] == [entry["path"] for entry in wanted]
    assert (node.root / "etc/a/one").read_text() == "ein\n"
    assert mode(node.root / "etc/a/one") == 0o644
    assert mode(node.root / "etc/two") == 0o600
    assert sorted(path.name for path in (node.root / "etc").iterdir()) == ["a", "two"]


def test_a_second_run_changes_nothing(node: Node) -> None:
    node.has_unit("a.service", state())
    wanted = [node.file("one", "ein\n")]
    node.run(files=wanted)
    result = node.run(files=wanted, units=["a.service"])
    assert (result["changed"], result["replaced"], result["units"]) == (False, [], [])
    assert node.told() == []


def test_files_have_selinux_s_labels_before_units_use_them(node: Node) -> None:
    node.tool("restorecon", '#!/bin/sh\necho "label $2" >>"${0%/*}/log"\n')
    node.run(files=[node.file("one", "ein\n")], units=["a.service"])
    assert node.told() == [
        f"label {node.root}/one",
        *("daemon-reload", "enable a.service", "restart a.service"),
    ]


def test_a_unit_that_is_older_than_its_files_is_restarted(node: Node) -> None:
    wanted = [node.file("one", "ein\n")]
    node.run(files=wanted)
    node.has_unit("a.service", state(age=60.0))
    result = node.run(files=wanted, units=["a.service"])
    assert (result["replaced"], result["units"]) == ([], ["a.service"])
    assert node.told() == ["enable a.service", "restart a.service"]


@pytest.mark.parametrize(
    ("written", "entered", "restarted"),
    [
        # Eight hours ago, and the machine has slept for most of them since.
        (8.0, 8.01, True),
        (8.01, 8.0, False),
        # The clock was three hours ahead when the file was written and the unit started.
        (-3.0, -2.99, False),
        (-2.99, -3.0, False),
        # It was ahead for the file alone: nobody can tell, and it was started after that.
        (-3.0, 0.01, False),
    ],
)
def test_what_became_of_the_clock_since_restarts_no_unit_and_keeps_none(
    node: Node,
    monkeypatch: pytest.MonkeyPatch,
    written: float,
    entered: float,
    restarted: bool,
) -> None:
    """In hours ago, by the clock as it is now; the machine was awake for two minutes."""
    monkeypatch.setattr(time, "monotonic", lambda: 120.0)
    wanted = [node.file("one", "ein\n")]
    node.run(files=wanted)
    moment = time.time() - written * 3600
    os.utime(node.root / "one", (moment, moment))
    node.has_unit("a.service", state(age=entered * 3600))
    assert node.run(files=wanted, units=["a.service"])["changed"] is restarted


@pytest.mark.parametrize(
    ("content", "bits"), [("ein", 0o644), ("neu\n", 0o644), ("ein\n", 0o600), ("ein\n", 0o4644)]
)
def test_a_file_of_another_size_content_or_mode_is_replaced(
    node: Node, content: str, bits: int
) -> None:
    (node.root / "one").write_text(content)
    (node.root / "one").chmod(bits)
    assert node.run(files=[node.file("one", "ein\n")])["changed"]
    assert (node.root / "one").read_text() == "ein\n"
    assert mode(node.root / "one") == 0o644


def test_what_must_not_be_there_is_removed(node: Node) -> None:
    (node.root / "old").touch()
    (node.root / "dangling").symlink_to("nowhere")
    absent = ["/old", "/dangling", "/never"]
    result = node.run(absent=absent)
    assert result["replaced"] == absent[:2]
    assert sorted(path.name for path in node.root.iterdir()) == ["tools", "var"]


def placed(node: Node) -> list[str]:
    """What the record says was put there."""
    record = json.loads((node.root / shared.RECORD.lstrip("/")).read_text())
    return [each["name"] for each in record["placed"]]


def test_of_a_folder_only_what_is_wanted_and_what_others_put_there_stays(node: Node) -> None:
    folder = node.root / "etc/certs.d"
    (folder / "own").mkdir(parents=True)
    (folder / "own/hosts.toml").write_text("somebody's")
    (folder / "b").mkdir()
    (folder / "b/hosts.toml").write_text("before")
    names = ("etc/certs.d/a/hosts.toml", "etc/certs.d/b/hosts.toml", "etc/certs.d/c/hosts.toml")
    a, b, c = (node.file(name, "ours") for name in names)
    args: dict[str, Any] = {"owned": ["/etc/certs.d"]}
    node.run(files=[node.file("etc/other", "x"), a, b, c], **args)
    args["files"] = [c]
    checked = node.run(check=True, **args)
    assert (folder / "a").exists()
    result = node.run(**args)
    assert result["changed"]
    assert checked["replaced"] == result["replaced"] == [a["path"], b["path"]]
    assert sorted(path.name for path in folder.iterdir()) == ["b", "c", "own"]
    assert (folder / "b/hosts.toml").read_text() == "before"
    assert placed(node) == ["/etc/certs.d/c", "/etc/other", "/etc/certs.d/c/hosts.toml"]
    assert not node.run(**args)["changed"]


def test_a_check_tells_and_changes_nothing(node: Node) -> None:
    node.has_unit("a.service", state())
    (node.root / "old").touch()
    (node.root / "one").write_text("eins\n")
    result = node.run(
        check=True,
        files=[node.file("one", "ein\n"), node.binary("tool", b"tool")],
        absent=["/old"],
        units=["a.service"],
    )
    assert result["changed"]
    assert result["replaced"] == ["/one", "/tool", "/old"]
    assert result["units"] == ["a.service"]
    assert result["to_send"] == ["/tool"]
    assert (node.root / "one").read_text() == "eins\n"
    assert (node.root / "old").exists()
    assert node.told() == []


def test_a_diff_shows_text_before_and_after(node: Node) -> None:
    (node.root / "one").write_text("eins\n")
    result = node.run(diff=True, files=[node.file("one", "ein\n"), node.file("two", "zwei\n")])
    assert [(each["before"], each["after"]) for each in result["diff"]] == [
        ("eins\n", "ein\n"),
        ("", "zwei\n"),
    ]
    assert result["diff"][0]["before_header"] == "/one"


def test_a_diff_shows_nothing_of_what_has_secrets_nor_of_what_had(node: Node) -> None:
    node.run(files=[{**node.file("one", "old password"), "secret": True}])
    result = node.run(diff=True, files=[{**node.file("one", "password"), "secret": True}])
    assert (result["replaced"], result["diff"]) == (["/one"], [])


def test_who_does_not_ask_for_differences_gets_none(node: Node) -> None:
    assert node.run(files=[node.file("one", "ein\n")])["diff"] == []


def test_large_files_that_differ_are_asked_for_before_any_is_touched(node: Node) -> None:
    (node.root / "same").write_bytes(b"same")
    (node.root / "same").chmod(0o755)
    wanted = [node.file("one", "ein\n"), node.binary("same", b"same"), node.binary("new", b"new")]
    result = node.run(files=wanted)
    assert result["to_send"] == ["/new"]
    assert not (node.root / "one").exists()


def test_what_was_sent_is_put_in_place(node: Node) -> None:
    (node.root / "sent").write_bytes(b"tool")
    (node.root / "tool").write_bytes(b"an older tool")
    node.run(files=[{**node.binary("tool", b"tool"), "sent": str(node.root / "sent")}])
    assert (node.root / "tool").read_bytes() == b"tool"
    assert mode(node.root / "tool") == 0o755


def test_a_file_in_use_is_replaced_and_not_written_into(node: Node) -> None:
    (node.root / "one").write_text("eins\n")
    with (node.root / "one").open() as running:
        node.run(files=[node.file("one", "ein\n")])
        assert running.read() == "eins\n"


def test_a_file_that_cannot_be_replaced_leaves_nothing_behind(node: Node) -> None:
    (node.root / "one").write_text("eins\n")
    wanted = {**node.binary("one", b"new"), "sent": str(node.root / "never-sent")}
    with pytest.raises(FileNotFoundError):
        node_config.replace(wanted)
    assert (node.root / "one").read_text() == "eins\n"
    assert sorted(path.name for path in node.root.iterdir()) == ["one", "tools"]


@pytest.mark.parametrize(
    "shown",
    [
        state(),
        state(enabled="static"),
        # The kubelet of a node that is not part of a cluster yet.
        state(active="inactive", condition="no"),
        state(active="activating", condition="no"),
    ],
)
def test_a_unit_that_is_up_or_waits_for_its_condition_is_left_alone(node: Node, shown: str) -> None:
    node.has_unit("a.service", shown)
    assert not node.run(units=["a.service"])["changed"]
    assert node.told() == []


@pytest.mark.parametrize(
    "shown",
    [
        state(enabled="disabled"),
        state(active="failed"),
        state(active="inactive"),
        # Never started, so its condition was never looked at.
        state(active="inactive", condition="no", checked=0),
        state(enabled="disabled", active="inactive", condition="no"),
    ],
)
def test_a_unit_that_is_not_up_is_enabled_and_started(node: Node, shown: str) -> None:
    node.has_unit("a.service", shown)
    result = node.run(units=["a.service"])
    assert (result["changed"], result["units"]) == (True, ["a.service"])
    assert node.told() == ["enable a.service", "restart a.service"]


def test_only_the_unit_that_is_down_is_started(node: Node) -> None:
    node.has_unit("a.service", state())
    node.has_unit("b.service", state(active="failed"))
    assert node.run(units=["a.service", "b.service"])["units"] == ["b.service"]
    assert node.told() == ["enable b.service", "restart b.service"]


def test_after_a_changed_file_all_units_start_anew_in_their_order(node: Node) -> None:
    for unit in ("b.service", "a.service"):
        node.has_unit(unit, state())
    node.run(files=[node.file("one", "ein\n")], units=["b.service", "a.service"])
    assert node.told() == [
        "daemon-reload",
        "enable b.service",
        "restart b.service",
        "enable a.service",
        "restart a.service",
    ]


def test_files_without_units_do_not_concern_systemd(node: Node) -> None:
    node.run(files=[node.file("one", "ein\n")])
    assert node.told() == []


def test_a_unit_that_does_not_start_is_told_with_its_journal(node: Node) -> None:
    for unit in ("a.service", "b.service"):
        node.has_unit(unit, state(active="inactive"))
    (node.tools / "fails" / "a.service").touch()
    result = node.run(units=["a.service", "b.service"])
    assert result["failed"]
    assert result["msg"].splitlines() == [
        "systemctl enable a.service: Job for a.service failed.",
        "what a.service said last",
    ]
    assert node.told() == ["enable a.service"]


def noted(node: Node) -> list[tuple[str, str, str]]:
    """What the record has."""
    record = json.loads((node.root / shared.RECORD[1:]).read_text())
    return [(each["kind"], each["name"], each["role"]) for each in record["placed"]]


def test_what_is_put_there_is_in_the_record_once_and_with_its_role(node: Node) -> None:
    node.has_unit("a.service", state(enabled=""))
    unit = node.file("etc/systemd/system/a.service", "[Unit]\n")
    for text in ("ein\n", "zwei\n"):
        files = [node.file("etc/a/one", text), unit]
        node.run(files=files, units=["a.service"], undo=["ip rule flush"], role="first")
        node.has_unit("a.service", state())
    node.run(files=[node.file("etc/a/two", "zwei\n")], role="second")
    assert noted(node) == [
        *(("directory", f"/etc{name}", "first") for name in ("", "/a", "/systemd")),
        ("directory", "/etc/systemd/system", "first"),
        ("file", "/etc/a/one", "first"),
        ("file", "/etc/systemd/system/a.service", "first"),
        ("unit", "a.service", "first"),
        ("command", "ip rule flush", "first"),
        ("file", "/etc/a/two", "second"),
    ]


@pytest.mark.parametrize(("enabled", "own"), [("enabled", 0), ("static", 0), ("disabled", 1)])
def test_a_unit_that_the_machine_had_enabled_is_its_own(node: Node, enabled: str, own: int) -> None:
    node.has_unit("a.service", state(enabled=enabled))
    node.run(files=[node.file("one", "ein\n")], units=["a.service"])
    assert noted(node) == [("file", "/one", ""), ("unit", "a.service", "")][: 1 + own]


def test_a_file_is_in_the_record_before_it_is_there(node: Node) -> None:
    wanted = {**node.binary("one", b"new"), "sent": str(node.root / "never-sent")}
    with pytest.raises(FileNotFoundError):
        node.run(files=[wanted])
    assert noted(node) == [("file", "/one", "")]


def test_who_only_asks_leaves_no_record(node: Node) -> None:
    node.run(files=[node.file("one", "ein\n")], check=True)
    node.run(files=[node.file("one", "ein\n"), node.binary("tool", b"tool")])
    assert not (node.root / "var").exists()


def test_a_file_that_is_made_once_has_a_key_of_its_own_which_stays(node: Node) -> None:
    wanted = {**node.file("key", f"key: {node_config.RANDOM}\n", "0600"), "once": True}
    first = node.run(files=[wanted])
    text = (node.root / "key").read_text()
    assert len(base64.b64decode(text.removeprefix("key: "))) == 32
    assert first["replaced"] == ["/key"]
    assert text.split()[1] not in json.dumps(first)
    assert noted(node) == [("file", "/key", "")]
    later = {**node.file("key", f"other: {node_config.RANDOM}\n", "0600"), "once": True}
    assert not node.run(files=[later])["changed"]
    assert (node.root / "key").read_text() == text


def test_a_file_that_is_made_once_is_not_shown_and_keeps_its_text_with_another_mode(
    node: Node,
) -> None:
    wanted = {**node.file("key", node_config.RANDOM, "0600"), "once": True}
    node.run(files=[wanted])
    text = (node.root / "key").read_text()
    (node.root / "key").chmod(0o644)
    result = node.run(diff=True, files=[wanted])
    assert result["changed"]
    assert result["diff"] == []
    assert text not in json.dumps(result)
    assert (node.root / "key").read_text() == text
    assert mode(node.root / "key") == 0o600


def test_two_nodes_do_not_have_the_same_key(node: Node) -> None:
    names = ("one", "two")
    files = [{**node.file(name, node_config.RANDOM), "once": True} for name in names]
    node.run(files=files)
    assert len({(node.root / name).read_text() for name in names}) == 2


BINARY = bytes(node_config.LARGE)


@pytest.fixture
def read(node: Node, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A node with a large file as it is wanted, since long; gives the names of what is read."""
    sha256_of, read = node_config.sha256_of, []

    def reads(path: Path) -> str:
        read.append(path.name)
        return sha256_of(path)

    node.run(files=[node.file("any", "x")])  # so there is a record
    has_tool(node, BINARY)
    monkeypatch.setattr(node_config, "sha256_of", reads)
    monkeypatch.setattr(node_config, "SETTLED_SECONDS", 0.0)
    return read


def has_tool(node: Node, content: bytes) -> None:
    """Let the node have it."""
    (node.root / "tool").write_bytes(content)
    (node.root / "tool").chmod(0o755)


def lacks_tool(node: Node, content: bytes = BINARY, **modes: bool) -> bool:
    """Whether it has to be sent."""
    result = node.run(files=[node.binary("tool", content)], **modes)
    return bool(result["to_send"] == ["/tool"])


def test_a_large_file_that_was_found_right_is_read_once(node: Node, read: list[str]) -> None:
    assert not any(lacks_tool(node) for _ in range(3))
    assert read == ["tool"]


def test_a_change_by_hand_is_seen_whatever_is_done_to_hide_it(node: Node, read: list[str]) -> None:
    lacks_tool(node)
    path = node.root / "tool"
    before = path.stat()
    while path.stat().st_ctime_ns == before.st_ctime_ns:
        with path.open("r+b") as file:
            file.write(b"other")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_ino, after.st_size) == (before.st_ino, before.st_size)
    assert after.st_mtime_ns == before.st_mtime_ns
    assert lacks_tool(node)


def test_another_file_in_its_place_is_read(node: Node, read: list[str]) -> None:
    lacks_tool(node)
    (node.root / "tool").unlink()
    has_tool(node, BINARY)
    assert not lacks_tool(node)
    assert read == ["tool", "tool"]


def test_what_was_right_for_another_version_is_not_for_this_one(
    node: Node, read: list[str]
) -> None:
    lacks_tool(node)
    assert lacks_tool(node, BINARY[:-1] + b"x")


def test_what_is_small_is_read_each_time(node: Node, read: list[str]) -> None:
    has_tool(node, b"tool")
    assert not any(lacks_tool(node, b"tool") for _ in range(2))
    assert read == ["tool", "tool"]
    assert not (node.root / node_config.SUMS[1:]).exists()


def test_what_was_changed_just_now_is_read_again(
    node: Node, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_config, "SETTLED_SECONDS", 3600.0)
    assert not any(lacks_tool(node) for _ in range(2))
    assert read == ["tool", "tool"]


@pytest.mark.parametrize("text", ["", "{", "null", "[]", '{"/tool": 3}', '{"/tool": ["a"]}'])
def test_where_the_sums_are_damaged_files_are_read(node: Node, read: list[str], text: str) -> None:
    lacks_tool(node)
    (node.root / node_config.SUMS[1:]).write_text(text)
    assert not any(lacks_tool(node) for _ in range(2))
    assert read == ["tool", "tool"]


def test_sums_that_cannot_be_written_are_no_failure(node: Node, read: list[str]) -> None:
    (node.root / node_config.SUMS[1:]).mkdir()
    assert not any(lacks_tool(node) for _ in range(2))
    assert read == ["tool", "tool"]


def test_a_check_remembers_nothing(node: Node, read: list[str]) -> None:
    assert not any(lacks_tool(node, check=True) for _ in range(2))
    assert read == ["tool", "tool"]


def test_on_a_machine_that_nothing_was_put_on_nothing_is_remembered(
    node: Node, read: list[str]
) -> None:
    (node.root / shared.RECORD[1:]).unlink()
    assert not lacks_tool(node)
    assert not (node.root / node_config.SUMS[1:]).exists()


def test_the_sums_of_one_role_stay_when_another_asks(node: Node, read: list[str]) -> None:
    lacks_tool(node)
    (node.root / "other").write_bytes(BINARY)
    (node.root / "other").chmod(0o755)
    for _ in range(2):
        node.run(files=[node.binary("other", BINARY)])
        lacks_tool(node)
    assert read == ["tool", "other"]
