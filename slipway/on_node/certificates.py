"""Certificates of a control plane that are to last: the work of the module certificates.

Nodes have nothing but Python's standard library, which reads no certificates: of them, no more than
the end is read here.
"""

from __future__ import annotations

import calendar
import os
import re
import ssl
import tempfile
import time
from base64 import b64decode
from binascii import Error as NoBase64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from slipway.on_node.shared import (
    HOME,
    LONG_SECONDS,
    PKI,
    Failed,
    Modes,
    log_end,
    matching,
    place,
    text_of,
    tool,
)

DAY = 86400.0

RENEWED_BEFORE = 60 * DAY
"""How long before their end certificates are made anew: a run in each two months is enough."""

NOTE = f"{HOME}/certificates-began"
"""Is there from before new ones are made until everything runs with them."""

AUTHORITIES = (f"{PKI}/ca.crt", f"{PKI}/etcd/ca.crt", f"{PKI}/front-proxy-ca.crt")
"""Of kubeadm, which last ten years, and which nobody makes anew."""

SIGNED = (f"{PKI}/*.crt", f"{PKI}/etcd/*.crt")
KUBECONFIGS = tuple(
    f"/etc/kubernetes/{name}.conf"
    for name in ("admin", "super-admin", "controller-manager", "scheduler")
)

KUBELET_FOLDER = "/var/lib/kubelet/pki"
KUBELET = f"{KUBELET_FOLDER}/kubelet-client-current.pem"
"""By which a kubelet is known to the API server. While it runs, it has a new one made in time."""

COMPONENTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
"""Which read their certificates at their start, in the order in which they need one another."""

READY = (
    *("kubectl", "--request-timeout=5s", "--server=https://127.0.0.1:6443"),
    *("--tls-server-name=kubernetes", "get", "--raw=/readyz"),
)
"""Asks the API server of this node, whichever balancer is before it."""

GRACE_SECONDS = 30.0
"""How long a container may take to end, as a static pod's has; an API server may take minutes."""

POLL_SECONDS = 0.5
LINES = 5

SEQUENCE, VERSION, UTC_TIME = 0x30, 0xA0, 0x17
"""Tags of ASN.1 (X.690), as certificates have them (RFC 5280, 4.1)."""


class Unreadable(ValueError):
    """What should be a certificate is none."""


def elements(der: bytes) -> Iterator[tuple[int, bytes]]:
    """The tags and contents of what follows one another."""
    at = 0
    while at < len(der):
        tag, length, at = der[at], der[at + 1], at + 2
        if length & 0x80:
            octets = length & 0x7F
            length, at = int.from_bytes(der[at : at + octets], "big"), at + octets
        yield tag, der[at : at + length]
        at += length


def end_of(pem: str) -> float:
    """When the first certificate of a text ends, in seconds since 1970."""
    try:
        begin = pem.index(ssl.PEM_HEADER)
        end = pem.index(ssl.PEM_FOOTER, begin) + len(ssl.PEM_FOOTER)
        ((_tag, certificate),) = elements(ssl.PEM_cert_to_DER_cert(pem[begin:end]))
        _tag, signed = next(elements(certificate))
        fields = [each for each in elements(signed) if each[0] != VERSION]
        # Serial number, algorithm and issuer are before it.
        _begins, (tag, text) = elements(fields[3][1])
        form = "%y%m%d%H%M%SZ" if tag == UTC_TIME else "%Y%m%d%H%M%SZ"
        return float(calendar.timegm(time.strptime(text.decode(), form)))
    except (ValueError, IndexError, StopIteration) as error:
        raise Unreadable(f"is no certificate: {error}") from error


def certificates_of(kubeconfig: str) -> dict[str, str]:
    """Those that a kubeconfig has as data: ``client-certificate`` and ``certificate-authority``."""
    pattern = r"(client-certificate|certificate-authority)-data: *\"?(\S+?)\"?$"
    found = re.findall(pattern, kubeconfig, re.MULTILINE)
    return {name: _decoded(data) for name, data in found}


def _decoded(data: str) -> str:
    """A text that is written as base64; empty where it is not."""
    try:
        return b64decode(data).decode(errors="replace")
    except NoBase64:
        return ""


def text_at(path: str) -> str:
    """The certificate of a file, or the one by which a kubeconfig's user is known."""
    text = text_of(path)
    return certificates_of(text).get("client-certificate", "") if path in KUBECONFIGS else text


def ends() -> dict[str, float]:
    """The ends of what kubeadm signs on a control plane; of no other machine there are any.

    What cannot be read counts as ended: nobody is let in by it.
    """
    paths = [path for pattern in SIGNED for path in matching(pattern) if path not in AUTHORITIES]
    paths += [path for path in KUBECONFIGS if place(path).exists()]
    return {path: _end_at(path) for path in paths}


def _end_at(path: str) -> float:
    try:
        return end_of(text_at(path))
    except Unreadable:
        return 0.0


def look() -> dict[str, Any]:
    """How many seconds each certificate still has, and whether a run is to make some anew."""
    now = time.time()
    own = {path: end - now for path, end in ends().items()}
    others = [path for path in (*AUTHORITIES, KUBELET) if place(path).exists()]
    kubelet = place(KUBELET).exists() and _end_at(KUBELET) < now
    late = any(left < RENEWED_BEFORE for left in own.values())
    return {
        "certificates": {**own, **{path: _end_at(path) - now for path in others}},
        "renew": bool(own) and (late or kubelet or place(NOTE).exists()),
        "kubelet_ended": kubelet,
    }


