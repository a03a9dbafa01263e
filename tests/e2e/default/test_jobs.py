"""What runs of an app beside what serves: its worker, its migration, its seed, its report."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.apps_file import Apps, AppsFile
from tests.support.scenario import Run, Scenario, wait_for

SPACE = "ledger-main"

DOCKERFILE = """\
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
COPY ledger.py /
ENTRYPOINT ["python3", "-u", "/ledger.py"]
"""

LEDGER = '''\
"""Serves, works, or does one thing, by its first word; each says which version it is."""

import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

VERSION = "version 1"
DOING = sys.argv[1] if len(sys.argv) > 1 else "serve"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"{VERSION} {DOING}".encode())


print(f"{DOING} {VERSION} for {os.environ['CURRENCY']}")
if DOING in ("serve", "work"):
    ThreadingHTTPServer(("", 8080), Handler).serve_forever()
if DOING == "migrate" and "broken" in VERSION:
    sys.exit("the table is not what it was")
'''


@dataclass(frozen=True)
class Ledger:
    """The app, of which versions can be deployed."""

    scenario: Scenario
    apps_file: AppsFile
    source: str

    def deploy(self, version: str) -> Run:
        """Push a version and deploy it."""
        self.apps_file.commit("ledger", {"ledger.py": LEDGER.replace("version 1", version)})
        return self.again()

    def again(self) -> Run:
        """Deploy what there is."""
        return self.scenario.deploy(self.apps_file.changed(self._add))

    def _add(self, apps: Apps) -> None:
        def command(word: str) -> list[str]:
            return ["python3", "-u", "/ledger.py", word]

        rule = {"path": "/ledger/", "rewrite": "/", "expect": "serve"}
        apps.append(
            {
                "name": "ledger",
                "git_url": self.source,
                "build": "buildx",
                "env": {"CURRENCY": "EUR"},
                "processes": {"worker": {"command": command("work")}},
                "jobs": {
                    "migrate": {"command": command("migrate")},
                    "seed": {"command": command("seed"), "when": "first"},
                    "report": {"command": command("report"), "schedule": "0 0 1 1 *"},
                },
                "ingress": {"host": "ledger.slipway.test", "rules": [rule]},
            }
        )

    def all(self, kind: str) -> dict[str, Any]:
        """The objects of a kind there, by name."""
        listed = self.scenario.kubectl("get", kind, "--namespace", SPACE, "--output", "json")
        return {each["metadata"]["name"]: each for each in json.loads(listed)["items"]}

    def logs(self, target: str) -> str:
        return self.scenario.kubectl("logs", target, "--namespace", SPACE)

    def worker_said(self) -> str:
        """What the worker says that is not on its way out."""
        [pod] = [
            name
            for name, pod in self.all("pods").items()
            if name.startswith("ledger-worker-") and "deletionTimestamp" not in pod["metadata"]
        ]
        return self.logs(pod)

    def served(self) -> str:
        address = self.scenario.ingress_address()
        return self.scenario.ask(address, "ledger.slipway.test", "/ledger/").text


@pytest.fixture(scope="module")
def ledger(scenario: Scenario, apps_file: AppsFile) -> Iterator[Ledger]:
    """The app's first version, deployed; afterwards the apps are made what they were."""
    files = {"Dockerfile": DOCKERFILE, "ledger.py": LEDGER}
    made = Ledger(scenario, apps_file, apps_file.repository("ledger", files))
    run = made.again()
    assert run.code == 0, str(run)
    yield made
    undone = scenario.deploy(scenario.apps_file)
    assert undone.code == 0, str(undone)


def test_each_runs_when_it_is_to(ledger: Ledger) -> None:
    jobs = ledger.all("jobs")
    [migrate] = [name for name in jobs if name.startswith("ledger-migrate-")]
    assert sorted(jobs) == [migrate, "ledger-seed"]
    assert ledger.logs(f"job/{migrate}") == "migrate version 1 for EUR"
    assert ledger.logs("job/ledger-seed") == "seed version 1 for EUR"
    assert ledger.worker_said().startswith("work version 1 for EUR")
    served = ledger.all("deployments")["ledger"]["metadata"]["creationTimestamp"]
    assert jobs[migrate]["status"]["completionTime"] <= served
    assert served <= jobs["ledger-seed"]["metadata"]["creationTimestamp"]
    ledger.scenario.kubectl(
        "create", "job", "by-hand", "--from=cronjob/ledger-report", "--namespace", SPACE
    )
    wait_for(
        lambda: ledger.all("jobs")["by-hand"].get("status", {}).get("succeeded"),
        lambda count: count == 1,
    )
    assert ledger.logs("job/by-hand") == "report version 1 for EUR"
    ledger.scenario.kubectl("delete", "job", "by-hand", "--namespace", SPACE)
    again = ledger.again()
    assert (again.code, set(again.changed.values())) == (0, {0}), str(again)
    assert "Slipway's labels but others made them" not in again.output


def test_nobody_is_led_to_the_worker(ledger: Ledger) -> None:
    assert {ledger.served() for _ in range(20)} == {"version 1 serve"}


def test_a_migration_that_fails_leaves_what_serves(ledger: Ledger) -> None:
    run = ledger.deploy("version 2, broken")
    assert run.code != 0
    assert "the table is not what it was" in run.output + run.errors
    assert "what was deployed before still serves" in run.output + run.errors
    assert ledger.served() == "version 1 serve"
    assert ledger.worker_said().startswith("work version 1 ")


def test_the_next_version_is_migrated_and_not_seeded(ledger: Ledger) -> None:
    run = ledger.deploy("version 3")
    assert run.code == 0, str(run)
    assert ledger.served() == "version 3 serve"
    jobs = ledger.all("jobs")
    [migrate] = [name for name in jobs if name.startswith("ledger-migrate-")]
    assert ledger.logs(f"job/{migrate}") == "migrate version 3 for EUR"
    assert ledger.logs("job/ledger-seed") == "seed version 1 for EUR"
    assert ledger.worker_said().startswith("work version 3 ")
