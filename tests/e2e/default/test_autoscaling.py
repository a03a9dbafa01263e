"""An app under load gets more pods, which later runs leave alone until apps.yml says a number."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from slipway.kube.client import AUTOSCALERS, DEPLOYMENTS
from tests.support.apps_file import Apps, AppsFile
from tests.support.scenario import Scenario, wait_for

NAME, SPACE = "busy", "busy-main"
HOST, PATH = "busy.slipway.test", "/"

CLIENTS = 4
"""How many ask all the time."""

LEAST, MOST = 1, 3

SECONDS = 180.0
"""How long it may take until a new pod is measured, and then until the autoscaler looks again."""


@pytest.fixture
def scaled(scenario: Scenario, apps_file: AppsFile) -> Iterator[AppsFile]:
    """Copies of apps.yml, whose app is gone again in the end."""
    yield apps_file
    undone = scenario.deploy(scenario.apps_file)
    assert undone.code == 0, str(undone)


def with_app(apps_file: AppsFile, replicas: Any) -> Path:
    """A file with an app beside the others: the quotes, by another name."""

    def add(apps: Apps) -> None:
        quotes = next(app for app in apps if app["name"] == "quotes")
        own = {
            "name": NAME,
            "git_branch": "main",
            "replicas": replicas,
            "resources": {"requests": {"cpu": "20m"}},
            "ingress": {"host": HOST, "rules": [{"path": PATH}]},
        }
        apps.append({**quotes, **own})

    return apps_file.changed(add)


@contextmanager
def asked_all_the_time(scenario: Scenario) -> Iterator[None]:
    """Have clients that ask again as soon as they are answered."""
    address, ended = scenario.ingress_address(), threading.Event()

    def ask() -> None:
        while not ended.is_set():
            scenario.ask(address, HOST, PATH)

    clients = [threading.Thread(target=ask) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        yield
    finally:
        ended.set()
        for client in clients:
            client.join()


def count(scenario: Scenario) -> int:
    """How many pods the app is to have."""
    deployment = scenario.kube.get(DEPLOYMENTS, NAME, SPACE)
    assert deployment
    return int(deployment["spec"]["replicas"])


def test_load_brings_pods_that_runs_leave_alone_until_a_number_is_said(
    scenario: Scenario, scaled: AppsFile
) -> None:
    with_range = with_app(scaled, {"min": LEAST, "max": MOST, "cpu": 50})
    run = scenario.deploy(with_range)
    assert run.code == 0, str(run)
    assert count(scenario) == LEAST
    with asked_all_the_time(scenario):
        wait_for(partial(count, scenario), MOST.__eq__, SECONDS)
        used = scenario.kubectl("top", "pods", "--namespace", SPACE, "--no-headers")
        assert NAME in used
        again = scenario.deploy(with_range)
        assert again.code == 0, str(again)
        assert set(again.changed.values()) == {0}, str(again)
        assert count(scenario) == MOST
    run = scenario.deploy(with_app(scaled, LEAST))
    assert run.code == 0, str(run)
    assert count(scenario) == LEAST
    assert scenario.kube.get(AUTOSCALERS, NAME, SPACE) is None
