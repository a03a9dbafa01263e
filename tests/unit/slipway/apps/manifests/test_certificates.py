"""Certificates that apps show themselves: issued once, and renewed before their end."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates
from cryptography.x509 import (
    DNSName,
    IPAddress,
    SubjectAlternativeName,
    load_pem_x509_certificate,
)

from slipway import certificates
from slipway.apps.app import App, Built
from slipway.apps.deploy.deploy import Outcome, deploy, render_change
from slipway.certificates import Authority
from slipway.keystores import certificates_in, key_in
from slipway.kube.client import Kube, Object
from tests.support.app_cluster import FakeApi, rolled_out_at_once
from tests.support.apps import built, reason

SERVICE = ["orders", "orders.orders-main"]
SERVICE += [f"{SERVICE[1]}.svc", f"{SERVICE[1]}.svc.cluster.local"]


@pytest.fixture(autouse=True)
def controllers(api: FakeApi) -> None:
    """Deployments are ready at once."""
    api.on_apply = rolled_out_at_once


@pytest.fixture
def ca_dir(tmp_path: Path) -> Path:
    """Where the authority is kept."""
    return tmp_path / "ca"


def at(monkeypatch: pytest.MonkeyPatch, days: int) -> None:
    """Let so many days pass."""
    later = datetime.now(UTC) + timedelta(days=days)
    monkeypatch.setattr(certificates, "_now", lambda: later)


def orders(hosts: tuple[str, ...] = (), **changes: Any) -> Built:
    """An app that shows a certificate, and knows the password of its key store."""
    certificate = {"path": "/tls", "password": "store", "hosts": [*hosts]}
    env = {"SERVER_SSL_KEY_STORE_PASSWORD": {"password": "store"}}
    app = {"certificate": certificate, "env": env, "config_files": [], "ingress": None, **changes}
    return built("orders", **app)


def run(kube: Kube, ca_dir: Path, *apps: App, **options: Any) -> Outcome:
    settings: dict[str, Any] = {"secrets": {}, "seconds": 10, "say": print, **options}
    return deploy(kube, apps, "nginx", ca_dir=ca_dir, **settings)


def data_of(api: FakeApi, name: str) -> dict[str, bytes]:
    """What a Secret of the app's holds."""
    data = api.named("secrets", "orders-main", name)["data"]
    return {key: base64.b64decode(value) for key, value in data.items()}


def shown(api: FakeApi) -> dict[str, bytes]:
    """What the app finds in its folder."""
    spec = template(api)["spec"]
    [mount] = [each for each in spec["containers"][0]["volumeMounts"] if "subPath" not in each][1:]
    assert (mount["mountPath"], mount["readOnly"]) == ("/tls", True)
    [volume] = [each for each in spec["volumes"] if each["name"] == mount["name"]]
    return data_of(api, volume["secret"]["secretName"])


def template(api: FakeApi, name: str = "orders") -> Object:
    found: Object = api.named("deployments", "orders-main", name)["spec"]["template"]
    return found


def names(certificate: bytes) -> list[str]:
    """What a certificate is for."""
    leaf = load_pem_x509_certificate(certificate)
    found = leaf.extensions.get_extension_for_class(SubjectAlternativeName).value
    addresses = map(str, found.get_values_for_type(IPAddress))
    return [*found.get_values_for_type(DNSName), *addresses]


def test_the_app_finds_it_under_the_password_that_it_knows(
    kube: Kube, api: FakeApi, ca_dir: Path
) -> None:
    run(kube, ca_dir, orders())
    files, root = shown(api), Authority.keep(ca_dir).root
    password = data_of(api, "orders-passwords")["store"].decode()
    certificate, key = files["tls.crt"].decode(), files["tls.key"].decode()
    assert files["ca.crt"].decode() == root
    assert Authority.keep(ca_dir).stands_by(certificates.Pair(certificate, key), *SERVICE)
    assert key_in(files["keystore.p12"], password) == key
    assert certificates_in(files["keystore.p12"], password) == [certificate, root]
    assert certificates_in(files["truststore.p12"], password) == [root]


