"""node_look on a directory as a machine, with tools that say what was prepared."""

from __future__ import annotations

import fcntl
import hashlib
import json
import threading
from pathlib import Path
from typing import Any

import pytest

from slipway.on_node import node_look, shared
from tests.support.on_node import result_of

ENDPOINT = "https://192.0.2.11:6443"
CLUSTER = {"cluster": "lab", "endpoint": ENDPOINT}
OWN = "192.0.2.21"

SYSTEMCTL = """#!/bin/sh
shift 2
for unit; do
    printf 'Id=%s\\n' "$unit"
    cat "{state}/$unit" 2>/dev/null || printf 'ActiveState=inactive\\nFragmentPath=\\n'
    echo
done
"""

SOCKET = "  0: 00000000:{port:04X} 00000000:0000 {state} 00000000:00000000 00:00000000 0 0 0 1\n"

OTHER_TRACES = [
    "/etc/kubernetes/bootstrap-kubelet.conf",
    "/etc/kubernetes/controller-manager.conf",
    "/etc/kubernetes/scheduler.conf",
    "/etc/kubernetes/manifests/etcd.yaml",
    "/var/lib/etcd/member",
    "/var/lib/kubelet/config.yaml",
    "/var/lib/rancher/k3s",
    "/etc/rancher/rke2",
    "/var/snap/microk8s",
]


class Machine:
    """A directory with what a machine has."""

    def __init__(self, root: Path) -> None:
        self.root = root / "root"
        self.tools = root / "tools"
        self.units = root / "units"
        for folder in (self.root, self.tools, self.units):
            folder.mkdir()
        self.tool("systemctl", SYSTEMCTL.format(state=self.units))
        self.has("/etc/resolv.conf", "nameserver 192.0.2.53\n")

    def tool(self, name: str, script: str) -> None:
        """Let the machine have a tool."""
        (self.tools / name).write_text(script)
        (self.tools / name).chmod(0o755)

    def has(self, path: str, text: str = "x") -> None:
        """Let the machine have a file."""
        target = self.root / path.removeprefix("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def has_kubeconfig(
        self, name: str, server: str = ENDPOINT, cluster: str = "lab", user: str = ""
    ) -> None:
        """Let the machine have a kubeconfig as kubeadm writes it."""
        text = f"apiVersion: v1\nclusters:\n- cluster:\n    server: {server}\n  name: {cluster}\n"
        self.has(f"/etc/kubernetes/{name}.conf", f"{text}users:\n- user:\n    {user}: x\n")

    def runs(self, unit: str, fragment: str = "/usr/lib/systemd/system/x.service") -> None:
        """Let a unit run."""
        (self.units / unit).write_text(f"ActiveState=active\nFragmentPath={fragment}\n")

    def listens(self, *ports: int, table: str = "tcp", state: str = "0A") -> None:
        """Let there be sockets."""
        rows = "".join(SOCKET.format(port=port, state=state) for port in ports)
        self.has(f"/proc/net/{table}", f"  sl  local_address\n{rows}")

    def began(self, command: str, **changes: str) -> None:
        """Let a run have been interrupted."""
        note = {"command": command, **CLUSTER, **changes}
        self.has(shared.MARKER, json.dumps(note))

    def kubectl(self, answer: str, code: int) -> None:
        """Let the API server on it answer so when it is asked for kube-proxy."""
        self.tool("kubectl", f"#!/bin/sh\necho '{answer}' >&2\nexit {code}\n")

    def run(
        self, *, control_plane: bool = False, check: bool = False, **args: Any
    ) -> dict[str, Any]:
        """Run the module."""
        wanted = {
            **CLUSTER,
            "control_planes": ["192.0.2.11", OWN],
            "control_plane": control_plane,
            "version": "1.36.3",
            **args,
        }
        return result_of(node_look, wanted, check=check)

    def found(self, **args: Any) -> list[str]:
        """What a refusal lists."""
        lines = self.run(**args)["msg"].splitlines()
        assert lines[-1].startswith("    fix: ")
        return [line.removeprefix("    found: ") for line in lines if "found: " in line]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path)
    monkeypatch.setattr(shared, "ROOT", made.root)
    monkeypatch.setattr(node_look, "API_SECONDS", 0.0)
    # Programs that the test's own machine may have or lack are links from here.
    for name in ("cat", "sh"):
        (made.tools / name).symlink_to(f"/bin/{name}")
    monkeypatch.setattr(shared, "PATH", str(made.tools))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")  # as sudo has it
    return made


