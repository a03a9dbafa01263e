"""Certificates of a control plane are made anew in time, on a directory with tools as scripts."""

from __future__ import annotations

import stat
import sys
import time
from base64 import b64encode
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from slipway.on_node import certificates, shared
from slipway.on_node.certificates import COMPONENTS, KUBELET, end_of, look
from tests.support import node_certificates
from tests.support.checkout import PROJECT
from tests.support.node_certificates import certificate, control_plane, kubelet
from tests.support.on_node import result_of

YEAR, MONTH, OVER = timedelta(days=365), timedelta(days=30), timedelta(days=-3)

KUBEADM = """#!{python}
import sys
sys.path.insert(0, {project!r})
from datetime import timedelta
from pathlib import Path
from tests.support import node_certificates
asked = sys.argv[1:]
if asked[:3] == ["certs", "renew", "all"]:
    if {fails}:
        sys.exit("no authority")
    node_certificates.sign(Path({root!r}), timedelta(days=365))
else:
    folder = next(each for each in asked if each.startswith("--kubeconfig-dir=")).partition("=")[2]
    text = node_certificates.kubeconfig(timedelta(days=365))
    Path(folder, "kubelet.conf").write_text(text)
"""

CTR = """#!/bin/sh
case "$*" in
*"containers list"*) for each in {components}; do case "$*" in
    *"name\\"==$each,"*) ls {tasks} | grep "^$each-" ;; esac; done ;;
*"tasks list"*) echo TASK PID STATUS; for each in $(ls {tasks}); do echo "$each 1 RUNNING"; done ;;
*SIGTERM*) [ ! -e {lingers} ] || exit 0 ;;
esac
case "$*" in
*"tasks kill"*) for last; do :; done; rm {tasks}/$last
    [ -e {stays} ] || touch {tasks}/${{last%-*}}-new ;;
esac
"""

LOGGED = """#!/bin/sh
echo "{name} $*" >>{log}
exec {real} "$@"
"""