def test_it_is_for_all_that_the_app_is_reached_by(kube: Kube, api: FakeApi, ca_dir: Path) -> None:
    service = {"type": "LoadBalancer", "address": "172.28.1.20", "ports": {"a": {"port": 443}}}
    api.on_apply = _with_address
    run(kube, ca_dir, orders(("orders.slipway.test", "orders"), service=service))
    assert names(shown(api)["tls.crt"]) == [*SERVICE, "orders.slipway.test", "172.28.1.20"]


def test_it_stays_as_long_as_it_is_right(
    kube: Kube, api: FakeApi, ca_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(kube, ca_dir, orders())
    before = shown(api)
    assert not run(kube, ca_dir, orders()).changed
    at(monkeypatch, 360)
    assert not run(kube, ca_dir, orders()).changed
    run(kube, ca_dir, orders(image="apps.slipway.internal/orders:other"))
    assert shown(api) == before


def test_it_is_renewed_before_its_end_and_pods_roll(
    kube: Kube, api: FakeApi, ca_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = {"worker": {"command": ["work"]}}
    run(kube, ca_dir, orders(processes=worker))
    before, pods = shown(api), [template(api), template(api, "orders-worker")]
    at(monkeypatch, 370)
    assert run(kube, ca_dir, orders(processes=worker)).changed
    assert names(shown(api)["tls.crt"]) == names(before["tls.crt"])
    assert not {*shown(api).values()} & {*before.values()} - {before["ca.crt"]}
    for old, new in zip(pods, [template(api), template(api, "orders-worker")], strict=True):
        assert (old["spec"], old != new) == (new["spec"], True)
    assert not run(kube, ca_dir, orders(processes=worker)).changed


def test_its_renewal_runs_no_job_again(
    kube: Kube, api: FakeApi, ca_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = orders(jobs={"report": {"command": ["report"], "schedule": "@daily"}})
    run(kube, ca_dir, app)
    before = api.named("cronjobs", "orders-main", "orders-report")["spec"]
    assert {"name": "certificate", "mountPath": "/tls", "readOnly": True} in before["jobTemplate"][
        "spec"
    ]["template"]["spec"]["containers"][0]["volumeMounts"]
    at(monkeypatch, 370)
    run(kube, ca_dir, app)
    assert api.named("cronjobs", "orders-main", "orders-report")["spec"] == before


@pytest.mark.parametrize("key", ["tls.crt", "tls.key", "ca.crt", "keystore.p12", "truststore.p12"])
def test_what_somebody_damages_is_made_anew(
    kube: Kube, api: FakeApi, ca_dir: Path, key: str
) -> None:
    run(kube, ca_dir, orders())
    secret = api.named("secrets", "orders-main", "orders-certificate")
    api.put("secrets", {**secret, "data": {**secret["data"], key: "AAAA"}})
    assert run(kube, ca_dir, orders()).changed
    assert shown(api)[key] != b"\0\0\0"
    assert not run(kube, ca_dir, orders()).changed


def test_a_key_store_without_its_key_is_made_anew(kube: Kube, api: FakeApi, ca_dir: Path) -> None:
    run(kube, ca_dir, orders())
    files = shown(api)
    chain = [load_pem_x509_certificate(files[name]) for name in ("tls.crt", "ca.crt")]
    locked = BestAvailableEncryption(data_of(api, "orders-passwords")["store"])
    store = base64.b64encode(serialize_key_and_certificates(None, None, None, chain, locked))
    secret = api.named("secrets", "orders-main", "orders-certificate")
    api.put("secrets", {**secret, "data": {**secret["data"], "keystore.p12": store.decode()}})
    assert run(kube, ca_dir, orders()).changed


def test_another_name_or_password_makes_another_one(kube: Kube, api: FakeApi, ca_dir: Path) -> None:
    run(kube, ca_dir, orders())
    run(kube, ca_dir, orders(("a.slipway.test",)))
    assert names(shown(api)["tls.crt"])[-1] == "a.slipway.test"
    secret = api.named("secrets", "orders-main", "orders-passwords")
    api.put("secrets", {**secret, "data": {"store": base64.b64encode(b"chosen").decode()}})
    run(kube, ca_dir, orders(("a.slipway.test",)))
    assert key_in(shown(api)["keystore.p12"], "chosen")


def test_another_authority_issues_another_one(kube: Kube, api: FakeApi, ca_dir: Path) -> None:
    run(kube, ca_dir, orders())
    run(kube, ca_dir.parent / "other", orders())
    assert shown(api)["ca.crt"].decode() == Authority.keep(ca_dir.parent / "other").root


def test_an_authority_that_is_broken_is_the_failure_of_those_who_need_it(
    kube: Kube, api: FakeApi, ca_dir: Path
) -> None:
    Authority.keep(ca_dir)
    (ca_dir / "root.key").write_text("broken")
    outcome = run(kube, ca_dir, orders(), built("quotes", config_files=[]))
    assert "the certificate authority cannot be read" in reason(outcome.apps[0])
    assert not reason(outcome.apps[1])


def test_without_one_there_is_no_authority(kube: Kube, api: FakeApi, ca_dir: Path) -> None:
    run(kube, ca_dir, orders(certificate=None))
    assert not ca_dir.exists()


def test_it_goes_when_it_is_no_longer_wanted(kube: Kube, api: FakeApi, ca_dir: Path) -> None:
    run(kube, ca_dir, orders())
    run(kube, ca_dir, orders(certificate=None))
    assert ("secrets", "orders-main", "orders-certificate") not in api.objects


def test_an_object_of_a_manifest_cannot_have_its_name(
    kube: Kube, api: FakeApi, ca_dir: Path
) -> None:
    text = "{apiVersion: v1, kind: Secret, metadata: {name: orders-certificate}, stringData: {}}"
    manifests = [{"content": text}]
    assert "orders-certificate" in reason(run(kube, ca_dir, orders(manifests=manifests)).apps[0])
    others = run(kube, ca_dir, orders(manifests=manifests, certificate=None))
    assert not reason(others.apps[0])


def test_no_key_is_shown(
    kube: Kube,
    api: FakeApi,
    ca_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    outcomes = [run(kube, ca_dir, orders(), dry_run=True), run(kube, ca_dir, orders())]
    before = shown(api)
    at(monkeypatch, 370)
    outcomes.append(run(kube, ca_dir, orders()))
    others = [obj for key, obj in api.objects.items() if key[0] != "secrets"]
    changes = [render_change(change) for each in outcomes for change in each.changes]
    text = msgspec.json.encode([others, changes, [each.apps for each in outcomes]]).decode()
    text += "".join(capsys.readouterr())
    assert "orders-certificate" in text
    for files in (before, shown(api)):
        for name in ("tls.key", "keystore.p12"):
            assert base64.b64encode(files[name]).decode() not in text
        for line in files["tls.key"].decode().splitlines()[1:-1]:
            assert line not in text


def test_a_key_that_a_container_shows_is_masked(kube: Kube, api: FakeApi, ca_dir: Path) -> None:
    run(kube, ca_dir, orders())
    line = shown(api)["tls.key"].decode().splitlines()[1]
    api.refusals["deployments/orders"] = f"cannot read {line}"
    assert "cannot read ***" in reason(run(kube, ca_dir, orders(command=["other"])).apps[0])


def _with_address(api: FakeApi, obj: Object) -> None:
    """A hook that gives each Service its address, too."""
    rolled_out_at_once(api, obj)
    if obj["kind"] == "Service":
        live = api.named("services", obj["metadata"]["namespace"], obj["metadata"]["name"])
        live["status"] = {"loadBalancer": {"ingress": [{"ip": "172.28.1.20"}]}}
