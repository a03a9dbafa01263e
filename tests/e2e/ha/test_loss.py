"""Any one control plane is lost: the API answers again soon, and apps answer all the time."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
import urllib3

from slipway.errors import SlipwayError
from slipway.kube.client import NODES, Kube, Object
from slipway.nodes import containers
from tests.support.scenario import Scenario, wait_for

HOST, NAME, TEXT = "loss.slipway.test", "loss", "served"

ASKED_SECONDS = 10.0
"""How long apps are asked at least from the loss on; the API was back within that where it ran."""

PAUSE_SECONDS = 0.02

ETCDCTL = "etcdctl --cacert={0}/ca.crt --cert={0}/server.crt --key={0}/server.key member list"


@pytest.fixture(scope="module")
def served(scenario: Scenario) -> Iterator[str]:
    """The address at which an app of two pods answers."""
    meta = {"name": NAME, "namespace": "default", "labels": {"app": NAME}}
    image = f"bundle.slipway.internal/python:{scenario.facts['versions']['python']}"
    objects = [_deployment(meta, image), _service(meta), _ingress(meta)]
    for each in objects:
        scenario.kube.apply(each)
    address = scenario.ingress_address()
    wait_for(partial(ask, scenario, address), lambda wrong: wrong == "")
    yield address
    scenario.kubectl("delete", "deployment,service,ingress", NAME, "--namespace=default")


def ask(scenario: Scenario, address: str) -> str:
    """What is wrong with the app's answer; nothing if it is right."""
    answer = scenario.ask(address, HOST, "/")
    return "" if (answer.status, answer.text) == (200, TEXT) else str(answer)


@contextmanager
def asked_all_the_time(scenario: Scenario, address: str) -> Iterator[list[str]]:
    """Ask the app again and again; gives a list of all answers, as what was wrong with each."""
    answers: list[str] = []
    ended = threading.Event()

    def go_on() -> None:
        while not ended.wait(PAUSE_SECONDS):
            answers.append(ask(scenario, address))

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield answers
    finally:
        ended.set()
        thread.join()


def is_well(url: str) -> bool:
    """Whether an API server says so on a connection of its own."""
    with urllib3.PoolManager(retries=False, timeout=2, cert_reqs="CERT_NONE") as http:
        try:
            return http.request("GET", f"{url}/readyz").status == 200
        except urllib3.exceptions.HTTPError:
            return False


def accepts_changes(scenario: Scenario) -> bool:
    """Whether something can be written, for which most members of etcd have to be there."""
    if not is_well(scenario.facts["endpoint"]):
        return False
    note = {"name": NAME, "namespace": "default"}
    data = {"key": secrets.token_hex(4)}
    made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": note, "data": data}
    try:
        # Who comes anew has no connection to what is gone.
        with Kube(Path(scenario.facts["kubeconfig"])) as kube:
            kube.apply(made)
    except SlipwayError:
        return False
    return True


def holder(scenario: Scenario) -> str:
    """The control plane that has the address of the API."""
    address = scenario.facts["endpoint"].removeprefix("https://").partition(":")[0]
    shown = f"ip -o address show to {address}"
    return next(
        (
            name
            for name in scenario.facts["control_plane"]
            if scenario.nodes[name].run(shown).stdout.strip()
        ),
        "",
    )


def is_back(scenario: Scenario, name: str) -> bool:
    """Whether a control plane answers by itself, and its kubelet does."""
    node = scenario.kube.get(NODES, name)
    assert node
    conditions = {each["type"]: each["status"] for each in node["status"]["conditions"]}
    address = node["status"]["addresses"][0]["address"]
    return is_well(f"https://{address}:6443") and conditions["Ready"] == "True"


def members(scenario: Scenario) -> dict[str, bool]:
    """The members of etcd, and whether each has a vote."""
    pod = f"etcd-{scenario.facts['control_plane'][0]}"
    command = ETCDCTL.format("/etc/kubernetes/pki/etcd").split()
    said = scenario.kubectl("exec", "--namespace=kube-system", pod, "--", *command)
    rows = [line.split(", ") for line in said.splitlines()]
    return {row[2]: (row[1], row[5]) == ("started", "false") for row in rows}


