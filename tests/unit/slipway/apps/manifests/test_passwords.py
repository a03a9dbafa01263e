"""Passwords that environments have of their own: drawn once, and theirs alone."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import msgspec
import pytest

from slipway.apps.app import App, Built
from slipway.apps.deploy.deploy import Outcome, deploy, render_change
from slipway.kube.client import Kube, Object
from tests.support.app_cluster import FakeApi, rolled_out_at_once
from tests.support.apps import built, reason


@pytest.fixture(autouse=True)
def controllers(api: FakeApi) -> None:
    """Deployments are ready at once."""
    api.on_apply = rolled_out_at_once


def database(**changes: Any) -> Built:
    """A database whose root has a file, and whose user has a variable."""
    return built(
        "db",
        **{
            "env": {"DB_PASSWORD": {"password": "user"}},
            "config_files": [{"path": "/run/secrets/root", "password": "root"}],
            **changes,
        },
    )


def client(**changes: Any) -> Built:
    """An app that knows what the database's user has."""
    env = {"PASSWORD": {"password": "user", "app": "db"}}
    return built("orders", **{"env": env, "config_files": [], **changes})


def run(kube: Kube, *apps: App, **options: Any) -> Outcome:
    settings: dict[str, Any] = {"ca_dir": Path("/nonexistent"), "seconds": 10, "say": print}
    return deploy(kube, apps, "nginx", **{**settings, "secrets": {}, **options})


def data_of(api: FakeApi, namespace: str, name: str) -> dict[str, str]:
    """The texts of a Secret."""
    data = api.named("secrets", namespace, name)["data"]
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


def given_to(api: FakeApi, namespace: str, name: str) -> dict[str, str]:
    """What an app's pods have of their Secret, by variable or by the path of the file."""
    spec = api.named("deployments", namespace, name)["spec"]["template"]["spec"]
    [container] = spec["containers"]
    found = {}
    for variable in container.get("env", []):
        place = variable["valueFrom"]["secretKeyRef"]
        found[variable["name"]] = data_of(api, namespace, place["name"])[place["key"]]
    volumes = {each["name"]: each.get("secret", {}) for each in spec["volumes"]}
    for mount in container["volumeMounts"]:
        if mount["name"] == "secrets":
            secret = volumes["secrets"]["secretName"]
            found[mount["mountPath"]] = data_of(api, namespace, secret)[mount["subPath"]]
    return found


def test_they_are_drawn_once(kube: Kube, api: FakeApi) -> None:
    run(kube, database())
    kept = data_of(api, "db-main", "db-passwords")
    assert sorted(kept) == ["root", "user"]
    assert all(len(value) == 32 and value.isalnum() for value in kept.values())
    assert kept["root"] != kept["user"]
    given = given_to(api, "db-main", "db")
    assert given == {"DB_PASSWORD": kept["user"], "/run/secrets/root": kept["root"]}
    assert not run(kube, database()).changed
    assert given_to(api, "db-main", "db") == given


def test_each_environment_has_its_own(kube: Kube, api: FakeApi) -> None:
    run(kube, database(), database(branch="feature"))
    one, two = (data_of(api, f"db-{name}", "db-passwords") for name in ("main", "feature"))
    assert not {*one.values()} & {*two.values()}


def test_one_that_is_named_later_leaves_the_others_as_they_are(kube: Kube, api: FakeApi) -> None:
    run(kube, database(config_files=[]))
    before = data_of(api, "db-main", "db-passwords")
    run(kube, database())
    after = data_of(api, "db-main", "db-passwords")
    assert before.items() < after.items()


def test_one_that_nothing_names_any_more_is_kept(kube: Kube, api: FakeApi) -> None:
    run(kube, database())
    before = data_of(api, "db-main", "db-passwords")
    run(kube, database(env={}, config_files=[]))
    assert data_of(api, "db-main", "db-passwords") == before
    run(kube, database())
    assert given_to(api, "db-main", "db")["DB_PASSWORD"] == before["user"]


