"""The list of environments: what it says of each, and in which form."""

from __future__ import annotations

import json
from typing import Any

import pytest

from slipway.apps.environments.rows import Row, age, as_json, as_table, in_one_line, rows
from slipway.apps.manifests.labels import HELD_FROM, Object
from tests.support.environments import COMMIT, FAILURE, NOW, deployment, note, notes


@pytest.mark.parametrize(
    ("changes", "about", "state"),
    [
        ({}, {}, "ready 2/2"),
        ({"updatedReplicas": 1}, {}, "rolling 2/2"),
        ({"observedGeneration": 0}, {}, "rolling 2/2"),
        ({"availableReplicas": 1}, {}, "rolling 1/2"),
        ({"replicas": 3}, {}, "rolling 2/2"),
        (
            {
                "availableReplicas": 0,
                "conditions": [{"type": "Progressing", "status": "False"}],
            },
            {},
            "failed, 0/2 serving",
        ),
        ({}, {"failing": True, "failure": FAILURE}, "failed, 2/2 serving"),
        ({"annotations": {HELD_FROM: "abc"}}, {}, "ready 2/2; rolled back"),
        (
            {},
            {"until": "2026-02-01T12:00:00Z"},
            "ready 2/2; branch gone, stays until 2026-02-01T12:00:00Z",
        ),
        ({}, {"until": ""}, "ready 2/2; branch gone, kept"),
    ],
)
def test_the_state_in_words(changes: dict[str, Any], about: dict[str, Any], state: str) -> None:
    [row] = rows([deployment(**changes)], notes(main=note(**about)))
    assert row.state == state


def test_what_runs_counts_and_notes_fill_in() -> None:
    [row] = rows([deployment()], notes(main=note(failure=FAILURE)))
    assert (row.commit, row.urls) == (COMMIT, ("http://demo.test/web/",))
    assert row.failure is not None
    assert row.failure.step == "build"


def test_one_that_was_never_deployed_is_there_with_its_failure() -> None:
    [row] = rows([], notes(main=note(failing=True, failure=FAILURE)))
    assert (row.state, row.created, row.commit) == ("failed, never deployed", "", "f" * 40)


@pytest.mark.parametrize(
    "config_map", [None, {}, {"data": {}}, {"data": {"environments.json": "{"}}]
)
def test_without_notes_what_runs_is_there(config_map: Object | None) -> None:
    [row] = rows([deployment()], config_map)
    assert (row.app, row.branch, row.state, row.urls) == ("web", "main", "ready 2/2", ())


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-01-31T11:59:30Z", "30s"),
        ("2026-01-31T11:00:01Z", "59m"),
        ("2026-01-30T13:00:00Z", "23h"),
        ("2026-01-01T12:00:00Z", "30d"),
        ("2026-01-31T12:00:05Z", "0s"),
        ("", "-"),
    ],
)
def test_ages(moment: str, expected: str) -> None:
    assert age(moment, NOW) == expected


def test_the_list_has_a_line_for_each_address() -> None:
    urls = ["http://demo.test/web/", "https://other.test/"]
    found = rows(
        [deployment(), deployment(branch="loud")],
        notes(main=note(urls=urls, failure=FAILURE), new=note(branch="new", failing=True)),
    )
    assert as_table(found, NOW) == [
        "APP  BRANCH  COMMIT   AGE  STATE                   URL                    LAST FAILURE",
        "web  loud    0123456  1d   ready 2/2               -                      -",
        "web  main    0123456  1d   ready 2/2               http://demo.test/web/  "
        "build, 2h ago: no compiler",
        "                                                   https://other.test/",
        "web  new     fffffff  -    failed, never deployed  http://demo.test/web/  -",
    ]


@pytest.mark.parametrize(
    ("reason", "line"),
    [
        ("pod p: CrashLoopBackOff\nits last lines:\n    | bye", "pod p: CrashLoopBackOff"),
        (
            "build: mvn ended with code 1; it last said\n    | so\n    | no compiler\n",
            "no compiler",
        ),
        ("", ""),
    ],
)
def test_a_reason_in_one_line(reason: str, line: str) -> None:
    assert in_one_line(reason) == line


def test_the_json_has_all_fields() -> None:
    [row] = json.loads(as_json(rows([deployment()], notes(main=note(failure=FAILURE)))))
    assert row.keys() == Row.__dataclass_fields__.keys()
    assert row["failure"] == FAILURE


def test_what_is_used_of_a_quota_is_a_column_of_its_own() -> None:
    status = {
        "hard": {"pods": "20", "requests.cpu": "4", "secrets": "50", "requests.storage": "20Gi"},
        "used": {"pods": "1", "requests.cpu": "10m", "requests.storage": "1Gi"},
    }
    quota = {"metadata": {"namespace": "web-main"}, "status": status}
    [row] = rows([deployment()], None, [quota])
    assert row.quota == "pods 1/20, cpu 10m/4, storage 1Gi/20Gi"
    heading, line = as_table([row], NOW)
    assert line[heading.index("QUOTA") :].startswith("pods 1/20, cpu 10m/4, storage 1Gi/20Gi  ")
    assert rows([deployment()], None, [{"metadata": {"namespace": "web-main"}}])[0].quota == ""
