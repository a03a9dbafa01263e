"""Certificates of services that the API server asks: made once, kept, and made anew in time."""

from __future__ import annotations

import copy
from base64 import b64decode
from datetime import timedelta
from typing import cast

import pytest
from cryptography import x509

from slipway import certificates
from slipway.certificates import Pair, is_issued
from slipway.kube.client import Kube, Object
from slipway.kube.serving import certified

HOST = "meter.kube-system.svc"

API: Object = {
    "apiVersion": "apiregistration.k8s.io/v1",
    "kind": "APIService",
    "metadata": {"name": "v1beta1.metrics.k8s.io"},
    "spec": {"service": {"name": "meter", "namespace": "kube-system"}},
}
DEPLOYMENT: Object = {"kind": "Deployment", "metadata": {"name": "meter"}, "spec": {}}


class FakeKube:
    """A cluster that has a Secret, or none."""

    def __init__(self, secret: Object | None = None) -> None:
        self.secret = secret

    def get(self, _resource: object, name: str, namespace: str) -> Object | None:
        """The Secret."""
        assert (name, namespace) == ("meter-certificate", "kube-system")
        return self.secret


def made(secret: Object | None = None) -> tuple[Object, Object]:
    """The Secret and the APIService, with what the cluster has."""
    kube = cast(Kube, FakeKube(secret))
    first, second, third = certified(kube, [DEPLOYMENT, API])
    assert second == DEPLOYMENT, "which has to find the Secret"
    return first, third


def is_good(secret: Object, api: Object) -> bool:
    """Whether the API server, which knows what is in an APIService, believes the service."""
    texts = {key: b64decode(text).decode() for key, text in secret["data"].items()}
    root = b64decode(api["spec"]["caBundle"]).decode()
    return is_issued(Pair(texts["tls.crt"], texts["tls.key"]), root, HOST)


def test_the_service_has_a_certificate_that_the_api_server_verifies() -> None:
    secret, api = made()
    assert is_good(secret, api)
    assert secret["metadata"] == {"name": "meter-certificate", "namespace": "kube-system"}
    assert secret["type"] == "kubernetes.io/tls"
    assert "caBundle" not in API["spec"]


def test_nobody_has_the_key_of_the_authority() -> None:
    secret, _api = made()
    assert {*secret["data"]} == {"tls.crt", "tls.key", "ca.crt"}
    assert "PRIVATE" not in b64decode(secret["data"]["ca.crt"]).decode()


def test_what_is_there_stays() -> None:
    before = made()
    assert made(before[0]) == before


@pytest.mark.parametrize("part", ["tls.crt", "tls.key", "ca.crt"])
@pytest.mark.parametrize("text", ["", "&", "eA=="])
def test_what_somebody_spoilt_is_made_anew(part: str, text: str) -> None:
    spoilt = copy.deepcopy(made()[0])
    spoilt["data"][part] = text
    after = made(spoilt)
    assert is_good(*after)
    assert after[0]["data"] != spoilt["data"]


def test_one_that_ends_soon_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    before, _api = made()
    leaf = x509.load_pem_x509_certificate(b64decode(before["data"]["tls.crt"]))
    moment = leaf.not_valid_after_utc - timedelta(days=29)
    monkeypatch.setattr(certificates, "_now", lambda: moment)
    after = made(before)
    assert after[0]["data"] != before["data"]
    assert is_good(*after)


@pytest.mark.parametrize("said", [{"caBundle": "eA=="}, {"insecureSkipTLSVerify": True}])
def test_an_api_service_that_says_itself_whom_it_trusts_is_left_alone(said: Object) -> None:
    own = {**API, "spec": {**API["spec"], **said}}
    local: Object = {"kind": "APIService", "metadata": {"name": "v1."}, "spec": {"version": "v1"}}
    assert certified(cast(Kube, FakeKube()), [own, local]) == [own, local]