def test_it_goes_with_the_app(kube: Kube, api: FakeApi) -> None:
    run(kube, database(namespace="shared"), client(namespace="shared", env={}))
    run(kube, client(namespace="shared", env={}))
    assert [key for key in api.objects if key[0] == "secrets"] == []


def test_what_somebody_writes_into_it_holds(kube: Kube, api: FakeApi) -> None:
    run(kube, database())
    secret = api.named("secrets", "db-main", "db-passwords")
    data = {**secret["data"], "user": base64.b64encode(b"chosen").decode()}
    api.put("secrets", {**secret, "data": data})
    run(kube, database())
    assert given_to(api, "db-main", "db")["DB_PASSWORD"] == "chosen"
    assert data_of(api, "db-main", "db-passwords")["user"] == "chosen"


def test_another_app_has_it_too(kube: Kube, api: FakeApi) -> None:
    apps = (client(), client(branch="feature"), database(), database(branch="feature"))
    run(kube, *apps)
    for branch in ("main", "feature"):
        kept = data_of(api, f"db-{branch}", "db-passwords")["user"]
        assert given_to(api, f"orders-{branch}", "orders") == {"PASSWORD": kept}
    assert not run(kube, *apps).changed


def test_it_is_had_from_one_that_is_not_built_this_time(kube: Kube, api: FakeApi) -> None:
    run(kube, client(), database())
    before = given_to(api, "orders-main", "orders")
    broken = database()
    broken.fail("build", "no")
    outcome = run(kube, client(), broken)
    assert not reason(outcome.apps[0])
    assert given_to(api, "orders-main", "orders") == before


def test_one_that_is_nowhere_is_the_failure_of_its_user_alone(kube: Kube, api: FakeApi) -> None:
    broken = database()
    broken.fail("build", "no")
    outcome = run(kube, client(), broken, built("quote", config_files=[]))
    assert "there is no password user of db (main)" in reason(outcome.apps[0])
    assert not reason(outcome.apps[2])


def test_an_object_of_a_manifest_cannot_have_its_name(kube: Kube, api: FakeApi) -> None:
    manifest = """apiVersion: v1
kind: Secret
metadata: {name: db-passwords}
stringData: {user: mine}
"""
    outcome = run(kube, database(manifests=[{"content": manifest}]))
    assert "db-passwords" in reason(outcome.apps[0])
    assert ("secrets", "db-main", "db-passwords") not in api.objects


def test_no_value_is_shown(kube: Kube, api: FakeApi, capsys: pytest.CaptureFixture[str]) -> None:
    outcomes = [
        run(kube, database(), client(), dry_run=True),
        run(kube, database(), client()),
        run(kube, database(env={}), client()),
    ]
    kept = data_of(api, "db-main", "db-passwords").values()
    others = [obj for key, obj in api.objects.items() if key[0] != "secrets"]
    shown = [render_change(change) for each in outcomes for change in each.changes]
    text = msgspec.json.encode([others, shown, [each.apps for each in outcomes]]).decode()
    text += "".join(capsys.readouterr())
    assert "db-passwords" in text
    assert not [value for value in kept if value in text]
    assert not [value for value in kept if base64.b64encode(value.encode()).decode() in text]


def test_what_a_container_says_of_it_is_masked(kube: Kube, api: FakeApi) -> None:
    run(kube, database())
    kept = data_of(api, "db-main", "db-passwords")["user"]
    api.on_apply = _crashing
    api.logs["p", False] = f"login with {kept} refused\n"
    [failed] = run(kube, database(command=["other"])).apps
    assert "login with *** refused" in reason(failed)


def _crashing(api: FakeApi, obj: Object) -> None:
    """A hook that has each Deployment's pod end at once."""
    if obj["kind"] != "Deployment":
        return
    template = obj["spec"]["template"]
    status = {
        "name": "db",
        "restartCount": 2,
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": {"exitCode": 3, "reason": "Error"}},
    }
    metadata = {**template["metadata"], "name": "p", "namespace": "db-main"}
    body = {"metadata": metadata, "spec": template["spec"]}
    api.put("pods", {**body, "status": {"containerStatuses": [status]}})
