"""Tools of this machine, and an engine that is a process of the test's own."""

from __future__ import annotations

import fcntl
import getpass
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from slipway.bundle import source
from slipway.control_node import tools
from slipway.control_node.tools import Engine, Tool
from slipway.errors import SlipwayError
from slipway.waiting import wait_until

DOCKERD = """#!{python} -IS
import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
print("listening", flush=True)
open("{noted}", "w").write(open("{engine}/dockerd.pid").read())
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
        self.noted = root / "noted"
        self.engine = Engine(root / "cache" / "engine")
        self.said: list[str] = []

    def command(self, name: str, script: str = "#!/bin/sh\n") -> None:
        """Have a command."""
        path = self.bin / name
        places = {"ready": self.ready, "told": self.told, "noted": self.noted}
        places["engine"] = self.engine.state
        path.write_text(script.format(**places, python=sys.executable))
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
    below = str(tmp_path).removeprefix("/")
    need = Tool(("gcc", "libc6-dev"), ("gcc",), (f"{below}/none/*", f"{below}/*.a"))
    assert not need.is_there()
    (tmp_path / "libc.a").touch()
    assert need.is_there()


def test_an_engine_that_answers_is_enough_whatever_started_it(machine: Machine) -> None:
    machine.command("docker", DOCKER)
    assert tools.missing(["docker"]) == ["docker"]
    machine.ready.touch()
    assert tools.missing(["docker"]) == []


def test_what_only_calls_itself_docker_is_none(machine: Machine) -> None:
    machine.command("docker", "#!/bin/sh\n[ $1 = info ]\n")
    assert tools.missing(["docker"]) == ["docker"]


def test_missing_are_the_needs_that_are_not_met(machine: Machine) -> None:
    machine.command("git")
    assert tools.missing(["git", "maven", "jdk"]) == ["maven", "jdk"]


def test_every_need_has_packages_and_a_way_to_see_it() -> None:
    for name, tool in tools.TOOLS.items():
        assert tool.packages, name
        assert tool.commands or tool.files or tool.instead is not Tool.instead, name


def test_whatever_a_run_needs_is_known_beforehand() -> None:
    (*_, play) = yaml.safe_load(Path("playbooks", "control_node.yml").read_text())
    (builds,) = (task["vars"]["__control_node_tools"] for task in play["tasks"] if "vars" in task)
    assert {*builds, *source.TOOLS, "python"} == {*tools.OF_A_RUN}


@pytest.fixture
def user(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine on which somebody who is not root runs Slipway."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(getpass, "getuser", lambda: "ada")
    monkeypatch.setattr(tools, "_release", lambda: "")
    monkeypatch.setattr(tools, "OF_A_RUN", ("docker", "git", "jdk", "maven", "mmdebstrap"))
    return machine


def told(names: list[str]) -> list[str]:
    """The lines of what root is asked for."""
    return str(tools.refusal(names)).splitlines()


def test_who_may_not_install_is_told_the_commands_for_all_of_a_run_at_once(user: Machine) -> None:
    user.command("apt-get", "#!/bin/sh\necho called >>{told}\n")
    user.command("git")
    with pytest.raises(SlipwayError) as caught:
        tools.install(["mmdebstrap"], user.said.append)
    assert str(caught.value).splitlines() == [
        "this machine: needs mmdebstrap, and for other steps docker, jdk, maven",
        "    fix: as root:",
        "         apt-get update",
        "         apt-get install --yes --no-install-recommends --no-remove default-jdk-headless "
        "docker.io iptables maven mmdebstrap",
        "         usermod --append --groups docker ada",
        "         and ada has to log in anew after that",
    ]
    assert not user.told.exists()


def test_root_is_asked_for_nothing_where_packages_can_be_installed(
    user: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    user.command("apt-get")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert tools.refusal(["maven", "docker"]) is None


@pytest.mark.parametrize(
    ("systemd", "command"),
    [(True, "systemctl enable --now docker"), (False, "service docker start")],
)
def test_a_user_is_told_how_root_starts_the_engine(
    user: Machine, tmp_path: Path, systemd: bool, command: str
) -> None:
    if systemd:
        (tmp_path / "systemd").mkdir()
    user.command("docker", DOCKER)
    with pytest.raises(SlipwayError) as caught:
        user.engine.start(user.said.append)
    assert str(caught.value).splitlines() == [
        "Docker: no engine answers: Cannot connect to the Docker daemon",
        "    fix: as root:",
        f"         {command}",
    ]


@pytest.fixture
def root(machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine on which root runs Slipway."""
    monkeypatch.setattr(tools, "POLICY", tmp_path / "policy-rc.d")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(tools, "_release", lambda: "")
    return machine


