"""The pod of an app."""

from __future__ import annotations

import re
from typing import Any

import pytest

from slipway.kube.objects import contains
from tests.support.rendered import container, only, pod


def test_pods_run_without_rights_on_a_read_only_root() -> None:
    security = container()["securityContext"]
    assert security == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod()["securityContext"]["runAsNonRoot"] is True
    assert pod()["securityContext"]["runAsUser"] > 0
    assert pod()["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod()["automountServiceAccountToken"] is False
    assert {"name": "tmp", "mountPath": "/tmp"} in container()["volumeMounts"]


def test_a_roll_drops_no_request() -> None:
    spec = only("Deployment")["spec"]
    assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    drain = container()["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert 0 < drain < pod()["terminationGracePeriodSeconds"]


@pytest.mark.parametrize(
    ("health_path", "check"),
    [
        ("/health", {"httpGet": {"path": "/health", "port": "http"}}),
        (None, {"tcpSocket": {"port": "http"}}),
    ],
)
def test_probes(health_path: str | None, check: dict[str, Any]) -> None:
    found = container(health_path=health_path)
    assert found["readinessProbe"] == {**check, "timeoutSeconds": 3}
    assert contains(found["startupProbe"], {**check, "periodSeconds": 1})
    start = found["startupProbe"]["periodSeconds"] * found["startupProbe"]["failureThreshold"]
    assert 60 < start < only("Deployment")["spec"]["progressDeadlineSeconds"]
    assert "livenessProbe" not in found


def test_a_port_that_speaks_https_is_asked_so_unless_a_check_says_otherwise() -> None:
    probes = {"liveness": {"path": "/live", "port": 8081, "scheme": "http"}}
    found = container(scheme="https", health_path="/health", probes=probes, ingress=None)
    for name in ("startupProbe", "readinessProbe"):
        check = {"path": "/health", "port": "http", "scheme": "HTTPS"}
        assert found[name]["httpGet"] == check
    assert found["livenessProbe"]["httpGet"] == {"path": "/live", "port": 8081}
    probes["liveness"]["scheme"] = "https"
    assert container(probes=probes)["livenessProbe"]["httpGet"]["scheme"] == "HTTPS"


@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        (
            {"path": "/live"},
            {
                "httpGet": {"path": "/live", "port": "http"},
                "periodSeconds": 10,
                "timeoutSeconds": 3,
                "failureThreshold": 3,
            },
        ),
        (
            {"port": 8081, "period": 5, "timeout": 2, "failures": 9},
            {
                "tcpSocket": {"port": 8081},
                "periodSeconds": 5,
                "timeoutSeconds": 2,
                "failureThreshold": 9,
            },
        ),
        ({"command": ["cat", "/tmp/ready"]}, {"exec": {"command": ["cat", "/tmp/ready"]}}),
    ],
)
@pytest.mark.parametrize("name", ["startup", "readiness", "liveness"])
def test_a_probe_that_is_given_replaces_that_one(
    name: str, probe: dict[str, Any], expected: dict[str, Any]
) -> None:
    usual, found = container(), container(probes={name: probe})
    assert contains(found[f"{name}Probe"], expected)
    for other in {"startupProbe", "readinessProbe", "livenessProbe"} - {f"{name}Probe"}:
        assert found.get(other) == usual.get(other)


def test_a_slow_start_has_the_time_that_its_probe_gives_it() -> None:
    probes = {"startup": {"period": 10, "failures": 100}}
    assert only("Deployment", probes=probes)["spec"]["progressDeadlineSeconds"] > 1000


def test_resources_are_those_given() -> None:
    resources = {"requests": {"cpu": "100m"}, "limits": {"memory": "512Mi"}}
    assert container(resources=resources)["resources"] == resources
    assert "resources" not in container()


def test_what_is_relaxed_is_relaxed_alone() -> None:
    assert pod(security={"run_as_user": 0})["securityContext"] == {
        "runAsNonRoot": False,
        "runAsUser": 0,
        "runAsGroup": 0,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert pod(security={"run_as_user": 1000})["securityContext"]["runAsNonRoot"] is True
    hardened = container()["securityContext"]
    writable = container(security={"writable_root": True})["securityContext"]
    assert writable == {**hardened, "readOnlyRootFilesystem": False}
    able = container(security={"capabilities": ["NET_BIND_SERVICE"]})["securityContext"]
    assert able == {**hardened, "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}}


def test_a_token_is_mounted_for_a_service_account_alone() -> None:
    assert "serviceAccountName" not in pod()
    assert pod(service_account="reader")["serviceAccountName"] == "reader"
    assert pod(service_account="reader")["automountServiceAccountToken"] is True


def test_variables_may_point_at_other_objects() -> None:
    env = {
        "B": {"kubernetes_secret": "db", "key": "password"},
        "A": {"config_map": "settings", "key": "speed"},
    }
    assert container(env=env)["env"] == [
        {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "speed"}}},
        {"name": "B", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}},
    ]


DOLLARS = ["cost $(A) $$5", "$", "$$", "$$$(B)", "$(", "$A ${B} $é", "a$(A)$(A", "$$(A))$"]
"""Texts with what Kubernetes would fill in or take one of."""


def expanded(text: str, variables: dict[str, str]) -> str:
    """What Kubernetes makes of a value: the rule of ``expansion.Expand`` of its source."""

    def found(match: re.Match[str]) -> str:
        whole, name = match[0], match[1]
        return "$" if whole == "$$" else variables.get(name, whole)

    return re.sub(r"\$(?:\$|\(([^)]*)\))", found, text)


@pytest.mark.parametrize("text", DOLLARS)
def test_dollars_get_to_the_container_and_its_checks_to_the_letter(text: str) -> None:
    found = container(
        env={"A": {"value": "filled in"}, "B": {"value": text}},
        probes={"liveness": {"command": ["sh", "-c", text]}},
    )
    variables = {each["name"]: each["value"] for each in found["env"]}
    assert expanded(variables["B"], variables) == text
    command = found["livenessProbe"]["exec"]["command"]
    assert [expanded(word, variables) for word in command] == ["sh", "-c", text]
