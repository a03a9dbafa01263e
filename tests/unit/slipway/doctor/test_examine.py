"""All checks together: what is looked at, and that nothing hides anything else."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, cast

import pytest

from slipway.architecture import Architecture
from slipway.bundle.archive import ArchiveProvider
from slipway.bundle.choice import Choice
from slipway.bundle.source import SourceProvider
from slipway.cache.layout import CacheLayout
from slipway.doctor import engine, examine, registries
from slipway.doctor.engine import Engine
from slipway.doctor.examine import Wanted, examined
from slipway.doctor.findings import Finding, Result, works
from slipway.errors import Problem, SlipwayError
from slipway.nodes.containers import NoRight
from slipway.preflight import Inventory
from tests.support.bundles import Maker, lock
from tests.support.machines import CONTAINERS, MACHINES, SOUND

ENGINE = Engine(
    {"Version": "26.1.5"},
    {"Driver": "overlay2", "CgroupDriver": "systemd", "DockerRootDir": "/srv/docker"},
    {},
    {},
)


@pytest.fixture(autouse=True)
def this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine with all tools and an engine; gives the folder of its programs."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("docker", "dockerd", "iptables"):
        (folder / name).write_text("#!/bin/sh\nexit 1\n")
        (folder / name).chmod(0o755)
    servers = tmp_path / "resolv.conf"
    servers.write_text("nameserver 192.0.2.53\n")
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr(engine, "read", lambda _cluster: ENGINE)
    monkeypatch.setattr("slipway.nodes.containers.resolv_conf", lambda _given: servers)
    return folder


@dataclass
class Bundles:
    """A provider of bundles that says what is asked of it."""

    root: Path
    needs: tuple[str, ...] = ()
    architecture: Architecture = Architecture.AMD64
    problem: str = ""
    versions: ClassVar = {"kubernetes": "1.36.3", "go": "1.26.6", "debian": "trixie"}

    @property
    def cache(self) -> CacheLayout:
        """Where they are."""
        return CacheLayout(self.root)

    @property
    def tools(self) -> tuple[str, ...]:
        """What makes it."""
        foreign = self.architecture is not Architecture.AMD64
        return (*self.needs, *(["c_compiler_arm64"] if foreign else []))

    @property
    def key(self) -> str:
        """The bundle's key."""
        if self.problem:
            raise SlipwayError(Problem("go.mod", self.problem))
        return "0123456789abcdef" if self.architecture is Architecture.AMD64 else "fedcba9876543210"

    def to_make(self) -> list[Any]:
        """What is to be fetched."""
        return [SimpleNamespace(lane="packages")]


def choices(bundles: Bundles) -> examine.Bundles:
    """All bundles come from there."""
    why = "from source, as no archive is named"
    return lambda architectures: {
        each: Choice(cast(SourceProvider, replace(bundles, architecture=each)), why)
        for each in architectures
    }


def of_archive(cache: Path, archive: Path) -> examine.Bundles:
    """This machine's comes from an archive."""
    provider = ArchiveProvider(lock(cache), str(archive))
    return lambda _architectures: {Architecture.AMD64: Choice(provider, "from the archive")}


def wanted(tmp_path: Path, **changes: Any) -> Wanted:
    """A cluster of containers with its bundle."""
    apps = tmp_path / "apps.yml"
    apps.write_text(
        "version: 1\n"
        "apps:\n"
        "  - name: a\n"
        "    git_url: /a.git\n"
        "    ingress: {host: a.test, rules: [{path: /}]}\n"
    )
    (tmp_path / "cache" / "bundle" / "0123456789abcdef").mkdir(parents=True)
    sound = Wanted(
        cluster="slipway",
        inventory=CONTAINERS,
        workers=["worker"],
        apps_file=apps,
        secrets={},
        kubeconfig=tmp_path / "kubeconfig.yaml",
        version="1.36.3",
        cache=tmp_path / "cache",
        bundles=choices(Bundles(tmp_path / "cache")),
        kept=[tmp_path / "cache"],
        tools=["docker"],
        names=False,
    )
    return replace(sound, **changes)


def sound(_places: Mapping[str, str]) -> dict[str, Any]:
    """Facts on which everything will do."""
    return {"facts": SOUND, "unknown": {}}


def by_check(findings: list[Finding], machine: str = "localhost") -> dict[str, str]:
    """The state of each check of a machine."""
    return {each.check: str(each.state) for each in findings if each.machine == machine}


