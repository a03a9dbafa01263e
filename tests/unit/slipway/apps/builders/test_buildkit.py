"""How BuildKit is called, and how runs share its daemon; daemon and client are doubles."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from slipway.apps.app import BuildxBuild
from slipway.apps.builders import buildkit
from slipway.apps.builders.bases import Base, StoredImage
from slipway.apps.builders.buildkit import BuildKit, Daemon, Programs, command, free_range
from slipway.apps.builders.buildx import Buildx
from slipway.apps.builders.order import Order
from slipway.architecture import Architecture
from slipway.cache.layout import CacheLayout
from slipway.errors import SlipwayError
from slipway.interrupts import watched_signals
from slipway.oci import ImageConfig, ImageStore, layer_from_tree
from slipway.waiting import wait_until

BUILDKITD = f"""#!{sys.executable}
import os, signal, socket, sys, tomllib
settings = tomllib.load(open(sys.argv[2], "rb"))
path = settings["grpc"]["address"][0].removeprefix("unix://")
if os.path.exists(path):
    os.unlink(path)
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
with open(settings["root"] + "-started", "a") as started:
    started.write(str(os.getpid()) + "\\n")
listener.listen()
signal.pause()
"""

BUILDCTL = """#!/bin/sh
printf '%s\\n' "$@" >> "$LOG/argv"
env > "$LOG/environment"
"""


class Place:
    """Programs, a state folder, and what the programs were told."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.state = root / "state"
        self.log = root / "log"
        self.log.mkdir()
        plugins = [root / "cni" / "bridge"]
        self.programs = Programs(root / "buildkitd", root / "buildctl", root / "runc", plugins)
        self.program("buildkitd", BUILDKITD)
        self.program("buildctl", BUILDCTL)
        self.program("runc", "")
        (root / "cni").mkdir()
        self.program("cni/bridge", "")

    def program(self, name: str, text: str) -> None:
        """Put a program there."""
        (self.root / name).write_text(text)
        (self.root / name).chmod(0o755)

    def daemon(self) -> Daemon:
        """The daemon, as a new run has it."""
        return Daemon(self.programs, self.state)

    @property
    def started(self) -> int:
        """How often it was started."""
        return len((self.state / "root-started").read_text().split())

    def order(self, base: Base | None = None, **secrets: str) -> Order[BuildxBuild]:
        """To build a folder with a Dockerfile."""
        checkout, scratch = self.root / "checkout", self.root / "scratch"
        for folder in (checkout, scratch):
            folder.mkdir()
        (checkout / "Dockerfile").touch()
        return Order("web (main)", "web", checkout, BuildxBuild(), base, secrets, scratch)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setenv("LOG", str(tmp_path / "log"))
    with tempfile.TemporaryDirectory() as runtime:
        monkeypatch.setattr(buildkit, "RUNTIME_FOLDER", Path(runtime))
        yield Place(tmp_path)


def test_daemon_is_started_when_it_is_needed_and_stopped_afterwards(place: Place) -> None:
    with place.daemon() as daemon:
        assert not place.state.exists()
        daemon.start()
        daemon.start()
        assert daemon.answers()
    assert not daemon.answers()
    assert place.started == 1


def test_last_run_to_leave_stops_it(place: Place) -> None:
    with place.daemon() as second:
        with place.daemon() as first:
            first.start()
            second.start()
        assert second.answers()
        assert place.started == 1
    assert not second.answers()


def test_daemon_of_a_run_that_was_killed_is_taken_over(place: Place) -> None:
    killed = os.fork()
    if killed == 0:
        place.daemon().start()
        os._exit(0)
    os.waitpid(killed, 0)
    daemon = place.daemon()
    assert daemon.answers()
    with daemon:
        daemon.start()
        assert place.started == 1
    assert not daemon.answers()


