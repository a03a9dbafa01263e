"""Notes of what the cluster itself does not tell."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from msgspec import structs

from slipway.apps.app import App, Failure
from slipway.apps.environments.resolve import as_text
from slipway.apps.environments.status import Notes, note_proof, of_deployment, of_proof, settle
from slipway.apps.manifests.labels import ENVIRONMENTS, ROUTES_NAMESPACE
from slipway.kube.client import Kube
from tests.support.app_cluster import FakeApi, rolled_out_at_once
from tests.support.apps import sourced
from tests.support.leaving import MAIN, NOW, A, B, missed, run


@pytest.fixture(autouse=True)
def controllers(api: FakeApi) -> None:
    """Deployments are ready at once."""
    api.on_apply = rolled_out_at_once


def notes(api: FakeApi) -> dict[str, dict[str, Any]]:
    data = api.named("configmaps", ROUTES_NAMESPACE, ENVIRONMENTS)["data"]
    found: dict[str, dict[str, Any]] = json.loads(data["environments.json"])
    return found


def test_notes_tell_what_the_cluster_does_not(kube: Kube, api: FakeApi) -> None:
    run(kube, [A, MAIN])
    failed = {"step": "build", "reason": "\n".join(f"line {n} s3cret" for n in range(9))}
    broken = sourced("quote", failed=failed)
    run(kube, [broken], missed(kube), secrets={"token": "s3cret"})
    entry = notes(api)["quote-main/quote"]
    assert (entry["failing"], entry["failure"]["step"]) == (True, "build")
    assert entry["failure"]["reason"].split("\n") == [f"line {n} ***" for n in (0, 6, 7, 8)]
    assert entry["urls"] == ["http://demo.slipway.test/quote/main/"]
    assert notes(api)["greeter-a/greeter"]["until"] == "2026-01-31T13:00:00Z"
    at = entry["failure"]["at"]
    api.requests.clear()
    run(kube, [broken], missed(kube), secrets={"token": "s3cret"})
    assert api.writes == []
    run(kube, [MAIN])
    entry = notes(api)["quote-main/quote"]
    assert (entry["failing"], entry["failure"]["at"]) == (False, at)
    assert list(notes(api)) == ["quote-main/quote"]


def test_noted_addresses_have_the_ports_of_this_machine(kube: Kube, api: FakeApi) -> None:
    assert MAIN.ingress
    [rule] = MAIN.rules
    rules = [structs.replace(rule, host="demo.slipway.localhost"), rule]
    here = structs.replace(MAIN, ingress=structs.replace(MAIN.ingress, rules=rules))
    run(kube, [here], ports={"http": 8080, "https": 8443})
    assert notes(api)[here.id]["urls"] == [
        f"http://demo.slipway.localhost:8080{rule.path}",
        f"http://demo.slipway.test{rule.path}",
    ]


def test_an_app_without_a_route_is_noted_with_its_service(kube: Kube, api: FakeApi) -> None:
    run(kube, [structs.replace(A, ingress=None)])
    assert notes(api)[A.id]["urls"] == [f"{A.name}.{A.namespace}.svc:80"]
    api.requests.clear()
    run(kube, [structs.replace(A, ingress=None)])
    assert api.writes == []


def test_notes_that_cannot_be_written_stop_nothing(
    kube: Kube, api: FakeApi, capsys: pytest.CaptureFixture[str]
) -> None:
    api.refusals[f"configmaps/{ENVIRONMENTS}"] = "no room"
    outcome = run(kube, [A])
    assert not outcome.apps[0].failed
    assert "no room" in capsys.readouterr().out


def proved(*apps: App) -> Notes:
    """The notes after a proof that followed a deployment of ``apps`` without failures."""
    deployed = [structs.replace(app, failed=None) for app in apps]
    before = of_deployment({}, deployed, (), str, NOW)
    return of_proof(before, apps, str, NOW)


WRONG = Failure("verify", "HTTP 500")
UNPROVED = structs.replace(A, failed=WRONG)


def test_what_the_proof_finds_is_noted_until_a_proof_finds_otherwise() -> None:
    first = proved(UNPROVED, B)
    assert [entry["failing"] for entry in first.values()] == [True, False]
    later = NOW + timedelta(hours=1)
    assert of_deployment(first, [A, B], (), str, later) == first
    assert of_proof(first, [UNPROVED, B], str, later) == first
    healed = of_proof(first, [A, B], str, later)
    assert healed[A.id]["failing"] is False
    assert healed[A.id]["failure"] == {**structs.asdict(WRONG), "at": as_text(NOW)}


def test_the_proof_does_not_speak_for_the_steps_before() -> None:
    broken = structs.replace(A, failed=Failure("build", "no compiler"))
    before = of_deployment({}, [broken], (), str, NOW)
    assert of_proof(before, [A], str, NOW) == before  # asked alone, it knows nothing of the build
    assert of_proof(before, [broken], str, NOW) == before
    assert of_proof({}, [A], str, NOW) == {}


def test_the_proof_is_noted_only_if_something_differs(kube: Kube, api: FakeApi) -> None:
    run(kube, [A])
    api.requests.clear()
    note_proof(kube, [A], str)
    assert api.writes == []
    note_proof(kube, [UNPROVED], str)
    assert notes(api)[A.id]["failure"]["reason"] == "HTTP 500"
    settle(kube, A.id)
    assert notes(api)[A.id]["failing"] is False


def test_without_notes_the_proof_notes_nothing(kube: Kube, api: FakeApi) -> None:
    note_proof(kube, [UNPROVED], str)
    settle(kube, A.id)
    assert api.objects == {}