def test_where_everything_will_do_everything_was_looked_at(tmp_path: Path) -> None:
    found = by_check(examined(wanted(tmp_path), sound))
    assert {*found.values()} == {"ok"}
    assert [*found] == [
        *("inventory", "cluster", "published ports", "registries of nodes", "people", "apps file"),
        *("bundle", "engine"),
        *("system", "processor", "kernel", "modules", "control groups", "python"),
        *("cores", "memory", "swap", "limits", "inotify", "room", "file systems"),
        *("forwarding", "firewall", "ranges", "tools", "folders", "name servers"),
        *(f"engine {each}" for each in ("version", "storage", "rights")),
        *(f"engine {each}" for each in ("names", "networks", "addresses")),
    ]


def test_the_places_that_are_looked_at_are_the_cache_and_the_engine_s_own(tmp_path: Path) -> None:
    seen: dict[str, str] = {}

    def look(places: Mapping[str, str]) -> dict[str, Any]:
        seen.update(places)
        return sound(places)

    examined(wanted(tmp_path), look)
    assert seen == {"cache": str(tmp_path / "cache"), "engine": "/srv/docker"}


def test_what_is_wrong_in_one_part_hides_nothing_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(_cluster: str) -> Engine:
        raise SlipwayError(Problem("Docker", "no right to use its socket"))

    monkeypatch.setattr(engine, "read", silent)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    (tmp_path / "vars").mkdir()
    (tmp_path / "vars/all.yml").write_text("pool: 1\npool: 2\n")
    asked = registries.Source("Debian's packages", [], "let it be reached")
    monkeypatch.setattr(registries, "sources", lambda *_, **__: [asked])
    broken = wanted(
        tmp_path,
        inventory=replace(CONTAINERS, pool=[]),
        variables=[tmp_path / "vars"],
        apps_file=tmp_path / "none.yml",
        registries={"registry.test": {"user": "ada"}},
        people={"ada": None},
        bundles=choices(Bundles(tmp_path / "other")),
        tools=["git"],
    )

    def unread(_places: Mapping[str, str]) -> dict[str, Any]:
        facts = {name: fact for name, fact in SOUND.items() if name != "memory"}
        return {"facts": facts | {"cores": 1}, "unknown": {"memory": "no /proc"}}

    findings = examined(broken, unread)
    found = by_check(findings)
    wrong = [each.found for each in findings if each.check == "inventory"]
    assert wrong == ["pool stands here again, after line 1", "has no address"]
    assert {check: state for check, state in found.items() if state != "ok"} == {
        "inventory": "fail",
        "registries of nodes": "fail",
        "people": "fail",
        "apps file": "fail",
        "engine": "fail",
        "cores": "fail",
        "memory": "warn",
        "swap": "warn",
        "tools": "fail",
        "sources": "fail",
    }


