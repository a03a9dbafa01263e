"""kubeadm on a directory as a machine: what is noted, and what is undone."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from slipway.on_node import kubeadm, shared
from tests.support.on_node import result_of

CLUSTER = {"cluster": "lab", "endpoint": "https://192.0.2.11:6443"}

TOOL = """#!/bin/sh
echo "${{0##*/}} $*" >>{log}
case "$1" in
reset) rm -rf {root}/etc/kubernetes; exit {reset} ;;
*)
    cp {root}{marker} {noted}
    flock --nonblock --exclusive {root}{marker} true && echo unlocked >>{log}
    ls -l /proc/$$/fd | grep -q {marker} || echo 'without the lock' >>{log}
    mkdir -p {root}/etc/kubernetes
    echo x >{root}/etc/kubernetes/kubelet.conf
    echo 'cannot reach it' >&2
    exit {code}
    ;;
esac
"""


class Machine:
    """A directory with what a machine has."""

    def __init__(self, root: Path) -> None:
        self.root = root / "root"
        self.tools = root / "tools"
        self._log, self._noted = root / "log", root / "noted"
        self.root.mkdir()
        self.tools.mkdir()
        self.kubeadm()
        self._script("journalctl", "#!/bin/sh\necho what the kubelet said last\n")

    def kubeadm(self, *, code: int = 0, reset: int = 0) -> None:
        """Let kubeadm end so."""
        names = {"log": self._log, "root": self.root, "noted": self._noted}
        script = TOOL.format(**names, marker=shared.MARKER, code=code, reset=reset)
        self._script("kubeadm", script)

    def has(self, path: str) -> None:
        """Let the machine have a file."""
        target = self.root / path.removeprefix("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("x")

    @property
    def marked(self) -> bool:
        """Whether the note is there."""
        return (self.root / shared.MARKER[1:]).exists()

    def noted(self) -> dict[str, str]:
        """The note as it was when kubeadm ran."""
        note: dict[str, str] = json.loads(self._noted.read_text())
        return note

    def told(self) -> list[str]:
        """What kubeadm was told."""
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        return [line.partition(" --")[0] for line in lines]

    def run(self, command: str = "join", *, check: bool = False, **args: Any) -> dict[str, Any]:
        """Run the module."""
        return result_of(kubeadm, {**CLUSTER, "command": command, **args}, check=check)

    def _script(self, name: str, text: str) -> None:
        (self.tools / name).write_text(text)
        (self.tools / name).chmod(0o755)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path)
    monkeypatch.setattr(shared, "ROOT", made.root)
    monkeypatch.setattr(shared, "PATH", f"{made.tools}:/usr/bin:/bin")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")  # as sudo has it
    return made


@pytest.mark.parametrize("command", ["init", "join"])
def test_a_command_is_noted_for_as_long_as_it_runs(machine: Machine, command: str) -> None:
    result = machine.run(command)
    assert (result["changed"], result["undone"]) == (True, False)
    # Nobody else gets the lock, and kubeadm has it even without the module.
    assert machine.told() == [f"kubeadm {command}"]
    assert machine.noted() == {"command": command, **CLUSTER}
    assert not machine.marked


def test_the_keys_that_it_needs_are_there_for_root_alone(machine: Machine) -> None:
    key = machine.root / "etc/kubernetes/pki/etcd/ca.key"
    assert machine.run(keys={"/etc/kubernetes/pki/etcd/ca.key": "secret"})["changed"]
    assert (key.read_text(), key.stat().st_mode & 0o777) == ("secret", 0o600)
    assert "pki" not in json.dumps(machine.noted())


def test_keys_go_with_what_is_undone(machine: Machine) -> None:
    machine.kubeadm(code=1)
    machine.run(keys={"/etc/kubernetes/pki/ca.key": "secret"})
    assert not (machine.root / "etc/kubernetes/pki").exists()


def test_a_machine_that_is_not_bare_gets_no_keys(machine: Machine) -> None:
    machine.has("/var/lib/etcd/member")
    assert machine.run(keys={"/etc/kubernetes/pki/ca.key": "secret"})["failed"]
    assert not (machine.root / "etc/kubernetes").exists()


def test_a_command_that_fails_is_undone_and_its_reason_told(machine: Machine) -> None:
    machine.kubeadm(code=1)
    result = machine.run()
    assert machine.told() == ["kubeadm join", "kubeadm reset"]
    assert result["msg"].startswith("kubeadm join failed: cannot reach it\n")
    assert "what the kubelet said last" in result["msg"]
    assert not machine.marked


def test_what_cannot_be_undone_stays_noted(machine: Machine) -> None:
    machine.kubeadm(code=1, reset=1)
    assert "could not be undone" in machine.run()["msg"]
    assert machine.marked


def test_what_an_interrupted_run_began_is_undone_first(machine: Machine) -> None:
    machine.has("/etc/kubernetes/pki/ca.crt")
    machine.has(shared.MARKER)
    result = machine.run(begun=True)
    assert result["undone"]
    assert machine.told() == ["kubeadm reset", "kubeadm join"]
    assert machine.noted()["command"] == "join"
    assert not machine.marked


def test_a_command_waits_for_what_is_there_to_be_undone(machine: Machine) -> None:
    machine.kubeadm(reset=1)
    assert machine.run(begun=True)["failed"]
    assert machine.told() == ["kubeadm reset"]
    assert machine.marked


@pytest.mark.parametrize(
    "path",
    [
        "/etc/kubernetes/admin.conf",
        "/etc/kubernetes/kubelet.conf",
        "/etc/kubernetes/bootstrap-kubelet.conf",
        "/etc/kubernetes/manifests/etcd.yaml",
        "/etc/kubernetes/pki/ca.crt",
        "/var/lib/etcd/member",
        "/var/lib/kubelet/config.yaml",
    ],
)
def test_a_machine_that_became_a_node_since_it_was_looked_at_is_left_alone(
    machine: Machine, path: str
) -> None:
    machine.has(path)
    assert machine.run()["msg"].endswith(f"left alone: {path}")
    assert machine.told() == []
    assert not machine.marked


def test_slipway_s_own_files_are_none_of_kubeadm_s(machine: Machine) -> None:
    for path in ("kubeadm.yaml", "discovery.yaml", "resolv.conf", "kubelet.conf.d/10-node.conf"):
        machine.has(f"/etc/kubernetes/{path}")
    assert machine.run()["changed"]


def test_a_check_tells_of_a_change_and_makes_none(machine: Machine) -> None:
    assert machine.run(check=True)["changed"]
    machine.has("/etc/kubernetes/pki/ca.crt")
    assert machine.run(check=True, begun=True)["undone"]
    assert machine.told() == []
    assert not machine.marked


def test_what_another_run_has_made_a_node_meanwhile_is_not_undone(machine: Machine) -> None:
    """The note that this run saw is gone: what was begun has come to its end."""
    machine.has("/etc/kubernetes/kubelet.conf")
    result = machine.run(begun=True)
    assert result["msg"].startswith("the machine is not bare any more, and left alone: ")
    assert machine.told() == []
    assert not machine.marked


def test_what_a_run_of_another_cluster_has_begun_meanwhile_is_not_undone(machine: Machine) -> None:
    machine.has("/etc/kubernetes/kubelet.conf")
    machine.has(shared.MARKER)
    note = {**CLUSTER, "command": "join", "endpoint": "https://198.51.100.7:6443"}
    (machine.root / shared.MARKER[1:]).write_text(json.dumps(note))
    assert machine.run(begun=True)["failed"]
    assert machine.told() == []
    assert json.loads((machine.root / shared.MARKER[1:]).read_text()) == note


def test_who_waits_for_a_note_that_is_removed_meanwhile_has_one_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "note"
    entered = threading.Event()

    def wait() -> None:
        with kubeadm.locked(path) as file:
            file.write("mine")
            entered.set()

    with kubeadm.locked(path):
        waiting = threading.Thread(target=wait)
        waiting.start()
        assert not entered.wait(0.3)
        path.unlink()
    waiting.join(10)
    assert path.read_text() == "mine"


def test_a_command_that_does_not_come_to_an_end_is_ended_with_what_it_started(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "mark"
    script = f"[ $1 = reset ] && exit 0; sleep 60 & echo $! >{mark}; echo begun; wait"
    machine._script("kubeadm", f"#!/bin/sh\n{script}\n")
    monkeypatch.setattr(kubeadm, "LONG_SECONDS", 0.5)
    begun = time.monotonic()
    assert "kubeadm took longer than 0 s" in machine.run()["msg"]
    assert time.monotonic() - begun < 30
    state = Path(f"/proc/{mark.read_text().strip()}/stat")
    assert not state.exists() or ") Z" in state.read_text()
    assert not machine.marked
