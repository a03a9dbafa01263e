"""control_plane on a directory as a node, with a kubeadm and a kubectl that are scripts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from slipway.on_node import control_plane, shared
from tests.support.on_node import result_of

ENDPOINT, FORMER = "https://192.0.2.10:8443", "https://192.0.2.11:6443"
KUBECONFIG = "clusters:\n- cluster:\n    server: {}\n  name: lab\n"

STATIC = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")

KUBEADM = """#!/bin/sh
echo "kubeadm $*" >>{log}
case "$*" in
*"{fails}"*) echo 'no such flag' >&2; exit 1 ;;
*"certs apiserver"*)
    for each in {pki}/apiserver.crt {pki}/apiserver.key; do [ -e $each ] || echo new >$each; done ;;
*control-plane*) for each in {changes}; do echo new >{manifests}/$each.yaml; done ;;
esac
"""

KUBECTL = """#!/bin/sh
echo "kubectl ${{*#*--request-timeout=30s }}" >>{log}
case "$*" in
*"get pods"*) {python} {pods} {manifests} ;;
*"--raw=/readyz"*) ;;
*"--raw"*) cat {secrets} ;;
*"get configmap"*) printf '%s' '{{"data": {{"kubeconfig": "    server: {former}\\n"}}}}' ;;
*"replace --filename"*) cat >>{maps} ;;
*replace*) cat >{written}; [ "$(grep -c replace {log})" -gt {conflicts} ] || {{
    echo 'Error from server (Conflict): "hunter2" has been modified' >&2; exit 1; }} ;;
esac
"""

PODS = """
import json, pathlib, sys
def pod(path):
    text = "old\\n" if {lags} else path.read_text()
    down = {down} and path.read_text() == "new\\n"
    ready = {{"type": "Ready", "status": "False" if down else "True"}}
    return {{
        "metadata": {{
            "labels": {{"component": path.stem}},
            "annotations": {{"kubernetes.io/config.hash": text}},
        }},
        "status": {{"conditions": [ready]}},
    }}