@pytest.mark.parametrize(
    ("lacks", "user", "apt", "install"),
    [
        (["maven"], 0, True, True),
        (["maven"], 0, False, False),
        (["maven"], 1000, True, False),
        ([], 0, True, False),
    ],
)
def test_packages_are_asked_for_where_a_run_installs_some(
    lacks: list[str],
    user: int,
    apt: bool,
    install: bool,
    tmp_path: Path,
    this_machine: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[bool] = []

    def sources(*_: object, install: bool) -> list[registries.Source]:
        asked.append(install)
        return []

    monkeypatch.setattr(registries, "sources", sources)
    monkeypatch.setattr("os.geteuid", lambda: user)
    if apt:
        (this_machine / "apt-get").touch(mode=0o755)
    bundles = choices(Bundles(tmp_path / "other"))
    examined(wanted(tmp_path, bundles=bundles, tools=["docker", *lacks]), sound)
    assert asked == [install]


def test_a_bundle_that_is_still_to_be_made_takes_more_tools(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registries, "sources", lambda *_, **__: [])
    there = examined(wanted(tmp_path), sound)
    bundles = choices(Bundles(tmp_path / "other", ("mmdebstrap",)))
    still = examined(wanted(tmp_path / "bin", bundles=bundles), sound)
    assert [by_check(each)["tools"] for each in (there, still)] == ["ok", "fail"]
    said = [next(f.found for f in each if f.check == "bundle") for each in (there, still)]
    assert said == ["is there", "a run has it from source, as no archive is named"]


def test_of_an_archive_that_is_at_hand_nothing_else_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[registries.Source] = []

    def answers(found: list[registries.Source], _seconds: float) -> list[Result]:
        asked.extend(found)
        return []

    monkeypatch.setattr(registries, "answers", answers)
    monkeypatch.setattr("slipway.bundle.source.TOOLS", ("mmdebstrap",))
    archive = Maker(tmp_path / "made")()
    named = of_archive(tmp_path / "other", archive)
    found = examined(wanted(tmp_path, bundles=named), sound)
    assert {*by_check(found).values()} == {"ok"}
    assert [each.found for each in found if each.check == "bundle"] == [
        "a run has it from the archive"
    ]
    assert asked == []


def test_an_archive_that_will_not_do_is_a_finding(tmp_path: Path) -> None:
    named = of_archive(tmp_path / "other", tmp_path / "none")
    found = examined(wanted(tmp_path, bundles=named), sound)
    (failed,) = (each for each in found if each.state == "fail")
    assert (failed.check, failed.found) == ("bundle", "No such file or directory")


def test_a_lock_that_does_not_fit_the_checkout_is_a_finding_like_any_other(tmp_path: Path) -> None:
    bundles = Bundles(tmp_path / "cache", problem="pins another version")
    found = examined(wanted(tmp_path, bundles=choices(bundles)), sound)
    (failed,) = (each for each in found if each.state == "fail")
    assert (failed.check, failed.where, failed.found) == ("bundle", "go.mod", bundles.problem)
    assert by_check(found)["memory"] == "ok"


@pytest.mark.parametrize(
    ("user", "said", "expected"),
    [
        (0, "no engine answers: No such file", "ok"),
        (1000, "no engine answers: No such file", "fail"),
        (0, "no engine answers: Read timed out.", "fail"),
    ],
)
def test_an_engine_that_does_not_answer_is_started_by_root_unless_one_is_stuck(
    user: int, said: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(_cluster: str) -> Engine:
        raise SlipwayError(Problem("Docker", said))

    monkeypatch.setattr(engine, "read", silent)
    monkeypatch.setattr("os.geteuid", lambda: user)
    assert by_check(examined(wanted(tmp_path), sound))["engine"] == expected


@pytest.mark.parametrize(("inventory", "expected"), [(CONTAINERS, "fail"), (MACHINES, "warn")])
def test_only_nodes_and_dockerfiles_need_the_right_to_an_engine(
    inventory: Inventory, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(_cluster: str) -> Engine:
        raise NoRight(Problem("Docker", "no right to use its socket", "join the group"))

    monkeypatch.setattr(engine, "read", refuses)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert by_check(examined(wanted(tmp_path, inventory=inventory), sound))["engine"] == expected


def test_an_engine_on_another_machine_can_have_no_nodes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.5:2375")
    found = by_check(examined(wanted(tmp_path), sound))
    assert found["engine"] == "fail"
    assert "engine version" not in found
    machines = wanted(tmp_path / "bin", inventory=MACHINES)
    assert by_check(examined(machines, sound))["engine"] == "ok"


def test_of_an_engine_that_is_not_installed_the_tools_are_told_alone(
    tmp_path: Path, this_machine: Path
) -> None:
    for name in ("docker", "dockerd"):
        (this_machine / name).unlink()
    found = by_check(examined(wanted(tmp_path), sound))
    assert "engine" not in found
    assert found["tools"] == "fail"


def seen_node(**changes: Any) -> dict[str, Any]:
    """What machine_look returns of a bare machine that will do."""
    state = {"failure": "", "state": "bare", "refusals": [], "skew": 0.0}
    return {**state, "facts": SOUND, "unknown": {}, **changes}


def test_machines_are_looked_at_beside_this_one(tmp_path: Path) -> None:
    own = {
        "addresses": [{"address": "192.0.2.21", "length": 24, "device": "eth0"}],
        "identity": {"hostname": "worker", "machine_id": "48a8830efcc0445995bc54950b7bc3b9"},
    }
    machines = {"control": seen_node(), "worker": seen_node(facts=SOUND | own)}
    lab = wanted(tmp_path, inventory=MACHINES, nodes=machines)
    findings = examined(lab, sound)
    assert works(findings)
    assert "engine names" not in by_check(findings)
    of_node = by_check(findings, "worker")
    assert {"node", "clock", "address", "memory", "kernel"} <= of_node.keys()
    assert {*of_node.values()} == {"ok"}


def test_for_nodes_with_another_processor_there_is_to_be_a_bundle_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registries, "sources", lambda *_, **__: [])
    arm = SOUND | {"system": SOUND["system"] | {"processor": "aarch64"}}
    machines = {"control": seen_node(), "worker": seen_node(facts=arm)}
    lab = wanted(tmp_path, inventory=MACHINES, nodes=machines)
    findings = examined(lab, sound)
    assert by_check(findings, "worker")["processor"] == "warn"
    own, other, tools = (each for each in findings if each.check in ("bundle", "tools"))
    assert own.found == "is there"
    assert other.found == "arm64: a run has it from source, as no archive is named"
    assert (str(tools.state), "c_compiler_arm64" in tools.found) == ("fail", True)
    (tmp_path / "cache" / "bundle" / "fedcba9876543210").mkdir()
    there = examined(lab, sound)
    assert {by_check(there)[each] for each in ("bundle", "tools")} == {"ok"}


def test_a_machine_that_is_not_reached_hides_no_other(tmp_path: Path) -> None:
    machines = {"control": {"failure": "Connection refused"}, "worker": seen_node()}
    findings = examined(wanted(tmp_path, inventory=MACHINES, nodes=machines), sound)
    assert by_check(findings, "control") == {"reached": "fail"}
    assert by_check(findings, "worker")["memory"] == "ok"


def key(owner: str) -> dict[str, str]:
    """An SSH host key that nobody has looked at."""
    found = {"owner": owner, "name": owner, "fingerprint": f"SHA256:{owner}"}
    return {**found, "line": f"{owner} k", "file": "/known_hosts", "known": "", "known_in": ""}


def test_host_keys_of_all_machines_are_one_finding_before_those_of_machines(
    tmp_path: Path,
) -> None:
    machines = {
        name: {"failure": "x", "reached": False, "host_key": key(name)}
        for name in ("control", "worker")
    }
    findings = examined(wanted(tmp_path, inventory=MACHINES, nodes=machines), sound)
    (failed,) = (each for each in findings if each.state == "fail")
    assert (failed.machine, failed.check, failed.where) == ("localhost", "host keys", "SSH")
    assert "control: SHA256:control" in failed.found
    assert "worker: SHA256:worker" in failed.found


ODD: dict[str, Any] = {
    "system": SOUND["system"] | {"kernel": "4.18.0", "id": "rocky", "like": ["rhel"]},
    "lacking": ["ip"],
    "selinux": {"enforces": True, "knows_containers": False},
    "firewalld": {"default": "public", "zones": ["public", "  interfaces: eth0"]},
    "ufw": {"status": ["Status: active"], "added": []},
    "ways": dict.fromkeys(SOUND["ways"], ""),
}
"""Much that keeps a machine from becoming a node."""


@pytest.mark.parametrize(("state", "expected"), [("bare", "fail"), ("member", "warn")])
def test_all_that_is_wrong_is_told_at_once_and_a_node_of_a_cluster_works_with_it(
    state: str, expected: str, tmp_path: Path
) -> None:
    machines = {"control": seen_node(facts=SOUND | ODD, state=state)}
    findings = examined(wanted(tmp_path, inventory=MACHINES, nodes=machines), sound)
    told = [each.check for each in findings if each.machine == "control" and each.state == expected]
    assert [each for each in told if each != "system"] == [
        *("kernel", "programs", "selinux", "firewalld", "ufw", "segment", "segment")
    ]


def test_an_engine_that_does_not_run_has_the_nodes_of_the_cluster_that_was_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(_cluster: str) -> Engine:
        raise SlipwayError(Problem("Docker", "no engine answers"))

    monkeypatch.setattr(engine, "read", silent)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    few = {name: {**each, "free": 3 << 30} for name, each in SOUND["places"].items()}
    there = wanted(tmp_path)

    def look(_places: Mapping[str, str]) -> dict[str, Any]:
        return {"facts": SOUND | {"places": few}, "unknown": {}}

    assert by_check(examined(there, look))["room"] == "fail"
    there.kubeconfig.touch()
    assert by_check(examined(there, look))["room"] == "ok"


@pytest.mark.parametrize(("names", "expected"), [(True, "warn"), (False, None)])
def test_hosts_are_looked_up_where_that_is_wanted(
    names: bool, expected: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def resolved(hosts: list[str]) -> dict[str, set[str]]:
        asked.append(hosts)
        return {host: set() for host in hosts}

    monkeypatch.setattr("slipway.doctor.control_node.resolved", resolved)
    found = by_check(examined(wanted(tmp_path, names=names), sound))
    assert found.get("hosts") == expected
    assert asked == ([["a.test"]] if names else [])


def test_hosts_of_a_file_with_mistakes_are_not_looked_up(tmp_path: Path) -> None:
    broken = wanted(tmp_path, names=True, apps_file=tmp_path / "none.yml")
    found = by_check(examined(broken, sound))
    assert found["apps file"] == "fail"
    assert "hosts" not in found
