"""Mirrors: where files and images are asked for, and what may be written of that."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.bundle.download import Login
from slipway.bundle.mirrors import Mirror, Mirrors, mirrors
from slipway.errors import SlipwayError

SECRETS = {"files": "password"}


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({}, "https://dl.k8s.io/release/v1/kubelet"),
        ({"dl.k8s.io": "https://m.test"}, "https://m.test/release/v1/kubelet"),
        ({"dl.k8s.io": "https://m.test/k8s/"}, "https://m.test/k8s/release/v1/kubelet"),
        ({"dl.k8s.io/release": "https://m.test/k8s"}, "https://m.test/k8s/v1/kubelet"),
        (
            {"dl.k8s.io": "https://a.test", "dl.k8s.io/release": "https://b.test"},
            "https://b.test/v1/kubelet",
        ),
        (
            {"dl.k8s": "https://m.test", "dl.k8s.io/rel": "https://m.test"},
            "https://dl.k8s.io/release/v1/kubelet",
        ),
    ],
)
def test_a_file_is_asked_for_at_the_closest_mirror(given: dict[str, Any], url: str) -> None:
    assert mirrors(given, {}).of_file("https://dl.k8s.io/release/v1/kubelet").url == url


@pytest.mark.parametrize(
    ("given", "repository", "url"),
    [
        ({}, "registry.k8s.io/coredns/coredns", "https://registry.k8s.io/v2/coredns/coredns"),
        (
            {},
            "docker.io/nginx/nginx-ingress",
            "https://registry-1.docker.io/v2/nginx/nginx-ingress",
        ),
        ({"docker.io": "https://m.test"}, "docker.io/library/x", "https://m.test/v2/library/x"),
        (
            {"registry.k8s.io": "https://m.test:5000/k8s"},
            "registry.k8s.io/pause",
            "https://m.test:5000/v2/k8s/pause",
        ),
    ],
)
def test_an_image_is_asked_for_by_the_address_that_registries_have(
    given: dict[str, Any], repository: str, url: str
) -> None:
    assert mirrors(given, {}).of_repository(repository).url == url


def test_login_and_authorities_go_with_it() -> None:
    given = {"url": "https://m.test", "user": "ada", "password": "files", "ca": "/etc/ca.pem"}
    found = mirrors({"dl.k8s.io": given}, SECRETS).of_file("https://dl.k8s.io/x")
    assert found == Mirror("https://m.test/x", Login("ada", "password"), "/etc/ca.pem")
    assert found.server().ca == "/etc/ca.pem"


def test_who_asks_a_mirror_without_a_login_is_said_elsewhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (tmp_path / "netrc").write_text("machine m.test login ada password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    server = (
        Mirrors({"dl.k8s.io": Mirror("https://m.test")}).of_file("https://dl.k8s.io/x").server()
    )
    assert server.login == Login("ada", "secret")


@pytest.mark.parametrize(
    ("name", "given", "told"),
    [
        ("dl.k8s.io", 5, "slipway_mirrors[dl.k8s.io]: is no mirror: Expected `object`"),
        ("dl.k8s.io", {"user": "ada"}, "is no mirror: Object missing required field `url`"),
        ("dl.k8s.io", {"url": "https://m.test", "cert": "x"}, "contains unknown field `cert`"),
        ("dl.k8s.io", "m.test", "is at m.test, which is no address"),
        ("dl.k8s.io", "ftp://m.test", "is at ftp://m.test, which is no address"),
        ("https://dl.k8s.io", "https://m.test", "is named with more than a host and a path"),
        ("dl.k8s.io/", "https://m.test", "is named with more than a host and a path"),
        ("a.io", {"url": "https://m.test", "user": "ada"}, "has one of user and password"),
        ("a.io", {"url": "https://m.test", "password": "files"}, "has one of user and password"),
        (
            "a.io",
            {"url": "https://m.test", "user": "ada", "password": "none"},
            "has a password that is no name in slipway_secrets",
        ),
        (
            "a.io",
            {"url": "https://m.test", "user": "ada", "password": "file"},
            "fix: write files",
        ),
        (
            "a.io",
            {"url": "http://m.test", "user": "ada", "password": "files"},
            "would be told a password that anybody on the way may read",
        ),
    ],
)
def test_what_is_no_mirror_is_told(name: str, given: Any, told: str) -> None:
    with pytest.raises(SlipwayError) as caught:
        mirrors({name: given}, SECRETS)
    assert told in str(caught.value)


def test_a_password_in_place_of_its_secret_s_name_is_not_shown() -> None:
    with pytest.raises(SlipwayError) as caught:
        mirrors({"a.io": {"url": "https://m.test", "user": "ada", "password": "hunter2"}}, SECRETS)
    assert "hunter2" not in str(caught.value)


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(SlipwayError) as caught:
        mirrors({"a.io": "none", "b.io": {"url": "https://m.test", "user": "ada"}}, {})
    assert [each.where for each in caught.value.problems] == [
        "slipway_mirrors[a.io]",
        "slipway_mirrors[b.io]",
    ]
