"""A session that follows the sources: what is saved is served, and a mistake does not end it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from slipway.apps.builders.sandbox import LABEL
from slipway.nodes.containers import connect
from slipway.waiting import wait_until
from tests.support.apps_file import Apps, AppsFile
from tests.support.checkout import PROJECT
from tests.support.scenario import Scenario, environment, wait_for

GREETING = "src/main/java/org/example/greeter/Greeting.java"
WAITING = "waiting for a change"
HOST, PATH = "demo.slipway.test", "/greeter/main/"


def test_what_is_saved_is_served(scenario: Scenario, apps_file: AppsFile, tmp_path: Path) -> None:
    clone = Path(apps_file.repository("followed", {}, like="greeter"))
    wanted = apps_file.changed(lambda apps: _follow(apps, clone))
    address = scenario.ingress_address()
    first, saved = (f"from the file of {uuid.uuid4()}" for _ in range(2))  # which no image has yet

    def served() -> str:
        return scenario.ask(address, HOST, PATH).text

    with _session(scenario, wanted, tmp_path / "log") as session:
        session.settled(1)
        assert "from main" in served()
        # What has to download does not stay.
        session.save(clone / GREETING, "from main", first)
        wait_for(served, lambda text: first in text)
        session.settled(2)
        session.save(clone / GREETING, first, saved)
        wait_for(served, lambda text: saved in text)
        session.settled(3)
        [maven] = session.mavens()

        session.save(clone / GREETING, saved, f'{saved}"')
        session.settled(4)
        assert "Greeting.java:[" in session.output
        assert saved in served()

        session.save(clone / GREETING, f'{saved}"', f"{saved}, mended")
        wait_for(served, lambda text: f"{saved}, mended" in text)
        session.settled(5)
        assert session.mavens() == [maven]
        assert _git(clone, "status", "--porcelain").split() == ["M", GREETING]

        _git(clone, "commit", "--all", "--message", "mended")
        session.settled(6)
        environments = scenario.play("playbooks/list.yml", slipway_apps_file=wanted)
        assert _git(clone, "rev-parse", "--short=7", "HEAD").strip() in environments.output
    assert session.mavens() == []
    assert scenario.deploy(scenario.apps_file).code == 0


class _Session:
    """A running ``make dev``; its folder is among the arguments of its runs."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._log = log

    @property
    def output(self) -> str:
        """All that it has shown."""
        return self._log.read_text()

    def settled(self, times: int) -> None:
        """Wait until it waits for the so manieth time."""

        def settled() -> bool:
            assert self._process.poll() is None, self.output
            return self.output.count(WAITING) >= times

        assert wait_until(settled, 120), self.output

    def save(self, file: Path, old: str, new: str) -> None:
        """Change a file as an editor does."""
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))

    def mavens(self) -> list[str]:
        """The sandboxes of Maven that stand by, of this session as no other one runs."""
        running = connect().containers.list(filters={"label": LABEL}, ignore_removed=True)
        return [str(each.id) for each in running if each.labels[LABEL]]


@contextmanager
def _session(scenario: Scenario, apps_file: Path, log: Path) -> Iterator[_Session]:
    """Follow the apps of a file, until it is interrupted as by Ctrl-C."""
    command = ["ansible-playbook", "--inventory", scenario.inventory, "playbooks/dev.yml"]
    extra = json.dumps({"slipway_apps_file": str(apps_file)})
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "slipway.dev", *command, "--extra-vars", extra],
            cwd=PROJECT,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    session = _Session(process, log)
    try:
        yield session
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(60)
    assert wait_until(lambda: not session.mavens(), 10)


def _follow(apps: Apps, clone: Path) -> None:
    """Have the main branch of the Java greeter come from a clone."""
    [app] = [app for app in apps if (app["name"], app["git_branch"]) == ("greeter", "main")]
    app["git_url"] = str(clone)
    app["ingress"]["rules"][0]["expect"] = "Good morning"


def _git(clone: Path, *arguments: str) -> str:
    author = ["-c", "user.name=Test", "-c", "user.email=test@slipway.test"]
    return subprocess.run(
        ["git", *author, *arguments], cwd=clone, check=True, capture_output=True, text=True
    ).stdout
