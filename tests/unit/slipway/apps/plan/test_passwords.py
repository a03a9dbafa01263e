"""Passwords that environments have of their own, as apps.yml names them."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.apps.app import ConfigFile, Variable
from slipway.apps.plan.plan import plan
from slipway.errors import SlipwayError

APPS = """version: 1
apps:
  - name: orders
    git_url: /orders
    git_branch: feature/*
    env: {{DB_PASSWORD: {variable}}}
    config_files: [{{path: /run/secrets/db, {file}}}]
  - name: db
    image: docker.io/library/postgres:17
    port: 5432
    env: {{POSTGRES_PASSWORD: {{password: orders}}}}
    config_files: [{{path: /run/root, password: root}}]
  - name: web
    git_url: /web
"""


def written(
    folder: Path, variable: str = "{password: own}", file: str = "password: own", more: str = ""
) -> Path:
    path = folder / "apps.yml"
    path.write_text(APPS.format(variable=variable, file=file) + more)
    return path


def test_one_s_own_and_those_of_others_are_named(tmp_path: Path) -> None:
    more = """  - name: reports
    git_url: /reports
    env: {A: {password: root, app: db}, B: {password: own, app: orders}}
    config_files: [{path: /b, password: orders, app: db, x-why: shared}]
"""
    *_, reports = plan(written(tmp_path, more=more))
    assert reports.env == {
        "A": Variable(password="root", app="db"),
        "B": Variable(password="own", app="orders"),
    }
    assert reports.config_files == [ConfigFile(path="/b", password="orders", app="db")]


def test_what_the_defaults_say_is_each_apps(tmp_path: Path) -> None:
    path = tmp_path / "apps.yml"
    path.write_text("""version: 1
defaults: {env: {P: {password: common}}}
apps:
  - {name: one, git_url: /one}
  - {name: two, git_url: /two, env: {Q: {password: common, app: one}}}
""")
    assert [app.env["P"].password for app in plan(path)] == ["common", "common"]


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        ("{password: orders, app: dbb}", "there is no app dbb that has passwords\n    fix: write"),
        ("{password: x, app: web}", "there is no app web that has passwords"),
        (
            "{password: order, app: db}",
            "apps[0].env.DB_PASSWORD.password: db has no password order\n    fix: write orders",
        ),
        ("{password: 'two words'}", "letters, digits"),
        ("{password: a, key: b}", "{password: name, app: name}"),
        ("{password: a, secret: b}", "{password: name, app: name}"),
        ("{secret: a, app: db}", "{password: name, app: name}"),
        ("{config_map: a, key: b, app: db}", "{password: name, app: name}"),
        ("{app: db}", "{password: name, app: name}"),
    ],
)
def test_what_is_none_is_told(tmp_path: Path, variable: str, said: str) -> None:
    with pytest.raises(SlipwayError) as caught:
        plan(written(tmp_path, variable))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "file",
    ["password: a, secret: b", "password: a, content: b", "secret: a, app: db", "password: ''"],
)
def test_a_file_is_one_thing(tmp_path: Path, file: str) -> None:
    with pytest.raises(SlipwayError) as caught:
        plan(written(tmp_path, file=file))
    assert "apps[0].config_files[0]" in str(caught.value)


def test_a_file_names_a_password_that_is_there(tmp_path: Path) -> None:
    with pytest.raises(SlipwayError) as caught:
        plan(written(tmp_path, file="password: roof, app: db"))
    assert "config_files[0].password: db has no password roof" in str(caught.value)
    assert "write root" in str(caught.value)