class Machine:
    """A control plane whose containers are files, started anew by whoever ends them."""

    def __init__(self, root: Path) -> None:
        self.root, self.tools, self.log = root / "root", root / "tools", root / "log"
        self.tasks, self._stays, self._lingers = root / "tasks", root / "stays", root / "lingers"
        for folder in (self.root / "var/lib/slipway", self.tools, self.tasks, root / "real"):
            folder.mkdir(parents=True)
        manifests = self.root / "etc/kubernetes/manifests"
        manifests.mkdir(parents=True)
        for name in COMPONENTS:
            (manifests / f"{name}.yaml").touch()
            (self.tasks / f"{name}-old").touch()
        names = {
            "components": " ".join(COMPONENTS),
            "tasks": self.tasks,
            "stays": self._stays,
            "lingers": self._lingers,
        }
        self._tool("ctr", CTR.format(**names))
        self._tool("kubectl", "#!/bin/sh\n")
        self._tool("systemctl", "#!/bin/sh\n")
        self.kubeadm()

    def kubeadm(self, *, fails: bool = False) -> None:
        """Have a kubeadm that signs, or that fails to."""
        about = {"python": sys.executable, "project": str(PROJECT), "root": str(self.root)}
        self._tool("kubeadm", KUBEADM.format(**about, fails=fails))

    def linger(self) -> None:
        """Have nobody end for being asked to, but at once when they have to."""
        self._lingers.touch()

    def hang(self) -> None:
        """Have nobody start anew what was ended."""
        self._stays.touch()

    def go_on(self) -> None:
        """Start what was ended meanwhile, as a kubelet does in the end."""
        self._stays.unlink()
        for name in COMPONENTS:
            if not [*self.tasks.glob(f"{name}-*")]:
                (self.tasks / f"{name}-late").touch()

    def _tool(self, name: str, script: str) -> None:
        real = self.tools.parent / "real" / name
        logged = LOGGED.format(name=name, log=self.log, real=real)
        for path, text in ((real, script), (self.tools / name, logged)):
            path.write_text(text)
            path.chmod(0o755)

    def done(self, *words: str) -> list[str]:
        """The commands with these words in them, in their order."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [line for line in lines if all(word in line for word in words)]

    @property
    def note(self) -> Path:
        return self.root / "var/lib/slipway/certificates-began"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    found = Machine(tmp_path)
    monkeypatch.setattr(shared, "ROOT", found.root)
    monkeypatch.setattr(shared, "PATH", f"{found.tools}:{shared.PATH}")
    return found


def run(*, check: bool = False, timeout: float = 5) -> dict[str, Any]:
    about = {"node": "cp", "endpoint": "192.0.2.2:6443", "version": "1.36.3", "timeout": timeout}
    return result_of(certificates, about, check=check)


def ended(machine: Machine) -> list[str]:
    """The components whose containers were ended, in that order."""
    return [line.rpartition(" ")[2].removesuffix("-old") for line in machine.done("tasks kill")]


def under(left: timedelta, paths: Iterable[str]) -> bool:
    """Whether all of these certificates have less than that left."""
    found = look()["certificates"]
    return all(found[path] < left.total_seconds() for path in paths)


@pytest.mark.parametrize("left", [YEAR, MONTH, OVER, timedelta(days=365 * 60)])
def test_the_end_of_a_certificate_is_read_as_it_is(left: timedelta) -> None:
    assert abs(end_of(certificate(left)) - time.time() - left.total_seconds()) < 5


@pytest.mark.parametrize(
    "text",
    [
        *("", "no certificate", "-----BEGIN CERTIFICATE-----\n"),
        "-----BEGIN CERTIFICATE-----\n%%%\n-----END CERTIFICATE-----",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
    ],
)
def test_what_is_no_certificate_is_told_as_such(text: str) -> None:
    with pytest.raises(certificates.Unreadable):
        end_of(text)


def test_certificates_that_last_are_left_alone(machine: Machine) -> None:
    control_plane(machine.root, YEAR)
    assert not look()["renew"]
    assert not run()["changed"]
    assert machine.done() == []


def test_those_that_end_soon_are_signed_anew_and_everything_is_started_with_them(
    machine: Machine,
) -> None:
    control_plane(machine.root, MONTH)
    result = run()
    assert (result["changed"], result["ended"]) == (True, False)
    assert result["restarted"] == ended(machine) == [*COMPONENTS]
    assert not look()["renew"]
    assert len(machine.done("kubeadm")) == 1
    assert not machine.done("systemctl"), "a kubelet that runs takes care of its own"
    assert not run()["changed"]


def test_one_that_ended_is_told_with_its_day(machine: Machine) -> None:
    control_plane(machine.root, YEAR)
    path = machine.root / "etc/kubernetes/pki/etcd/peer.crt"
    path.write_text(certificate(timedelta(days=-1)))
    assert run()["ended"]
    assert machine.done("systemctl restart kubelet"), "it would wait for minutes"
    assert "etcd/peer" not in str(look()["renew"])
    path.write_text("no certificate")
    assert look()["renew"], "nobody is let in by it"


def test_a_kubelet_whose_certificate_ended_gets_one_and_is_started_before_what_it_starts(
    machine: Machine,
) -> None:
    control_plane(machine.root, YEAR)
    kubelet(machine.root, OVER)
    assert look()["kubelet_ended"]
    assert run()["changed"]
    link = shared.place(KUBELET)
    assert link.is_symlink(), "the kubelet takes nothing else for the current one"
    assert stat.S_IMODE(link.stat().st_mode) == 0o600
    assert link.read_text().endswith("key")
    assert not look()["kubelet_ended"]
    lines = machine.done()
    (restart,) = machine.done("systemctl restart kubelet")
    assert lines.index(restart) < lines.index(machine.done("tasks kill")[0])
    assert not machine.done("certs renew")


def test_a_check_says_what_would_be_and_does_nothing(machine: Machine) -> None:
    control_plane(machine.root, MONTH)
    assert run(check=True)["changed"]
    assert machine.done() == []
    assert look()["renew"]


def test_what_was_interrupted_is_done_by_the_next_run(machine: Machine) -> None:
    control_plane(machine.root, MONTH)
    machine.kubeadm(fails=True)
    failed = run()
    assert failed["failed"]
    assert "no authority" in failed["msg"]
    assert failed["last"], "it is said all the same"
    machine.kubeadm()
    machine.hang()
    failed = run(timeout=0)
    assert "etcd does not run with its new certificates" in failed["msg"]
    assert machine.note.exists()
    assert look()["renew"], "new ones are there, and nothing runs with them"
    machine.go_on()
    result = run()
    assert (result["restarted"], result["last"]) == ([*COMPONENTS], "")
    assert not machine.note.exists()
    assert len(machine.done("certs renew")) == 2


def test_who_does_not_end_when_told_to_has_to(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificates, "GRACE_SECONDS", 0.0)
    control_plane(machine.root, MONTH)
    machine.linger()
    assert run(timeout=20)["restarted"] == [*COMPONENTS]
    assert len(machine.done("SIGKILL")) == len(COMPONENTS)


def test_of_a_worker_only_its_kubelet_is_looked_at(machine: Machine) -> None:
    kubelet(machine.root, OVER)
    found = look()
    assert [*found["certificates"]] == [KUBELET]
    assert (found["renew"], found["kubelet_ended"]) == (False, True)


def test_an_authority_is_looked_at_and_never_made_anew(machine: Machine) -> None:
    control_plane(machine.root, YEAR)
    authority = machine.root / "etc/kubernetes/pki/ca.crt"
    authority.write_text(certificate(MONTH))
    assert under(timedelta(days=31), ["/etc/kubernetes/pki/ca.crt"])
    assert not look()["renew"]


def test_only_keys_of_the_kind_that_the_cluster_has_are_asked_for(machine: Machine) -> None:
    control_plane(machine.root, MONTH)
    config = machine.root / "etc/kubernetes/kubeadm.yaml"
    config.write_text("kind: JoinConfiguration\n")
    run()
    assert not machine.done("--config")
    config.write_text("kind: InitConfiguration\n---\nkind: ClusterConfiguration\n")
    node_certificates.sign(machine.root, MONTH)
    run()
    assert machine.done("certs renew all --config=/etc/kubernetes/kubeadm.yaml")


def test_a_kubeconfig_s_certificates_are_those_that_it_has_as_data() -> None:
    data = b64encode(b"one").decode()
    text = f'    client-certificate-data: "{data}"\n    certificate-authority-data: ???\n'
    found = certificates.certificates_of(text)
    assert found == {"client-certificate": "one", "certificate-authority": ""}