def test_the_version_of_control_groups_is_told(machine: Machine) -> None:
    machine.has("/sys/fs/cgroup/unified/cgroup.controllers")  # beside those of version 1
    assert machine.run()["control_groups"] == 1
    machine.has(node_look.CONTROL_GROUPS)
    assert machine.run()["control_groups"] == 2


def test_a_machine_without_a_trace_is_bare(machine: Machine) -> None:
    machine.has("/etc/kubernetes/kubeadm.yaml")
    machine.has("/etc/kubernetes/kubelet.conf.d/10-node.conf")
    (machine.root / "etc/kubernetes/manifests").mkdir()
    machine.listens(22, 8080)
    machine.runs("containerd.service", node_look.OWN_CONTAINERD)
    for control_plane in (True, False):
        result = machine.run(control_plane=control_plane)
        assert (result["state"], result["changed"]) == ("bare", False)


@pytest.mark.parametrize("path", OTHER_TRACES)
def test_any_file_of_a_cluster_is_in_the_way(machine: Machine, path: str) -> None:
    machine.has(path)
    assert machine.found() == [path]


@pytest.mark.parametrize("folder", node_look.CERTIFICATES)
def test_certificates_of_a_cluster_are_in_the_way(machine: Machine, folder: str) -> None:
    (machine.root / folder[1:]).mkdir(parents=True)
    assert machine.run()["state"] == "bare"
    machine.has(f"{folder}/ca.crt")
    machine.has(f"{folder}/ca.key")
    assert machine.found() == [f"files in {folder}"]


@pytest.mark.parametrize(
    "unit",
    ["kubelet.service", "k3s.service", "containerd.service", "docker.service", "crio.service"],
)
def test_whatever_runs_containers_is_in_the_way(machine: Machine, unit: str) -> None:
    machine.runs(unit)
    assert machine.found() == [f"{unit} runs"]


def test_ports_that_a_node_needs_have_to_be_free(machine: Machine) -> None:
    machine.listens(6443, 10250)
    machine.listens(2379, 2380, table="tcp6")
    assert machine.found() == ["port 10250 is in use"]
    assert machine.found(control_plane=True) == [
        f"port {port} is in use" for port in (10250, 2379, 2380, 6443)
    ]
    machine.listens(table="tcp6")
    machine.listens(10250, state="01")  # a connection to another machine's
    assert machine.run()["state"] == "bare"


@pytest.mark.parametrize("port", [7946, 10249, 10256])
def test_ports_of_what_runs_on_every_node_have_to_be_free(port: int, machine: Machine) -> None:
    machine.listens(port)
    assert machine.found() == [f"port {port} is in use"]


def test_a_machine_without_systemd_has_no_units_that_run(machine: Machine) -> None:
    (machine.tools / "systemctl").unlink()
    assert machine.run()["state"] == "bare"


def test_what_is_in_the_way_is_returned_in_its_parts_as_well(machine: Machine) -> None:
    machine.listens(10250)
    machine.has("/etc/resolv.conf", "nameserver 127.0.0.1\n")
    first, second = machine.run()["refusals"]
    assert first["found"] == ["port 10250 is in use"]
    assert first["what"].startswith("this machine is not bare")
    assert "kubeadm reset" in first["fix"]
    assert "slipway_resolv_conf" in second["fix"]


def test_all_that_is_there_is_told_at_once(machine: Machine) -> None:
    machine.has("/etc/kubernetes/pki/ca.crt")
    machine.has("/var/lib/etcd/member")
    machine.runs("docker.service")
    machine.listens(10250)
    machine.has("/etc/resolv.conf", "nameserver 127.0.0.1\n")
    assert machine.found() == [
        "/var/lib/etcd/member",
        "files in /etc/kubernetes/pki",
        "docker.service runs",
        "port 10250 is in use",
        "/etc/resolv.conf: 127.0.0.1",
    ]


def test_a_node_of_the_cluster_is_one_whatever_runs_on_it(machine: Machine) -> None:
    machine.has_kubeconfig("kubelet", cluster="default-cluster")
    machine.runs("kubelet.service")
    machine.runs("docker.service")
    machine.listens(10250)
    assert machine.run()["state"] == "member"


def test_a_control_plane_of_the_cluster_is_one(machine: Machine) -> None:
    for name in ("admin", "kubelet"):
        machine.has_kubeconfig(name)
    assert machine.run(control_plane=True)["state"] == "member"


