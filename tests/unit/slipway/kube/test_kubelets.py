"""Which requests of kubelets are approved, and the wait for the connection that they make."""

from __future__ import annotations

import ipaddress
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from slipway.errors import Problem, SlipwayError
from slipway.kube.client import ApiError, Kube, Listing, Object
from slipway.kube.kubelets import SIGNER, certify, refusal

NODES = {"worker": "192.0.2.12", "other": "192.0.2.13"}
USER = "system:node:worker"
DNS, IP = x509.DNSName("worker"), x509.IPAddress(ipaddress.ip_address("192.0.2.12"))

KEY = ec.generate_private_key(ec.SECP256R1())


def asked(
    *places: x509.GeneralName,
    name: str = USER,
    groups: tuple[str, ...] = ("system:nodes",),
    extension: x509.ExtensionType | None = None,
) -> bytes:
    """A certificate request, as DER."""
    subject = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    subject.append(x509.NameAttribute(NameOID.COMMON_NAME, name))
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject))
    if places:
        builder = builder.add_extension(x509.SubjectAlternativeName(places), critical=False)
    if extension:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def request(der: bytes | None = None, **more: Any) -> Object:
    """An object of the API, as a kubelet's; ``more`` are other fields of its spec."""
    body = b64encode(asked(DNS, IP) if der is None else der).decode()
    lines = "\n".join(body[at : at + 64] for at in range(0, len(body), 64))
    pem = f"-----BEGIN CERTIFICATE REQUEST-----\n{lines}\n-----END CERTIFICATE REQUEST-----\n"
    spec = {
        "signerName": SIGNER,
        "username": USER,
        "groups": ["system:nodes", "system:authenticated"],
        "usages": ["digital signature", "server auth"],
        "request": b64encode(pem.encode()).decode(),
        **more,
    }
    return {"metadata": {"name": "csr-1"}, "spec": spec, "status": {}}


@pytest.mark.parametrize(
    "right",
    [
        request(),
        request(asked(IP)),
        request(usages=["digital signature", "key encipherment", "server auth"]),
    ],
)
def test_a_node_may_serve_under_its_own_name_and_address(right: Object) -> None:
    assert refusal(right, NODES) == ""


def tampered() -> bytes:
    """A request that another key has signed."""
    der = bytearray(asked(DNS, IP))
    der[-1] ^= 1
    return bytes(der)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (request(username="system:node:stranger"), "no node of the inventory"),
        (request(username="system:serviceaccount:a:worker"), "no node of the inventory"),
        (request(username="worker"), "no node of the inventory"),
        (request(groups=["system:authenticated"]), "no node of the inventory"),
        (request(usages=["digital signature", "client auth"]), "client auth"),
        (request(usages=["digital signature", "server auth", "client auth"]), "client auth"),
        (request(usages=["server auth"]), "good for server auth"),
        (request(asked(DNS, IP, name="system:node:other")), "it is for"),
        (request(asked(DNS, IP, groups=("system:masters",))), "it is for"),
        (request(asked(DNS, IP, groups=("system:nodes", "system:masters"))), "it is for"),
        (request(asked(DNS, IP, groups=())), "it is for"),
        (request(tampered()), "does not have its key"),
        (request(asked()), "nowhere"),
        (request(asked(DNS, x509.IPAddress(ipaddress.ip_address("192.0.2.13")))), "192.0.2.13"),
        (request(asked(x509.DNSName("kubernetes.default.svc"), IP)), "kubernetes.default.svc"),
        (request(asked(x509.DNSName("*"), IP)), "the node is worker"),
        (request(asked(IP, x509.RFC822Name("a@b.test"))), "a@b.test"),
        (request(asked(IP, x509.UniformResourceIdentifier("spiffe://a"))), "spiffe://a"),
        (
            request(asked(IP, extension=x509.BasicConstraints(ca=True, path_length=None))),
            "extension 2.5.29.19",
        ),
        (
            request(asked(IP, extension=x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]))),
            "extension 2.5.29.37",
        ),
        (request(b"no request"), "cannot be read"),
        (request(request="%%%"), "cannot be read"),
    ],
)
def test_any_other_request_is_refused_with_its_reason(wrong: Object, reason: str) -> None:
    assert reason in refusal(wrong, NODES)


class Api:
    """Requests, and kubelets that are reached once theirs is approved."""

    def __init__(self, *requests: Object, reached: Callable[[Api], bool] | None = None) -> None:
        self.requests = list(requests)
        self.approved: list[str] = []
        self.reached = reached or (lambda api: bool(api.approved))

    def list(self, _resource: object) -> Listing:
        return Listing(self.requests, "1")

    def apply(self, obj: Object, *, part: str) -> None:
        assert part == "approval"
        name = obj["metadata"]["name"]
        self.approved.append(name)
        for each in self.requests:
            if each["metadata"]["name"] == name:
                each["status"] = obj["status"]

    def kubelet(self, node: str, path: str) -> str:
        assert path == "/healthz"
        if not self.reached(self):
            raise ApiError(f"/api/v1/nodes/{node}/proxy/healthz", 502, "tls: internal error")
        return "ok"


def as_kube(api: Api) -> Kube:
    found: Any = api
    return found  # type: ignore[no-any-return]


def test_requests_are_approved_until_every_kubelet_is_reached() -> None:
    api = Api(request())
    assert certify(as_kube(api), NODES, 5) == (["worker"], [])
    assert api.approved == ["csr-1"]
    assert certify(as_kube(api), NODES, 5) == ([], [])


def test_requests_of_other_signers_and_those_that_are_decided_are_left() -> None:
    denied = {**request(), "status": {"conditions": [{"type": "Denied"}]}}
    api = Api(request(signerName="kubernetes.io/legacy"), denied, reached=lambda _: True)
    assert certify(as_kube(api), NODES, 5) == ([], [])
    assert api.approved == []


def test_a_wrong_request_is_left_and_told() -> None:
    api = Api(request(username="system:node:stranger"), reached=lambda _: True)
    given, refused = certify(as_kube(api), NODES, 5)
    assert given == []
    assert refused == ["csr-1: system:node:stranger is no node of the inventory"]
    assert api.approved == []


def test_a_check_approves_nothing() -> None:
    api = Api(request())
    assert certify(as_kube(api), NODES, 5, dry_run=True) == (["worker"], [])
    assert api.approved == []


def test_kubelets_that_are_not_reached_are_told_with_the_requests_that_were_left() -> None:
    with pytest.raises(SlipwayError) as raised:
        certify(as_kube(Api(request(usages=["client auth"]))), NODES, 0)
    assert [problem.where for problem in raised.value.problems] == [
        "kubelet of worker",
        "kubelet of other",
    ]
    assert isinstance(raised.value.problems[0], Problem)
    assert "tls: internal error" in str(raised.value)
    assert "left: csr-1: it is to be good for client auth" in str(raised.value)
