"""Jobs and processes of apps, deployed to an API over HTTP."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from slipway.apps.app import App, Built
from slipway.apps.deploy import jobs as waiting
from slipway.apps.deploy.deploy import Outcome, deploy
from slipway.kube.client import Kube, Object
from tests.support.app_cluster import FakeApi, rolled_out_at_once
from tests.support.apps import built, reason
from tests.support.versions import back, deployment_controller

MIGRATE = {"command": ["migrate"]}
SEED = {"command": ["seed"], "when": "first"}
SPACE = "greeter-main"


def version(number: int = 1, **changes: Any) -> Built:
    """The app at a version, with a job before each and one that runs once."""
    settings = {"jobs": {"migrate": MIGRATE, "seed": SEED}, **changes}
    return built(image=f"apps.slipway.internal/greeter:main-{number}", **settings)


def run(kube: Kube, *apps: App, say: Callable[[str], None] = print, **options: Any) -> Outcome:
    settings: dict[str, Any] = {"secrets": {}, "ca_dir": Path("/nowhere"), "seconds": 10, **options}
    return deploy(kube, apps, "nginx", say=say, **settings)


def ended(obj: Object, kind: str) -> Object:
    """A Job at its end."""
    return {**obj, "status": {"conditions": [{"type": kind, "status": "True", "message": "why"}]}}


class Controllers:
    """Deployments are ready at once, and Jobs end at once: the ``failing`` ones badly.

    ``ran`` are the names of Jobs and Deployments in the order in which they were applied.
    """

    def __init__(self) -> None:
        self.failing: set[str] = set()
        self.ran: list[str] = []

    def __call__(self, api: FakeApi, obj: Object) -> None:
        name = obj["metadata"]["name"]
        if obj["kind"] in ("Deployment", "Job"):
            self.ran.append(name)
        deployment_controller(api, obj)
        if obj["kind"] != "Job":
            return
        bad = any(each in name for each in self.failing)
        if bad:
            status = {"containerStatuses": [{"state": {"terminated": {"exitCode": 3}}}]}
            labels = {waiting.OF_JOB: name}
            about = {"name": f"{name}-x", "namespace": obj["metadata"]["namespace"]}
            spec = obj["spec"]["template"]["spec"]
            api.logs[f"{name}-x", False] = "no such table\n"
            pod = {"metadata": {**about, "labels": labels}, "spec": spec, "status": status}
            api.put("pods", pod)
        api.put("jobs", ended(copy.deepcopy(obj), "Failed" if bad else "Complete"))


@pytest.fixture
def controllers(api: FakeApi) -> Controllers:
    api.on_apply = made = Controllers()
    return made


def test_each_runs_when_it_is_to(kube: Kube, controllers: Controllers) -> None:
    assert run(kube, version()).changed
    migrate, own, seed = controllers.ran
    assert (migrate.rpartition("-")[0], own, seed) == ("greeter-migrate", "greeter", "greeter-seed")
    assert not run(kube, version()).changed
    run(kube, version(2))
    again, own = controllers.ran[3:]  # the one that runs once does not run again
    assert again.startswith("greeter-migrate-")
    assert again != migrate


def test_the_job_of_a_version_that_is_no_more_leaves(
    kube: Kube, api: FakeApi, controllers: Controllers
) -> None:
    run(kube, version())
    run(kube, version(2))
    names = sorted(name for kind, _place, name in api.objects if kind == "jobs")
    assert len(names) == 2
    assert names[1] == "greeter-seed"


def test_a_version_whose_job_fails_does_not_serve(
    kube: Kube, api: FakeApi, controllers: Controllers
) -> None:
    run(kube, version())
    controllers.failing.add("migrate")
    outcome = run(kube, version(2), built("quote"))
    failed, other = outcome.apps
    assert reason(other) == ""
    assert "exit code 3; what was deployed before still serves" in reason(failed)
    assert "    | no such table" in reason(failed)
    deployment = api.named("deployments", SPACE, "greeter")
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"].endswith("-1")


def test_a_job_that_failed_is_tried_again(kube: Kube, controllers: Controllers) -> None:
    controllers.failing |= {"migrate"}
    assert "exit code 3" in reason(run(kube, version()).apps[0])
    controllers.failing = {"seed"}
    assert "job greeter-seed" in reason(run(kube, version()).apps[0])
    controllers.failing = set()
    assert reason(run(kube, version()).apps[0]) == ""
    assert not run(kube, version()).changed


def test_a_job_that_does_not_end_is_ended(
    kube: Kube, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "LOOK_SECONDS", 0.01)
    api.on_apply = rolled_out_at_once
    app = version(jobs={"migrate": {**MIGRATE, "timeout": 1}})
    assert "does not end within 1 s" in reason(run(kube, app).apps[0])
    assert [key for key in api.objects if key[0] in ("jobs", "deployments")] == []


def test_a_dry_run_runs_no_job(kube: Kube, controllers: Controllers) -> None:
    run(kube, version())
    ran = list(controllers.ran)
    [intent] = run(kube, version(2), dry_run=True).intents
    assert intent.would[:2] == ["run", "roll"]
    assert controllers.ran == ran


def test_processes_are_waited_for(kube: Kube, api: FakeApi) -> None:
    def only_what_serves(api: FakeApi, obj: Object) -> None:
        if obj["metadata"]["name"] == "greeter":
            rolled_out_at_once(api, obj)

    api.on_apply = only_what_serves
    app = built(processes={"worker": {"command": ["work"]}})
    assert "not ready after 1 s" in reason(run(kube, app, seconds=1).apps[0])
    rolled_out_at_once(api, api.named("deployments", SPACE, "greeter-worker"))
    assert reason(run(kube, app).apps[0]) == ""
    assert not run(kube, app).changed


def test_a_process_that_left_runs_until_the_version_without_it_serves(
    kube: Kube, api: FakeApi, controllers: Controllers
) -> None:
    app = version(processes={"worker": {"command": ["work"]}})
    run(kube, app)
    controllers.failing.add("migrate")
    run(kube, version(2))
    assert api.named("deployments", SPACE, "greeter-worker")
    controllers.failing.clear()
    run(kube, version(2))
    assert ("deployments", SPACE, "greeter-worker") not in api.objects


def test_processes_go_back_with_what_serves(
    kube: Kube, api: FakeApi, controllers: Controllers
) -> None:
    def images() -> list[str]:
        return [
            api.named("deployments", SPACE, name)["spec"]["template"]["spec"]["containers"][0][
                "image"
            ][-1]
            for name in ("greeter", "greeter-worker")
        ]

    both = {"processes": {"worker": {"command": ["work"]}}, "jobs": {}}
    run(kube, version(1, **both))
    run(kube, version(2, **both))
    back(kube)
    assert images() == ["1", "1"]
    assert not run(kube, version(2, **both)).changed
    other = {"processes": {"worker": {"command": ["work", "harder"]}}, "jobs": {}}
    run(kube, version(2, **other))  # something new to run of one ends the hold for both
    assert images() == ["2", "2"]
