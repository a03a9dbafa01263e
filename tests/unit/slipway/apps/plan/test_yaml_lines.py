"""YAML with its anchors, as the plan reads it."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.apps.app import App, BuildxBuild, JibBuild
from slipway.apps.plan.plan import plan
from slipway.apps.plan.yaml_lines import Document, Most, parse
from slipway.errors import SlipwayError


def planned(tmp_path: Path, text: str) -> list[App]:
    path = tmp_path / "apps.yml"
    path.write_text(text)
    return plan(path)


def test_anchors_and_merge_keys(tmp_path: Path) -> None:
    text = """
version: 1
x-common: &common {git_url: x, port: 80}
x-other: &other {port: 81, replicas: 2}
apps:
  - {<<: *common, name: one}
  - {<<: [*common, *other], name: two}
  - {name: three, port: 82, <<: *common}
"""
    one, two, three = planned(tmp_path, text)
    assert [one.port, two.port, three.port] == [80, 80, 82]
    assert [one.replicas, two.replicas] == [1, 2]


WORDS = [
    *("01067", "0644", "0x1F", "0b11", "0o17", "1_000", "+5", "-0", "08", "12:30", "190:20:30.5"),
    *("1e3", ".5", "5.0", "1.10", "-1.5e-3", ".inf", ".NaN", "99999999999999999999", "4711"),
    *("yes", "no", "On", "OFF", "true", "False", "y", "n", "2024-01-01", "2024-01-01 12:30:00"),
    *("=", "<<", "-", "..."),
]
"""Words of which YAML, in one version or another, makes something else."""


@pytest.mark.parametrize("word", WORDS)
def test_text_is_what_is_written(tmp_path: Path, word: str) -> None:
    text = f"""
version: 1
x-shared: &shared {{B: {word}}}
defaults:
  env: {{A: {word}}}
apps:
  - name: one
    git_url: x
    env: {{<<: *shared, C: {word}, "D": "{word}", E: '{word}'}}
    node_selector: {{zone: {word}}}
    build: {{buildx: {{args: {{A: {word}}}}}}}
    probes: {{liveness: {{command: [echo, {word}]}}}}
    ingress: {{host: a.test, rules: [{{path: /, expect: {word}}}]}}
  - name: two
    git_url: x
    build: {{jib: {{args: [{word}]}}}}
"""
    one, two = planned(tmp_path, text)
    assert {name: each.value for name, each in one.env.items()} == dict.fromkeys("ABCDE", word)
    assert one.node_selector == {"zone": word}
    assert isinstance(one.build, BuildxBuild)
    assert one.build.args == {"A": word}
    assert one.probes["liveness"].command == ["echo", word]
    assert one.rules[0].expect == word
    assert isinstance(two.build, JibBuild)
    assert two.build.args == [word]


def test_resources_are_what_is_written(tmp_path: Path) -> None:
    text = """
version: 1
apps:
  - name: one
    git_url: x
    resources: {requests: {cpu: 0.50, memory: 1000000}, limits: {cpu: 1, memory: 1Gi}}
"""
    [app] = planned(tmp_path, text)
    assert app.resources == {
        "requests": {"cpu": "0.50", "memory": "1000000"},
        "limits": {"cpu": "1", "memory": "1Gi"},
    }


def test_values_of_a_chart_are_what_helm_makes_of_them(tmp_path: Path) -> None:
    values = "{mode: 0644, at: 12:30, on: 2024-01-01, yes: yes, many: 1_000, half: .5}"
    text = f"""
version: 1
apps: [{{name: one, git_url: x, helm: [{{source: c, values: {values}}}], x-mode: 0644}}]
"""
    [app] = planned(tmp_path, text)
    assert app.helm[0].values == {
        "mode": 0o644,
        "at": "12:30",
        "on": "2024-01-01",
        "yes": True,
        "many": 1000,
        "half": 0.5,
    }


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (f"a: &a [{'1,' * 9}]\nb: [{'*a,' * 9}]", "more than 50 values"),
        (f"a: &a {'x' * 600}\nb: [*a]", "more than 1000 characters"),
        (f"a: &a {{{'x' * 600}: 1}}\nb: [*a]", "more than 1000 characters"),
    ],
)
def test_what_aliases_stand_for_is_counted_as_often_as_it_is_meant(text: str, what: str) -> None:
    document = Document(Path("a.yml"), "b.git", ("apps", 0))
    with pytest.raises(SlipwayError, match=f"a.yml of b.git, line 1: is not YAML: {what}"):
        parse(text.encode(), document, most=Most(50, 1000))
    assert parse(text.encode(), document, most=Most(500, 10_000)).line(("apps", 0, "b")) == 2