@pytest.mark.parametrize("others", [False, True])
def test_daemon_ends_with_a_run_that_is_told_to_end_unless_others_use_it(
    place: Place, others: bool
) -> None:
    with ExitStack() as stack:
        if others:
            stack.enter_context(place.daemon()).start()
        run = os.fork()
        if run == 0:
            with watched_signals():
                place.daemon().start()
                (place.root / "ready").touch()
                signal.pause()
            os._exit(0)
        assert wait_until((place.root / "ready").exists, 20)
        os.kill(run, signal.SIGTERM)
        assert os.waitpid(run, 0)[1] == signal.SIGTERM
        assert place.daemon().answers() == others


def test_daemon_that_ended_by_itself(place: Place) -> None:
    with place.daemon() as daemon:
        daemon.start()
        daemon._stop()
    with place.daemon() as again:
        again.start()
        assert place.started == 2


def test_daemon_that_does_not_start(place: Place) -> None:
    place.program("buildkitd", "#!/bin/sh\necho no room >&2; exit 1\n")
    with place.daemon() as daemon, pytest.raises(SlipwayError, match="no room"):
        daemon.start()


def test_what_builds_said_is_forgotten(place: Place) -> None:
    with place.daemon() as daemon:
        daemon.start()
    assert (place.log / "argv").read_text().splitlines()[-1] == "prune-histories"


@pytest.mark.parametrize("missing", ["buildkitd", "buildctl", "runc", "cni/bridge"])
def test_bundle_without_a_program(place: Place, missing: str) -> None:
    assert place.programs.can_run()
    (place.root / missing).unlink()
    assert not place.programs.can_run()


