"""Tools of this machine, and an engine that is a process of the test's own."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway.control_node import tools
from slipway.control_node.tools import Engine, Tool
from slipway.errors import SlipwayError

DOCKERD = """#!{python} -IS
import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
print("listening", flush=True)
open("{ready}", "w").write(str(os.getpid()))
signal.sigwait([signal.SIGTERM])
os.unlink("{ready}")
"""
"""Does what matters of dockerd: it runs under that name until it is told to end."""

DOCKER = """#!/bin/sh
[ -e {ready} ] && exit 0
echo "Cannot connect to the Docker daemon" >&2
exit 1
"""


class Machine:
    """A directory as the only one that commands are found in."""

    def __init__(self, root: Path) -> None:
        self.bin = root / "bin"
        self.bin.mkdir()
        self.ready = root / "ready"
        self.told = root / "told"
        self.engine = Engine(root / "cache" / "engine")
        self.said: list[str] = []

    def command(self, name: str, script: str = "#!/bin/sh\n") -> None:
        """Have a command."""
        path = self.bin / name
        path.write_text(script.format(ready=self.ready, told=self.told, python=sys.executable))
        path.chmod(0o755)

    def has_packages(self, *commands: str, before: str = ":") -> None:
        """Let packages be installed, which bring commands, after ``before`` was run."""
        lines = [
            "#!/bin/sh",
            before,
            "echo $DEBIAN_FRONTEND $? $* >>{told}",
            "[ $1 = update ] && exit",
            *(f"/bin/cp /bin/true {self.bin / each}" for each in commands),
        ]
        self.command("apt-get", "\n".join([*lines, ""]))


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    made = Machine(tmp_path)
    monkeypatch.setenv("PATH", str(made.bin))
    monkeypatch.setattr(tools, "SYSTEMD", tmp_path / "systemd")
    yield made
    if made.engine.is_ours():
        made.engine.stop()


@pytest.fixture
def engine(machine: Machine) -> Engine:
    """An engine that can be started."""
    machine.command("dockerd", DOCKERD)
    machine.command("docker", DOCKER)
    return machine.engine


def test_a_need_is_met_by_all_its_commands(machine: Machine) -> None:
    need = Tool(("docker.io", "iptables"), ("docker", "iptables"))
    assert not need.is_there()
    machine.command("docker")
    assert not need.is_there()
    machine.command("iptables")
    assert need.is_there()


def test_a_need_is_met_by_its_file_too(machine: Machine, tmp_path: Path) -> None:
    machine.command("gcc")
    need = Tool(("gcc", "libc6-dev"), ("gcc",), f"{tmp_path}/*.h".removeprefix("/"))
    assert not need.is_there()
    (tmp_path / "stdio.h").touch()
    assert need.is_there()


def test_missing_are_the_needs_that_are_not_met(machine: Machine) -> None:
    machine.command("git")
    assert tools.missing(["git", "maven", "jdk"]) == ["maven", "jdk"]


def test_every_need_has_packages_and_a_way_to_see_it() -> None:
    for name, tool in tools.TOOLS.items():
        assert tool.packages, name
        assert tool.commands or tool.file, name


def test_who_may_not_install_is_told_the_command(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.command("apt-get", "#!/bin/sh\necho called >>{told}\n")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(SlipwayError) as caught:
        tools.install(["maven", "docker"], machine.said.append)
    assert str(caught.value) == (
        "this machine: needs maven, docker\n    fix: as root: "
        "apt-get install --yes --no-install-recommends docker.io iptables maven"
    )
    assert not machine.told.exists()


def test_a_machine_without_debian_s_packages_is_told_what_it_needs(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(SlipwayError, match="this machine: needs maven"):
        tools.install(["maven"], machine.said.append)


def test_packages_are_installed_while_services_stay_down(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = tmp_path / "policy-rc.d"
    monkeypatch.setattr(tools, "POLICY", policy)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    machine.has_packages("mvn", "git", before=f"[ -x {policy} ] && {policy}")
    tools.install(["maven", "git"], machine.said.append)
    assert machine.told.read_text().splitlines() == [
        "noninteractive 1 update",
        "noninteractive 101 install --yes --no-install-recommends git maven",
    ]
    assert not policy.exists()
    assert machine.said == ["installing git maven"]


def test_packages_that_only_newer_releases_have_are_asked_for(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "POLICY", tmp_path / "policy-rc.d")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    need = Tool(("base",), ("base",), split_off=("base-cli", "unknown"))
    monkeypatch.setitem(tools.TOOLS, "base", need)
    machine.has_packages("base")
    machine.command("apt-cache", "#!/bin/sh\n[ $2 = base-cli ]\n")
    tools.install(["base"], machine.said.append)
    assert machine.said == ["installing base base-cli"]
    assert machine.told.read_text().endswith(" base base-cli\n")


def test_a_need_that_packages_do_not_meet_is_told(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "POLICY", tmp_path / "policy-rc.d")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    machine.has_packages("git")
    with pytest.raises(SlipwayError) as caught:
        tools.install(["git", "maven"], machine.said.append)
    assert str(caught.value) == (
        "this machine: still needs maven after the installation of git maven"
    )


def test_the_owner_s_own_policy_decides(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = tmp_path / "policy-rc.d"
    policy.write_text("own")
    monkeypatch.setattr(tools, "POLICY", policy)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    machine.has_packages("git")
    tools.install(["git"], machine.said.append)
    assert policy.read_text() == "own"


def test_an_engine_is_started_and_stopped(machine: Machine, engine: Engine) -> None:
    assert not engine.answers()
    assert not engine.is_ours()
    engine.start(machine.said.append)
    assert machine.said == ["starting the container engine"]
    assert engine.answers()
    assert engine.is_ours()
    pid = int((engine.state / "dockerd.pid").read_text())
    assert pid == int(machine.ready.read_text())
    assert os.getsid(pid) == pid  # it outlives the terminal that it was started from
    assert (engine.state / "dockerd.log").read_text() == "listening\n"
    engine.stop()
    assert not engine.answers()
    assert not engine.is_ours()
    assert not (engine.state / "dockerd.pid").exists()


def test_an_engine_that_ends_at_once_is_told_with_its_last_words(
    machine: Machine, engine: Engine
) -> None:
    machine.command("dockerd", "#!/bin/sh\necho 'no space left on device' >&2\nexit 1\n")
    began = time.monotonic()
    with pytest.raises(SlipwayError, match=r"dockerd: does not answer.*\n.*\| no space left"):
        engine.start(machine.said.append)
    assert time.monotonic() - began < tools.ENGINE_SECONDS / 2
    assert not engine.is_ours()


def test_an_engine_that_never_answers_is_told(
    machine: Machine, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.command("docker", "#!/bin/sh\nexit 1\n")
    with monkeypatch.context() as patch, pytest.raises(SlipwayError, match="does not answer"):
        patch.setattr(tools, "ENGINE_SECONDS", 0.0)
        engine.start(machine.said.append)


@pytest.mark.parametrize("pid", ["", "x", "0", str(os.getpid())])
def test_another_process_is_not_our_engine(engine: Engine, pid: str) -> None:
    engine.state.mkdir(parents=True)
    (engine.state / "dockerd.pid").write_text(f"{pid}\n")
    assert not engine.is_ours()


def test_an_engine_that_this_user_may_not_ask_runs_nevertheless(
    machine: Machine, engine: Engine
) -> None:
    machine.command("docker", "#!/bin/sh\necho 'Permission denied: docker.sock' >&2\nexit 1\n")
    assert engine.answers()


@pytest.mark.parametrize(("printed", "expected"), [("", False), ("4f2a\n9c1b\n", True)])
def test_an_engine_says_whether_it_has_containers(
    machine: Machine, engine: Engine, printed: str, expected: bool
) -> None:
    machine.command("docker", f"#!/bin/sh\n[ \"$*\" = 'ps --quiet' ] && printf '{printed}'\n")
    assert engine.has_containers() is expected


def test_where_systemd_runs_it_starts_the_engine(
    machine: Machine, engine: Engine, tmp_path: Path
) -> None:
    (tmp_path / "systemd").mkdir()
    machine.command("systemctl", "#!/bin/sh\necho $* >>{told}\n")
    engine.start(machine.said.append)
    assert machine.told.read_text() == "enable --now docker\n"
    assert not engine.is_ours()
