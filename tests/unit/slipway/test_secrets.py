"""Nothing that is shown holds a secret."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
import yaml

from slipway.documentation import argument_spec, documented_options
from slipway.errors import SlipwayError
from slipway.secrets import Secrets

PROJECT = Path(__file__).parents[3]
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
    assert Secrets({"pin": 4711})["pin"] == "4711"
    with pytest.raises(SlipwayError) as error:
        Secrets({"a": None, "b": {"c": "hunter2"}, "d": True, "e": "text"})
    said = [f"{problem.where} {problem.what}" for problem in error.value.problems]
    assert said == [
        "slipway_secrets.a is empty",
        "slipway_secrets.b is no text",
        "slipway_secrets.d is no text",
    ]
    assert "hunter2" not in str(error.value)


def test_no_role_has_secrets_among_its_variables() -> None:
    """Where an argument is wrong, Ansible shows a role's defaults with their values."""
    for path in PROJECT.glob("roles/*/*/*.yml"):
        if path.parent.name in ("defaults", "meta"):
            assert "slipway_secrets" not in path.read_text(), path


def test_plugins_that_get_secrets_do_not_log_them() -> None:
    for path in PROJECT.glob("roles/*/tasks/*.yml"):
        for task in yaml.safe_load(path.read_text()) or []:
            for name, arguments in task.items():
                if "slipway_secrets" in str(arguments) and name != "block":
                    module = PROJECT / "plugins" / "modules" / f"{name}.py"
                    assert argument_spec(documented_options(module))["secrets"]["no_log"] is True
