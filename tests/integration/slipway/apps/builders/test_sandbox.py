"""What a branch may try in a build with Maven, and what must not come of it.

Each attack is a project. What it finds out it writes below ``/work``, where the test reads it; the
machine's own secrets, processes and services are there to be found.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from slipway.apps.builders import maven as maven_module
from slipway.apps.builders import sandbox
from slipway.apps.builders.maven import Maven
from slipway.apps.builders.maven_user import MavenUser
from slipway.cache.layout import CacheLayout, MavenCache
from slipway.errors import SlipwayError
from slipway.nodes.containers import connect
from slipway.waiting import wait_until
from tests.support.maven_samples import order, write
from tests.support.real_bundle import real_sandboxes

SANDBOXES = real_sandboxes()

POM = (
    "<modelVersion>4.0.0</modelVersion><groupId>test</groupId><artifactId>top</artifactId>"
    "<version>1</version><packaging>pom</packaging>"
)

ANTRUN = """<build><plugins><plugin>
  <groupId>org.apache.maven.plugins</groupId><artifactId>maven-antrun-plugin</artifactId>
  <version>3.1.0</version><executions><execution><phase>validate</phase>
  <goals><goal>run</goal></goals><configuration><target>
    <exec executable="sh"><arg value="${basedir}/x"/></exec>
  </target></configuration></execution></executions>
</plugin></plugins></build>"""

EXTENSION = """<extensions><extension><groupId>com.example</groupId>
<artifactId>none</artifactId><version>1</version></extension></extensions>"""

OUT_OF_MEMORY = "-Xmx5m -XX:OnOutOfMemoryError=./x"

RAN = "ran\n"
CANARY = "canary-of-the-operator"


class Machine:
    """What an attacker would have: files, a process with a secret, services on loopback."""

    def __init__(self, root: Path, port: int, repositories: Sequence[Path]) -> None:
        self.root = root
        self.port = port
        self.repositories = repositories
        self.cache = CacheLayout(root / "cache")
        write(root / "home", {".kube/config": CANARY, ".ssh/id_ed25519": CANARY})
        write(root / "cache", {"git/other.git/config": CANARY})

    def build(self, files: Mapping[str, str], repository: str = "web") -> str:
        """What the project's code has found out; empty where it was not run to its end."""
        write(self.root / "checkout", files)
        maven = Maven(self.cache, SANDBOXES, repositories=self.repositories)
        one = replace(order(self.root), repository=repository)
        call = ["mvn", "--batch-mode", "--quiet", "validate"]
        return maven.build(one, lambda _: call, {}, lambda _: nullcontext(), "found")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """The home is the test's, but for the user's artifacts, which need not come over again."""
    artifacts = MavenUser.here(CacheLayout(tmp_path / "cache")).repositories()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CLOUD_TOKEN", CANARY)
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_greet, args=(server,), daemon=True).start()
        yield Machine(tmp_path, server.getsockname()[1], artifacts)


def _greet(server: socket.socket) -> None:
    while True:
        try:
            client, _ = server.accept()
        except OSError:
            return
        with client:
            client.sendall(CANARY.encode())


@dataclass(frozen=True)
class Attack:
    """What ``x`` does once it is run, and what of it must not be found."""

    name: str
    script: str
    never: tuple[str, ...] = (CANARY,)
    files: Mapping[str, str] = field(default_factory=dict)


def python(code: str) -> str:
    return f"python3 -c '{code}'"


ATTACKS = [
    Attack("read the kubeconfig", "cat {root}/home/.kube/config"),
    Attack("read the keys of SSH", "cat {root}/home/.ssh/*"),
    Attack("read the mirror of another app", "cat {root}/cache/git/other.git/config"),
    Attack("read the environment of all processes", "cat /proc/[0-9]*/environ"),
    Attack("read its own", "env"),
    Attack("see processes of the machine", "cat /proc/[0-9]*/cmdline", never=("pytest",)),
    Attack(
        "reach a service on loopback",
        python('import socket; print(socket.create_connection(("127.0.0.1", {port}), 3).recv(99))'),
    ),
    Attack(
        "reach it by the other name",
        python('import socket; print(socket.create_connection(("localhost", {port}), 3).recv(99))'),
    ),
    Attack(
        "reach it by the gateway",
        python(
            'import socket, struct; gateway = open("/proc/net/route").read().split()[13]; '
            'host = socket.inet_ntoa(struct.pack("<L", int(gateway, 16))); '
            "print(socket.create_connection((host, {port}), 3).recv(99))"
        ),
    ),
    Attack(
        "reach the engine",
        "ls /var/run/docker.sock /run/docker.sock {root} && echo reached",
        never=("reached",),
    ),
    Attack("be root", "id --user; sudo id --user; su -c id", never=("\n0\n", "uid=0")),
    Attack(
        "get rights back",
        "unshare --user --map-root-user --mount mount -t tmpfs x /mnt && echo mounted; "
        "mount -t tmpfs x /mnt && echo mounted",
        never=("mounted",),
    ),
    Attack("make a device", "mknod /work/disk b 8 0 && echo made", never=("made",)),
    Attack("change the image", "touch /usr/bin/mvn /etc/x && echo changed", never=("changed",)),
    Attack(
        "change what it is given", "touch /in/x /in/source/x && echo changed", never=("changed",)
    ),
    Attack(
        "change extensions and classes",
        "touch /extensions/x && echo changed; touch /classes/x && echo changed",
        never=("changed",),
    ),
    Attack(
        "change the user's artifacts", "touch /repository/x && echo changed", never=("changed",)
    ),
    Attack(
        "write to the kernel",
        "echo 1 > /proc/sys/kernel/sysrq && echo written; "
        "echo h > /proc/sysrq-trigger && echo written",
        never=("written",),
    ),
    Attack("listen to the kernel", "dmesg > /dev/null && echo heard", never=("heard",)),
    Attack("leave a link for the result", "ln -sf {root}/home/.kube/config /work/found"),
]


