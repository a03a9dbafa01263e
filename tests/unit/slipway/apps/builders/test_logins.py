"""Who builders are to registries: what Docker's clients read, and what they do not."""

from __future__ import annotations

import json
import os
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

from slipway.apps.builders.logins import docker_config, registry_of
from slipway.bundle.download import Login

OWN = {
    "auths": {"own.test": {"auth": "b3du"}},
    "credsStore": "pass",
    "credHelpers": {"own.test": "helper"},
    "currentContext": "rootless",
}


def read(env: dict[str, str]) -> dict[str, Any]:
    """What Docker's clients read."""
    found: dict[str, Any] = json.loads(Path(env["DOCKER_CONFIG"], "config.json").read_text())
    return found


def names(settings: dict[str, Any]) -> dict[str, str]:
    """Registries with the logins that there are for them."""
    return {
        host: b64decode(each["auth"]).decode()
        for host, each in settings["auths"].items()
        if each["auth"]
    }


@pytest.mark.parametrize(
    ("ref", "registry"),
    [
        ("registry.test/team/base:1", "registry.test"),
        ("localhost/base", "localhost"),
        ("host:5000/base@sha256:0", "host:5000"),
        ("library/redis:8", "docker.io"),
        ("redis", "docker.io"),
    ],
)
def test_a_reference_means_a_registry(ref: str, registry: str) -> None:
    assert registry_of(ref) == registry


def test_each_registry_has_its_login_as_docker_calls_it() -> None:
    logins = {"registry.test": Login("builds", "a:b"), "docker.io": Login("me", "token")}
    with docker_config(logins) as env:
        found = names(read(dict(env)))
    assert found == {"registry.test": "builds:a:b", "https://index.docker.io/v1/": "me:token"}


def test_it_is_on_no_disk_and_gone_afterwards() -> None:
    with docker_config({"registry.test": Login("builds", "secret")}) as env:
        file = Path(env["DOCKER_CONFIG"], "config.json")
        assert str(file.readlink()).startswith(f"/proc/{os.getpid()}/fd/")
    assert not file.parent.exists()
    assert "secret" not in repr(Login("builds", "secret"))


def test_of_the_user_s_own_settings_there_is_all_but_who_it_is(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(OWN))
    (tmp_path / "contexts").mkdir()
    with docker_config({}, tmp_path) as env:
        settings = read(dict(env))
        assert Path(env["DOCKER_CONFIG"], "contexts").resolve() == tmp_path / "contexts"
    assert settings.pop("auths").keys() == {"nobody.slipway.internal"}
    assert settings == {"currentContext": "rootless"}


@pytest.mark.parametrize("text", ["{", "[]", "null"])
def test_settings_that_cannot_be_read_are_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with docker_config({}, tmp_path) as env:
        assert read(dict(env)).keys() == {"auths"}


def test_without_a_login_no_keyring_is_looked_for_and_no_variable_read() -> None:
    with docker_config({}) as env:
        assert read(dict(env))["auths"], "docker's clients look for one where there is none"
        assert env["DOCKER_AUTH_CONFIG"] == ""
