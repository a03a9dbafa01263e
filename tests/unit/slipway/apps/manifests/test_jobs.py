"""What jobs and processes of an app become in the cluster."""

from __future__ import annotations

from typing import Any

from slipway.apps.app import FIRST
from slipway.apps.manifests.labels import is_app, is_process, owner_of
from slipway.apps.manifests.render import render
from slipway.kube.client import Object
from tests.support.apps import built
from tests.support.rendered import objects, only, pod

MIGRATE = {"command": ["python3", "-m", "migrate", "$HOME"]}


def job(name: str = "migrate", **changes: Any) -> Object:
    """The app's only Job."""
    settings = {"jobs": {name: {**MIGRATE, **changes.pop("job", {})}}, **changes}
    return only("Job", **settings)


def test_a_job_has_what_the_app_s_own_container_has() -> None:
    spec = job()["spec"]["template"]["spec"]
    [container] = spec["containers"]
    [own] = pod()["containers"]
    for key in ("image", "env", "volumeMounts", "securityContext"):
        assert container[key] == own[key]
    assert container.keys().isdisjoint({"ports", "readinessProbe", "startupProbe", "lifecycle"})
    assert container["command"] == ["python3", "-m", "migrate", "$$HOME"]  # to the letter
    assert spec["restartPolicy"] == "Never"


def test_a_job_before_a_version_has_a_name_for_each_version() -> None:
    assert job()["metadata"]["name"].startswith("greeter-migrate-")
    assert job()["metadata"]["name"] == job(commit="f" * 40)["metadata"]["name"]
    for change in ({"image": "other:1"}, {"env": {"A": {"value": "b"}}}, {"job": {"timeout": 5}}):
        assert job(**change)["metadata"]["name"] != job()["metadata"]["name"]


def test_a_job_that_runs_once_has_one_name_for_ever() -> None:
    first = {"when": FIRST}
    assert job("seed", job=first)["metadata"]["name"] == "greeter-seed"
    assert job("seed", job=first, image="other:1")["metadata"]["name"] == "greeter-seed"


def test_jobs_come_before_what_they_prepare() -> None:
    kinds = [obj["kind"] for obj in render(built(jobs={"migrate": MIGRATE}), "nginx")]
    assert kinds.index("ConfigMap") < kinds.index("Job") < kinds.index("Deployment")


def test_what_a_schedule_makes_wears_no_label_of_slipway_s_own() -> None:
    cron = only("CronJob", jobs={"report": {**MIGRATE, "schedule": "30 3 * * *"}})
    assert cron["metadata"]["name"] == "greeter-report"
    assert cron["spec"]["schedule"] == "30 3 * * *"
    assert cron["spec"]["concurrencyPolicy"] == "Forbid"
    assert "metadata" not in cron["spec"]["jobTemplate"]
    labels = cron["spec"]["jobTemplate"]["spec"]["template"]["metadata"]["labels"]
    assert "app.kubernetes.io/managed-by" not in labels


def test_a_process_is_the_app_s_and_reached_by_nobody() -> None:
    found = objects(processes={"worker": {"command": ["work"], "replicas": 2}})
    own, worker = found["Deployment"]
    assert (own["metadata"]["name"], worker["metadata"]["name"]) == ("greeter", "greeter-worker")
    assert (is_app(own), is_process(own)) == (True, False)
    assert (is_app(worker), is_process(worker)) == (False, True)
    assert owner_of(worker) == owner_of(own)
    labels = worker["spec"]["template"]["metadata"]["labels"]
    assert worker["spec"]["selector"]["matchLabels"].items() <= labels.items()
    for other in (own["spec"]["selector"]["matchLabels"], found["Service"][0]["spec"]["selector"]):
        assert not other.items() <= labels.items()
    assert worker["spec"]["replicas"] == 2
    [container] = worker["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["work"]
    assert container.keys().isdisjoint({"ports", "readinessProbe", "startupProbe", "lifecycle"})


def test_parts_have_the_app_s_resources_unless_they_have_their_own() -> None:
    own, other = {"limits": {"memory": "64Mi"}}, {"limits": {"memory": "2Gi"}}
    parts = {"a": {"command": ["a"]}, "b": {"command": ["b"], "resources": other}}
    _, first, second = objects(resources=own, processes=parts)["Deployment"]
    found = [
        each["spec"]["template"]["spec"]["containers"][0]["resources"] for each in (first, second)
    ]
    assert found == [own, other]


def test_a_command_of_the_app_itself_is_to_the_letter() -> None:
    [container] = pod(command=["serve", "$(HOME)"])["containers"]
    assert container["command"] == ["serve", "$$(HOME)"]
