"""The action plugins that work on this machine and on the API: what they ask, and check mode."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from plugins.action import addon
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
