"""Hosts and paths in apps.yml: what they become, and how they get in each other's way."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from slipway.apps.app import App, HostCertificate
from slipway.apps.manifests.routes import minions
from slipway.apps.plan.plan import plan
from slipway.certificates import Authority
from slipway.errors import SlipwayError

HOST = "shop.slipway.test"
OWN = {"certificate": "shop_certificate", "key": "shop_key"}


def app(name: str, *rules: dict[str, Any], **ingress: Any) -> dict[str, Any]:
    """An app with these rules, on one host unless a rule says otherwise."""
    return {"name": name, "git_url": "x", "ingress": {"host": HOST, "rules": [*rules], **ingress}}


class File:
    """An apps.yml, and what its plan says."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.secrets: Any = None
        self.domain = "slipway.test"

    def planned(self, *apps: dict[str, Any], hosts: Any = None) -> list[App]:
        content = {"version": 1, "hosts": hosts or {}, "apps": [*apps]}
        self.path.write_text(yaml.safe_dump(content, sort_keys=False))
        return plan(self.path, domain=self.domain, secrets=self.secrets)

    def mistakes(self, *apps: dict[str, Any], hosts: Any = None) -> list[str]:
        """The mistakes without their places and fixes."""
        with pytest.raises(SlipwayError) as caught:
            self.planned(*apps, hosts=hosts)
        return [re.sub(r"apps\.yml:\d+ ", "", problem.what) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("path", "asked", "served"),
    [
        ("/café/", "/caf%C3%A9/", "/café/"),
        ("/caf%c3%A9/", "/caf%C3%A9/", "/café/"),
        ("/%E4%B8%AD%E6%96%87/🚢/", "/%E4%B8%AD%E6%96%87/%F0%9F%9A%A2/", "/中文/🚢/"),
        ("/%61/%7Eb/", "/a/~b/", "/a/~b/"),
        ("/a@b:c~d.e_f-g/", "/a@b:c~d.e_f-g/", "/a@b:c~d.e_f-g/"),
    ],
)
def test_a_path_is_asked_for_in_ascii_and_served_as_nginx_decodes_it(
    tmp_path: Path, path: str, asked: str, served: str
) -> None:
    rules = [{"path": path, "rewrite": "/é%20/"}, {"path": "/{{ name }}-é", "expect": "é"}]
    [made] = File(tmp_path / "apps.yml").planned(app("shop", *rules))
    assert [rule.path for rule in made.rules] == [asked, "/shop-%C3%A9"]
    assert [rule.rewrite for rule in made.rules] == ["/%C3%A9%20/", None]
    paths = [
        path["path"]
        for minion in minions(made, "nginx")
        for path in minion["spec"]["rules"][0]["http"]["paths"]
    ]
    assert paths == [served, "/shop-é"]


@pytest.fixture
def file(tmp_path: Path) -> File:
    return File(tmp_path / "apps.yml")


def test_each_rule_has_its_host_and_its_hosts_certificate(file: File) -> None:
    [shop] = file.planned(
        app("shop", {"path": "/"}, {"path": "/", "host": "admin.slipway.test"}),
        hosts={HOST: {"tls": "local-ca"}},
    )
    found = [(rule.host, rule.tls) for rule in shop.rules]
    assert found == [(HOST, "local-ca"), ("admin.slipway.test", None)]


def test_an_entry_may_be_for_all_hosts_beside_it(file: File) -> None:
    names = ["a.slipway.test", HOST, "slipway.test", "a.b.slipway.test"]
    [shop] = file.planned(
        app("shop", *({"path": "/", "host": name} for name in names)),
        hosts={"*.slipway.test": {"tls": "local-ca"}, HOST: {}},
    )
    found = [rule.tls for rule in shop.rules]
    assert found == ["local-ca", None, None, None]


def test_hosts_and_their_certificates_are_in_the_domain_of_the_cluster(file: File) -> None:
    routes = [{"path": "/", "host": f"{name}.{{{{ domain }}}}"} for name in ("a", "b.c", "shop")]
    apps = [app("shop", *routes)]
    hosts = {"*.{{ domain }}": {"tls": "local-ca"}, "shop.{{domain}}": {}}
    for file.domain in ("slipway.localhost", "172-29-255-200.nip.io"):
        [shop] = file.planned(*apps, hosts=hosts)
        assert [(rule.host, rule.tls) for rule in shop.rules] == [
            (f"a.{file.domain}", "local-ca"),
            (f"b.c.{file.domain}", None),
            (f"shop.{file.domain}", None),
        ]


def test_a_domain_that_makes_no_host_name_is_told_where_it_is_used(file: File) -> None:
    file.domain = "Slipway_"
    wanted = app("shop", {"path": "/"}, host="shop.{{ domain }}")
    assert file.mistakes(wanted) == ["is 'shop.Slipway_'"]


def test_only_hosts_are_in_a_domain(file: File) -> None:
    assert file.mistakes(app("shop", {"path": "/{{ domain }}/"})) == [
        "uses the unknown variable domain"
    ]


@pytest.mark.parametrize("host", ["{{ domain }}.test", "shop.{{ branch }}", "{{ 7 * 7 }}", "{{"])
def test_of_templates_hosts_with_settings_end_in_their_domain_alone(file: File, host: str) -> None:
    found = file.mistakes(app("shop", {"path": "/"}), hosts={host: {"tls": "local-ca"}})
    assert found == [f"is '{host}'"]


