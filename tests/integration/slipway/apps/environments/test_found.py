"""The plan compares branches of real repositories with the cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from plugins.action import apps_plan
from slipway.apps.app import load
from slipway.kube.client import Kube
from tests.support.app_cluster import FakeApi, rolled_out_at_once
from tests.support.fake_ansible import action
from tests.support.git_samples import commit
from tests.support.leaving import A, B, run


@pytest.fixture(autouse=True)
def controllers(api: FakeApi) -> None:
    """Deployments are ready at once."""
    api.on_apply = rolled_out_at_once


def planned(kubeconfig: Path, folder: Path, *, check: bool = False) -> dict[str, Any]:
    """What the plan finds of a pattern over the repository ``web``."""
    (folder / "apps.yml").write_text(
        "version: 1\napps: [{name: greeter, git_url: web, git_branch: '*', branches: {max: 2}}]\n"
    )
    args = {
        "path": str(folder / "apps.yml"),
        "kubeconfig": str(kubeconfig),
        "cache": str(folder / "cache"),
    }
    result: dict[str, Any] = action(apps_plan.ActionModule, args, check=check).run()
    return result


def test_the_plan_compares_branches_with_the_cluster(
    kube: Kube, api: FakeApi, kubeconfig: Path, tmp_path: Path
) -> None:
    url = str(tmp_path / "web")
    run(kube, [structs.replace(app, git_url=url) for app in (A, B)])
    for branch in ("b", "c", "d"):
        commit(tmp_path / "web", {}, branch)
    api.requests.clear()
    result = planned(kubeconfig, tmp_path)
    assert [app.git_branch for app in load(result["apps"])] == ["b"]
    assert [left["git_branch"] for left in result["leaving"]] == ["a"]
    assert "no environment for c, d" in result["waiting"][0]
    assert {method for method, _path in api.requests} == {"GET"}
    assert planned(tmp_path / "none", tmp_path)["leaving"] == []


def test_a_cluster_that_does_not_answer_stops_the_plan_but_not_a_check(tmp_path: Path) -> None:
    """Without it, environments in their grace would be taken for none."""
    commit(tmp_path / "web", {}, "a")
    deaf = tmp_path / "kubeconfig"
    deaf.write_text(
        "current-context: a\n"
        "contexts: [{name: a, context: {cluster: a, user: a}}]\n"
        "clusters: [{name: a, cluster: {server: 'https://127.0.0.1:1'}}]\n"
        "users: [{name: a, user: {token: t}}]\n"
    )
    result = planned(deaf, tmp_path)
    assert (result["failed"], "does not answer" in result["msg"]) == (True, True)
    assert len(load(planned(deaf, tmp_path, check=True)["apps"])) == 1