def test_user_who_is_not_root(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert not place.programs.can_run()


def test_least_call() -> None:
    assert command(Path("/src"), BuildxBuild(), {}, None, {}) == [
        "--frontend=dockerfile.v0",
        "--local=context=/src",
        "--local=dockerfile=/src",
        "--opt=filename=Dockerfile",
    ]


def test_call_with_everything(tmp_path: Path) -> None:
    store = ImageStore(tmp_path / "store")
    layer = layer_from_tree({"file": b"x"})
    image = store.add_image("bundle.test/base:1", [layer], ImageConfig())
    build = BuildxBuild(dockerfile="docker/Run", target="run")
    call = command(Path("/src"), build, {"A": "x y"}, StoredImage(store, image), {"id": "VARIABLE"})
    assert call[2:] == [
        "--local=dockerfile=/src/docker",
        f"--oci-layout=base={store.root}",
        "--opt=filename=Run",
        f"--opt=context:bundle.test/base:1=oci-layout://base@{image.manifest_digest}",
        "--opt=target=run",
        "--opt=build-arg:A=x y",
        "--secret=id=id,env=VARIABLE",
    ]


FRONTENDS = {
    "docker/dockerfile": True,
    "docker/dockerfile:1": True,
    "docker/dockerfile:1.4": True,
    "docker/dockerfile:1.4.3-labs": True,
    "docker/dockerfile:1-experimental": True,
    "docker/dockerfile:experimental": True,
    "docker/dockerfile:labs": True,
    "docker/dockerfile:latest": True,
    "docker.io/docker/dockerfile:1": True,
    "docker/dockerfile-upstream:master": True,
    f"docker/dockerfile:1@sha256:{'a' * 64}": True,
    "docker/dockerfile:1 more": True,
    "docker/dockerfile:2": False,
    "docker/dockerfile:10": False,
    "example.com/docker/dockerfile:1": False,
    "example.com/other:1": False,
}


def has_own_frontend(folder: Path, text: str | bytes, **arguments: str) -> bool:
    (folder / "Dockerfile").write_bytes(text.encode() if isinstance(text, str) else text)
    call = command(folder, BuildxBuild(), arguments, None, {})
    return "--opt=cmdline=docker/dockerfile" in call


@pytest.mark.parametrize(("frontend", "own"), FRONTENDS.items())
def test_frontend_that_is_built_in_is_not_fetched(tmp_path: Path, frontend: str, own: bool) -> None:
    assert has_own_frontend(tmp_path, f"# syntax={frontend}\nFROM scratch\n") is own
    plain = "FROM scratch\n"
    assert has_own_frontend(tmp_path, plain, BUILDKIT_SYNTAX=frontend) is own


@pytest.mark.parametrize(
    "text",
    [
        "#syntax = {}",
        "# check=skip=all\n# syntax={}",
        "# escape=`\n#check=error=true\n#\tSYNTAX\t=\t{} ",
        "#!/usr/bin/env docker\n# syntax={}",
        "#!/bin/sh\n# escape=`\n# syntax={}",
        "\ufeff# syntax={}",
        "# syntax={}\r\n# escape=`\r",
        "# escape=\u00fc\n# syntax={}",
    ],
)
def test_frontend_is_asked_for_by_any_of_the_first_lines(tmp_path: Path, text: str) -> None:
    text = f"{text}\nFROM scratch\n"
    assert has_own_frontend(tmp_path, text.format("docker/dockerfile:1"))
    assert not has_own_frontend(tmp_path, text.format("example.com/other:1"))


@pytest.mark.parametrize(
    "text",
    [
        "FROM scratch",
        "# words\n# syntax=docker/dockerfile:1",
        "\n# syntax=docker/dockerfile:1",
        " # syntax=docker/dockerfile:1",
        "# other=x\n# syntax=docker/dockerfile:1",
        "# check=skip=all\nFROM scratch\n# syntax=docker/dockerfile:1",
        "",
        "#!",
    ],
)
def test_other_lines_ask_for_no_frontend(tmp_path: Path, text: str) -> None:
    assert not has_own_frontend(tmp_path, text)


def test_an_argument_asks_for_another_frontend_than_the_dockerfile(tmp_path: Path) -> None:
    text = "# syntax=docker/dockerfile:1\n"
    assert not has_own_frontend(tmp_path, text, BUILDKIT_SYNTAX="example.com/other:1")
    assert has_own_frontend(
        tmp_path, "# syntax=example.com/other:1\n", BUILDKIT_SYNTAX="docker/dockerfile"
    )


@pytest.mark.parametrize(
    "text",
    [
        "# syntax=example.com/other:1\nFROM scratch\n",
        "// syntax=example.com/other:1\nFROM scratch\n",
        "#!/bin/sh\n// check=skip=all\n// syntax=example.com/other:1 more words\n",
        '{"syntax": "example.com/other:1"}',
    ],
)
@pytest.mark.parametrize("builder", ["buildkit", "buildx"])
def test_a_foreign_frontend_is_not_run(place: Place, text: str, builder: str) -> None:
    order = place.order()
    (order.checkout / "Dockerfile").write_text(text)
    with place.daemon() as daemon, pytest.raises(SlipwayError) as caught:
        if builder == "buildkit":
            BuildKit(daemon, ImageStore(place.root / "images")).build(order)
        else:
            Buildx(CacheLayout(place.root / "cache"), place.root / "no-buildx").build(order)
    [problem] = caught.value.problems
    assert "asks for the frontend example.com/other:1, which is a foreign" in problem.what
    assert "docker/dockerfile:1" in problem.fix


def test_a_frontend_that_is_hidden_behind_a_long_text_is_foreign(place: Place) -> None:
    order = place.order()
    blanks = " " * buildkit.HEAD
    (order.checkout / "Dockerfile").write_text(f'{{{blanks}"syntax": "example.com/other:1"}}')
    with place.daemon() as daemon, pytest.raises(SlipwayError, match="a foreign program"):
        BuildKit(daemon, ImageStore(place.root / "images")).build(order)


def test_cache_mounts_are_those_of_the_repository(place: Place) -> None:
    order = place.order()
    args = {"BUILDKIT_CACHE_MOUNT_NS": "another"}
    with place.daemon() as daemon:
        kit = BuildKit(daemon, ImageStore(place.root / "images"))
        kit.build(replace(order, build=BuildxBuild(args=args)))
    said = (place.log / "argv").read_text().splitlines()
    found = [each for each in said if "CACHE_MOUNT" in each]
    assert found == ["--opt=build-arg:BUILDKIT_CACHE_MOUNT_NS=web"]


@pytest.mark.parametrize("architecture", [*Architecture])
def test_the_platform_is_asked_for_where_it_is_not_the_machine_s(
    place: Place, architecture: Architecture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slipway.apps.builders.buildkit.check", lambda *_: None)
    store = ImageStore(place.root / "images", architecture.platform)
    with place.daemon() as daemon:
        kit = BuildKit(daemon, store)
        kit.build(replace(place.order(), platform=architecture.platform))
        (place.root / "pulled").mkdir()
        kit.pull("docker.io/library/python:3.13", place.root / "pulled", {})
    said = (place.log / "argv").read_text().splitlines()
    asked = [each for each in said if each.startswith("--opt=platform")]
    foreign = architecture is not Architecture.here()
    assert asked == ([f"--opt=platform={architecture.platform}"] * 2 if foreign else [])


def test_steps_are_apart_from_the_machine_s_network_and_fetch_no_frontend(place: Place) -> None:
    with place.daemon() as daemon:
        daemon.start()
    settings = tomllib.loads((place.state / "buildkitd.toml").read_text())
    worker = settings["worker"]["oci"]
    assert worker["networkMode"] == "bridge"
    assert worker["cniBinaryPath"] == str(place.root / "cni")
    assert worker["bridgeSubnet"] in buildkit.RANGES
    assert settings["frontend"]["gateway.v0"] == {"enabled": False}
    assert "insecure-entitlements" not in settings


ROUTES = """Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT
eth0 00000000 010200C0 0003 0 0 0 00000000 0 0 0
{} 0010D10A 00000000 0001 0 0 0 00F0FFFF 0 0 0
"""


@pytest.mark.parametrize(
    ("device", "expected"), [("tun0", "172.30.0.0/16"), (buildkit.BRIDGE, "10.209.0.0/16")]
)
def test_builds_take_a_range_that_leads_nowhere_else(
    tmp_path: Path, device: str, expected: str
) -> None:
    (tmp_path / "route").write_text(ROUTES.format(device))
    assert free_range(tmp_path / "route") == expected


def test_layers_at_hand_are_there_before_and_git_is_not(place: Place) -> None:
    store = ImageStore(place.root / "images")
    image = store.add_image("a.test/b:1", [layer_from_tree({"file": b"x"})], ImageConfig())
    base_store = ImageStore(place.root / "bundle")
    base = base_store.add_image("a.test/base:1", [layer_from_tree({"f": b"y"})], ImageConfig())
    order = place.order(Base(base.ref, base.manifest_digest, lambda: StoredImage(base_store, base)))
    (order.checkout / ".git").mkdir()
    with place.daemon() as daemon:
        layout = BuildKit(daemon, store).build(order)
    linked = {path.name: path.stat() for path in (layout / "blobs" / "sha256").iterdir()}
    assert {stat.st_nlink for stat in linked.values()} == {1}
    assert linked.keys() == {
        each.layers[0].digest.removeprefix("sha256:") for each in (image, base)
    }
    assert [path.name for path in (order.scratch / "source").iterdir()] == ["Dockerfile"]
    said = (place.log / "argv").read_text()
    assert f"--output=type=oci,tar=false,compression=uncompressed,dest={layout}" in said
    assert "--opt=build-arg:BASE_IMAGE=a.test/base:1" in said


def test_secrets_are_in_the_clients_environment_and_nowhere_else(place: Place) -> None:
    with place.daemon() as daemon:
        kit = BuildKit(daemon, ImageStore(place.root / "images"))
        place.program("buildctl", BUILDCTL + "[ $2 != build ] || mv $LOG/environment $LOG/build\n")
        kit.build(place.order(npm="hidden-1234"))
    assert "--secret=id=npm,env=SLIPWAY_SECRET_0" in (place.log / "argv").read_text()
    environment = place.log / "build"
    assert "SLIPWAY_SECRET_0=hidden-1234" in environment.read_text().splitlines()
    environment.unlink()
    left = [path for path in place.root.rglob("*") if path.is_file()]
    assert not any(b"hidden-1234" in path.read_bytes() for path in left)


def test_folder_that_is_not_there(place: Place) -> None:
    order = place.order()
    lost = replace(order, build=BuildxBuild(context="lost"))
    with place.daemon() as daemon, pytest.raises(SlipwayError, match="has no folder lost"):
        BuildKit(daemon, ImageStore(place.root / "images")).build(lost)


@pytest.mark.parametrize(
    ("build", "links", "name"),
    [
        (BuildxBuild(), {"Dockerfile": "/etc/passwd"}, "Dockerfile"),
        (BuildxBuild(), {"Dockerfile": "/dev/zero"}, "Dockerfile"),
        (BuildxBuild(), {"Dockerfile": "one", "one": "../elsewhere/Dockerfile"}, "Dockerfile"),
        (BuildxBuild(dockerfile="a/Dockerfile"), {"a": "../elsewhere"}, "a/Dockerfile"),
        (BuildxBuild(context="a"), {"a": "../elsewhere"}, "a"),
        (BuildxBuild(context="a/b"), {"a": ".."}, "a/b"),
        (
            BuildxBuild(context="a", dockerfile="d"),
            {"a/d": "../../elsewhere/Dockerfile"},
            "a/d",
        ),
    ],
)
@pytest.mark.parametrize("builder", ["buildkit", "buildx"])
def test_what_leads_out_of_the_repository_gets_to_no_builder(
    place: Place, build: BuildxBuild, links: dict[str, str], name: str, builder: str
) -> None:
    (place.root / "scratch").mkdir()
    for folder in ("elsewhere", "b", "scratch/elsewhere", "scratch/b"):
        (place.root / folder).mkdir(exist_ok=True)
        (place.root / folder / "Dockerfile").touch()
    checkout = place.root / "checkout"
    for link, target in links.items():
        (checkout / link).parent.mkdir(parents=True, exist_ok=True)
        (checkout / link).symlink_to(target)
    order = Order("web (main)", "web", checkout, build, None, {}, place.root / "scratch")
    with place.daemon() as daemon, pytest.raises(SlipwayError) as caught:
        if builder == "buildkit":
            BuildKit(daemon, ImageStore(place.root / "images")).build(order)
        else:
            Buildx(CacheLayout(place.root / "cache"), place.root / "no-buildx").build(order)
    [problem] = caught.value.problems
    assert problem.where == "web (main)"
    assert problem.what == f"{name} cannot be read: it leads out of the repository"
    assert not (place.log / "argv").exists()


def test_links_within_the_repository_get_to_buildkit(place: Place) -> None:
    checkout = place.root / "checkout"
    (checkout / "real").mkdir(parents=True)
    (checkout / "real" / "one").write_text("FROM scratch")
    (checkout / "real" / "Dockerfile").symlink_to("one")
    (checkout / "context").symlink_to("real")
    (place.root / "scratch").mkdir()
    build = BuildxBuild(context="context")
    order = Order("web (main)", "web", checkout, build, None, {}, place.root / "scratch")
    with place.daemon() as daemon:
        BuildKit(daemon, ImageStore(place.root / "images")).build(order)
    said = (place.log / "argv").read_text()
    assert f"--local=context={place.root}/scratch/source/real" in said
