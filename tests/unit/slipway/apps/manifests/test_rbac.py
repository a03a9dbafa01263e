"""The account of an app that speaks to the Kubernetes API, and its rights."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.apps.app import App
from slipway.apps.deploy.deploy import Outcome, deploy
from slipway.apps.manifests.render import render
from slipway.kube.client import Kube, Object
from tests.support.app_cluster import FakeApi, rolled_out_at_once
from tests.support.apps import built, reason
from tests.support.rendered import pod

RULE = {"resources": ["pods"], "verbs": ["get", "list"]}
NAME = "slipway-rbac-greeter"
KINDS = ("serviceaccounts", "roles", "rolebindings")


@pytest.fixture(autouse=True)
def controllers(api: FakeApi) -> None:
    """Deployments are ready at once, unless a test says otherwise."""
    api.on_apply = rolled_out_at_once


def run(kube: Kube, *apps: App, **options: Any) -> Outcome:
    settings: dict[str, Any] = {"secrets": {}, "ca_dir": "/nonexistent", "seconds": 1, **options}
    return deploy(kube, apps, "nginx", say=print, **settings)


def there(api: FakeApi) -> list[str]:
    """The kinds of which the app has something for its rights."""
    return [kind for kind in KINDS if (kind, "greeter-main", NAME) in api.objects]


def test_rights_are_for_the_namespace_and_its_own_account_alone() -> None:
    named = {"api_groups": ["apps"], "resources": ["deployments"], "verbs": ["patch"]}
    app = built(rbac=[RULE, {**named, "resource_names": ["greeter"]}])
    account, role, binding, *_ = render(app, "nginx")
    kinds = [each["kind"] for each in (account, role, binding)]
    assert kinds == ["ServiceAccount", "Role", "RoleBinding"]
    assert {each["metadata"]["namespace"] for each in (account, role, binding)} == {app.namespace}
    assert account["automountServiceAccountToken"] is False
    assert role["rules"] == [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]},
        {
            "apiGroups": ["apps"],
            "resources": ["deployments"],
            "verbs": ["patch"],
            "resourceNames": ["greeter"],
        },
    ]
    assert binding["roleRef"]["kind"] == "Role"
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert binding["subjects"] == [
        {"kind": "ServiceAccount", "name": NAME, "namespace": app.namespace}
    ]


def test_its_pods_processes_and_jobs_have_the_token_and_nobody_else_s() -> None:
    assert "serviceAccountName" not in pod()
    parts: dict[str, Any] = {
        "processes": {"worker": {"command": ["work"]}},
        "jobs": {"migrate": {"command": ["migrate"]}},
    }
    pods = filter(None, map(_pod_of, render(built(rbac=[RULE], **parts), "nginx")))
    found = [(each["serviceAccountName"], each["automountServiceAccountToken"]) for each in pods]
    assert found == [(NAME, True)] * 3


def _pod_of(obj: Object) -> Object:
    found: Object = obj.get("spec", {}).get("template", {}).get("spec", {})
    return found


def test_they_come_with_the_key_and_go_with_it(kube: Kube, api: FakeApi) -> None:
    run(kube, built(rbac=[RULE]))
    assert there(api) == [*KINDS]
    api.requests.clear()
    assert not run(kube, built(rbac=[RULE])).changed
    assert api.writes == []
    run(kube, built())
    assert there(api) == []


def test_what_was_added_by_hand_goes(kube: Kube, api: FakeApi) -> None:
    run(kube, built(rbac=[RULE]))
    rules = api.named("roles", "greeter-main", NAME)["rules"]
    rules[0]["verbs"] = ["*"]
    assert run(kube, built(rbac=[RULE])).changed
    assert api.named("roles", "greeter-main", NAME)["rules"][0]["verbs"] == ["get", "list"]


def test_they_stay_for_a_version_before_that_still_serves(kube: Kube, api: FakeApi) -> None:
    run(kube, built(rbac=[RULE]))
    api.on_apply = lambda _api, _obj: None
    [app] = run(kube, built(image="apps.slipway.internal/greeter:broken")).apps
    assert app.failed
    assert there(api) == [*KINDS]


def test_a_branch_does_not_bring_the_account_nor_name_it(kube: Kube, api: FakeApi) -> None:
    account = f"apiVersion: v1\nkind: ServiceAccount\nmetadata: {{name: {NAME}}}\n"
    [app] = run(kube, built(rbac=[RULE], manifests=[{"content": account}])).apps
    assert f"ServiceAccount {NAME} of its manifests is already" in reason(app)
    named = (
        "apiVersion: v1\nkind: Pod\nmetadata: {name: odd}\n"
        f"spec: {{serviceAccountName: {NAME}, containers: [{{name: a, image: b}}]}}\n"
    )
    [app] = run(kube, built(rbac=[RULE], manifests=[{"content": named}])).apps
    assert NAME in reason(app)
    assert there(api) == []