@pytest.mark.parametrize(
    ("archives", "packages"),
    [
        ("", "docker.io iptables"),  # Debian 12, Ubuntu
        ("docker.io docker-cli", "docker-cli docker.io iptables"),  # Debian 13
        ("docker.io docker-cli docker-ce docker-ce-cli", "docker-ce docker-ce-cli iptables"),
    ],
)
def test_of_docker_s_packages_those_are_taken_that_the_archives_have(
    root: Machine, archives: str, packages: str
) -> None:
    root.has_packages("docker", "dockerd", "iptables")
    known = "".join(f"echo Package: {name}; " for name in archives.split())
    root.command("apt-cache", f"#!/bin/sh\n{known}\nexit 100\n")
    tools.install(["docker"], root.said.append)
    assert root.said == [f"installing {packages}"]


@pytest.mark.parametrize(
    ("release", "package"),
    [
        ("", "default-jdk-headless"),
        ("noble", "default-jdk-headless"),
        ("jammy", "openjdk-17-jdk-headless"),
    ],
)
def test_a_release_whose_default_is_too_old_has_a_package_of_its_own(
    root: Machine, monkeypatch: pytest.MonkeyPatch, release: str, package: str
) -> None:
    monkeypatch.setattr(tools, "_release", lambda: release)
    root.has_packages("javac")
    tools.install(["jdk"], root.said.append)
    assert root.said == [f"installing {package}"]


@pytest.mark.parametrize(
    ("os_release", "release"),
    [
        ("ID=debian\nVERSION_CODENAME=trixie\n", ""),
        ("ID=ubuntu\nVERSION_CODENAME=jammy\nUBUNTU_CODENAME=jammy\n", "jammy"),
        ("ID=linuxmint\nVERSION_CODENAME=vanessa\nUBUNTU_CODENAME=jammy\n", "jammy"),
    ],
)
def test_the_release_is_the_one_that_a_distribution_is_made_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, os_release: str, release: str
) -> None:
    path = tmp_path / "os-release"
    path.write_text(os_release)
    monkeypatch.setattr(platform, "_os_release_candidates", (str(path),))
    monkeypatch.setattr(platform, "_os_release_cache", None)
    assert tools._release() == release


@pytest.mark.parametrize("euid", [0, 1000])
def test_other_distributions_are_told_what_is_known_and_what_is_not(
    user: Machine, monkeypatch: pytest.MonkeyPatch, euid: int
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: euid)
    for name in ("dnf", "docker", "dockerd", "iptables", "javac"):
        user.command(name)
    assert told(["git", "maven"])[:4] == [
        "this machine: needs git, maven, and for other steps mmdebstrap",
        "    fix: as root:",
        "         dnf install git maven",
        "         install mmdebstrap; Debian has that in mmdebstrap",
    ]


def test_a_machine_with_no_known_package_manager_is_told_what_it_needs(user: Machine) -> None:
    user.command("mmdebstrap")
    assert told(["maven"])[:3] == [
        "this machine: needs maven, and for other steps docker, git, jdk",
        "    fix: as root:",
        "         install maven, docker, git, jdk; "
        "Debian has that in default-jdk-headless docker.io git iptables maven",
    ]


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
        "noninteractive 101 install --yes --no-install-recommends --no-remove git maven",
    ]
    assert not policy.exists()
    assert machine.said == ["installing git maven"]


def test_packages_that_only_some_releases_have_are_asked_for(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "POLICY", tmp_path / "policy-rc.d")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    need = Tool(("base", "unknown | base-cli", "unknown | -"), ("base",))
    monkeypatch.setitem(tools.TOOLS, "base", need)
    machine.has_packages("base")
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


def test_the_rule_of_a_run_that_was_killed_goes_with_the_next(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    policy = tmp_path / "policy-rc.d"
    monkeypatch.setattr(tools, "POLICY", policy)
    policy.write_text(tools.OWN_POLICY)
    with policy.open() as of_another:
        fcntl.flock(of_another, fcntl.LOCK_SH)
        tools.have([], print)
        assert policy.exists(), "the run that installs just now needs it"
    tools.have([], print)
    assert not policy.exists()
    policy.write_text("#!/bin/sh\nexit 101\n")
    tools.have([], print)
    assert policy.exists(), "the owner's own is gone"


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


def test_an_engine_is_noted_before_it_runs(
    machine: Machine, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow(subprocess.Popen[bytes]):
        def __init__(self, *args: Any, **more: Any) -> None:
            super().__init__(*args, **more)
            assert wait_until(machine.noted.exists, 5), "a run that is killed now leaves it unknown"

    monkeypatch.setattr(subprocess, "Popen", Slow)
    engine.start(machine.said.append)
    assert machine.noted.read_text() == f"{machine.ready.read_text()}\n"
    engine.stop()


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