def renew(config: str) -> None:
    """Have kubeadm sign everything anew, for the same names; it needs no API server for that."""
    given = [f"--config={config}"] if "kind: ClusterConfiguration" in text_of(config) else []
    _carried_out("kubeadm", "certs", "renew", "all", *given)


def renew_kubelet(node: str, endpoint: str, version: str) -> None:
    """Give this node's kubelet a certificate whose own has ended.

    It would have to ask the API server for one, which only it can start.
    """
    with tempfile.TemporaryDirectory() as folder:
        _carried_out(
            *("kubeadm", "init", "phase", "kubeconfig", "kubelet"),
            *(f"--kubeconfig-dir={folder}", f"--node-name={node}", f"--cert-dir={place(PKI)}"),
            *(f"--control-plane-endpoint={endpoint}", f"--kubernetes-version=v{version}"),
        )
        made = Path(folder, "kubelet.conf").read_text(encoding="utf-8")
    parts = re.findall(r"client-(?:certificate|key)-data: *(\S+)", made)
    path = place(f"{KUBELET_FOLDER}/kubelet-client-{time.strftime('%Y-%m-%d-%H-%M-%S')}.pem")
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(b"".join(map(b64decode, parts)))
        os.fsync(file.fileno())
    # As the kubelet itself has it: the newest of several files.
    link = place(f"{KUBELET_FOLDER}/.kubelet-client-current.pem")
    link.unlink(missing_ok=True)
    link.symlink_to(path.name)
    link.rename(place(KUBELET))


def _carried_out(*argv: str) -> str:
    """What a tool says; raises Failed with its words where it fails."""
    done = tool(*argv, seconds=LONG_SECONDS)
    if done.returncode != 0:
        raise Failed(f"{' '.join(argv[:4])}: {done.stderr.strip()}")
    return done.stdout


def ctr(*argv: str) -> str:
    """What containerd says of the containers of pods."""
    return _carried_out("ctr", "--namespace=k8s.io", *argv)


def running(component: str) -> set[str]:
    """The containers of a static pod that run."""
    labels = {"container.name": component, "pod.namespace": "kube-system"}
    chosen = ",".join(f'labels."io.kubernetes.{key}"=={value}' for key, value in labels.items())
    there = ctr("containers", "list", "--quiet", chosen).split()
    tasks = (line.split() for line in ctr("tasks", "list").splitlines()[1:])
    alive = {words[0] for words in tasks if words[-1] == "RUNNING"}
    return alive.intersection(there)


def start_anew(timeout: float) -> list[str]:
    """End the static pods' containers, one component after the other; the kubelet starts others.

    Returns which there are. Raises Failed where one does not come up in time.
    """
    manifests = "/etc/kubernetes/manifests"
    there = [name for name in COMPONENTS if place(f"{manifests}/{name}.yaml").exists()]
    for component in there:
        before = running(component)
        end(before, "SIGTERM")
        began = time.monotonic()
        while not (running(component) - before and (component == "etcd" or answers())):
            waited = time.monotonic() - began
            if waited > timeout:
                what = f"{component} does not run with its new certificates after {timeout:.0f} s"
                raise Failed("\n".join(filter(None, [what, log_end(component, LINES)])))
            if waited > GRACE_SECONDS:
                end(before & running(component), "SIGKILL")
            time.sleep(POLL_SECONDS)
    return there


def end(containers: set[str], signal: str) -> None:
    """Have containers told to end; one that has done so meanwhile is not there to be told."""
    for container in containers:
        tool("ctr", "--namespace=k8s.io", "tasks", "kill", f"--signal={signal}", container)


def answers() -> bool:
    """Whether the API server of this node is ready."""
    return tool(*READY, f"--kubeconfig={place(KUBECONFIGS[0])}").returncode == 0


def main(args: dict[str, Any], modes: Modes) -> dict[str, Any]:
    """Make anew what ends soon, have everything run with it, and tell what ended."""
    found = look()
    if not found["renew"]:
        return {"changed": False, "restarted": [], "last": "", "ended": False}
    first = _end_at(KUBELET) if found["kubelet_ended"] else min(ends().values())
    ended = first < time.time()
    late = first - time.time() < RENEWED_BEFORE
    last = time.strftime("%Y-%m-%d", time.gmtime(first)) if late else ""
    told: dict[str, Any] = {"changed": True, "restarted": [], "last": last, "ended": ended}
    if modes.check:
        return told
    interrupted = place(NOTE).exists()
    place(NOTE).touch()
    try:
        if any(left - time.time() < RENEWED_BEFORE for left in ends().values()):
            renew(args["config"])
        if found["kubelet_ended"]:
            renew_kubelet(args["node"], args["endpoint"], args["version"])
        if ended or interrupted:
            # What has failed for a while, it would try again in some minutes.
            _carried_out("systemctl", "restart", "kubelet.service")
        told["restarted"] = start_anew(args["timeout"])
    except Failed as failed:
        raise Failed(str(failed), last=last, ended=ended) from failed
    place(NOTE).unlink()
    return told
