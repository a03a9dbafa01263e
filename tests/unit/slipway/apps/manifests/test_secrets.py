"""Secrets of apps: where their values get to, and where not."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import msgspec
import pytest

from slipway.apps.app import App, Built
from slipway.apps.deploy.deploy import Outcome, deploy, render_change
from slipway.apps.manifests.secrets import sealed_secret
from slipway.kube.client import Kube, Object
from slipway.kube.objects import HASH
from tests.support.app_cluster import FakeApi, rolled_out_at_once
from tests.support.apps import built, reason

CANARY = {"db_password": "canary-one", "keystore": "canary-two\n{{ host }}\n"}


def app(**changes: Any) -> Built:
    """An app with a secret variable, and a secret file beside a plain one."""
    return built(
        **{
            "env": {"PLAIN": {"value": "x"}, "PASSWORD": {"secret": "db_password"}},
            "config_files": [
                {"path": "/config/a.properties", "content": "a=1", "template": True},
                {"path": "/config/keystore", "secret": "keystore", "template": False},
            ],
            **changes,
        }
    )


def run(kube: Kube, *apps: App, **options: Any) -> Outcome:
    settings: dict[str, Any] = {"ca_dir": Path("/nonexistent"), "seconds": 10, "say": print}
    return deploy(kube, apps, "nginx", **{**settings, "secrets": CANARY, **options})


@pytest.fixture(autouse=True)
def controllers(api: FakeApi) -> None:
    """Deployments are ready at once."""
    api.on_apply = rolled_out_at_once


def secrets_of(api: FakeApi) -> list[Object]:
    return [obj for key, obj in api.objects.items() if key[0] == "secrets"]


def pod(api: FakeApi) -> dict[str, Any]:
    spec: dict[str, Any] = api.named("deployments", "greeter-main", "greeter")["spec"]
    found: dict[str, Any] = spec["template"]["spec"]
    return found


def texts(secret: Object) -> set[str]:
    return {base64.b64decode(value).decode() for value in secret["data"].values()}


def test_values_get_into_one_secret_that_the_pod_points_at(kube: Kube, api: FakeApi) -> None:
    run(kube, app())
    [secret] = secrets_of(api)
    assert secret["immutable"] is True
    assert texts(secret) == set(CANARY.values())
    [container] = pod(api)["containers"]
    name = secret["metadata"]["name"]
    assert container["env"] == [
        {
            "name": "PASSWORD",
            "valueFrom": {"secretKeyRef": {"name": name, "key": "PASSWORD"}},
        },
        {"name": "PLAIN", "value": "x"},
    ]
    mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
    assert mounts["/config/keystore"]["name"] == "secrets"
    assert mounts["/config/keystore"]["subPath"] in secret["data"]
    assert mounts["/config/a.properties"]["name"] == "config"
    volumes = {volume["name"]: volume for volume in pod(api)["volumes"]}
    assert volumes["secrets"] == {"name": "secrets", "secret": {"secretName": name}}


def test_a_secret_of_variables_alone_is_not_mounted(kube: Kube, api: FakeApi) -> None:
    run(kube, app(config_files=[]))
    assert len(secrets_of(api)) == 1
    assert [volume["name"] for volume in pod(api)["volumes"]] == ["tmp"]


def test_no_value_is_anywhere_else(kube: Kube, api: FakeApi, capsys: Any) -> None:
    apps = (app(), app(branch="feature"))
    first = run(kube, *apps)
    plan = run(kube, *apps, secrets={**CANARY, "db_password": "canary-new"}, dry_run=True)
    second = run(kube, *apps, secrets={**CANARY, "db_password": "canary-new"})
    third = run(kube, apps[1])
    others = [obj for key, obj in api.objects.items() if key[0] != "secrets"]
    shown = [render_change(each) for out in (first, plan, second, third) for each in out.changes]
    handed_on = [outcome.apps for outcome in (first, plan, second, third)]
    text = msgspec.json.encode([others, shown, handed_on]).decode()
    text += "".join(capsys.readouterr())
    assert "Secret greeter-main greeter-" in text
    assert "canary" not in text
    assert base64.b64encode(b"canary")[:8].decode() not in text


def test_the_hash_of_a_secret_is_of_all_but_its_values() -> None:
    def hash_of(**data: str) -> str:
        sealed = sealed_secret({"kind": "Secret", "metadata": {"name": "s"}, "data": data})
        assert sealed["data"] == data
        return str(sealed["metadata"]["annotations"][HASH])

    assert hash_of(a="MQ==") == hash_of(a="Mg==")
    assert hash_of(a="MQ==") != hash_of(b="MQ==")


def test_the_name_of_a_secret_does_not_tell_its_values(kube: Kube, api: FakeApi) -> None:
    """Two apps alike get names that differ."""
    run(kube, app(namespace="one"), app(namespace="two"))
    one, two = secrets_of(api)
    assert one["data"] == two["data"]
    assert one["metadata"]["name"] != two["metadata"]["name"]


def test_another_value_rolls_the_app_that_has_it_and_no_other(kube: Kube, api: FakeApi) -> None:
    apps = (app(), app(branch="feature", env={}))
    run(kube, *apps)
    assert not run(kube, *apps).changed
    api.requests.clear()
    assert run(kube, *apps, secrets={**CANARY, "db_password": "canary-new"}).changed
    written = {path for _method, path in api.writes if "/greeter-" in path}
    assert all("/namespaces/greeter-main/" in path for path in written)
    assert any("deployments" in path for path in written)


@pytest.mark.parametrize(
    "changes", [{"config_files": []}, {"env": {"P": {"value": "x"}}}], ids=["variable", "file"]
)
def test_a_value_that_comes_back_gives_the_pods_of_then(
    kube: Kube, api: FakeApi, changes: dict[str, Any]
) -> None:
    def history(api: FakeApi, obj: Object) -> None:
        """Keep a ReplicaSet of each version."""
        rolled_out_at_once(api, obj)
        if obj["kind"] == "Deployment":
            metadata = {**obj["metadata"], "name": f"rs-{api.version}"}
            api.put("replicasets", {"metadata": metadata, "spec": obj["spec"]})

    api.on_apply = history
    new = {"db_password": "canary-new", "keystore": "canary-new"}
    run(kube, app(**changes))
    before = pod(api)
    run(kube, app(**changes), secrets=new)
    assert pod(api) != before
    assert len(secrets_of(api)) == 2  # the older pods may be rolled back to
    run(kube, app(**changes))
    assert pod(api) == before


def test_a_secret_that_no_version_needs_goes(kube: Kube, api: FakeApi) -> None:
    run(kube, app())
    run(kube, app(), secrets={**CANARY, "db_password": "canary-new"})
    [secret] = secrets_of(api)  # there are no ReplicaSets here that have the other
    assert "canary-new" in texts(secret)
    run(kube, app(env={}, config_files=[]))
    assert secrets_of(api) == []


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_secret_that_is_not_there_is_the_apps_failure(kube: Kube, dry_run: bool) -> None:
    outcome = run(kube, app(), built("quote"), secrets={"keystore": "x"}, dry_run=dry_run)
    assert "slipway_secrets has no db_password" in reason(outcome.apps[0])
    assert not outcome.apps[1].failed


def test_a_secret_file_may_be_a_template(kube: Kube, api: FakeApi) -> None:
    file = {"path": "/config/keystore", "secret": "keystore", "template": True}
    run(kube, app(config_files=[file]))
    assert "canary-two\ndemo.slipway.test\n" in texts(secrets_of(api)[0])
    wrong = {**CANARY, "keystore": "one\n{{ canary_wrong }}"}
    [failed] = run(kube, app(config_files=[file]), secrets=wrong).apps
    assert "line 2" in reason(failed)
    assert "canary" not in reason(failed)


def test_what_a_container_says_of_its_secret_is_masked(kube: Kube, api: FakeApi) -> None:
    def crash(api: FakeApi, obj: Object) -> None:
        if obj["kind"] != "Deployment":
            return
        template = obj["spec"]["template"]
        status = {
            "name": "greeter",
            "restartCount": 2,
            "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {"terminated": {"exitCode": 3, "reason": "Error"}},
        }
        metadata = {**template["metadata"], "name": "p", "namespace": "greeter-main"}
        body = {"metadata": metadata, "spec": template["spec"]}
        api.put("pods", {**body, "status": {"containerStatuses": [status]}})

    api.on_apply = crash
    api.logs["p", False] = "login with canary-one refused\n"
    [failed] = run(kube, app()).apps
    assert "login with *** refused" in reason(failed)
