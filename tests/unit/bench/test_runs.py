"""Times of tasks, from the moments of the lines of a run."""

from __future__ import annotations

import pytest

from bench.runs import Run, Task

LINES = (
    "PLAY [Images on the nodes] ****",
    "==> 0:01 phase 1 of 2: Images on the nodes",
    "TASK [app_images : Have the apps' images on the nodes] ****",
    "changed: [node]",
    "",
    "PLAY [Services] ****",
    "WHERE THE TIME WENT ****",
    "TASK [apps_deploy : Deploy] ****",
    "changed: [localhost]",
    "TASK [apps_deploy : Say so] ****",
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
        Task("app_images : Have the apps' images on the nodes", 102.0, 105.0),
        Task("apps_deploy : Deploy", 107.0, 109.0),
        Task("apps_deploy : Say so", 109.0, 111.0),
    ]


def test_a_role_takes_from_its_first_task_to_its_last(run: Run) -> None:
    assert run.role("app_images").seconds == 3.0
    assert run.all_tasks().seconds == 9.0
    assert run.role("apps_deploy") == Task("apps_deploy", 107.0, 111.0)


def test_a_run_says_how_long_it_took_and_where(run: Run) -> None:
    assert run.seconds == 20.0
    assert run.where_the_time_went.splitlines() == [*LINES[-2:]]