@pytest.mark.parametrize(
    ("kubeconfigs", "control_plane", "named"),
    [
        (
            {"kubelet": ("https://10.0.0.1:6443", "x")},
            False,
            "the cluster at https://10.0.0.1:6443",
        ),
        ({"kubelet": ("https://10.0.0.1:6443", "x")}, True, "the cluster at https://10.0.0.1:6443"),
        ({"admin": ("https://10.0.0.1:6443", "lab")}, True, "the cluster at https://10.0.0.1:6443"),
        ({"admin": (ENDPOINT, "shop")}, True, f"the cluster 'shop' at {ENDPOINT}"),
        ({"admin": (ENDPOINT, "lab")}, False, f"the cluster at {ENDPOINT}, as its control plane"),
    ],
)
def test_a_node_of_another_cluster_is_refused_by_that_cluster_s_name(
    machine: Machine,
    kubeconfigs: dict[str, tuple[str, str]],
    control_plane: bool,
    named: str,
) -> None:
    for name, (server, cluster) in kubeconfigs.items():
        machine.has_kubeconfig(name, server, cluster)
    machine.began("init" if control_plane else "join")
    message = machine.run(control_plane=control_plane)["msg"]
    assert message.startswith(f"this machine is a node of {named}; the inventory has it as a node")
    assert "make down" in message
    assert "kubeadm reset" in message


def test_a_node_of_an_earlier_cluster_at_the_same_address_is_refused(machine: Machine) -> None:
    machine.has_kubeconfig("kubelet")
    machine.has("/etc/kubernetes/pki/ca.crt", "old\n")
    assert machine.run(ca="old")["state"] == "member"
    assert "an earlier cluster at" in machine.run(ca="new")["msg"]


@pytest.mark.parametrize("command", ["init", "join"])
def test_what_a_run_was_interrupted_in_is_told_from_what_others_have(
    machine: Machine, command: str
) -> None:
    machine.has("/etc/kubernetes/pki/ca.crt")
    machine.has_kubeconfig("bootstrap-kubelet")
    machine.runs("kubelet.service")
    machine.began(command)
    assert machine.run(control_plane=command == "init")["state"] == "begun"
    machine.began(command, cluster="shop")
    assert len(machine.found()) == 3
    machine.began(command, endpoint="https://192.0.2.99:6443")
    assert len(machine.found()) == 3
    machine.has(shared.MARKER, "")  # power was cut before it was on the disk
    assert len(machine.found()) == 3


def test_a_note_on_a_machine_without_a_trace_leaves_it_bare(machine: Machine) -> None:
    machine.began("join")
    assert machine.run()["state"] == "bare"


def test_an_interrupted_join_that_came_to_its_end_is_a_node(machine: Machine) -> None:
    machine.has_kubeconfig("kubelet")
    machine.began("join")
    foreseen = machine.run(check=True)
    assert (foreseen["state"], foreseen["changed"]) == ("member", True)
    assert (machine.root / shared.MARKER[1:]).exists()
    assert machine.run()["changed"]
    assert not (machine.root / shared.MARKER[1:]).exists()
    assert not machine.run()["changed"]


@pytest.mark.parametrize("control_plane", [True, False])
def test_a_kubelet_may_speak_to_any_control_plane_of_the_cluster(
    machine: Machine, *, control_plane: bool
) -> None:
    machine.has("/etc/kubernetes/pki/ca.crt", "authority")
    machine.has_kubeconfig("kubelet", server=f"https://{OWN}:6443")
    found = machine.run(control_plane=control_plane, endpoint="https://192.0.2.10:8443")
    assert (found["state"], found["server"]) == ("member", f"https://{OWN}:6443")
    assert found["authority"] == hashlib.sha256(b"authority").hexdigest()
    machine.has_kubeconfig("kubelet", server="https://192.0.2.99:6443")
    assert "is a node of the cluster at" in machine.run(control_plane=control_plane)["msg"]


def test_a_control_plane_that_was_interrupted_in_joining_is_none_yet(machine: Machine) -> None:
    """Its kubelet has its kubeconfig before etcd and the API server are there."""
    machine.has_kubeconfig("kubelet", server=f"https://{OWN}:6443")
    machine.began("join")
    assert machine.run(control_plane=True)["state"] == "begun"
    (machine.root / shared.MARKER[1:]).unlink()
    assert machine.run(control_plane=True)["state"] == "member"


NOT_FOUND = 'Error from server (NotFound): daemonsets.apps "kube-proxy" not found'
REFUSED = "The connection to the server was refused"


