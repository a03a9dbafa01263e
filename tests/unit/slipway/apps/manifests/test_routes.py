"""The hosts of apps: their masters, their certificates, and how requests are treated."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from slipway import certificates
from slipway.apps.app import App, Built, Failure, HostCertificate
from slipway.apps.deploy.deploy import Outcome, deploy, render_change
from slipway.apps.manifests.labels import ROUTES_NAMESPACE, is_own
from slipway.apps.manifests.render import render
from slipway.apps.manifests.routes import certificate, master, minions, pair_of
from slipway.certificates import Authority, Pair
from slipway.errors import SlipwayError
from slipway.kube.client import Kube, Object
from tests.support.app_cluster import FakeApi, rolled_out_at_once
from tests.support.apps import built

HOST = "demo.slipway.test"
ADMIN = "admin.slipway.test"
OWN = HostCertificate("shop_certificate", "shop_key")


def app(
    name: str = "greeter",
    tls: str | HostCertificate | None = None,
    host: str = HOST,
    **settings: Any,
) -> Built:
    """An app with this host in its only rule, and with these settings of its ingress."""
    made = built(name)
    assert made.ingress
    [rule] = made.ingress.rules
    rules = [structs.replace(rule, tls=tls, host=host)]
    return structs.replace(made, ingress=structs.replace(made.ingress, rules=rules, **settings))


def said(**settings: Any) -> dict[str, str]:
    """What a minion says beyond what is its role."""
    [minion] = minions(app(**settings), "nginx")
    found = dict(minion["metadata"]["annotations"])
    assert found.pop("nginx.org/mergeable-ingress-type") == "minion"
    assert found.pop("nginx.org/rewrites") == "serviceName=greeter rewrite=/"
    assert found.pop("nginx.org/proxy-set-headers") == "X-Forwarded-Prefix: /greeter/main"
    return found


def test_what_holds_by_default_is_not_said() -> None:
    assert said() == {}
    assert said(websocket=False, max_body_size="1m", timeout="60s") == {}
    assert said(max_header_size="32k", rewrite_redirects=False) == {}


def test_settings_are_the_documented_annotations() -> None:
    assert said(websocket=True) == {"nginx.org/websocket-services": "greeter"}
    assert said(max_body_size="50m") == {"nginx.org/client-max-body-size": "50m"}
    assert said(max_body_size="0") == {"nginx.org/client-max-body-size": "0"}
    assert said(timeout="10m") == {
        "nginx.org/proxy-read-timeout": "10m",
        "nginx.org/proxy-send-timeout": "10m",
    }
    assert said(max_header_size="64k") == {
        "nginx.org/proxy-buffer-size": "64k",
        "nginx.org/proxy-buffers": "4 64k",
    }
    assert said(rewrite_redirects=True) == {"slipway.internal/rewrite-redirects": "true"}


def test_settings_are_on_every_minion_of_an_app_and_each_host_has_its_own() -> None:
    made = app(websocket=True)
    assert made.ingress
    [rule] = made.ingress.rules
    made.ingress.rules += [
        structs.replace(rule, host=ADMIN),
        structs.replace(rule, rewrite=None, path="/b/"),
    ]
    found = {
        minion["metadata"]["name"]: (
            minion["spec"]["rules"][0]["host"],
            minion["metadata"]["annotations"]["nginx.org/websocket-services"],
        )
        for minion in minions(made, "nginx")
    }
    assert found == {
        "greeter": (HOST, "greeter"),
        "greeter.1": (ADMIN, "greeter"),
        "greeter.2": (HOST, "greeter"),
    }


def test_the_master_names_the_certificate_beside_it() -> None:
    obj = master(HOST, "nginx", tls=True)
    secret = certificate(HOST, Pair("certificate", "key"))
    [tls] = obj["spec"]["tls"]
    assert tls == {"hosts": [HOST], "secretName": secret["metadata"]["name"]}
    assert secret["metadata"]["namespace"] == obj["metadata"]["namespace"] == ROUTES_NAMESPACE
    assert secret["type"] == "kubernetes.io/tls"
    assert is_own(secret)
    assert pair_of(secret) == Pair("certificate", "key")
    assert "tls" not in master(HOST, "nginx")["spec"]
    assert all("tls" not in minion["spec"] for minion in minions(app(tls="local-ca"), "nginx"))


@pytest.mark.parametrize("data", [None, {}, {"tls.crt": "!"}, {"tls.crt": "/w==", "tls.key": "a"}])
def test_a_secret_that_somebody_broke_holds_nothing(data: dict[str, str] | None) -> None:
    assert pair_of({"data": data}).certificate == ""


class Cluster:
    """Deployments to a fake API, with an authority in a folder of its own."""

    def __init__(self, kube: Kube, api: FakeApi, ca_dir: Path) -> None:
        self.kube = kube
        self.api = api
        self.ca_dir = ca_dir
        self.secrets: dict[str, str] = {}

    def run(self, *apps: App, dry_run: bool = False) -> Outcome:
        self.api.requests.clear()
        outcome = deploy(
            self.kube,
            apps,
            "nginx",
            secrets=self.secrets,
            ca_dir=self.ca_dir,
            seconds=10,
            say=print,
            dry_run=dry_run,
        )
        assert not [each.failed for each in outcome.apps if each.failed]
        return outcome

    def routes(self) -> list[str]:
        """What was written beside the masters, in order."""
        return [
            f"{method} {path.split(f'/namespaces/{ROUTES_NAMESPACE}/')[1]}"
            for method, path in self.api.writes
            if f"/namespaces/{ROUTES_NAMESPACE}/" in path and "configmaps" not in path
        ]

    def pair(self, host: str = HOST) -> Pair:
        return pair_of(self.api.named("secrets", ROUTES_NAMESPACE, host))

    def master(self) -> Object:
        return self.api.named("ingresses", ROUTES_NAMESPACE, HOST)


@pytest.fixture
def cluster(kube: Kube, api: FakeApi, tmp_path: Path) -> Cluster:
    api.on_apply = rolled_out_at_once
    return Cluster(kube, api, tmp_path / "ca")


def days_later(monkeypatch: pytest.MonkeyPatch, days: int) -> None:
    later = datetime.now(UTC) + timedelta(days=days)
    monkeypatch.setattr(certificates, "_now", lambda: later)


def test_a_certificate_comes_before_the_master_that_names_it(cluster: Cluster) -> None:
    cluster.run(app(tls="local-ca"))
    assert cluster.routes() == [f"PATCH secrets/{HOST}", f"PATCH ingresses/{HOST}"]
    authority = Authority.load(cluster.ca_dir)
    assert authority
    assert authority.stands_by(cluster.pair(), HOST)


def test_the_second_run_makes_no_new_certificate(cluster: Cluster) -> None:
    cluster.run(app(tls="local-ca"), app("quote", tls="local-ca"))
    before = cluster.pair()
    assert not cluster.run(app(tls="local-ca"), app("quote", tls="local-ca")).changed
    assert cluster.api.writes == []
    assert cluster.pair() == before


def test_a_certificate_is_renewed_and_nothing_else_is_touched(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.run(app(tls="local-ca"))
    before = cluster.pair()
    days_later(monkeypatch, 360)
    assert not cluster.run(app(tls="local-ca")).changed
    days_later(monkeypatch, 370)
    assert cluster.run(app(tls="local-ca")).changed
    assert cluster.routes() == [f"PATCH secrets/{HOST}"]
    assert cluster.pair() != before


def test_a_new_authority_certifies_anew(cluster: Cluster, tmp_path: Path) -> None:
    cluster.run(app(tls="local-ca"))
    cluster.ca_dir = tmp_path / "other"
    cluster.run(app(tls="local-ca"))
    assert cluster.routes() == [f"PATCH secrets/{HOST}"]


def test_a_certificate_that_somebody_broke_is_made_anew(cluster: Cluster) -> None:
    cluster.run(app(tls="local-ca"))
    cluster.api.named("secrets", ROUTES_NAMESPACE, HOST)["data"]["tls.key"] = "broken"
    assert cluster.run(app(tls="local-ca")).changed
    authority = Authority.load(cluster.ca_dir)
    assert authority
    assert authority.stands_by(cluster.pair(), HOST)


def test_tls_comes_and_goes_and_the_master_stays(cluster: Cluster) -> None:
    """It is written in place: never deleted, so never the younger of two that want the host."""
    secure, plain = app(tls="local-ca"), app()
    for step, written in (
        (plain, [f"PATCH ingresses/{HOST}"]),
        (secure, [f"PATCH secrets/{HOST}", f"PATCH ingresses/{HOST}"]),
        (plain, [f"PATCH ingresses/{HOST}", f"DELETE secrets/{HOST}"]),
        (app("quote"), []),
        (secure, [f"PATCH secrets/{HOST}", f"PATCH ingresses/{HOST}"]),
    ):
        cluster.run(step)
        assert cluster.routes() == written
        assert ("tls" in cluster.master()["spec"]) is (step is secure)


def test_each_host_has_a_master_and_only_its_own_certificate(cluster: Cluster) -> None:
    cluster.run(app(tls="local-ca"), app("admin", host=ADMIN))
    assert sorted(cluster.routes()) == [
        f"PATCH ingresses/{ADMIN}",
        f"PATCH ingresses/{HOST}",
        f"PATCH secrets/{HOST}",
    ]
    cluster.run(app("admin", host=ADMIN))
    assert cluster.routes() == [f"DELETE ingresses/{HOST}", f"DELETE secrets/{HOST}"]


def test_a_certificate_that_is_refused_fails_the_apps_of_its_host(cluster: Cluster) -> None:
    cluster.api.refusals[f"secrets/{HOST}"] = "no more secrets"
    apps = [app(tls="local-ca"), app("admin", host=ADMIN)]
    with pytest.raises(AssertionError, match="no more secrets"):
        cluster.run(*apps)
    assert cluster.routes() == [f"PATCH ingresses/{ADMIN}", f"PATCH secrets/{HOST}"]
    assert ("services", "admin-main", "admin") in cluster.api.objects
    assert ("services", "greeter-main", "greeter") not in cluster.api.objects


def test_a_check_makes_no_authority_and_shows_no_key(cluster: Cluster) -> None:
    outcome = cluster.run(app(tls="local-ca"), dry_run=True)
    assert outcome.changed
    assert not cluster.ca_dir.exists()
    assert cluster.api.writes == []
    [secret] = [change for change in outcome.changes if (change.after or {})["kind"] == "Secret"]
    shown = json.dumps(render_change(secret))
    assert "tls.key: '***'" in shown
    assert secret.after
    assert secret.after["data"]["tls.key"] not in shown


def test_a_check_of_what_is_there_already_finds_nothing_to_do(cluster: Cluster) -> None:
    cluster.run(app(tls="local-ca"))
    assert not cluster.run(app(tls="local-ca"), dry_run=True).changed


def test_a_certificate_of_the_vault_is_served_as_it_is(cluster: Cluster) -> None:
    own = Authority.make().issue(HOST)
    cluster.secrets = {"shop_certificate": own.certificate, "shop_key": own.key}
    cluster.run(app(tls=OWN))
    assert cluster.pair() == own
    assert not cluster.ca_dir.exists()
    assert not cluster.run(app(tls=OWN)).changed


def test_every_certificate_that_will_not_do_is_told_before_anything_is_written(
    cluster: Cluster,
) -> None:
    own = Authority.make().issue(HOST)
    cluster.secrets = {"shop_certificate": own.certificate, "shop_key": "s3cr3t"}
    gone = HostCertificate("gone", "shop_key")
    with pytest.raises(SlipwayError) as caught:
        cluster.run(app(tls=OWN), app("admin", tls=OWN, host=ADMIN), app("a", gone, "a.test"))
    assert str(caught.value).splitlines()[::2] == [
        f"certificate of {HOST}: the secret shop_key holds no PEM private key",
        f"certificate of {ADMIN}: the secret shop_certificate is for {HOST}, not for {ADMIN}",
        f"certificate of {ADMIN}: the secret shop_key holds no PEM private key",
        "certificate of a.test: there is no secret gone",
    ]
    assert "s3cr3t" not in str(caught.value)
    assert cluster.api.writes == []


def test_a_host_keeps_its_certificate_while_its_only_app_fails(cluster: Cluster) -> None:
    cluster.run(app(tls="local-ca"))
    broken = structs.replace(app(tls="local-ca"), failed=Failure("build", "no"))
    with pytest.raises(AssertionError, match="build"):
        cluster.run(broken)
    assert cluster.routes() == []


def test_objects_of_an_app_do_not_depend_on_tls() -> None:
    assert render(app(tls="local-ca"), "nginx") == render(app(), "nginx")
