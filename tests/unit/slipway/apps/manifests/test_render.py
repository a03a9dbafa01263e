"""What an app becomes in the cluster."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.apps.manifests.labels import COMMIT, POD_HASH, owner_of
from slipway.apps.manifests.render import namespace, render
from slipway.apps.manifests.routes import master
from slipway.kube.client import Object
from slipway.kube.objects import HASH, contains
from tests.support.apps import built


def objects(**changes: Any) -> dict[str, list[Object]]:
    """An app's objects by kind."""
    found: dict[str, list[Object]] = {}
    for obj in render(built(**changes), "nginx"):
        found.setdefault(obj["kind"], []).append(obj)
    return found


def only(kind: str, **changes: Any) -> Object:
    [obj] = objects(**changes)[kind]
    return obj


def pod(**changes: Any) -> dict[str, Any]:
    spec: dict[str, Any] = only("Deployment", **changes)["spec"]["template"]["spec"]
    return spec


def container(**changes: Any) -> dict[str, Any]:
    [found] = pod(**changes)["containers"]
    assert isinstance(found, dict)
    return found


def routes(*rules: tuple[str, str | None]) -> dict[str, Any]:
    """An ingress with a path and a rewrite for each rule."""
    return {
        "websocket": False,
        "max_body_size": "1m",
        "timeout": "60s",
        "rules": [
            {
                "host": "h.test",
                "path": path,
                "path_type": "Prefix",
                "rewrite": rewrite,
                "expect": None,
                "tls": None,
            }
            for path, rewrite in rules
        ],
    }


def test_objects_come_in_the_order_to_apply_them() -> None:
    kinds = [obj["kind"] for obj in render(built(), "nginx")]
    assert kinds == ["ConfigMap", "Service", "Deployment", "Ingress"]


def test_every_object_is_known_as_slipways_and_as_the_apps() -> None:
    for obj in render(built(), "nginx"):
        labels = obj["metadata"]["labels"]
        assert labels["app.kubernetes.io/managed-by"] == "slipway"
        assert labels["app.kubernetes.io/instance"] == "main"
        assert owner_of(obj) == "greeter-main/greeter"
        assert len(obj["metadata"]["annotations"][HASH]) == 16
    assert namespace("n")["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "slipway"


def test_service_deployment_and_pods_find_one_another() -> None:
    deployment, service = only("Deployment"), only("Service")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    for selector in (deployment["spec"]["selector"]["matchLabels"], service["spec"]["selector"]):
        assert selector.items() <= labels.items()
        assert "app.kubernetes.io/instance" not in selector  # selectors cannot change, branches can
    [port] = service["spec"]["ports"]
    assert port["targetPort"] == container()["ports"][0]["name"]
    assert container()["ports"][0]["containerPort"] == 8080


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


def test_each_config_file_is_mounted_alone_at_its_path() -> None:
    files = [
        {"path": "/config/b/app.properties", "content": "b"},
        {"path": "/config/a/app.properties", "content": "a"},
        {"path": "/etc/odd name.txt", "content": "c"},
    ]
    config = only("ConfigMap", config_files=files)
    mounts = {m["mountPath"]: m for m in container(config_files=files)["volumeMounts"]}
    for file in files:
        mount = mounts[file["path"]]
        assert config["data"][mount["subPath"]] == file["content"]
        assert mount["readOnly"] is True
    volumes = {volume["name"]: volume for volume in pod(config_files=files)["volumes"]}
    assert volumes["config"]["configMap"]["name"] == config["metadata"]["name"]
    assert config["immutable"] is True


def test_an_app_without_config_files_has_no_config_map() -> None:
    assert "ConfigMap" not in objects(config_files=[])
    assert [volume["name"] for volume in pod(config_files=[])["volumes"]] == ["tmp"]


def template(**changes: Any) -> Any:
    return only("Deployment", **changes)["spec"]["template"]


@pytest.mark.parametrize(
    "change",
    [
        {"image": "apps.slipway.internal/greeter:main-fedcba987654"},
        {"config_files": [{"path": "/config/application.properties", "content": "a=2\n"}]},
        {"env": {"GREETING": {"value": "Hi"}}},
        {"port": 9090},
        {"node_selector": {"disk": "fast"}},
    ],
)
def test_what_rolls_the_pods(change: dict[str, Any]) -> None:
    old, new = template(), template(**change)
    assert old["metadata"]["annotations"][POD_HASH] != new["metadata"]["annotations"][POD_HASH]


@pytest.mark.parametrize("change", [{"commit": "f" * 40}, {"replicas": 3}, {"ingress": None}])
def test_what_does_not_roll_the_pods(change: dict[str, Any]) -> None:
    assert template(**change) == template()


def test_the_commit_is_on_the_deployment() -> None:
    assert only("Deployment")["metadata"]["annotations"][COMMIT] == built()["commit"]


def test_master_holds_the_host_and_nothing_else() -> None:
    obj = master("h.test", "nginx")
    assert obj["metadata"]["annotations"]["nginx.org/mergeable-ingress-type"] == "master"
    assert obj["spec"] == {"ingressClassName": "nginx", "rules": [{"host": "h.test"}]}
    assert "nginx.org/rewrites" not in obj["metadata"]["annotations"]


def test_a_minion_has_the_paths_and_one_rewrite() -> None:
    obj = only("Ingress", ingress=routes(("/a/", "/"), ("/b/", "/")))
    annotations = obj["metadata"]["annotations"]
    assert annotations["nginx.org/mergeable-ingress-type"] == "minion"
    assert annotations["nginx.org/rewrites"] == "serviceName=greeter rewrite=/"
    [rule] = obj["spec"]["rules"]
    assert rule["host"] == "h.test"
    assert [path["path"] for path in rule["http"]["paths"]] == ["/a/", "/b/"]
    service = rule["http"]["paths"][0]["backend"]["service"]
    assert service["name"] == only("Service")["metadata"]["name"]
    assert service["port"]["number"] == only("Service")["spec"]["ports"][0]["port"]


def test_paths_that_are_rewritten_differently_are_in_different_minions() -> None:
    minions = objects(ingress=routes(("/a/", "/"), ("/b/", None), ("/c/", "/x/"), ("/d/", "/")))
    found = {
        obj["metadata"]["name"]: (
            obj["metadata"]["annotations"].get("nginx.org/rewrites"),
            [path["path"] for path in obj["spec"]["rules"][0]["http"]["paths"]],
        )
        for obj in minions["Ingress"]
    }
    assert found == {
        "greeter": ("serviceName=greeter rewrite=/", ["/a/", "/d/"]),
        "greeter.1": (None, ["/b/"]),
        "greeter.2": ("serviceName=greeter rewrite=/x/", ["/c/"]),
    }


def test_an_app_without_routes_has_no_ingress() -> None:
    assert "Ingress" not in objects(ingress=None)


def test_the_order_of_config_files_is_of_no_account() -> None:
    files = [*built()["config_files"], {"path": "/etc/extra", "content": ""}]
    assert objects(config_files=files) == objects(config_files=[*reversed(files)])