def test_every_control_plane_has_a_vote_and_answers_by_itself(scenario: Scenario) -> None:
    names = scenario.facts["control_plane"]
    assert len(names) == 3
    assert members(scenario) == dict.fromkeys(names, True)
    for name in names:
        wait_for(partial(is_back, scenario, name), bool)


def test_all_api_servers_read_secrets_by_one_key(scenario: Scenario) -> None:
    path = "/etc/kubernetes/api-server/encryption.yaml"
    hosts = [scenario.nodes[name] for name in scenario.facts["control_plane"]]
    assert len({host.file(path).content for host in hosts}) == 1


def test_nobody_knows_the_address_of_the_first_control_plane_as_the_cluster_s(
    scenario: Scenario,
) -> None:
    known = scenario.kubectl("get", "configmaps", "--all-namespaces", "--output=yaml")
    servers = {line.strip() for line in known.splitlines() if line.strip().startswith("server:")}
    assert servers == {f"server: {scenario.facts['endpoint']}"}
    for name, host in scenario.nodes.items():
        if name not in scenario.facts["control_plane"]:
            text = host.file("/etc/kubernetes/kubelet.conf").content_string
            assert f"server: {scenario.facts['endpoint']}\n" in text


def test_names_are_answered_on_more_than_one_node(scenario: Scenario) -> None:
    asked = ["get", "pods", "--namespace=kube-system", "--selector=k8s-app=kube-dns"]
    shown = scenario.kubectl(*asked, "--output=jsonpath={.items[*].spec.nodeName}").split()
    assert len({*shown}) == len(shown) == 2


def test_whichever_control_plane_is_lost_the_api_answers_soon_and_apps_always(
    scenario: Scenario, served: str
) -> None:
    first = wait_for(partial(holder, scenario), bool)
    order = [first, *(name for name in scenario.facts["control_plane"] if name != first)]
    client = containers.connect()
    for name in order:
        node = client.containers.get(name)
        with asked_all_the_time(scenario, served) as answers:
            node.kill()
            lost = time.monotonic()
            wait_for(partial(accepts_changes, scenario), bool)
            # Whoever was connected to it has found out by now.
            time.sleep(max(0.0, ASKED_SECONDS - (time.monotonic() - lost)))
        node.start()
        wait_for(partial(is_back, scenario, name), bool)
        assert [each for each in answers if each] == [], name
        assert answers


def test_a_load_balancer_that_ends_gives_the_address_up(scenario: Scenario) -> None:
    name = wait_for(partial(holder, scenario), bool)
    host = scenario.nodes[name]
    host.check_output("systemctl stop slipway-api-balancer.service")
    try:
        wait_for(partial(is_well, scenario.facts["endpoint"]), bool)
        assert wait_for(partial(holder, scenario), bool) != name
    finally:
        host.check_output("systemctl start slipway-api-balancer.service")
    assert is_well(scenario.facts["endpoint"])


def _deployment(meta: Object, image: str) -> Object:
    """Two pods that serve a text, each on a worker of its own, and never end in a request."""
    serve = f"mkdir /tmp/www && printf {TEXT} >/tmp/www/index.html && exec python3 -m http.server"
    container = {
        "name": "server",
        "image": image,
        "command": ["sh", "-euc", f"{serve} --directory /tmp/www 8080"],
        "readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1},
    }
    labels = {"app": NAME}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": meta,
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [container], "automountServiceAccountToken": False},
            },
        },
    }


def _service(meta: Object) -> Object:
    ports = [{"port": 8080}]
    spec = {"selector": {"app": NAME}, "ports": ports}
    return {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec}


def _ingress(meta: Object) -> Object:
    backend = {"service": {"name": NAME, "port": {"number": 8080}}}
    path = {"path": "/", "pathType": "Prefix", "backend": backend}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": meta,
        "spec": {
            "ingressClassName": "nginx",
            "rules": [{"host": HOST, "http": {"paths": [path]}}],
        },
    }
