"""Apps that need others are deployed after these."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from slipway.apps.app import App
from slipway.apps.deploy.deploy import Outcome, deploy
from slipway.apps.deploy.needs import waves
from slipway.kube.client import Kube, Object
from tests.support.app_cluster import FakeApi, deployment_status, rolled_out_at_once
from tests.support.apps import built, reason

DB = built("db", namespace="shop", config_files=[])
ORDERS = built("orders", namespace="shop", needs=[{"app": "db"}], config_files=[])
WEB = built("web", needs=[{"app": "orders"}], config_files=[])


def run(kube: Kube, *apps: App, **options: Any) -> Outcome:
    settings: dict[str, Any] = {"ca_dir": Path("/nonexistent"), "seconds": 2, "say": print}
    return deploy(kube, apps, "nginx", **{**settings, "secrets": {}, **options})


class Controllers:
    """Those of Deployments, which are slower to be ready than they are written."""

    def __init__(self, api: FakeApi) -> None:
        self.applied: list[str] = []
        self.ready: dict[str, list[str]] = {}
        """By Deployment, what was rolled out when it was written."""
        self.up: list[str] = []
        self.broken: set[str] = set()
        api.on_apply = self

    def __call__(self, api: FakeApi, obj: Object) -> None:
        if obj["kind"] != "Deployment":
            return
        name = obj["metadata"]["name"]
        self.ready[name] = [*self.up]
        if name in self.broken:
            api.put("deployments", {**obj, "status": {}})
            return
        api.put("deployments", {**obj, "status": deployment_status(obj)})
        self.up.append(name)


@pytest.fixture
def controllers(api: FakeApi) -> Controllers:
    return Controllers(api)


def test_waves_have_what_others_need_first() -> None:
    alone = built("alone")
    found = waves([WEB, alone, ORDERS, DB])
    assert [[app.name for app in wave] for wave in found] == [["alone", "db"], ["orders"], ["web"]]


def test_what_is_needed_runs_before_what_needs_it_is_written(
    kube: Kube, controllers: Controllers
) -> None:
    outcome = run(kube, WEB, ORDERS, DB)
    assert not [app for app in outcome.apps if app.failed]
    assert controllers.ready == {"db": [], "orders": ["db"], "web": ["db", "orders"]}
    assert not run(kube, WEB, ORDERS, DB).changed


def test_what_needs_an_app_that_does_not_come_up_fails_with_its_name(
    kube: Kube, controllers: Controllers
) -> None:
    controllers.broken = {"db"}
    quote = built("quote", config_files=[])
    web, orders, db, other = run(kube, WEB, ORDERS, DB, quote).apps
    assert db.failed
    assert reason(orders) == "it needs db (main), which does not run"
    assert reason(web) == "it needs orders (main), which does not run"
    assert not other.failed
    assert "orders" not in controllers.ready


def test_what_was_there_before_goes_on_to_be_enough(kube: Kube, controllers: Controllers) -> None:
    run(kube, ORDERS, DB)
    failed = built("db", namespace="shop", config_files=[])
    failed.fail("build", "no")
    again = built("orders", namespace="shop", needs=[{"app": "db"}], port=9000, config_files=[])
    orders, _db = run(kube, again, failed).apps
    assert not orders.failed


def test_a_dry_run_waits_for_nothing(kube: Kube, api: FakeApi) -> None:
    api.on_apply = rolled_out_at_once
    assert not [app for app in run(kube, ORDERS, DB, dry_run=True).apps if app.failed]


def test_what_is_nowhere_is_waited_for_by_nobody(kube: Kube, controllers: Controllers) -> None:
    [orders] = run(kube, ORDERS).apps
    assert not orders.failed