def test_a_certificate_of_the_vault_has_to_fit_the_host_in_its_domain(file: File) -> None:
    pair = Authority.make().issue("shop.slipway.localhost")
    file.secrets = {"shop_certificate": pair.certificate, "shop_key": pair.key}
    hosts = {"shop.{{ domain }}": {"tls": OWN}}
    wanted = app("shop", {"path": "/"}, host="shop.{{ domain }}")
    [what] = file.mistakes(wanted, hosts=hosts)
    assert what.endswith("is for shop.slipway.localhost, not for shop.slipway.test")
    file.domain = "slipway.localhost"
    [shop] = file.planned(wanted, hosts=hosts)
    assert shop.rules[0].tls == HostCertificate(certificate="shop_certificate", key="shop_key")


def test_settings_of_an_app_have_nginxs_defaults(file: File) -> None:
    plain, other = file.planned(
        app("plain", {"path": "/a/"}),
        app("other", {"path": "/b/"}, websocket=True, max_body_size="50m", timeout="10m"),
    )
    assert plain.ingress
    assert other.ingress
    found = [
        (ingress.websocket, ingress.max_body_size, ingress.timeout)
        for ingress in (plain.ingress, other.ingress)
    ]
    assert found == [(False, "1m", "60s"), (True, "50m", "10m")]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"path": "/a/"}, {"path": "/a/b/"}),
        ({"path": "/"}, {"path": "/a/"}),
        ({"path": "/a"}, {"path": "/ab"}),
        ({"path": "/a/"}, {"path": "/a/", "host": "other.slipway.test"}),
        ({"path": "/a", "path_type": "Exact"}, {"path": "/a/"}),
    ],
)
def test_paths_that_two_apps_can_have(
    file: File, one: dict[str, Any], other: dict[str, Any]
) -> None:
    assert len(file.planned(app("one", one), app("other", other))) == 2
    assert len(file.planned(app("one", other), app("other", one))) == 2


def test_the_same_path_has_one_app_whatever_its_type(file: File) -> None:
    one, other = app("one", {"path": "/a/"}), app("other", {"path": "/a/", "path_type": "Exact"})
    place = "apps[0].ingress.rules[0].path"
    assert file.mistakes(one, other) == [f"{HOST}/a/ is already the path of {place}"]


def test_a_slash_at_the_end_makes_no_other_path_of_it(file: File) -> None:
    """The ingress controller would give /a to one app and /a/b to the other."""
    place = "apps[0].ingress.rules[0].path"
    assert file.mistakes(app("one", {"path": "/a"}), app("other", {"path": "/a/"})) == [
        f"{HOST}/a/ takes from /a, the path of {place}"
    ]
    assert file.mistakes(app("one", {"path": "/a/"}), app("other", {"path": "/a"})) == [
        f"{HOST}/a takes from /a/, the path of {place}"
    ]


def test_one_app_may_have_a_path_with_a_slash_and_without(file: File) -> None:
    assert file.planned(app("one", {"path": "/a"}, {"path": "/a/", "rewrite": "/"}))
    place = "apps[0].ingress.rules[0].path"
    assert file.mistakes(app("one", {"path": "/a"}, {"path": "/a"})) == [
        f"{HOST}/a is already the path of {place}"
    ]


def test_a_certificate_that_will_not_do_is_told_at_its_place(file: File) -> None:
    other = Authority.make().issue("other.slipway.test")
    file.secrets = {"shop_certificate": other.certificate, "shop_key": "s3cr3t"}
    with pytest.raises(SlipwayError) as caught:
        file.planned(app("shop", {"path": "/"}), hosts={HOST: {"tls": OWN}})
    assert str(caught.value).splitlines() == [
        f"apps.yml:5 hosts.{HOST}.tls.certificate: the secret shop_certificate is for "
        f"other.slipway.test, not for {HOST}",
        f"    fix: give one with {HOST} in its subjectAltName",
        f"apps.yml:6 hosts.{HOST}.tls.key: the secret shop_key holds no PEM private key",
        "    fix: give the certificate's private key as PEM",
    ]


def test_a_certificate_that_will_do(file: File) -> None:
    pair = Authority.make().issue("*.slipway.test")
    file.secrets = {"shop_certificate": pair.certificate, "shop_key": pair.key}
    hosts = {"*.slipway.test": {"tls": OWN}}
    [shop] = file.planned(app("shop", {"path": "/"}), hosts=hosts)
    assert shop.rules[0].tls == HostCertificate(**OWN)
    assert "PRIVATE" not in str(shop)


def test_names_alone_are_checked_where_values_are_not_known(file: File) -> None:
    file.secrets = ["shop_certificate"]
    assert file.mistakes(app("shop", {"path": "/"}), hosts={HOST: {"tls": OWN}}) == [
        "names the secret shop_key, which slipway_secrets does not have"
    ]
    file.secrets = None
    assert file.planned(app("shop", {"path": "/"}), hosts={HOST: {"tls": OWN}})


@pytest.mark.parametrize("host", ["*", "a.*.test", "*.", "Shop.test", "shop.test:443"])
def test_what_is_no_host(file: File, host: str) -> None:
    mistakes = file.mistakes(app("shop", {"path": "/"}), hosts={host: {}})
    assert mistakes == [f"is {host!r}"]
