"""The cluster's own defaults keep out who is not let in: asked from outside, as that one would."""

from __future__ import annotations

import base64
import json
import secrets
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import urllib3
import yaml

from slipway.kube.client import PODS, SECRETS, ApiError, Object
from slipway.kube.nodes import nodes_of
from tests.support.scenario import Scenario

AUDIT_LOG = "/var/log/kubernetes/audit/audit.log"

ENCRYPTED = b"k8s:enc:secretbox:v1:slipway:"

KUBELET_PORT = 10250


def authority(scenario: Scenario) -> str:
    """The certificate of the cluster's authority."""
    config = yaml.safe_load(Path(scenario.facts["kubeconfig"]).read_text())
    data = config["clusters"][0]["cluster"]["certificate-authority-data"]
    return base64.b64decode(data).decode()


def anonymous(scenario: Scenario, url: str) -> int:
    """The status that a server of the cluster gives to somebody without a name."""
    with urllib3.PoolManager(ca_cert_data=authority(scenario), retries=False, timeout=10) as http:
        return http.request("GET", url).status


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz"])
def test_everybody_may_ask_whether_the_api_server_is_well(scenario: Scenario, path: str) -> None:
    assert anonymous(scenario, scenario.facts["endpoint"] + path) == 200


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/api", "/apis", "/version", "/openapi/v3", "/metrics", "/livez/etcd"),
        *("/debug/pprof/", "/api/v1/namespaces/kube-public/configmaps/cluster-info"),
    ],
)
def test_nobody_without_a_name_is_told_anything_else(scenario: Scenario, path: str) -> None:
    assert anonymous(scenario, scenario.facts["endpoint"] + path) == 401


@contextmanager
def secret(scenario: Scenario) -> Iterator[tuple[str, str]]:
    """A Secret of a name and a value that nothing else has."""
    name, value = f"e2e-{secrets.token_hex(4)}", secrets.token_hex(16)
    meta = {"name": name, "namespace": "default"}
    made: Object = {"apiVersion": "v1", "kind": "Secret", "metadata": meta}
    scenario.kube.apply({**made, "stringData": {"key": value}})
    try:
        yield name, value
    finally:
        scenario.kube.delete(SECRETS, name, "default")


def test_the_audit_log_has_who_used_a_secret_and_not_its_content(scenario: Scenario) -> None:
    with secret(scenario) as (name, value):
        scenario.kubectl("get", "secret", "--namespace", "default", name)
    text = scenario.control_plane.file(AUDIT_LOG).content_string
    lines = [json.loads(line) for line in text.splitlines() if name in line]
    found = {each["verb"] for each in lines if each["objectRef"].get("name") == name}
    assert found == {"patch", "get", "delete"}
    assert {each["level"] for each in lines} == {"Metadata"}
    assert all(each["user"]["username"] == "kubernetes-admin" for each in lines)
    assert value not in text
    assert base64.b64encode(value.encode()).decode() not in text


def test_nobody_but_root_reads_the_audit_log(scenario: Scenario) -> None:
    file = scenario.control_plane.file(AUDIT_LOG)
    assert (file.mode, file.user) == (0o600, "root")


def test_every_secret_is_encrypted_in_etcd(scenario: Scenario) -> None:
    pki = "/etc/kubernetes/pki/etcd"
    etcdctl = [
        *("etcdctl", f"--cacert={pki}/ca.crt", f"--cert={pki}/server.crt"),
        *(f"--key={pki}/server.key", "get", "--prefix", "/registry/secrets/", "--write-out=json"),
    ]
    pod = f"etcd-{scenario.facts['control_plane'][0]}"
    with secret(scenario) as (name, _value):
        said = scenario.kubectl("exec", "--namespace", "kube-system", pod, "--", *etcdctl)
    kept = {
        base64.b64decode(each["key"]).decode(): base64.b64decode(each["value"])
        for each in json.loads(said)["kvs"]
    }
    assert f"/registry/secrets/default/{name}" in kept
    assert {key for key, value in kept.items() if not value.startswith(ENCRYPTED)} == set()


