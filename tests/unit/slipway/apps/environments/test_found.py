"""The life of a pattern's environments in a cluster: marked, kept, removed, left alone."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from msgspec import structs

from plugins.action import apps_plan
from slipway.apps.app import load
from slipway.apps.environments.found import existing
from slipway.apps.environments.resolve import as_text
from slipway.apps.manifests.labels import (
    ADMITS,
    ENVIRONMENTS,
    GONE_SINCE,
    KEEP,
    OWN,
    ROUTES_NAMESPACE,
)
from slipway.kube.client import Kube
from tests.support.app_cluster import FakeApi, rolled_out_at_once
from tests.support.apps import planned
from tests.support.fake_ansible import action
from tests.support.leaving import MAIN, NOW, A, B, missed, run


@pytest.fixture(autouse=True)
def controllers(api: FakeApi) -> None:
    """Deployments are ready at once."""
    api.on_apply = rolled_out_at_once


ADMITTED = {ADMITS: "true", "pod-security.kubernetes.io/enforce": "restricted"}


def mark(api: FakeApi, name: str = "greeter-a") -> str | None:
    annotations: dict[str, str] = api.named("namespaces", "", name)["metadata"].get(
        "annotations", {}
    )
    return annotations.get(GONE_SINCE)


def test_environments_of_patterns_are_known_by_their_label(kube: Kube, api: FakeApi) -> None:
    run(kube, [A, B, MAIN])
    found = existing(kube)
    assert [(each.id, each.git_branch) for each in found] == [
        ("greeter-a/greeter", "a"),
        ("greeter-b/greeter", "b"),
    ]
    [pattern] = {each.pattern for each in found}
    other = structs.replace(A, git_url="https://git.example.org/other.git")
    run(kube, [other, B, MAIN])
    assert len({each.pattern for each in existing(kube)}) == 2
    assert pattern in {each.pattern for each in existing(kube)}


def test_an_environment_serves_on_for_its_grace_and_is_marked(kube: Kube, api: FakeApi) -> None:
    run(kube, [A, B])
    before = {key: obj for key, obj in api.objects.items() if key[1] == "greeter-a"}
    outcome = run(kube, [B], missed(kube)[:1])
    assert outcome.changed
    assert mark(api) == "2026-01-31T12:00:00Z"
    assert {key: obj for key, obj in api.objects.items() if key[1] == "greeter-a"} == before
    assert ("ingresses", ROUTES_NAMESPACE, "demo.slipway.test") in api.objects
    [found] = [each for each in existing(kube) if each.git_branch == "a"]
    assert found.gone_since == NOW
    later = missed(kube, NOW + timedelta(minutes=59))[:1]
    assert later[0].since == "2026-01-31T12:00:00Z"
    assert not run(kube, [B], later).changed


def test_it_goes_when_its_grace_has_passed(kube: Kube, api: FakeApi) -> None:
    run(kube, [A, B])
    run(kube, [B], missed(kube)[:1])
    left = [each for each in missed(kube, NOW + timedelta(hours=1)) if each.git_branch == "a"]
    assert left == []
    run(kube, [B], left)
    assert [key for key in api.objects if "greeter-a" in key] == []
    assert [key for key in api.objects if "greeter-b" in key] != []


def test_the_last_environment_keeps_its_host_as_long_as_it_stays(kube: Kube, api: FakeApi) -> None:
    run(kube, [A])
    run(kube, [], missed(kube))
    assert ("ingresses", ROUTES_NAMESPACE, "demo.slipway.test") in api.objects
    assert ("ingresses", "greeter-a", "greeter") in api.objects
    run(kube, [])
    assert api.objects == {}


def test_a_branch_that_comes_back_clears_the_mark(kube: Kube, api: FakeApi) -> None:
    run(kube, [A, B])
    run(kube, [B], missed(kube)[:1])
    assert run(kube, [A, B]).changed
    assert mark(api) is None
    assert not run(kube, [A, B]).changed


@pytest.mark.parametrize("kind", ["labels", "annotations"])
def test_a_namespace_that_is_marked_to_be_kept_stays(kube: Kube, api: FakeApi, kind: str) -> None:
    run(kube, [A])
    space = api.named("namespaces", "", "greeter-a")
    space["metadata"].setdefault(kind, {})[KEEP] = "true"
    left = missed(kube, grace="0m")
    assert [(each.since, each.until) for each in left] == [("", "")]
    run(kube, [], left)
    assert mark(api) is None
    assert ("deployments", "greeter-a", "greeter") in api.objects


def test_a_kept_one_loses_the_mark_that_it_had(kube: Kube, api: FakeApi) -> None:
    run(kube, [A])
    run(kube, [], missed(kube))
    assert mark(api)
    run(kube, [], missed(kube, keep=["a"]))
    assert mark(api) is None


def test_without_an_answer_nothing_changes(kube: Kube, api: FakeApi) -> None:
    run(kube, [A, B])
    run(kube, [B], missed(kube)[:1])
    failed = {"step": "source", "reason": "no answer"}
    before = {key: obj for key, obj in api.objects.items() if key[2] != ENVIRONMENTS}
    unanswered = [planned(branch=each, pattern="*", failed=failed) for each in ("a", "b")]
    assert not run(kube, unanswered).changed
    assert {key: obj for key, obj in api.objects.items() if key[2] != ENVIRONMENTS} == before
    assert mark(api)


def test_of_a_namespace_that_a_user_made_only_the_mark_is_written(kube: Kube, api: FakeApi) -> None:
    metadata = {"name": "greeter-a", "generation": 0, "labels": ADMITTED}
    api.put("namespaces", {"metadata": metadata, "status": {"phase": "Active"}})
    run(kube, [A])
    run(kube, [], missed(kube))
    space = api.named("namespaces", "", "greeter-a")
    assert mark(api)
    assert not OWN.items() <= space["metadata"].get("labels", {}).items()


def test_what_a_user_made_stays_when_an_environment_goes(kube: Kube, api: FakeApi) -> None:
    admitting = {"name": "greeter-a", "labels": ADMITTED}
    api.put("namespaces", {"metadata": admitting, "status": {"phase": "Active"}})
    run(kube, [A, B])
    theirs = {"metadata": {"name": "theirs", "namespace": "greeter-a"}}
    api.put("configmaps", theirs)
    run(kube, [])
    left = [key for key in api.objects if "greeter-a" in key]
    assert left == [("namespaces", "", "greeter-a"), ("configmaps", "greeter-a", "theirs")]
    assert ("namespaces", "", "greeter-b") not in api.objects


def test_a_mark_that_somebody_spoilt_begins_anew(kube: Kube, api: FakeApi) -> None:
    run(kube, [A])
    run(kube, [], missed(kube))
    api.named("namespaces", "", "greeter-a")["metadata"]["annotations"][GONE_SINCE] = "yesterday"
    [left] = missed(kube, NOW + timedelta(hours=5))
    assert left.since == as_text(NOW + timedelta(hours=5))


def test_a_dry_run_marks_nothing(kube: Kube, api: FakeApi) -> None:
    run(kube, [A, B])
    api.requests.clear()
    outcome = run(kube, [B], missed(kube)[:1], dry_run=True)
    assert outcome.changed
    assert (mark(api), api.writes) == (None, [])


def test_an_environment_has_the_id_of_its_app(kube: Kube, api: FakeApi) -> None:
    run(kube, [A])
    [found] = existing(kube)
    assert (found.id, found.namespace, found.name) == (A.id, "greeter-a", "greeter")
    assert found.label == A.label


def test_a_plan_without_patterns_asks_no_cluster(
    api: FakeApi, kubeconfig: Path, tmp_path: Path
) -> None:
    (tmp_path / "apps.yml").write_text("version: 1\napps: [{name: web, git_url: web}]\n")
    args = {"path": str(tmp_path / "apps.yml"), "kubeconfig": str(kubeconfig), "cache": "/none"}
    assert len(load(action(apps_plan.ActionModule, args).run()["apps"])) == 1
    assert api.requests == []
