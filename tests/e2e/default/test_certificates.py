"""Certificates that have really ended are made anew by a run, and apps go on meanwhile."""

from __future__ import annotations

import tarfile
from base64 import b64decode, b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from testinfra.host import Host

from slipway.kube.client import NODES, Unreachable
from tests.support.scenario import Scenario, wait_for

PKI = "/etc/kubernetes/pki"
KUBELET = "/var/lib/kubelet/pki/kubelet-client-current.pem"

BY_AUTHORITY = {
    "ca": ("apiserver", "apiserver-kubelet-client"),
    "etcd/ca": ("apiserver-etcd-client", "etcd/server", "etcd/peer", "etcd/healthcheck-client"),
    "front-proxy-ca": ("front-proxy-client",),
}
"""Who has signed which of the certificates of a control plane."""

KUBECONFIGS = [
    f"/etc/kubernetes/{name}.conf"
    for name in ("admin", "super-admin", "controller-manager", "scheduler")
]

START_ANEW = """
for each in etcd kube-apiserver kube-controller-manager kube-scheduler; do
    for id in $(ctr -n k8s.io containers list -q "labels.\\"io.kubernetes.container.name\\"==$each")
    do ctr -n k8s.io tasks kill -s SIGKILL "$id" || true; done
done 2>/dev/null
"""
"""Ends what reads its certificates when it starts."""


class Authority:
    """An authority of the cluster, which signs once more what it has signed, for another time."""

    def __init__(self, files: dict[str, bytes], name: str) -> None:
        path = f"{PKI}/{name}"
        self._root = x509.load_pem_x509_certificate(files[f"{path}.crt"])
        self._key: Any = serialization.load_pem_private_key(files[f"{path}.key"], None)

    def again(self, pem: bytes, left: timedelta) -> bytes:
        """The first certificate of a text as it is, but for its time; what is around it stays."""
        before, begin, rest = pem.partition(b"-----BEGIN CERTIFICATE-----\n")
        first, end, after = rest.partition(b"-----END CERTIFICATE-----\n")
        old = x509.load_pem_x509_certificate(begin + first + end)
        last = datetime.now(UTC) + left
        builder = (
            x509.CertificateBuilder()
            .subject_name(old.subject)
            .issuer_name(old.issuer)
            .public_key(old.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(last - timedelta(days=300))
            .not_valid_after(last)
        )
        for extension in old.extensions:
            builder = builder.add_extension(extension.value, extension.critical)
        new = builder.sign(self._key, hashes.SHA256())
        return before + new.public_bytes(serialization.Encoding.PEM) + after


def read(host: Host, *paths: str) -> dict[str, bytes]:
    """What is in files and folders of a node, by path, at once."""
    packed = host.check_output(f"tar -ch -C / {' '.join(paths)} 2>/dev/null | base64 -w0")
    with tarfile.open(fileobj=BytesIO(b64decode(packed))) as tar:
        found = {f"/{each.name}": tar.extractfile(each) for each in tar if each.isfile()}
        return {path: file.read() for path, file in found.items() if file}


def write(host: Host, files: dict[str, bytes], then: str = "true") -> None:
    """Have this in files of a node, which are there, where they lead; then do something there."""
    commands = [
        f"echo {b64encode(content).decode()} | base64 -d >$(readlink -f {path})"
        for path, content in files.items()
    ]
    host.check_output("\n".join([*commands, then]))


def with_user(kubeconfig: bytes, authority: Authority, left: timedelta) -> bytes:
    """A kubeconfig whose user's certificate ends in a while."""
    document = yaml.safe_load(kubeconfig)
    user = document["users"][0]["user"]
    pem = b64decode(user["client-certificate-data"])
    user["client-certificate-data"] = b64encode(authority.again(pem, left)).decode()
    return yaml.safe_dump(document, width=1 << 20).encode()


def let_end(scenario: Scenario, left: timedelta, then: str) -> None:
    """Have all that kubeadm has signed on the control plane end in a while, the operator's too."""
    host, own = scenario.control_plane, Path(scenario.facts["kubeconfig"])
    files = read(host, PKI, "/etc/kubernetes/*.conf")
    authorities = {name: Authority(files, name) for name in BY_AUTHORITY}
    ending = {
        path: authorities[name].again(files[path], left)
        for name, signed in BY_AUTHORITY.items()
        for path in (f"{PKI}/{each}.crt" for each in signed)
    }
    ending |= {path: with_user(files[path], authorities["ca"], left) for path in KUBECONFIGS}
    own.write_bytes(with_user(own.read_bytes(), authorities["ca"], left))
    write(host, ending, then)


def let_kubelets_end(scenario: Scenario) -> None:
    """Have all kubelets be off until their certificates are over."""
    authority = Authority(read(scenario.control_plane, PKI), "ca")
    for host in scenario.nodes.values():
        host.check_output("systemctl stop kubelet")
        ended = authority.again(read(host, KUBELET)[KUBELET], timedelta(days=-2))
        write(host, {KUBELET: ended}, "systemctl start kubelet")


@pytest.fixture
def apps(scenario: Scenario) -> Iterator[None]:
    """Apps that are the same pods before and after, and answer."""
    before = scenario.pods()
    yield
    after = scenario.pods()
    apart = {name for name in before if "kube-system/" not in name and before[name] != after[name]}
    assert not apart
    # Kubelets that were off for long are no nodes to MetalLB, until they are back.
    wait_for(scenario.wrong_routes, lambda wrong: not wrong)


@pytest.mark.usefixtures("apps")
def test_those_that_have_ended_are_told_and_mended_kubelets_included(scenario: Scenario) -> None:
    let_kubelets_end(scenario)
    let_end(scenario, timedelta(days=-2), START_ANEW)
    with pytest.raises(Unreachable):
        scenario.kube.list(NODES)

    run = scenario.play("playbooks/cluster.yml")
    assert run.code == 0, str(run)
    assert "and who has one is refused: they are made anew" in run.output
    ready = scenario.kubectl("wait", "--for=condition=Ready", "nodes", "--all", "--timeout=60s")
    assert ready.count("condition met") == len(scenario.nodes)
    again = scenario.play("playbooks/cluster.yml")
    assert set(again.changed.values()) == {0}, str(again)
