"""Ways into repositories that do not fit, told before anything is fetched."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.apps.plan.plan import plan
from slipway.errors import SlipwayError

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"


def test_a_registry_may_have_any_host(tmp_path: Path) -> None:
    login = "{x-registry.test: {user: me, password: k}}"
    text = f"version: 1\napps: [{{name: web, git_url: /web, registry_auth: {login}}}]\n"
    (tmp_path / "apps.yml").write_text(text)
    [app] = plan(tmp_path / "apps.yml", secrets=["k"])
    assert app.registry_auth["x-registry.test"].user == "me"


@pytest.mark.parametrize(
    ("url", "auth", "words"),
    [
        ("https://git.test/a/b.git", "{ssh_key: k}", "git_auth.ssh_key: does not go with git_url"),
        ("git@git.test:a/b.git", "{token: k}", "git_auth.token: does not go with git_url"),
        ("http://git.test/a/b.git", "{token: k}", "begins with https://"),
        ("git@git.test:a/b.git", "{ssh_key: k, user: me}", "user: has no meaning with ssh_key"),
        ("git@git.test:b.git", "{github_deploy_key: k}", "needs owner and repository"),
        (
            "https://git.test/a/b.git",
            f"{{token: k, known_hosts: git.test {KEY}}}",
            "known_hosts: has no meaning with token",
        ),
        (
            "git@git.test:a/b.git",
            "{ssh_key: k, known_hosts: git.test}",
            "known_hosts: is not as in a known_hosts file",
        ),
        ("git@git.test:a/b.git", "{ssh_key: o}", "names the secret o, which slipway_secrets"),
        ("https://git.test/a/b.git", "{token: k, user: oauth2}", ""),
        ("http://localhost:3000/a/b.git", "{token: k}", ""),
        ("git@git.test:a/b.git", f"{{ssh_key: k, known_hosts: '[git.test]:22 {KEY}'}}", ""),
        ("ssh://git@git.test:22/a/b.git", "{github_deploy_key: k}", ""),
    ],
)
def test_ways_in_that_do_not_fit_are_mistakes(
    tmp_path: Path, url: str, auth: str, words: str
) -> None:
    text = f"version: 1\napps: [{{name: web, git_url: '{url}', git_auth: {auth}}}]\n"
    (tmp_path / "apps.yml").write_text(text)
    try:
        plan(tmp_path / "apps.yml", secrets=["k"])
    except SlipwayError as error:
        assert words, str(error)
        assert words in str(error)
        assert len(error.problems) == 1
    else:
        assert not words