def attack(machine: Machine, files: Mapping[str, str], script: str) -> str:
    """What a project's code finds out that runs ``x``."""
    filled = script.replace("{root}", str(machine.root)).replace("{port}", str(machine.port))
    text = f"exec > /work/found 2>&1\necho ran\n{filled}\n"
    try:
        return machine.build({**files, "x": text})
    except SlipwayError as error:
        return str(error)


@pytest.mark.parametrize("each", ATTACKS, ids=lambda each: each.name)
def test_attacks_by_a_plugin(machine: Machine, each: Attack) -> None:
    found = attack(machine, {"pom.xml": POM + ANTRUN}, each.script)
    assert [word for word in each.never if word in f"\n{found}"] == []
    assert found.startswith(RAN) or "link" in each.name, found


def test_an_option_of_the_jvm_runs_what_it_names_in_the_sandbox(machine: Machine) -> None:
    script = f"#!/bin/sh\n{{ id; cat {machine.root}/home/.kube/config; }} > /cache/ran 2>&1\n"
    write(machine.root / "checkout", {"pom.xml": POM, "x": script})
    (machine.root / "checkout" / "x").chmod(0o755)
    write(machine.root / "checkout", {".mvn/jvm.config": OUT_OF_MEMORY})
    with pytest.raises(SlipwayError):
        machine.build({})
    found = (MavenCache(machine.cache.maven / "web").own / "ran").read_text()
    assert "uid=65532" in found
    assert CANARY not in found


def test_an_extension_is_looked_for_in_the_sandbox(machine: Machine) -> None:
    with pytest.raises(SlipwayError, match=r"com\.example"):
        machine.build({"pom.xml": POM, ".mvn/extensions.xml": EXTENSION})
    own = MavenCache(machine.cache.maven / "web").own
    assert (own / "repository/com/example/none").exists()


def test_a_poisoned_artifact_is_for_its_own_repository_alone(machine: Machine) -> None:
    poison = "mkdir -p /cache/repository/p && echo poison > /cache/repository/p/a.jar"
    look = "cat /cache/repository/p/a.jar"
    files = {"pom.xml": POM + ANTRUN}
    assert attack(machine, files, poison) == RAN
    assert "poison" in attack(machine, files, look)
    write(machine.root / "checkout", {"x": f"#!/bin/sh\n{look} > /work/found 2>&1\n"})
    assert "poison" not in machine.build({}, repository="other")


def sandboxes() -> list[str]:
    """The sandboxes that run."""
    found = connect().containers.list(filters={"label": sandbox.LABEL}, ignore_removed=True)
    return [str(each.id) for each in found]


def test_nothing_of_a_build_goes_on(machine: Machine) -> None:
    before = sandboxes()
    mark = f"{os.getpid()}.5"
    stay = f"setsid nohup sleep 10{mark} > /dev/null 2>&1 &"
    assert attack(machine, {"pom.xml": POM + ANTRUN}, stay) == RAN
    lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert not any(f"sleep\x0010{mark}".encode() in line for line in lines)
    assert sandboxes() == before


def test_nothing_of_a_build_outlives_the_run_that_was_killed(machine: Machine) -> None:
    before = sandboxes()
    write(machine.root / "checkout", {"x": "sleep 1000\n"})
    child = os.fork()
    if child == 0:
        try:
            machine.build({"pom.xml": POM + ANTRUN})
        finally:
            os._exit(0)
    assert wait_until(lambda: len(sandboxes()) > len(before), 60)
    os.kill(child, 9)
    os.waitpid(child, 0)
    assert wait_until(lambda: sandboxes() == before, 30)


def test_a_fork_bomb_is_bounded(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maven_module, "BUILD_SECONDS", 40.0)
    bomb = "i=0; while :; do sleep 1000 & i=$((i+1)); echo $i; done"
    said = attack(
        machine, {"pom.xml": POM + ANTRUN}, f"({bomb}) > /work/all 2>&1; tail -n 1 /work/all"
    )
    assert "fork" in said
    assert attack(machine, {"pom.xml": POM + ANTRUN}, "true") == RAN


def test_memory_is_bounded(machine: Machine) -> None:
    eat = f'python3 -c \'x = bytearray({sandbox.MEMORY + (64 << 20)}); print("had", "it")\''
    assert "had it" not in attack(machine, {"pom.xml": POM + ANTRUN}, eat)


def test_time_is_bounded(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maven_module, "BUILD_SECONDS", 15.0)
    said = attack(machine, {"pom.xml": POM + ANTRUN}, "sleep 600")
    assert "mvn took longer than 15 s" in said


def test_words_without_end_are_not_kept(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maven_module, "BUILD_SECONDS", 20.0)
    write(machine.root / "checkout", {"pom.xml": POM + ANTRUN, "x": "exec yes\n"})
    with pytest.raises(SlipwayError) as caught:
        machine.build({})
    assert len(str(caught.value)) < 2 * sandbox.SAID


def test_builds_do_not_reach_one_another() -> None:
    network = connect().networks.get(sandbox.NETWORK)
    assert network.attrs["Options"]["com.docker.network.bridge.enable_icc"] == "false"