print(json.dumps({{"items": [pod(path) for path in pathlib.Path(sys.argv[1]).glob("*.yaml")]}}))
"""


class Machine:
    """A control plane that runs, and what kubeadm makes of it."""

    def __init__(self, root: Path) -> None:
        self.root = root / "root"
        self.manifests = self.root / "etc/kubernetes/manifests"
        self.tools = root / "tools"
        self.log, self.written = root / "log", root / "written"
        self.pki, self.maps = self.root / "etc/kubernetes/pki", root / "maps"
        self._secrets, self._pods = root / "secrets", root / "pods.py"
        for folder in (self.tools, self.manifests, self.pki, self.root / "var/lib/slipway"):
            folder.mkdir(parents=True)
        for name in ("crt", "key"):
            (self.pki / f"apiserver.{name}").write_text("old\n")
        self.is_reached(ENDPOINT)
        for name in STATIC:
            (self.manifests / f"{name}.yaml").write_text("old\n")
        self.behaves()
        self.kubelet_says("nothing")
        self.has_secrets("one")

    def kubelet_says(self, text: str) -> None:
        """Let the kubelet's log end so."""
        self._script("journalctl", f"#!/bin/sh\necho '{text}'\n")

    def is_reached(self, server: str) -> None:
        """Let the administrator's kubeconfig name a server."""
        self.admin.write_text(KUBECONFIG.format(server))

    @property
    def admin(self) -> Path:
        """The administrator's kubeconfig."""
        return self.root / "etc/kubernetes/admin.conf"

    def behaves(
        self,
        *,
        changes: str = "kube-apiserver",
        fails: str = "none",
        down: bool = False,
        lags: bool = False,
    ) -> None:
        """Let kubeadm change such static pods, or fail.

        They do not run then (``down``), or those of before still do (``lags``).
        """
        names = {"log": self.log, "manifests": self.manifests, "pki": self.pki}
        self._script("kubeadm", KUBEADM.format(**names, changes=changes, fails=fails))
        self._pods.write_text(PODS.format(down=down, lags=lags))
        self.conflicts(0)

    def conflicts(self, times: int) -> None:
        """Let others change Secrets while they are written."""
        files = {"pods": self._pods, "secrets": self._secrets, "written": self.written}
        names = {
            "maps": self.maps,
            "former": FORMER,
            "log": self.log,
            "manifests": self.manifests,
            "python": "/usr/bin/env python3",
        }
        self._script("kubectl", KUBECTL.format(**files, **names, conflicts=times))

    def has_secrets(self, *names: str) -> None:
        """Let the cluster have Secrets."""
        items = [{"metadata": {"name": name}, "data": {"key": "aHVudGVyMg=="}} for name in names]
        self._secrets.write_text(json.dumps({"items": items}))

    def told(self) -> list[str]:
        """What was asked of kubeadm and kubectl, as far as it changes something."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [line.partition(" --")[0] for line in lines if " get " not in line]

    def texts(self) -> dict[str, str]:
        """The static pods."""
        return {path.stem: path.read_text().strip() for path in self.manifests.glob("*.yaml")}

    def run(self, sum_: str = "a", *, made: bool = False, check: bool = False) -> dict[str, Any]:
        """Run the module."""
        args = {"node": "lab-1", "endpoint": ENDPOINT, "sum": sum_, "made": made, "timeout": 0}
        return result_of(control_plane, args, check=check)

    def _script(self, name: str, text: str) -> None:
        (self.tools / name).write_text(text)
        (self.tools / name).chmod(0o755)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path)
    monkeypatch.setattr(shared, "ROOT", made.root)
    monkeypatch.setattr(shared, "PATH", f"{made.tools}:/usr/bin:/bin")
    monkeypatch.setattr(control_plane, "POLL_SECONDS", 0.0)
    return made


CARRIED_OUT = [
    "kubeadm init phase certs apiserver",
    "kubeadm init phase control-plane all",
    "kubeadm init phase etcd local",
    "kubeadm init phase upload-config kubeadm",
]


def test_a_cluster_that_is_there_gets_another_configuration_once(machine: Machine) -> None:
    result = machine.run()
    assert (result["changed"], result["restarted"]) == (True, ["kube-apiserver"])
    assert machine.texts() == {**dict.fromkeys(STATIC, "old"), "kube-apiserver": "new"}
    done = machine.told()
    assert done == [*CARRIED_OUT, "kubectl replace"]
    again = machine.run()
    assert (again["changed"], again["restarted"]) == (False, [])
    assert machine.told() == done


def test_only_the_static_pods_of_its_own_node_are_waited_for(machine: Machine) -> None:
    machine.run()
    asked = [line for line in machine.log.read_text().splitlines() if " get pods" in line]
    assert asked
    assert all("--field-selector=spec.nodeName=lab-1" in line for line in asked)


def test_an_api_server_gets_a_certificate_with_the_names_of_its_configuration(
    machine: Machine,
) -> None:
    """kubeadm takes one that is there for right."""
    machine.run()
    for name in ("crt", "key"):
        assert (machine.pki / f"apiserver.{name}").read_text() == "new\n"


def test_a_certificate_that_cannot_be_made_leaves_the_one_before(machine: Machine) -> None:
    machine.behaves(fails="certs apiserver")
    assert "certs apiserver: no such flag" in machine.run()["msg"]
    for name in ("crt", "key"):
        assert (machine.pki / f"apiserver.{name}").read_text() == "old\n"


def test_what_is_told_of_the_api_follows_when_it_is_reached_elsewhere(machine: Machine) -> None:
    machine.is_reached(FORMER)
    machine.run()
    assert machine.admin.read_text() == KUBECONFIG.format(ENDPOINT)
    assert machine.maps.read_text().count(f"server: {ENDPOINT}") == 2
    assert FORMER not in machine.maps.read_text()
    assert "kubectl rollout restart" in machine.told()
    done = machine.told()
    machine.run("b")
    assert machine.told().count("kubectl rollout restart") == done.count("kubectl rollout restart")


def test_nobody_is_told_of_an_address_at_which_the_api_does_not_answer(machine: Machine) -> None:
    machine.is_reached(FORMER)
    kubectl = machine.tools / "kubectl"
    kubectl.write_text(kubectl.read_text().replace('/readyz"*) ;;', '/readyz"*) exit 1 ;;'))
    assert f"not reached at {ENDPOINT}" in machine.run()["msg"]
    assert machine.admin.read_text() == KUBECONFIG.format(FORMER)
    assert not machine.maps.exists()


def test_a_cluster_that_was_made_with_it_is_left_as_it_is(machine: Machine) -> None:
    assert machine.run(made=True)["changed"]
    assert machine.told() == []
    assert not machine.run()["changed"]


def test_a_check_tells_and_changes_nothing(machine: Machine) -> None:
    assert machine.run(check=True)["changed"]
    assert machine.told() == []
    assert machine.run(check=True)["changed"]


def test_secrets_are_written_as_they_are(machine: Machine) -> None:
    machine.has_secrets("one", "two")
    machine.run()
    written = json.loads(machine.written.read_text())["items"]
    assert [each["metadata"]["name"] for each in written] == ["one", "two"]
    assert {each["data"]["key"] for each in written} == {"aHVudGVyMg=="}


def test_secrets_that_others_change_meanwhile_are_read_again(machine: Machine) -> None:
    machine.conflicts(2)
    assert "failed" not in machine.run()
    assert machine.told().count("kubectl replace") == 3


def test_what_a_secret_has_is_not_told_and_the_next_run_tries_again(machine: Machine) -> None:
    machine.conflicts(99)
    result = machine.run()
    assert "some Secrets could not be written anew: Conflict" in result["msg"]
    assert "hunter2" not in json.dumps(result)
    machine.conflicts(0)
    assert machine.run()["changed"]


def test_a_control_plane_that_does_not_come_up_gets_its_former_static_pods(
    machine: Machine,
) -> None:
    machine.behaves(changes="etcd kube-apiserver", down=True)
    log = machine.root / "var/log/pods/kube-system_etcd-a_1/etcd/0.log"
    log.parent.mkdir(parents=True)
    log.write_text("what etcd said last\n")
    machine.kubelet_says("what the kubelet said last")
    result = machine.run()
    assert "not ready: etcd.yaml kube-apiserver.yaml" in result["msg"]
    assert "what the kubelet said last" in result["msg"]
    assert "what etcd said last" in result["msg"]
    assert machine.texts() == dict.fromkeys(STATIC, "old")
    machine.behaves()
    assert machine.run()["changed"]


def test_a_static_pod_that_runs_as_before_is_not_taken_for_the_new_one(machine: Machine) -> None:
    machine.behaves(lags=True)
    assert "not ready: kube-apiserver.yaml" in machine.run()["msg"]
    assert machine.texts() == dict.fromkeys(STATIC, "old")


def test_a_phase_that_fails_leaves_the_control_plane_as_it_was(machine: Machine) -> None:
    machine.behaves(fails="etcd local")
    assert "etcd local: no such flag" in machine.run()["msg"]
    assert machine.texts() == dict.fromkeys(STATIC, "old")


def test_nothing_is_begun_while_the_api_server_does_not_answer(machine: Machine) -> None:
    (machine.tools / "kubectl").write_text("#!/bin/sh\nexit 1\n")
    assert "does not answer" in machine.run()["msg"]
    assert machine.told() == []
