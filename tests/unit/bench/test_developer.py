"""How the way from an edit to its answer is split."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from bench.developer import (
    BUILD,
    DEPLOY,
    GREETING,
    Edit,
    edit_greeting,
    maven_moments,
    spring_moments,
)
from bench.runs import PROJECT

EDIT = Edit(
    edited=100,
    building=102,
    compiling=102.5,
    packaging=105,
    built=106,
    deploying=106.5,
    starting=108,
    started=113,
    served=113.25,
)


def test_the_parts_are_all_of_the_way() -> None:
    parts = EDIT.parts()
    assert parts == {
        "start, plan and source": 2,
        "compile": 2.5,
        "image": 1.5,
        "delivery": 0.5,
        "apply": 1.5,
        "application start": 5,
        "first answer": 0.25,
    }
    assert sum(parts.values()) == EDIT.served - EDIT.edited


def test_the_tasks_that_are_looked_for_are_those_of_the_apps() -> None:
    for step, title in {"build": BUILD, "deploy": DEPLOY}.items():
        [task] = yaml.safe_load((PROJECT / f"roles/apps/tasks/{step}.yml").read_text())
        assert title == f"apps : {task['name']}"


def test_the_target_is_for_what_slipway_takes() -> None:
    [last] = [figure for figure in EDIT.figures(EDIT) if figure.target]
    assert last.value == 13.25 - 2.5 - 5


def test_every_part_stands_beside_what_it_takes_by_hand() -> None:
    by_hand = replace(EDIT, edited=102, deploying=107)
    figures = {
        figure.what.removeprefix("of that, "): (figure.value, figure.instead_value)
        for figure in EDIT.figures(by_hand)
        if figure.instead
    }
    others = by_hand.parts()
    assert others["delivery"] == 1
    assert EDIT.parts().items() <= {name: own for name, (own, _) in figures.items()}.items()
    assert others.items() <= {name: other for name, (_, other) in figures.items()}.items()
    assert figures["all but compile and application start"] == (5.75, 3.75)


def test_an_edit_replaces_the_one_before(tmp_path: Path) -> None:
    source = tmp_path / GREETING
    source.parent.mkdir(parents=True)
    source.write_text((PROJECT / GREETING).read_text())
    texts = [edit_greeting(tmp_path) for _ in range(2)]
    assert texts[0] != texts[1]
    assert source.read_text() == (PROJECT / GREETING).read_text().replace("from main", texts[1])


def test_maven_has_compiled_when_it_comes_to_jib() -> None:
    log = [
        "2026-11-21T10:00:00.000+00:00 [INFO] Scanning for projects...",
        "2026-11-21T10:00:00.500+00:00 [INFO] --- jib-maven-plugin:3.5.2:build (default-cli) @ a",
        "2026-11-21T10:01:01.000+00:00 [INFO] Scanning for projects...",
        "2026-11-21T10:01:01.250+00:00 [INFO] --- maven-compiler-plugin:3.14.1:compile @ a ---",
        # As Maven 3.9 calls it.
        "2026-11-21T10:01:03.750+00:00 [INFO] --- jib:3.5.2:build (default-cli) @ a ---",
        "2026-11-21T10:01:04.000+00:00 [INFO] BUILD SUCCESS",
    ]
    compiling, packaging = maven_moments(log)
    assert packaging - compiling == 2.75


def test_spring_says_when_it_was_up_and_since_when_it_ran() -> None:
    log = (
        "2026-11-21T10:00:05.000Z  INFO 1 --- [main] o.e.g.GreeterApplication : Starting\n"
        "2026-11-21T10:00:09.750Z  INFO 1 --- [main] o.e.g.GreeterApplication : "
        "Started GreeterApplication in 4.0 seconds (process running for 5.5)\n"
    )
    starting, started = spring_moments(log)
    assert started - starting == 5.5


def test_a_service_that_did_not_say_so_ends_the_measurement() -> None:
    with pytest.raises(SystemExit, match="Starting"):
        spring_moments("Starting")
