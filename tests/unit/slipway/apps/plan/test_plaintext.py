"""Secrets that stand in apps.yml are found, and not shown; what is none is left alone."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from slipway.apps.plan.plan import plan
from slipway.errors import SlipwayError

# Put together here, so that the text of this file has no form of a secret either.
GITHUB = "gh" + "p_" + "0123456789abcdefghijABCDEFGHIJ012345"
FINE_GRAINED = "github" + "_pat_" + "11AAAAAAA0abcdefghijkl_mnopqrstuvwxyz"
GITLAB = "gl" + "pat-" + "AbCdEfGhIjKlMnOpQrSt"
AWS = "AKIA" + "IOSFODNN7EXAMPLE"
SLACK = "xox" + "b-123456789012-abcdefABCDEF"
JWT = "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0In0." + "dozjgNryP4J3jVmNHl0w"
PEM = "-----BEGIN OPENSSH " + "PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmU=\n-----END"


def said(tmp_path: Path, settings: str) -> str:
    """What is said about an app with these settings; empty when nothing is wrong."""
    indented = "".join(f"    {line}\n" for line in settings.splitlines())
    url = "" if "git_url" in settings else "    git_url: https://git.test/web.git\n"
    (tmp_path / "apps.yml").write_text(f"version: 1\napps:\n  - name: web\n{url}{indented}")
    try:
        plan(tmp_path / "apps.yml", secrets=["git_token"])
    except SlipwayError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("settings", "value", "words"),
    [
        (
            f"git_url: https://me:{GITHUB}@git.test/web.git",
            GITHUB,
            "git_url: holds a|web_git_token, and write git_auth: {token: web_git_token}",
        ),
        (
            "git_url: https://me:hunter2@git.test/web.git",
            "hunter2",
            "apps.yml:4 apps[0].git_url: holds a password",
        ),
        (
            f"git_url: https://{GITLAB}@git.test/web.git",
            GITLAB,
            "git_url: holds a token of GitLab",
        ),
        (
            f"git_auth: {{token: {GITHUB}}}",
            GITHUB,
            "apps.yml:5 apps[0].git_auth.token: holds a token of GitHub|"
            "write its name here: token: web_git_token",
        ),
        (
            f"git_auth:\n  ssh_key: |\n    {PEM.replace(chr(10), chr(10) + '    ')}",
            "b3BlbnNzaC1rZXk",
            "apps.yml:6 apps[0].git_auth.ssh_key: holds a private key",
        ),
        (
            "env:\n  LOG: debug\n  DB_PASSWORD: hunter2",
            "hunter2",
            "apps.yml:7 apps[0].env.DB_PASSWORD: is a secret by its name|in the vault as "
            "web_db_password, and write DB_PASSWORD: {secret: web_db_password}",
        ),
        ("env: {DB_PASSWORD: 'hun$ter2'}", "hun$ter2", "env.DB_PASSWORD: is a secret"),
        ("env: {DB_PASSWORD: 4711}", "4711", "env.DB_PASSWORD: is a secret by its name"),
        ("env: {spring.datasource.password: changeme}", "changeme", "is a secret by its name"),
        ("env: {apiKey: 0a1b2c3d}", "0a1b2c3d", "is a secret by its name"),
        ("env: {AWS_SECRET_ACCESS_KEY: wJalrXUtnF}", "wJalrXUtnF", "is a secret by its name"),
        ("env: {AUTH_TOKEN_2: hunter2}", "hunter2", "is a secret by its name"),
        (f"env: {{WHO: {AWS}}}", AWS, "env.WHO: holds an access key of AWS"),
        (f"env: {{HOOK: {SLACK}}}", SLACK, "env.HOOK: holds a token of Slack"),
        (f"env: {{SESSION: {JWT}}}", JWT, "env.SESSION: holds a JSON Web Token"),
        (f"env: {{X: 'a {FINE_GRAINED} b'}}", FINE_GRAINED, "holds a token of GitHub"),
        (
            "env: {DB: 'postgres://app:hunter2@db.test/app'}",
            "hunter2",
            "env.DB: holds a password|{secret: web_db}",
        ),
        (
            "env: {DB: 'jdbc:postgresql://db.test/app?user=app&password=hunter2'}",
            "hunter2",
            "env.DB: holds a password",
        ),
        (
            "build: {buildx: {args: {NPM_TOKEN: hunter2}}}",
            "hunter2",
            "build.buildx.args.NPM_TOKEN: is a secret by its name|"
            "write build: {buildx: {secrets: {web_npm_token: web_npm_token}}}",
        ),
        (
            "build: {jib: {args: [-Pfast, -Drepo.password=hunter2]}}",
            "hunter2",
            "build.jib.args[1]: holds repo.password, a secret by its name",
        ),
        (
            "config_files:\n  - path: /c\n    content: |\n      a=b\n      db.password=hunter2\n",
            "hunter2",
            "config_files[0].content: holds db.password, a secret by its name|"
            "as web_config, and write secret: web_config in place of content",
        ),
        (
            "config_files:\n  - path: /c\n    content: |\n      db:\n        password: 'hunter2'\n",
            "hunter2",
            "config_files[0].content: holds password",
        ),
        (
            "helm: [{file: chart, values: {auth: {password: hunter2}}}]",
            "hunter2",
            "helm[0].values.auth.password: is a secret by its name|have the chart read it",
        ),
        (f"x-note: {GITHUB}", GITHUB, "apps[0].x-note: holds a token of GitHub"),
    ],
)
def test_a_secret_is_found_and_not_shown(
    tmp_path: Path, settings: str, value: str, words: str
) -> None:
    (tmp_path / "chart").mkdir()
    (tmp_path / "chart/Chart.yaml").write_text("apiVersion: v2\nname: chart\nversion: 1.0.0\n")
    text = said(tmp_path, settings)
    for word in words.split("|"):
        assert word in text, text
    assert value not in text
    assert text.count("fix:") == 1, text


@pytest.mark.parametrize(
    "settings",
    [
        "git_auth: {token: git_token}",
        "git_url: ssh://git@git.test/web.git",
        "git_url: https://me@git.test/web.git",
        "env: {DB_PASSWORD: {secret: git_token}}",
        "env: {TOKEN_URL: https://id.test/token, PASSWORD_FILE: /run/secrets/db}",
        "env: {DB_PASSWORD: /run/secrets/db}",
        "env: {TOKEN_TTL: 3600, MAX_TOKENS: 4096, SECRET_NAME: db, API_KEY_HEADER: X-Key}",
        "env: {MONKEY: banana, KEY: value, AUTHOR: me, PASSWORDLESS: always}",
        "env: {DB_PASSWORD: '{{ branch_slug }}'}",
        "env: {DB_PASSWORD: '', API_TOKEN: '<yours>', SECRET: '***', OTHER_SECRET: xxxx}",
        "env: {DB_PASSWORD: '${VAULT_DB}', API_TOKEN: $API_TOKEN}",
        "env: {CSRF_TOKEN: 'true'}",
        "env: {DB: 'postgres://app:${DB_PASSWORD}@db.test/app'}",
        "env: {DB: 'postgres://app@db.test/app', TIME: 'http://a.test:80/b@c'}",
        "config_files:\n  - path: /c\n    content: |\n      password=${DB_PASSWORD}\n",
        "config_files:\n  - path: /c\n    content: |\n      # the password: it is elsewhere\n",
        "config_files:\n  - path: /c\n    content: |\n      token-url=https://id.test\n",
        "config_files:\n  - path: /c\n    content: |\n      secret:\n        name: db\n",
        "manifests:\n  - content: |\n      kind: Pod\n      metadata: {name: secret}\n",
        "config_files:\n  - path: /c\n    content: |\n      -----BEGIN CERTIFICATE-----\n",
    ],
)
def test_what_is_no_secret_is_left_alone(tmp_path: Path, settings: str) -> None:
    assert said(tmp_path, settings) == ""


@pytest.mark.parametrize("text", ["-", "- ", "{{ ", "a."])
def test_long_texts_are_read_in_a_moment(tmp_path: Path, text: str) -> None:
    content = text * 20_000
    settings = f"config_files: [{{path: /c, template: false, content: '{content}'}}]"
    began = time.monotonic()
    assert said(tmp_path, settings) == ""
    assert time.monotonic() - began < 10


def test_a_secret_in_the_wrong_place_is_not_shown_by_what_else_is_wrong(tmp_path: Path) -> None:
    text = said(tmp_path, f"port: {GITHUB}\nenv: [{{DB_PASSWORD: {JWT}}}]\nreplicas: 0")
    assert "apps[0].port: holds a token of GitHub" in text
    assert "replicas: is 0" in text
    assert "apps[0].env: " in text
    assert GITHUB[:14] not in text
    assert JWT[:14] not in text


def test_a_secret_in_the_defaults_is_said_once_beside_other_mistakes(tmp_path: Path) -> None:
    (tmp_path / "apps.yml").write_text(
        "version: 1\ndefaults:\n  git_url: https://git.test/a.git\n  env: {API_KEY: hunter2}\n"
        "apps:\n  - name: a\n  - name: b\n    git_auth: {token: nope}\n"
    )
    with pytest.raises(SlipwayError) as error:
        plan(tmp_path / "apps.yml", secrets=["git_token"])
    assert [problem.where for problem in error.value.problems] == [
        "apps.yml:4 defaults.env.API_KEY",
        "apps.yml:8 apps[1].git_auth.token",
    ]
    assert "as api_key, and write API_KEY: {secret: api_key}" in error.value.problems[0].fix


def test_what_nearly_is_a_token_takes_no_time_to_tell(tmp_path: Path) -> None:
    began = time.monotonic()
    assert said(tmp_path, f"env: {{NOTE: '{'eyJ-' * 30_000}'}}") == ""
    assert time.monotonic() - began < 5
