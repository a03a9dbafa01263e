"""What a check says that a run would do, and that it does nothing."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from plugins.action import apps_deploy, apps_list, apps_verify
from slipway.apps.app import App, Failure, load, save
from slipway.apps.deploy.deploy import Outcome, deploy
from slipway.apps.deploy.dry_run import Intent, before_the_cluster, table
from slipway.apps.verify import Proof
from slipway.kube.client import Kube
from tests.support.app_cluster import FakeApi, rolled_out_at_once
from tests.support.apps import built, sourced
from tests.support.fake_ansible import action

APPS = [built(), built(branch="feature"), built("quote", config_files=[])]
UNBUILT = [sourced(), sourced(branch="feature"), sourced("quote", config_files=[])]
NODES = {
    "one": {"labels": {}, "schedulable": True},
    "two": {"labels": {"disk": "fast"}, "schedulable": True},
    "control": {"labels": {"disk": "fast"}, "schedulable": False},
}


@pytest.fixture(autouse=True)
def controllers(api: FakeApi) -> None:
    """Deployments are ready at once."""
    api.on_apply = rolled_out_at_once


def run(kube: Kube, apps: Iterable[App], *, dry_run: bool = True) -> Outcome:
    return deploy(
        kube,
        apps,
        "nginx",
        secrets={},
        ca_dir=Path("/nowhere"),
        seconds=10,
        say=print,
        dry_run=dry_run,
    )


def would(outcome: Outcome) -> dict[str, list[str]]:
    return {intent.id: list(intent.would) for intent in outcome.intents if intent.would}


def test_all_is_new_in_an_empty_cluster_and_nothing_is_written(kube: Kube, api: FakeApi) -> None:
    outcome = run(kube, APPS)
    everything = ["roll", "update", "route"]
    assert would(outcome) == dict.fromkeys((app.id for app in APPS), everything)
    assert (api.writes, api.objects) == ([], {})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, None),
        ({"image": "apps.slipway.internal/greeter:main-fedcba987654"}, ["roll"]),
        ({"commit": "f" * 40}, ["update"]),
        ({"replicas": 2}, ["update"]),
        ({"config_files": [{"path": "/a", "content": "b"}]}, ["roll", "update"]),
        ({"ingress": None}, ["route"]),
        ({"port": 9000}, ["roll"]),
    ],
)
def test_a_change_in_words(
    kube: Kube, api: FakeApi, change: dict[str, Any], words: list[str] | None
) -> None:
    run(kube, APPS, dry_run=False)
    before = dict(api.objects)
    api.requests.clear()
    outcome = run(kube, [built(**change), *APPS[1:]])
    assert would(outcome) == ({APPS[0].id: words} if words else {})
    assert (api.writes, api.objects) == ([], before)


def test_what_left_is_removed(kube: Kube, api: FakeApi) -> None:
    run(kube, APPS, dry_run=False)
    *_, removal = run(kube, APPS[:2]).intents
    assert removal == Intent("quote-main/quote", "quote", "quote-main", "main", ("remove",))
    assert would(run(kube, APPS[:2])) == {"quote-main/quote": ["remove"]}


def test_one_that_is_yet_to_be_built_rolls(kube: Kube, api: FakeApi) -> None:
    run(kube, APPS[:1], dry_run=False)
    outcome = run(kube, UNBUILT[:2])
    assert would(outcome) == {APPS[0].id: ["roll"], APPS[1].id: ["roll", "route"]}


def lines(apps: Iterable[App], *intents: Intent, **given: Any) -> list[str]:
    found = {"pending": [], "nodes": NODES, "loaded": {}, **given}
    return [line.split("  ")[-1] for line in table(apps, intents, **found)[1:]]


def intent(app: App, *words: str) -> Intent:
    return Intent(app.id, app.name, app.namespace, app.git_branch, words)


def test_the_table_puts_all_steps_together() -> None:
    fast = sourced(node_selector={"disk": "fast"})
    slow = sourced(node_selector={"disk": "none"})
    broken = structs.replace(APPS[2], failed=Failure("source", "no answer\nat all"))
    removal = Intent("old-x/old", "old", "old-x", "x", ("remove",))
    loaded = {"one": [APPS[0].image], "two": [APPS[0].image], "control": []}
    assert lines([fast], intent(fast, "roll"), pending=[fast.id]) == ["build, load to two, roll"]
    assert lines([slow], intent(slow, "roll"), pending=[slow.id]) == [
        "build, load to its nodes, roll"
    ]
    assert lines([APPS[0]], intent(APPS[0], "roll", "route"), loaded=loaded) == [
        "load to one and two, roll, route"
    ]
    assert lines([APPS[1]], intent(APPS[1]), loaded=loaded) == ["nothing"]
    with_cache = built(carried=[{"named": "redis", "image": "redis:1"}])
    assert lines([with_cache], intent(with_cache), loaded={"two": ["redis:1"]}) == ["load to two"]
    waiting = built(carried=[{"named": "redis", "image": ""}])
    assert lines([waiting], intent(waiting, "update"), pending=[waiting.id]) == [
        "fetch images of its manifests, update"
    ]
    assert lines([broken], intent(broken)) == ["FAIL at source: no answer"]
    assert lines([], removal) == ["remove"]


def test_the_table_shows_what_the_operator_applies_for_an_app() -> None:
    entry = {"content": "", "allow_kinds": ["Role", "ClusterRole"]}
    app = built(manifests=[entry])
    [_heading, line] = table([app], before_the_cluster([app]), [], {}, {})
    assert line.endswith("roll, route; may bring ClusterRole, Role, applied by the operator")


def test_the_table_shows_what_an_app_may_do_by_the_api() -> None:
    app = built(rbac=[{"resources": ["pods", "secrets"], "verbs": ["get", "list"]}])
    [_heading, line] = table([app], before_the_cluster([app]), [], {}, {})
    assert line.endswith("roll, route; may get, list pods, secrets of its namespace")


def test_before_there_is_a_cluster_everything_is_to_be_done() -> None:
    broken = structs.replace(APPS[2], failed=Failure("source", "no"))
    inner = built("inner", ingress=None)
    found = before_the_cluster([APPS[0], broken, inner])
    assert [list(each.would) for each in found] == [["roll", "route"], [], ["roll"]]


def test_a_check_without_a_cluster_ends_in_the_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = save(UNBUILT, tmp_path)
    places = {"ca_dir": str(tmp_path / "ca"), "bundle": str(tmp_path / "bundle")}
    places |= dict.fromkeys(("helm_image", "helper_image"), "bundle.slipway.internal/python:3.13")
    pending = {"pending": [app.id for app in UNBUILT], "timeout": 10}
    subnets = {"pod_subnet": "10.244.0.0/16", "service_subnet": "10.96.0.0/12"}
    args = {"kubeconfig": str(tmp_path / "none"), "apps": saved, **places, **pending, **subnets}
    shown = action(apps_deploy.ActionModule, args, check=True).run()
    assert shown["table"][0].split() == ["APP", "BRANCH", "NAMESPACE", "WOULD"]
    assert shown["table"][1].endswith("build, load to its nodes, roll, route")
    assert "build, load to its nodes, roll, route" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == [Path(saved)]


def test_the_list_reads_and_no_more(
    kube: Kube, api: FakeApi, kubeconfig: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = structs.replace(UNBUILT[2], failed=Failure("build", "no compiler"))
    run(kube, [*APPS[:2], broken], dry_run=False)
    for app in APPS[:2]:
        deployment = api.named("deployments", app.namespace, app.name)
        deployment["metadata"]["creationTimestamp"] = "2026-01-31T12:00:00Z"
    api.requests.clear()
    result = action(apps_list.ActionModule, {"kubeconfig": str(kubeconfig)}).run()
    states = {each["id"]: each["state"] for each in result["environments"]}
    assert states == {
        "greeter-feature/greeter": "ready 1/1",
        "greeter-main/greeter": "ready 1/1",
        "quote-main/quote": "failed, never deployed",
    }
    assert "http://demo.slipway.test/greeter/main/" in result["table"][2]
    assert [method for method, _path in api.requests] == ["GET"] * 3
    assert "no compiler" in capsys.readouterr().out


def test_a_proof_returns_the_failures_without_secrets_for_the_steps_after_it(
    kubeconfig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = structs.replace(APPS[0], failed=Failure("verify", "it says swordfish"))
    proof = Proof([broken, APPS[1]], [], {})
    monkeypatch.setattr(apps_verify, "prove", lambda *_args, **_settings: proof)
    args = {"kubeconfig": str(kubeconfig), "apps": save(APPS[:2], tmp_path), "ca_dir": "/none"}
    known = {"slipway_secrets": {"password": "swordfish"}}
    result = action(apps_verify.ActionModule, args).run(task_vars=known)
    assert "failed" not in result
    assert result["failures"] == ["greeter (main), verify: it says ***"]
    steps = [app.failed and app.failed.step for app in load(result["apps"])]
    assert steps == ["verify", None]
    checked = action(apps_verify.ActionModule, args, check=True).run()
    assert (checked["failures"], checked["apps"]) == ([], args["apps"])


def test_the_page_s_name_is_told_like_those_of_the_apps(
    kubeconfig: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    proof = Proof([], [], {"demo.test": "192.0.2.7"})
    monkeypatch.setattr(apps_verify, "prove", lambda *_args, **_settings: proof)
    apps = save([], tmp_path)
    args = {"kubeconfig": str(kubeconfig), "apps": apps, "ca_dir": "/none", "tell_names": False}
    told = action(apps_verify.ActionModule, {**args, "dashboard_host": "all.test"}).run()
    assert told["names"] == ["192.0.2.7 all.test demo.test"]
    assert "All environments: http://all.test/" in capsys.readouterr().out
    assert action(apps_verify.ActionModule, args).run()["names"] == ["192.0.2.7 demo.test"]


def test_the_table_shows_whom_an_app_reaches() -> None:
    entries = [{"app": "orders"}, {"app": "none"}]
    web, orders = built("web", "feature", reach=entries), built("orders")
    [line, _other] = lines([web, orders], intent(web), intent(orders))
    assert line == "nothing; reaches orders (main); reaches none nowhere"