@pytest.mark.parametrize(
    ("answer", "code", "user", "state"),
    [
        ("", 0, "client-certificate", "member"),
        ("", 0, "client-certificate-data", "member"),
        (NOT_FOUND, 1, "client-certificate", "begun"),
        (NOT_FOUND, 1, "client-certificate-data", "begun"),
        (REFUSED, 1, "client-certificate-data", "begun"),
    ],
)
def test_an_interrupted_init_is_a_cluster_once_it_has_its_last_part(
    machine: Machine, answer: str, code: int, user: str, state: str
) -> None:
    machine.has_kubeconfig("admin")
    machine.has_kubeconfig("kubelet", user=user)
    machine.has("/var/lib/etcd/member")
    machine.began("init")
    machine.kubectl(answer, code)
    assert machine.run(control_plane=True)["state"] == state


def test_an_interrupted_init_that_may_have_come_up_is_left_alone(machine: Machine) -> None:
    machine.has_kubeconfig("admin")
    machine.has_kubeconfig("kubelet", user="client-certificate")
    machine.has("/var/lib/etcd/member")
    machine.began("init")
    machine.kubectl(REFUSED, 1)
    message = machine.run(control_plane=True)["msg"]
    assert "had come up, and its API server does not answer" in message
    assert (machine.root / shared.MARKER[1:]).exists()


def test_an_init_that_never_had_an_etcd_is_not_asked(machine: Machine) -> None:
    machine.has_kubeconfig("kubelet")
    machine.began("init")
    machine.kubectl("", 0)
    assert machine.run(control_plane=True)["state"] == "begun"


