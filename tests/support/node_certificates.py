"""Certificates of a control plane as kubeadm has them, that end when a test wants them to."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PKI, KUBERNETES = "etc/kubernetes/pki", "etc/kubernetes"
CURRENT = "var/lib/kubelet/pki/kubelet-client-current.pem"
SIGNED = (
    *("apiserver", "apiserver-etcd-client", "apiserver-kubelet-client", "front-proxy-client"),
    *("etcd/server", "etcd/peer", "etcd/healthcheck-client"),
)
AUTHORITIES = ("ca", "front-proxy-ca", "etcd/ca")
KUBECONFIGS = ("admin", "super-admin", "controller-manager", "scheduler")

_KEY = ec.generate_private_key(ec.SECP256R1())


def certificate(left: timedelta) -> str:
    """A certificate as PEM that ends after a while, or has ended for one."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubernetes")])
    end = datetime.now(UTC) + left
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(_KEY.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(datetime.now(UTC), end) - timedelta(days=1))
        .not_valid_after(end)
        .sign(_KEY, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
        .decode()
    )


def kubeconfig(left: timedelta, authority: timedelta = timedelta(days=3000)) -> str:
    """A kubeconfig as kubeadm writes it."""
    return (
        "apiVersion: v1\nclusters:\n- cluster:\n"
        f"    certificate-authority-data: {_data(certificate(authority))}\n"
        "    server: https://192.0.2.2:6443\n  name: lab\n"
        f"users:\n- name: admin\n  user:\n    client-certificate-data: {_data(certificate(left))}\n"
        "    client-key-data: a2V5\n"
    )


def _data(text: str) -> str:
    return b64encode(text.encode()).decode()


def sign(root: Path, left: timedelta) -> None:
    """Have everything of a control plane signed, to end after a while."""
    for name in SIGNED:
        _write(root / PKI / f"{name}.crt", certificate(left))
    for name in KUBECONFIGS:
        _write(root / KUBERNETES / f"{name}.conf", kubeconfig(left))


def control_plane(root: Path, left: timedelta) -> None:
    """Make a folder a control plane whose own certificates all end after a while."""
    sign(root, left)
    for name in AUTHORITIES:
        _write(root / PKI / f"{name}.crt", certificate(timedelta(days=3000)))
    kubelet(root, timedelta(days=300))


def kubelet(root: Path, left: timedelta) -> None:
    """Give a node's kubelet a certificate, which the current one leads to."""
    _write(root / CURRENT, certificate(left))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
