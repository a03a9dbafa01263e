"""Registries that nodes ask: what may be written of them, and what containerd reads."""

from __future__ import annotations

import tomllib
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from slipway.certificates import Authority
from slipway.errors import SlipwayError
from slipway.nodes.registries import FOLDER, files, registries
from tests.support.container_runtime import rendered

SECRETS = {"pull": 'pass:"word"'}
LOGIN = {"user": "ada", "password": "pull"}
HEADER = {"Authorization": f"Basic {b64encode(b'ada:' + SECRETS['pull'].encode()).decode()}"}
CA = Authority.make().root


def read(given: dict[str, Any], host: str) -> dict[str, Any]:
    """What containerd reads of a host, whose folder has a name of its own."""
    found = {each["path"]: each["content"] for each in files(registries(given, SECRETS))}
    return tomllib.loads(found[f"{FOLDER}/{host}/hosts.toml"])


def wrong(given: dict[str, Any]) -> list[str]:
    """Each mistake in one line, without its fix."""
    with pytest.raises(SlipwayError) as caught:
        registries(given, SECRETS)
    return [f"{each.where}: {each.what}" for each in caught.value.problems]


@pytest.mark.parametrize("version", [2, 3])
def test_containerd_looks_where_they_are_written(version: int) -> None:
    assert f"config_path = '{FOLDER}'" in rendered(version, True)


def test_without_any_nothing_is_written() -> None:
    assert files(registries({}, {})) == []


def test_mirrors_are_asked_first_and_in_their_order() -> None:
    mirrors = ["https://z.test", "https://a.test/docker", "http://127.0.0.1:5000"]
    found = read({"docker.io": {"mirrors": mirrors}}, "docker.io")
    assert [*found["host"]] == mirrors
    assert all(each == {"capabilities": ["pull", "resolve"]} for each in found["host"].values())
    assert "server" not in found, "containerd knows where images of docker.io are"


def test_a_mirror_whose_path_has_the_api_s_place_keeps_it() -> None:
    url = "https://a.test/v2/docker-proxy"
    assert read({"_default": {"mirrors": [url]}}, "_default")["host"][url]["override_path"]


def test_a_login_goes_to_the_host_that_has_it_wherever_it_is_asked() -> None:
    given = {
        "docker.io": {"mirrors": ["https://a.test:5000", "https://b.test"]},
        "a.test:5000": {**LOGIN, "ca": CA},
    }
    own = read(given, "a.test_5000_")
    assert own["header"] == HEADER
    assert own["ca"] == f"{FOLDER}/a.test_5000_/ca.pem"
    hub = read(given, "docker.io")
    assert "header" not in hub
    assert hub["host"]["https://a.test:5000"]["header"] == HEADER
    assert hub["host"]["https://a.test:5000"]["ca"] == own["ca"]
    assert "header" not in hub["host"]["https://b.test"]


def test_a_registry_without_tls_is_asked_without() -> None:
    given = {"127.0.0.1:5000": {**LOGIN, "plain_http": True}}
    found = read(given, "127.0.0.1_5000_")
    assert found == {"server": "http://127.0.0.1:5000", "header": HEADER}


def test_authorities_are_text_or_a_file_and_nodes_get_the_certificates_alone(
    tmp_path: Path,
) -> None:
    (tmp_path / "ca.pem").write_text(f"About it\n{CA}")
    for ca in (CA, str(tmp_path / "ca.pem")):
        first, _hosts = files(registries({"a.test": {"ca": ca}}, {}))
        assert (first["path"], first["content"]) == (f"{FOLDER}/a.test/ca.pem", CA)


def test_only_root_reads_what_may_have_a_login_and_nobody_is_shown_it() -> None:
    authorities, hosts = files(registries({"a.test": {**LOGIN, "ca": CA}}, SECRETS))
    assert (authorities["mode"], hosts["mode"]) == ("0644", "0600")
    assert hosts["secret"]


@pytest.mark.parametrize(
    ("host", "given", "told"),
    [
        ("a.test", 5, "is no registry: Expected `object`"),
        ("a.test", {"username": "ada"}, "contains unknown field `username`"),
        ("https://a.test", {}, "is no host"),
        ("a.test/team", {}, "is no host"),
        ("../up", {}, "is no host"),
        (5000, {}, "slipway_registries[5000]: is no host"),
        (None, {}, "is no host"),
        ("[::1", {"plain_http": True}, "is no host"),
        ("a.test:99999", {}, "is no host"),
        ("a.test", {"mirrors": ["https://[::1"]}, "which is no address"),
        ("a.test", {"mirrors": ["https://b.test:99999"]}, "which is no address"),
        ("a.test", {"mirrors": ["https://b.te\nst"]}, "which is no address"),
        ("a.test", {"mirrors": ["https://b.test/x\x7f"]}, "which is no address"),
        ("a.test", {"mirrors": ["https://u:1/2@b.test"]}, "has the mirror b.test, which is"),
        ("a.test", {"mirrors": ["http://b.test"] * 2}, "has the mirror http://b.test 2 times"),
        ("a.test", {"mirrors": ["b.test"]}, "has the mirror b.test, which is no address"),
        ("a.test", {"mirrors": ["https://b.test?x=1"]}, "which is no address"),
        ("a.test", {"mirrors": ["https://u:p@b.test"]}, "has the mirror b.test, which is"),
        ("a.test", {"user": "ada"}, "has one of user and password"),
        ("a.test", {"user": "ada", "password": "no"}, "a password that is no name in slipway_"),
        ("a.test", {"user": "a:b", "password": "pull"}, "has a user with a colon"),
        ("a.test", {**LOGIN, "plain_http": True}, "a password that anybody on the way may read"),
        ("a.test", {"ca": CA, "plain_http": True}, "has a ca, and is to be asked without TLS"),
        ("a.test", {"ca": "/none/ca.pem"}, "cannot be read: No such file or directory"),
        ("a.test", {"ca": "-----BEGIN nothing"}, "has a ca that cannot be read"),
        ("_default", LOGIN, "would tell every registry the password"),
        ("_default", {"plain_http": True}, "would ask every registry without TLS"),
    ],
)
def test_what_will_not_do_is_told(host: str, given: Any, told: str) -> None:
    (message,) = wrong({host: given})
    assert message.startswith(f"slipway_registries[{host}]: ")
    assert told in message


def test_a_mirror_is_told_no_password_that_others_may_read() -> None:
    given = {"a.test": {"mirrors": ["http://b.test"]}, "b.test": LOGIN}
    assert wrong(given) == [
        "slipway_registries[a.test]: has the mirror http://b.test, which would be told a password "
        "that anybody on the way may read"
    ]


def test_all_that_is_wrong_is_told_at_once() -> None:
    assert len(wrong({"a.test": 5, "b test": {"user": "ada", "ca": "/none"}})) == 4
