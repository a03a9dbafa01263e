"""The cluster under test: what its inventory says, its nodes, its API, its playbooks."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import testinfra
import urllib3
from testinfra.host import Host

from slipway.apps.app import App
from slipway.apps.manifests.labels import is_own
from slipway.apps.plan.plan import plan
from slipway.architecture import Architecture
from slipway.bundle.provider import bundle_path
from slipway.bundle.source import SourceProvider
from slipway.cache.layout import CacheLayout
from slipway.kube.client import PODS, SERVICES, Kube, Object
from tests.support.checkout import PROJECT

FACTS = {
    "address": "ansible_host | default('')",
    "apps_file": "slipway_apps_file",
    "become": "ansible_become | default(false)",
    "cache": "slipway_cache_dir",
    "cluster": "slipway_cluster_name",
    "connection": "ansible_connection | default('ssh')",
    "control_plane": "groups['control_plane']",
    "endpoint": "slipway_endpoint",
    "key": "ansible_ssh_private_key_file | default('')",
    "kubeconfig": "slipway_kubeconfig",
    "dashboard_host": "slipway_dashboard_host",
    "domain": "slipway_domain",
    "pool": "metallb_pool",
    "ports": "slipway_published_ports",
    "resolv_conf": "node_containers_resolv_conf | default('')",
    "segment": "node_containers_subnet | default('')",
    "ssh_args": "ansible_ssh_common_args | default('')",
    "user": "ansible_user | default('')",
    "versions": "slipway_versions",
}
"""What tests ask the inventory for, each as an expression in the variables of a node."""

INGRESS = ("nginx-ingress", "nginx-ingress")
"""Name and namespace of the Service that all routes are behind."""

RETRY_SECONDS = 0.5
SLOWEST_SECONDS = 120.0
"""How long anything here may take to come true."""

T = TypeVar("T")


@dataclass(frozen=True)
class Run:
    """A playbook run as its user sees it."""

    code: int
    output: str
    errors: str

    @property
    def changed(self) -> dict[str, int]:
        """How many tasks changed something, by host, as the recap says."""
        recap = re.findall(r"^(\S+) +: ok=\d+ +changed=(\d+) ", self.output, re.MULTILINE)
        return {host: int(count) for host, count in recap}

    @property
    def failures(self) -> list[str]:
        """What each failed task said."""
        return re.findall(r"^fatal: (.*?)\n\n", self.output, re.MULTILINE | re.DOTALL)

    def __str__(self) -> str:
        """All that was said: pytest cuts what is no string."""
        return f"exit code {self.code}\n{self.output}\n{self.errors}"


@dataclass(frozen=True)
class Answer:
    """What a route said; status 0 and the reason when nothing answered."""

    status: int
    text: str


class Scenario:
    """The cluster of an inventory, and the ways of its user to work on it."""

    def __init__(self, inventory: str) -> None:
        self.inventory = inventory
        by_node = self._ask_inventory()
        self.facts = next(iter(by_node.values()))
        self.nodes = {name: _host(name, facts) for name, facts in by_node.items()}
        self.control_plane = self.nodes[self.facts["control_plane"][0]]
        self.apps_file = Path(self.facts["apps_file"])
        self.cache = Path(self.facts["cache"])
        layout = CacheLayout(self.cache)
        own = SourceProvider(PROJECT, self.facts["versions"], layout, Architecture.here())
        self.bundle = bundle_path(own, layout)
        self.kube = Kube(Path(self.facts["kubeconfig"]))
        self._http = urllib3.PoolManager(retries=False, timeout=5)

    def play(
        self,
        *playbooks: str,
        under: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        **variables: Any,
    ) -> Run:
        """Run playbooks with extra ``variables``; ``under`` is a command that runs a command."""
        extra = json.dumps(variables, default=str)
        command = ["ansible-playbook", "--inventory", self.inventory, "--extra-vars", extra]
        done = subprocess.run(
            [*under, *command, *playbooks],
            cwd=PROJECT,
            env={**environment(), **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return Run(done.returncode, done.stdout, done.stderr)

    def planned(self, apps_file: Path | None = None) -> list[App]:
        """The apps of an apps.yml, the cluster's own unless another is given."""
        return plan(apps_file or self.apps_file, domain=self.facts["domain"])

    def deploy(self, apps_file: Path) -> Run:
        """Make the apps as ``apps_file`` has them, and prove that they answer."""
        return self.play("playbooks/apps.yml", slipway_apps_file=apps_file)

    def pods(self) -> dict[str, tuple[str, int]]:
        """UID of every pod that is to stay, and the restarts of an app's, by ``namespace/name``.

        Whether a container of MetalLB, say, was started anew on a busy machine is not at issue.
        """
        return {
            f"{pod['metadata']['namespace']}/{pod['metadata']['name']}": (
                pod["metadata"]["uid"],
                _restarts(pod) if is_own(pod) else 0,
            )
            for pod in self.kube.list(PODS).items
            if "deletionTimestamp" not in pod["metadata"]
        }

    def ingress_address(self) -> str:
        """The address of the pool that all routes are behind."""
        service = self.kube.get(SERVICES, *INGRESS)
        assert service, "there is no ingress controller"
        return str(service["status"]["loadBalancer"]["ingress"][0]["ip"])

    def ask(self, address: str, host: str, path: str) -> Answer:
        """Ask what is at an address for a path of a host."""
        url, headers = f"http://{address}{path}", {"Host": host}
        try:
            response = self._http.request("GET", url, headers=headers, redirect=False)
        except urllib3.exceptions.HTTPError as error:
            return Answer(0, str(error))
        return Answer(response.status, response.data.decode())

    def wrong_routes(
        self, apps_file: Path | None = None, address: str | None = None
    ) -> dict[str, Answer]:
        """The routes of an apps.yml that do not answer with the text that they should."""
        address = address or self.ingress_address()
        routes = [
            (rule.host, rule.path, rule.expect)
            for app in self.planned(apps_file)
            for rule in app.rules
        ]
        assert routes
        answers = {route: self.ask(address, *route[:2]) for route in routes}
        return {
            path: answer
            for (_, path, text), answer in answers.items()
            if answer.status != 200 or (text or "") not in answer.text
        }

    def kubectl(self, *arguments: str) -> str:
        """What kubectl says on the control plane."""
        command = "/usr/local/bin/kubectl --kubeconfig /etc/kubernetes/admin.conf"
        given = " %s" * len(arguments)
        return str(self.control_plane.check_output(command + given, *arguments)).strip()

    def python_in_pod(self, namespace: str, pod: str, program: str) -> str:
        """What a Python program prints in a pod (or in one of ``deployment/<name>``)."""
        return self.kubectl("exec", "--namespace", namespace, pod, "--", "python3", "-c", program)

    @contextmanager
    def pod_on_each_node(self) -> Iterator[dict[str, str]]:
        """A pod on every node, its address by its name; it serves its name at :8080/hostname."""
        image = f"bundle.slipway.internal/python:{self.facts['versions']['python']}"
        pods = [_serving_pod(f"on-{node}", node, image) for node in self.nodes]
        names = [pod["metadata"]["name"] for pod in pods]
        try:
            for pod in pods:
                self.kube.apply(pod)
            yield {name: wait_for(partial(self._address_if_ready, name), bool) for name in names}
        finally:
            for name in names:
                self.kube.delete(PODS, name, "default")

    def _address_if_ready(self, name: str) -> str:
        status = (self.kube.get(PODS, name, "default") or {}).get("status", {})
        conditions = {each["type"]: each["status"] for each in status.get("conditions", [])}
        return str(status["podIP"]) if conditions.get("Ready") == "True" else ""

    def _ask_inventory(self) -> dict[str, dict[str, Any]]:
        """The FACTS of every node, by its name."""
        wanted = ", ".join(f"'{name}': {expression}" for name, expression in FACTS.items())
        done = subprocess.run(
            [
                *("ansible", "nodes", "--inventory", self.inventory),
                *("--playbook-dir", PROJECT, "--module-name", "ansible.builtin.debug"),
                *("--args", json.dumps({"msg": f"{{{{ {{{wanted}}} }}}}"})),
            ],
            cwd=PROJECT,
            env={**environment(), "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        decoder = json.JSONDecoder()
        return {
            answer[1]: decoder.raw_decode(done.stdout, answer.end())[0]["msg"]
            for answer in re.finditer(r"^(\S+) \| SUCCESS => ", done.stdout, re.MULTILINE)
        }


def wait_for(
    ask: Callable[[], T], good: Callable[[T], bool], seconds: float = SLOWEST_SECONDS
) -> T:
    """Ask until the answer is ``good``, and return it; fails with the last answer otherwise."""
    deadline = time.monotonic() + seconds
    while not good(answer := ask()):
        assert time.monotonic() < deadline, f"after {seconds:.0f} s: {answer}"
        time.sleep(RETRY_SECONDS)
    return answer


def _restarts(pod: Object) -> int:
    """How often containers of a pod were started anew."""
    return sum(each["restartCount"] for each in pod["status"].get("containerStatuses", []))


def _host(name: str, facts: Mapping[str, Any]) -> Host:
    """A node over the connection that its inventory gives it."""
    if facts["connection"] == "community.docker.docker":
        return testinfra.get_host(f"docker://{name}")
    return testinfra.get_host(
        f"ssh://{facts['user']}@{facts['address']}",
        ssh_identity_file=facts["key"],
        ssh_extra_args=facts["ssh_args"],
        sudo=facts["become"],
    )


def _serving_pod(name: str, node: str, image: str) -> Object:
    """A pod that the scheduler has no say about."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "nodeName": node,
            "tolerations": [{"operator": "Exists"}],
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
            "containers": [
                {
                    "name": "server",
                    "image": image,
                    "command": ["python3", "-m", "http.server", "--directory", "/etc", "8080"],
                    "readinessProbe": {
                        "httpGet": {"path": "/hostname", "port": 8080},
                        "periodSeconds": 1,
                    },
                }
            ],
        },
    }


def environment() -> dict[str, str]:
    """The environment in which Ansible's commands are those beside this Python."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    plain = {"ANSIBLE_FORCE_COLOR": "false", "ANSIBLE_NOCOLOR": "true"}
    return {**os.environ, **plain, "PATH": path}