def test_a_kubeadm_that_outlived_its_run_is_waited_for(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.has("/etc/kubernetes/pki/ca.crt")
    machine.began("join")
    marker = machine.root / shared.MARKER[1:]
    with marker.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        monkeypatch.setattr(node_look, "RUNNING_SECONDS", 0.0)
        assert "still runs" in machine.run()["msg"]
        monkeypatch.setattr(node_look, "RUNNING_SECONDS", 60.0)

        def finish() -> None:
            machine.has_kubeconfig("kubelet")
            marker.unlink()
            fcntl.flock(file, fcntl.LOCK_UN)

        timer = threading.Timer(0.2, finish)
        timer.start()
        assert machine.run()["state"] == "member"
        timer.join()


@pytest.mark.parametrize(
    ("kubelet", "api_server", "others"),
    [
        ("v1.36.3", "v1.36.3", ""),
        ("v1.36.2", "v1.36.3", "the kubelet of this node is v1.36.2"),
        ("v1.37.0", "v1.36.3", "the kubelet of this node is v1.37.0"),
        ("v1.36.3", "v1.35.4", "the API server of this node is v1.35.4"),
        (
            "v1.36.30",
            "v1.36.30",
            "the kubelet of this node is v1.36.30 and the API server of this node is v1.36.30",
        ),
    ],
)
def test_a_node_keeps_its_version_of_kubernetes(
    machine: Machine, kubelet: str, api_server: str, others: str
) -> None:
    machine.has_kubeconfig("kubelet")
    machine.tool("kubelet", f"#!/bin/sh\necho Kubernetes {kubelet}\n")
    image = f"    image: registry.k8s.io/kube-apiserver:{api_server}\n"
    machine.has("/etc/kubernetes/manifests/kube-apiserver.yaml", image)
    result = machine.run(control_plane=True)
    if others:
        assert result["msg"].startswith(f"slipway_versions.kubernetes is 1.36.3, but {others}\n")
    else:
        assert result["state"] == "member"


def test_a_bare_machine_may_have_had_any_kubelet(machine: Machine) -> None:
    machine.tool("kubelet", "#!/bin/sh\necho Kubernetes v1.30.0\n")
    assert machine.run()["state"] == "bare"


def name_servers(machine: Machine, **files: str) -> dict[str, str]:
    """The choice on a machine with these files."""
    (machine.root / "etc/resolv.conf").unlink()
    for name, text in files.items():
        machine.has(PLACES[name], text)
    result: dict[str, str] = machine.run()["resolv_conf"]
    return result


PLACES = {
    "etc": "/etc/resolv.conf",
    "resolved": "/run/systemd/resolve/resolv.conf",
    "manager": "/run/NetworkManager/no-stub-resolv.conf",
    "dnsmasq": "/run/dnsmasq/resolv.conf",
}
SERVER = "nameserver 192.0.2.53\n"
LONG = [f"{number}{'x' * 199}" for number in range(10)]
STUB = "nameserver 127.0.0.53\noptions edns0 trust-ad\nsearch example.org\n"


@pytest.mark.parametrize(
    ("files", "chosen"),
    [
        ({"etc": SERVER}, "etc"),
        ({"etc": f"# by hand\nsearch a.example b.example\n{SERVER}options ndots:2\n"}, "etc"),
        ({"etc": "nameserver 2001:db8::53\n", "resolved": SERVER}, "etc"),
        ({"etc": SERVER * 3}, "etc"),
        ({"etc": STUB, "resolved": SERVER}, "resolved"),
        ({"etc": "", "resolved": SERVER}, "resolved"),
        ({"resolved": SERVER}, "resolved"),
        ({"etc": "nameserver 127.0.1.1\n", "manager": SERVER}, "manager"),
        ({"etc": "nameserver ::1\n", "resolved": STUB, "manager": SERVER}, "manager"),
        ({"etc": "nameserver 127.0.0.1\n", "dnsmasq": SERVER}, "dnsmasq"),
        ({"etc": "nameserver ::ffff:127.0.0.1\n", "dnsmasq": SERVER}, "dnsmasq"),
        ({"etc": "nameserver fe80::1%eth0\nnameserver 0.0.0.0\n", "dnsmasq": SERVER}, "dnsmasq"),
        ({"etc": "nameserver\nnameserver dns.example\n", "dnsmasq": SERVER}, "dnsmasq"),
    ],
)
def test_name_servers_are_those_of_the_first_file_that_pods_can_use(
    machine: Machine, files: dict[str, str], chosen: str
) -> None:
    assert name_servers(machine, **files) == {"path": PLACES[chosen], "content": ""}


def test_a_link_that_leads_nowhere_is_no_file(machine: Machine) -> None:
    (machine.root / "etc/resolv.conf").unlink()
    (machine.root / "etc/resolv.conf").symlink_to("../run/systemd/resolve/stub-resolv.conf")
    assert "/etc/resolv.conf: is not there" in machine.found()
    machine.has(PLACES["dnsmasq"], SERVER)
    assert machine.run()["resolv_conf"]["path"] == PLACES["dnsmasq"]


@pytest.mark.parametrize(
    ("text", "written"),
    [
        (f"nameserver 127.0.0.1\n{SERVER}options rotate\n", f"{SERVER}options rotate\n"),
        (SERVER + SERVER.replace("53", "54") * 3, SERVER + SERVER.replace("53", "54") * 2),
        (
            f"{SERVER}search old.example\nsearch {' '.join(f'd{n}' for n in range(32))}\n",
            f"{SERVER}search {' '.join(f'd{n}' for n in range(29))}\n",
        ),
        (
            f"{SERVER}search {' '.join(LONG[:10])}\n",
            f"{SERVER}search {' '.join(LONG[:9])}\n",
        ),
    ],
    ids=["a loopback among others", "too many servers", "too many domains", "too long domains"],
)
def test_what_pods_cannot_have_is_left_out_of_a_file_of_its_own(
    machine: Machine, text: str, written: str
) -> None:
    assert name_servers(machine, etc=text) == {
        "path": node_look.OWN_RESOLV_CONF,
        "content": f"# From /etc/resolv.conf.\n{written}",
    }


@pytest.mark.parametrize("text", ["", "# nothing\n", STUB])
def test_without_a_name_server_every_file_is_named_with_what_it_has(
    machine: Machine, text: str
) -> None:
    machine.has(PLACES["etc"], text)
    machine.has(PLACES["dnsmasq"], "nameserver ::1\nnameserver 127.0.0.2\n")
    assert machine.found() == [
        f"/etc/resolv.conf: {'127.0.0.53' if text == STUB else 'no name server'}",
        "/run/dnsmasq/resolv.conf: ::1 127.0.0.2",
    ]
    assert "slipway_resolv_conf" in machine.run()["msg"]


@pytest.mark.parametrize("text", ["", SERVER, f"nameserver 127.0.0.1\n{SERVER}"])
def test_a_file_that_the_user_names_is_taken_as_it_is(machine: Machine, text: str) -> None:
    machine.has("/etc/pods.conf", text)
    chosen = machine.run(resolv_conf="/etc/pods.conf")["resolv_conf"]
    assert chosen == {"path": "/etc/pods.conf", "content": ""}


@pytest.mark.parametrize("text", [None, STUB])
def test_a_file_that_the_user_names_has_to_be_there_and_of_use(
    machine: Machine, text: str | None
) -> None:
    if text:
        machine.has("/etc/pods.conf", text)
    seen = "127.0.0.53" if text else "is not there"
    assert machine.found(resolv_conf="/etc/pods.conf") == [f"/etc/pods.conf: {seen}"]
