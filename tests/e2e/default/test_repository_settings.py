"""Each branch is served as its own slipway.yml says, and what that may not say fails it alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from slipway.kube.client import DEPLOYMENTS
from tests.support.apps_file import AppsFile
from tests.support.scenario import Run, Scenario, wait_for

NAME = "menu"
MODE = "import os; print(os.environ['MODE'])"


@dataclass(frozen=True)
class Menu:
    """A service of which apps.yml says little more than where it comes from."""

    scenario: Scenario
    files: AppsFile
    apps_file: Path

    def push(self, branch: str, mode: str, **settings: Any) -> None:
        """Commit to a branch what it says of itself."""
        own = {"build": "buildx", "port": 8000, "health_path": "/healthz", "env": {"MODE": mode}}
        text = yaml.safe_dump({**own, **settings}, sort_keys=False)
        self.files.commit(NAME, {"slipway.yml": text}, branch)

    def deploy(self) -> Run:
        """Make the environments what the branches say."""
        return self.scenario.deploy(self.apps_file)

    def mode(self, slug: str) -> str:
        """The variable that the environment of a branch has."""
        return self.scenario.python_in_pod(f"{NAME}-{slug}", f"deployment/{NAME}", MODE)

    def serves(self, host: str, path: str) -> None:
        """Wait until a route answers: the ingress controller learns of pods on its own."""
        address, host = self.scenario.ingress_address(), f"{host}.{self.scenario.facts['domain']}"
        answer = wait_for(
            lambda: self.scenario.ask(address, host, path), lambda found: found.status == 200
        )
        assert "Quotation of the day" in answer.text

    def runs(self, slug: str) -> set[str]:
        """The Deployments of an environment."""
        found = self.scenario.kube.list(DEPLOYMENTS, namespace=f"{NAME}-{slug}").items
        return {each["metadata"]["name"] for each in found}


@pytest.fixture(scope="module")
def menu(scenario: Scenario, apps_file: AppsFile) -> Iterator[Menu]:
    """The service before its first branch; afterwards the apps are made what they were."""
    app = {
        "name": NAME,
        "git_url": apps_file.repository(NAME, {}, like="quotes"),
        "git_branch": "f/*",
        "repository_settings": True,
        "branches": {"grace": "0m"},
    }
    yield Menu(scenario, apps_file, apps_file.changed(lambda apps: apps.append(app)))
    run = scenario.deploy(scenario.apps_file)
    assert run.code == 0, str(run)


def test_each_branch_is_what_its_own_file_says(menu: Menu) -> None:
    rule = {"path": "/", "expect": "Quotation"}
    host = "{{ branch_slug }}.{{ name }}.{{ domain }}"
    menu.push("f/one", "lunch", ingress={"host": host, "rules": [rule]})
    work = {"worker": {"command": ["python3", "-c", "import time; time.sleep(100000)"]}}
    rule = {"path": "/menu/f-two/", "rewrite": "/", "expect": "Quotation"}
    menu.push("f/two", "dinner", ingress={"rules": [rule]}, processes=work)
    run = menu.deploy()
    assert run.code == 0, str(run)
    assert (menu.mode("f-one"), menu.mode("f-two")) == ("lunch", "dinner")
    assert menu.runs("f-one") == {NAME}
    assert menu.runs("f-two") == {NAME, f"{NAME}-worker"}
    menu.serves(f"f-one.{NAME}", "/")
    menu.serves("demo", "/menu/f-two/")

    again = menu.deploy()
    assert again.code == 0, str(again)
    assert set(again.changed.values()) == {0}, str(again)
    assert "fetching" not in again.output, str(again)


def test_a_branch_that_says_what_is_not_its_to_say_fails_alone(menu: Menu) -> None:
    menu.push("f/one", "breakfast")
    menu.push("f/two", "dinner", quota={"pods": 500}, replicas="many")
    run = menu.deploy()
    assert run.code != 0
    [message] = run.failures
    assert f"{NAME} (f/two), source" in message, str(run)
    assert f"{NAME} (f/one)" not in message, str(run)
    assert "branch f/two at " in message, str(run)
    assert "line 6 quota: is not the repository's to say" in message, str(run)
    assert "line 8 replicas: " in message, str(run)
    assert menu.mode("f-one") == "breakfast"
    assert menu.mode("f-two") == "dinner"
    assert menu.runs("f-two") == {NAME, f"{NAME}-worker"}
    menu.serves("demo", "/menu/f-two/")
