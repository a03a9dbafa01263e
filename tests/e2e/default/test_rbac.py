"""An app that speaks to the Kubernetes API may do what apps.yml says, in its own namespace."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.apps_file import Apps, AppsFile
from tests.support.scenario import Run, Scenario

NAME = "keeper"
SPACE = f"{NAME}-main"

ASK = """
import ssl, urllib.error, urllib.request
account = "/var/run/secrets/kubernetes.io/serviceaccount"
try:
    token = open(f"{account}/token").read()
    request = urllib.request.Request("https://kubernetes.default.svc__PATH__")
    request.add_header("Authorization", f"Bearer {token}")
    context = ssl.create_default_context(cafile=f"{account}/ca.crt")
    print(urllib.request.urlopen(request, timeout=5, context=context).status)
except urllib.error.HTTPError as error:
    print(error.code)
except OSError as error:
    print(type(error).__name__)
"""


class Keeper:
    """A sample that asks the API from within its pod."""

    def __init__(self, scenario: Scenario, apps_file: AppsFile) -> None:
        self.scenario = scenario
        self._apps_file = apps_file

    def deploy(self, *rules: dict[str, list[str]]) -> Run:
        """Deploy it beside the apps of the cluster."""

        def add(apps: Apps) -> None:
            sample = next(app for app in apps if app["name"] == "quotes")
            alike = {key: value for key, value in sample.items() if key != "ingress"}
            apps.append({**alike, "name": NAME, **({"rbac": [*rules]} if rules else {})})

        return self.scenario.deploy(self._apps_file.changed(add))

    def asks(self, path: str) -> str:
        """The status of what the API answers it, or why it cannot ask."""
        program = ASK.replace("__PATH__", path)
        return self.scenario.python_in_pod(SPACE, f"deployment/{NAME}", program)


@pytest.fixture(scope="module")
def keeper(scenario: Scenario, apps_file: AppsFile) -> Iterator[Keeper]:
    yield Keeper(scenario, apps_file)
    undone = scenario.deploy(scenario.apps_file)
    assert undone.code == 0, str(undone)


def test_it_may_do_that_in_its_namespace_and_nothing_elsewhere(keeper: Keeper) -> None:
    rule = {"resources": ["pods"], "verbs": ["get", "list"]}
    run = keeper.deploy(rule)
    assert run.code == 0, str(run)
    assert keeper.asks(f"/api/v1/namespaces/{SPACE}/pods") == "200"
    for path in (
        f"/api/v1/namespaces/{SPACE}/secrets",
        "/api/v1/namespaces/quotes-main/pods",
        "/api/v1/namespaces/kube-system/pods",
        "/api/v1/pods",
        "/api/v1/nodes",
    ):
        assert keeper.asks(path) == "403", path
    again = keeper.deploy(rule)
    assert set(again.changed.values()) == {0}, str(again)

    run = keeper.deploy()
    assert run.code == 0, str(run)
    assert keeper.asks(f"/api/v1/namespaces/{SPACE}/pods") == "FileNotFoundError"
    left = keeper.scenario.kubectl(
        "get", "serviceaccounts,roles,rolebindings", "--namespace", SPACE, "--output=name"
    )
    assert "slipway-rbac" not in left


def test_a_right_that_leads_out_is_refused_before_anything_is_changed(keeper: Keeper) -> None:
    run = keeper.deploy({"resources": ["services"], "verbs": ["create"]})
    assert run.code != 0
    assert "gets out of its environment" in str(run)
    assert set(run.changed.values()) <= {0}, str(run)
