"""Nothing that is shown holds a secret."""

from __future__ import annotations

import base64
import subprocess
import sys

import pytest

from slipway.errors import SlipwayError
from slipway.secrets import VAULT_PASSWORD, Secrets
from tests.support.checkout import PROJECT

WORDS = "PRIVATE KEY-----"
KEY = f"-----BEGIN {WORDS}\nb3BlbnNzaC1r\nZXktdjEAAAAA\n-----END {WORDS}\n"


def test_values_are_masked_in_every_form() -> None:
    secrets = Secrets(
        {"token": "pass/wörd\n", "part": "pass", "key": KEY, "empty": "", "blank": " "}
    )
    coded = base64.b64encode("pass/wörd".encode()).decode()
    assert secrets.redact(f"a pass/wörd b {coded} c pass%2Fw%C3%B6rd d") == "a *** b *** c *** d"
    assert secrets.redact('{"x": "pass/w\\u00f6rd"}') == '{"x": "***"}'
    assert secrets.redact("line ZXktdjEAAAAA of a key") == "line *** of a key"
    assert secrets.redact(f"whole {KEY.strip()}") == "whole ***"
    assert secrets.redact("nothing") == "nothing"
    assert Secrets({}).redact("text") == "text"


def test_a_value_is_had_by_its_name_and_not_shown() -> None:
    secrets = Secrets({"token": "hunter2"})
    assert secrets["token"] == "hunter2"
    assert dict(secrets) == {"token": "hunter2"}
    assert "hunter2" not in f"{secrets} {secrets!r}"


def test_values_are_texts() -> None:
    assert Secrets({"pin": "4711"})["pin"] == "4711"
    with pytest.raises(SlipwayError) as error:
        Secrets({"a": None, "b": {"c": "hunter2"}, "d": True, "e": "text", "f": 567, "g": 1.1})
    said = [f"{problem.where} {problem.what}" for problem in error.value.problems]
    no_text = "is no text to YAML, which makes 567 of 01067"
    assert said == [
        "slipway_secrets.a is empty",
        f"slipway_secrets.b {no_text}",
        f"slipway_secrets.d {no_text}",
        f"slipway_secrets.f {no_text}",
        f"slipway_secrets.g {no_text}",
    ]
    assert all("in quotes" in problem.fix for problem in error.value.problems)
    assert "hunter2" not in str(error.value)


def test_no_role_has_secrets_in_what_ansible_fills_in_or_shows() -> None:
    """Actions read the variable themselves, so that no value is taken for a template."""
    for path in PROJECT.glob("roles/*/*/*.yml"):
        assert "slipway_secrets" not in path.read_text(), path


def test_a_secret_may_be_for_some_apps_alone() -> None:
    secrets = Secrets(
        {"all": "a", "some": {"value": "b", "apps": ["orders", "shop-*"]}, "none": {"value": "c"}}
    )
    assert dict(secrets) == {"all": "a", "some": "b", "none": "c"}
    assert secrets.redact("abc") == "***" * 3
    granted = {
        (name, app): secrets.granted(name, app)
        for name in secrets
        for app in ("orders", "orders-more", "shop-cart")
    }
    assert [key for key, may in granted.items() if not may] == [("some", "orders-more")]


def test_what_is_wrong_with_a_grant_is_told_without_its_value() -> None:
    wrong = {
        "a": {"value": "hunter2", "app": "orders"},
        "b": {"value": ["hunter2"], "apps": "orders"},
        "c": {"value": "hunter2", "apps": [1]},
    }
    with pytest.raises(SlipwayError) as error:
        Secrets(wrong)
    assert [problem.where for problem in error.value.problems] == [
        "slipway_secrets.a.app",
        "slipway_secrets.b.apps",
        "slipway_secrets.b.value",
        "slipway_secrets.c.apps",
    ]
    assert "hunter2" not in str(error.value)


CONCEALING = f"""
import os, subprocess, sys
from pathlib import Path
from slipway.secrets import VAULT_PASSWORD, conceal

conceal(VAULT_PASSWORD)
print(b"hidden" in Path("/proc/self/environ").read_bytes())
print(b"OTHER=seen" in Path("/proc/self/environ").read_bytes())
print(os.environ[VAULT_PASSWORD])
child = "import os; print(os.environ[{VAULT_PASSWORD!r}], os.environ['OTHER'])"
print(subprocess.run([sys.executable, "-c", child], capture_output=True, text=True).stdout)
"""


@pytest.mark.parametrize("password", ["hidden-1234", "hidden ü=1", "hidden" * 2000])
def test_a_concealed_variable_is_for_children_and_not_to_be_read(password: str) -> None:
    env = {"PYTHONPATH": str(PROJECT), VAULT_PASSWORD: password, "OTHER": "seen"}
    for given in (env, dict(reversed(env.items()))):
        command = [sys.executable, "-c", CONCEALING]
        done = subprocess.run(command, env=given, capture_output=True, text=True, check=True)
        assert done.stdout.split("\n")[:4] == ["False", "True", password, f"{password} seen"]


def test_a_variable_that_is_not_there_is_not_concealed() -> None:
    program = "from slipway.secrets import conceal; conceal('NOT_THERE')"
    env = {"PYTHONPATH": str(PROJECT)}
    subprocess.run([sys.executable, "-c", program], env=env, check=True)
