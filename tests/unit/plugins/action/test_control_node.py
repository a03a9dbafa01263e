"""The action plugins that work on this machine and on the API: what they ask, and check mode."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from plugins.action import addon, preflight, tools
from slipway.control_node import tools as library
from slipway.errors import Problem, SlipwayError
from slipway.kube.client import Object, Unreachable
from tests.support.fake_ansible import action

POOL = "kind: IPAddressPool\nmetadata: {name: slipway}\n"
CONFIG = "kind: ConfigMap\nmetadata: {name: a}\n---\nkind: ConfigMap\nmetadata: {name: b}\n"


class FakeApplier:
    """Notes what is applied and waited for; gives what was prepared."""

    def __init__(self, changed: list[str], problem: SlipwayError | None = None) -> None:
        self.changed = changed
        self.problem = problem
        self.did: list[tuple[str, list[str]]] = []

    def __call__(self, _kube: object, timeout: float) -> FakeApplier:
        """As the class Applier."""
        assert timeout == 120
        return self

    def apply(self, objects: list[Object], *, dry_run: bool) -> list[str]:
        """Note."""
        self._note("check" if dry_run else "apply", objects)
        if self.problem:
            raise self.problem
        return self.changed

    def wait(self, objects: list[Object]) -> None:
        """Note."""
        self._note("wait", objects)

    def _note(self, what: str, objects: list[Object]) -> None:
        self.did.append((what, [obj["metadata"]["name"] for obj in objects]))


def addon_run(
    monkeypatch: pytest.MonkeyPatch,
    kubeconfig: Path,
    applier: FakeApplier,
    *,
    check: bool = False,
    **args: Any,
) -> dict[str, Any]:
    """Run addon with a cluster that ``applier`` stands for."""
    monkeypatch.setattr(addon, "Applier", applier)
    plugin = action(addon.ActionModule, {"kubeconfig": str(kubeconfig), **args}, check=check)
    result: dict[str, Any] = plugin.run()
    return result


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    """A kubeconfig of a cluster that is never asked."""
    path = tmp_path / "kubeconfig"
    path.write_text(
        "current-context: a\n"
        "contexts: [{name: a, context: {cluster: a, user: a}}]\n"
        "clusters: [{name: a, cluster: {server: 'https://127.0.0.1:1'}}]\n"
        "users: [{name: a, user: {token: t}}]\n"
    )
    return path


def test_manifests_of_files_and_texts_are_applied(
    monkeypatch: pytest.MonkeyPatch, kubeconfig: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.yaml").write_text(CONFIG)
    applier = FakeApplier(["IPAddressPool/slipway"])
    files = [str(tmp_path / "a.yaml")]
    result = addon_run(monkeypatch, kubeconfig, applier, files=files, manifests=[POOL])
    assert (result["changed"], result["applied"]) == (True, ["IPAddressPool/slipway"])
    assert applier.did == [("apply", ["a", "b", "slipway"])]


def test_the_add_on_is_waited_for_if_that_is_asked(
    monkeypatch: pytest.MonkeyPatch, kubeconfig: Path
) -> None:
    applier = FakeApplier([])
    result = addon_run(monkeypatch, kubeconfig, applier, manifests=[POOL], wait=True)
    assert result["changed"] is False
    assert applier.did == [("apply", ["slipway"]), ("wait", ["slipway"])]


def test_a_check_of_an_add_on_waits_for_nothing(
    monkeypatch: pytest.MonkeyPatch, kubeconfig: Path
) -> None:
    applier = FakeApplier(["IPAddressPool/slipway"])
    result = addon_run(monkeypatch, kubeconfig, applier, check=True, manifests=[POOL], wait=True)
    assert result["changed"]
    assert applier.did == [("check", ["slipway"])]


def test_before_there_is_a_cluster_a_check_says_that_all_is_new(
    monkeypatch: pytest.MonkeyPatch, kubeconfig: Path, tmp_path: Path
) -> None:
    args: dict[str, Any] = {"manifests": [CONFIG]}
    result = addon_run(monkeypatch, tmp_path / "none", FakeApplier([]), check=True, **args)
    assert (result["changed"], result["applied"]) == (True, ["ConfigMap/a", "ConfigMap/b"])

    down = FakeApplier([], Unreachable(Problem("api", "does not answer")))
    assert addon_run(monkeypatch, kubeconfig, down, check=True, **args)["changed"]
    assert addon_run(monkeypatch, kubeconfig, down, **args)["msg"] == "api: does not answer"

    args = {"files": [str(tmp_path / "to-be-made.yaml")]}
    assert addon_run(monkeypatch, kubeconfig, FakeApplier([]), check=True, **args)["changed"]


def test_a_check_tells_what_the_api_refuses(
    monkeypatch: pytest.MonkeyPatch, kubeconfig: Path
) -> None:
    applier = FakeApplier([], SlipwayError(Problem("api", "refuses")))
    result = addon_run(monkeypatch, kubeconfig, applier, check=True, manifests=[POOL])
    assert result["failed"]
    assert result["msg"] == "api: refuses"


SOUND = {
    "nodes": {"control": "192.0.2.1"},
    "control_plane": ["control"],
    "pool": ["192.0.2.200-192.0.2.220"],
    "pod_subnet": "10.244.0.0/16",
    "service_subnet": "10.96.0.0/16",
}


def test_a_sound_inventory_and_file_pass(tmp_path: Path) -> None:
    path = tmp_path / "apps.yml"
    path.write_text("version: 1\napps:\n  - {name: a, git_url: /a.git}\n")
    result = action(preflight.ActionModule, {**SOUND, "apps_file": str(path)}).run()
    assert result["changed"] is False
    assert "failed" not in result


def test_mistakes_of_inventory_and_file_are_told_together(tmp_path: Path) -> None:
    args = {**SOUND, "pool": [], "apps_file": str(tmp_path / "apps.yml")}
    result = action(preflight.ActionModule, args).run()
    assert result["failed"]
    first, second = (line for line in result["msg"].splitlines() if "fix:" not in line)
    assert first == "inventory metallb_pool: has no address"
    assert second == f"{tmp_path}/apps.yml: cannot be read: No such file or directory"


def test_groups_and_the_cluster_s_version_are_told_with_everything_else(
    monkeypatch: pytest.MonkeyPatch, kubeconfig: Path, tmp_path: Path
) -> None:
    monkeypatch.setattr("slipway.kube.client.Kube.version", lambda _kube: "v1.35.4")
    monkeypatch.setattr("slipway.kube.nodes.nodes_of", lambda _kube: {})
    args = {
        **SOUND,
        "nodes": {"control": "192.0.2.1", "second": "192.0.2.1"},
        "control_plane": ["control", "second"],
        "workers": ["second"],
        "apps_file": str(tmp_path / "apps.yml"),
        "kubeconfig": str(kubeconfig),
        "version": "1.36.3",
    }
    result = action(preflight.ActionModule, args).run()
    told = [line.partition(": ")[0] for line in result["msg"].splitlines() if "fix:" not in line]
    assert told == [
        "inventory second",
        "inventory control_plane",
        "inventory second.node_address",
        "slipway_versions.kubernetes",
        f"{tmp_path}/apps.yml",
    ]


class FakeEngine:
    """An engine that notes what is done to it."""

    def __init__(self, *, answers: bool = False, ours: bool = False, in_use: bool = False) -> None:
        self._answers = answers
        self._ours = ours
        self._in_use = in_use
        self.installed = True
        self.did: list[str] = []

    def answers(self) -> bool:
        """As prepared; nothing can be asked without its command."""
        assert self.installed
        return self._answers

    def install(self, names: Iterable[str], _say: object) -> None:
        """Note."""
        self.did.append(f"install {' '.join(names)}")
        self.installed = True

    def is_ours(self) -> bool:
        """As prepared."""
        return self._ours

    def start(self, _say: object) -> None:
        """Note."""
        self.did.append("start")

    def stop(self) -> None:
        """Note."""
        self.did.append("stop")

    def has_containers(self) -> bool:
        """As prepared."""
        return self._in_use


def tools_run(
    monkeypatch: pytest.MonkeyPatch,
    engine: FakeEngine,
    wanted: str,
    *,
    check: bool = False,
    missing: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Run tools on a machine that lacks ``missing``."""
    engine.installed = not missing
    monkeypatch.setattr(library, "Engine", lambda _state: engine)
    monkeypatch.setattr(library, "missing", lambda _names: list(missing))
    monkeypatch.setattr(library, "install", engine.install)
    args = {"names": ["docker"], "engine": wanted, "cache": "/cache"}
    result: dict[str, Any] = action(tools.ActionModule, args, check=check).run()
    return result


@pytest.mark.parametrize(
    ("engine", "wanted", "missing", "did", "changed"),
    [
        (FakeEngine(), "any", (), [], False),
        (FakeEngine(), "any", ("docker",), ["install docker"], True),
        (FakeEngine(answers=True), "started", (), [], False),
        (FakeEngine(), "started", (), ["start"], True),
        (FakeEngine(), "started", ("docker",), ["install docker", "start"], True),
        (FakeEngine(answers=True), "stopped", (), [], False),
        (FakeEngine(answers=True, ours=True), "stopped", (), ["stop"], True),
        (FakeEngine(answers=True, ours=True, in_use=True), "stopped", (), [], False),
    ],
)
def test_tools_and_engine_come_to_be_as_wanted(
    monkeypatch: pytest.MonkeyPatch,
    engine: FakeEngine,
    wanted: str,
    missing: tuple[str, ...],
    did: list[str],
    changed: bool,
) -> None:
    foreseen = tools_run(monkeypatch, engine, wanted, check=True, missing=missing)
    assert (foreseen["changed"], engine.did) == (changed, [])
    result = tools_run(monkeypatch, engine, wanted, missing=missing)
    assert (result["changed"], result["installed"], engine.did) == (changed, list(missing), did)
