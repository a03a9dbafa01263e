"""Times of tasks, from the moments of the lines of a run."""

from __future__ import annotations

import pytest

from bench.runs import Run, Task

LINES = (
    "PLAY [Load the images] ****",
    "==> 0:01 phase 1 of 2: Load the images",
    "TASK [apps : Have the apps' images on the nodes] ****",
    "changed: [node]",
    "",
    "PLAY [Deploy the apps] ****",
    "WHERE THE TIME WENT ****",
    "TASK [apps : Deploy] ****",
    "changed: [localhost]",
    "TASK [apps : Say so] ****",
    "ok: [localhost]",
    "PLAY RECAP ****",
    "WHERE THE TIME WENT ****",
    "     9.0 s  total",
)


@pytest.fixture
def run() -> Run:
    return Run(100.0, 120.0, [(100.0 + moment, line) for moment, line in enumerate(LINES)])


def test_a_task_ends_where_the_next_task_or_play_begins(run: Run) -> None:
    assert list(run.tasks()) == [
        Task("apps : Have the apps' images on the nodes", 102.0, 105.0),
        Task("apps : Deploy", 107.0, 109.0),
        Task("apps : Say so", 109.0, 111.0),
    ]


def test_a_task_is_found_by_its_title(run: Run) -> None:
    assert run.task("apps : Deploy").seconds == 2.0
    with pytest.raises(ValueError, match="not enough values"):
        run.task("Deploy")


def test_all_tasks_take_from_the_first_to_the_last(run: Run) -> None:
    assert run.all_tasks() == Task("all", 102.0, 111.0)


def test_a_run_says_how_long_it_took_and_where(run: Run) -> None:
    assert run.seconds == 20.0
    assert run.where_the_time_went.splitlines() == [*LINES[-2:]]