def test_the_key_of_secrets_is_root_s_alone(scenario: Scenario) -> None:
    file = scenario.control_plane.file("/etc/kubernetes/api-server/encryption.yaml")
    assert (file.mode, file.user) == (0o600, "root")
    providers = yaml.safe_load(file.content_string)["resources"][0]["providers"]
    assert len(base64.b64decode(providers[0]["secretbox"]["keys"][0]["secret"])) == 32


def greeting(scenario: Scenario, address: str, port: int, **wanted: ssl.TLSVersion) -> str:
    """The version of TLS that a server speaks whose certificate is of the cluster's authority."""
    context = ssl.create_default_context(cadata=authority(scenario))
    for name, value in wanted.items():
        setattr(context, name, value)
    with (
        socket.create_connection((address, port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=address) as secured,
    ):
        return secured.version() or ""


def test_kubelets_prove_who_they_are_by_the_cluster_s_authority(scenario: Scenario) -> None:
    addresses = {name: node["address"] for name, node in nodes_of(scenario.kube).items()}
    found = {name: greeting(scenario, addresses[name], KUBELET_PORT) for name in addresses}
    assert found == dict.fromkeys(addresses, "TLSv1.3")


def test_no_server_of_a_node_speaks_an_older_tls_than_it_should(scenario: Scenario) -> None:
    nodes = nodes_of(scenario.kube)
    for node in nodes.values():
        with pytest.raises(ssl.SSLError):
            greeting(
                scenario, node["address"], KUBELET_PORT, maximum_version=ssl.TLSVersion.TLSv1_2
            )
    endpoint = urlsplit(scenario.facts["endpoint"])
    address, port = str(endpoint.hostname), endpoint.port or 443
    assert greeting(scenario, address, port, maximum_version=ssl.TLSVersion.TLSv1_2) == "TLSv1.2"


def test_kubelets_answer_nobody_without_a_name(scenario: Scenario) -> None:
    for name, node in nodes_of(scenario.kube).items():
        url = f"https://{node['address']}:{KUBELET_PORT}"
        statuses = {path: anonymous(scenario, url + path) for path in ("/pods", "/metrics")}
        assert statuses == dict.fromkeys(statuses, 401), name
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((node["address"], 10255), timeout=5)


def test_kubelets_are_configured_alike(scenario: Scenario) -> None:
    for name in scenario.nodes:
        told = json.loads(scenario.kubectl("get", "--raw", f"/api/v1/nodes/{name}/proxy/configz"))
        config = told["kubeletconfig"]
        assert config["authentication"]["anonymous"]["enabled"] is False, name
        assert config["authorization"]["mode"] == "Webhook", name
        assert config.get("readOnlyPort", 0) == 0, name
        assert config["serverTLSBootstrap"] is True, name
        assert config["seccompDefault"] is True, name
        assert config["podPidsLimit"] == 4096, name
        assert config["enableProfilingHandler"] is False, name


def pod(namespace: str, **spec: object) -> Object:
    """A pod that would run, if it may."""
    container = {"name": "one", "image": "bundle.slipway.internal/python:none"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "e2e-refused", "namespace": namespace},
        "spec": {"containers": [container], **spec},
    }


@pytest.mark.parametrize("spec", [{"hostNetwork": True}, {"hostPID": True}, {"hostIPC": True}])
def test_a_namespace_that_says_nothing_has_no_pods_that_are_the_node_s(
    scenario: Scenario, spec: dict[str, object]
) -> None:
    with pytest.raises(ApiError, match='violates PodSecurity "baseline:latest"'):
        scenario.kube.apply(pod("default", **spec), dry_run=True)
    scenario.kube.apply(pod("default"), dry_run=True)
    scenario.kube.apply(pod("kube-system", **spec), dry_run=True)
    scenario.kube.apply(pod("metallb-system", **spec), dry_run=True)
    assert scenario.kube.get(PODS, "e2e-refused", "default") is None
