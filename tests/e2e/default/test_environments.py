"""Branches that come and go, versions that come back, and the two places that show them all."""

from __future__ import annotations

import json
import re
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from slipway.kube.client import DEPLOYMENTS, NAMESPACES
from slipway.oci import ImageStore
from tests.support.apps_file import Apps, AppsFile
from tests.support.scenario import Answer, Run, Scenario, wait_for

RESTRICTED = "pod-security.kubernetes.io/enforce=restricted"

IMAGES = "apps.slipway.internal/shop:"


@dataclass(frozen=True)
class Shop:
    """A repository whose feature branches are environments, and the cluster that they are in."""

    scenario: Scenario
    repository: Path
    apps_file: Path

    def push(self, branch: str, words: str) -> str:
        """Commit the words that the service says to a branch, made from main if it is new."""
        known = self.git("branch", "--list", branch)
        self.git("checkout", "-q", *([] if known else ["-b"]), branch, *([] if known else ["main"]))
        (self.repository / "quotes.txt").write_text(f"Quotation of the day\n{words}\n")
        # Nobody has built this before, here or in another test of the same words.
        (self.repository / "mark").write_text(uuid.uuid4().hex)
        self.git("add", ".")
        self.git("commit", "-q", "-m", words)
        return self.git("rev-parse", "HEAD")

    def delete(self, branch: str) -> None:
        """Delete a branch."""
        self.git("checkout", "-q", "main")
        self.git("branch", "-q", "-D", branch)

    def git(self, *arguments: str) -> str:
        """What git says."""
        author = ["-c", "user.name=Test", "-c", "user.email=test@slipway.test"]
        command = ["git", *author, *arguments]
        done = subprocess.run(
            command, cwd=self.repository, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def deploy(self) -> Run:
        """Make the environments what the branches say."""
        run = self.scenario.deploy(self.apps_file)
        assert run.code == 0, str(run)
        return run

    def roll_back(self, branch: str) -> Run:
        """As ``make rollback APP=shop BRANCH=...``."""
        run = self.scenario.play(
            "playbooks/rollback.yml", apps_rollback_app="shop", apps_rollback_branch=branch
        )
        assert run.code == 0, str(run)
        return run

    def ask(self, branch_slug: str) -> Answer:
        """What the environment of a branch says."""
        address = self.scenario.ingress_address()
        return self.scenario.ask(address, "demo.slipway.test", f"/shop/{branch_slug}/")

    def says(self, branch_slug: str, words: str) -> None:
        """Wait until the environment of a branch says it: the ingress learns of pods on its own."""
        wait_for(lambda: self.ask(branch_slug).text, lambda text: words in text)

    def namespaces(self) -> set[str]:
        """The shop's namespaces."""
        names = (each["metadata"]["name"] for each in self.scenario.kube.list(NAMESPACES).items)
        return {name for name in names if name.startswith("shop-")}

    def image(self, branch_slug: str) -> str:
        """The image that the environment of a branch runs."""
        deployment = self.scenario.kube.get(DEPLOYMENTS, "shop", f"shop-{branch_slug}")
        assert deployment
        return str(deployment["spec"]["template"]["spec"]["containers"][0]["image"])

    def images(self) -> list[str]:
        """The shop's images in the store."""
        stored = ImageStore(self.scenario.cache / "images").images()
        return [ref for ref in stored if ref.startswith(IMAGES)]


@pytest.fixture(scope="module")
def shop(scenario: Scenario, apps_file: AppsFile) -> Iterator[Shop]:
    """The shop without a branch; afterwards the apps are made what they were."""
    words = {"quotes.txt": "Quotation of the day\nNothing yet\n"}
    repository = apps_file.repository("shop", words, like="quotes")
    path = apps_file.changed(lambda apps: apps.append(_app(repository)))
    yield Shop(scenario, Path(repository), path)
    run = scenario.deploy(scenario.apps_file)
    assert run.code == 0, str(run)


def _app(repository: str, grace: str = "0m") -> dict[str, Any]:
    return {
        "name": "shop",
        "git_url": repository,
        "git_branch": "feature/*",
        "branches": {"grace": grace, "exclude": ["feature/wip-*"]},
        "build": "buildx",
        "port": 8000,
        "health_path": "/healthz",
        "ingress": {"rules": [{"path": "/shop/{{ branch_slug }}/", "rewrite": "/"}]},
    }


def _built(run: Run) -> set[str]:
    """The branches of which the shop was built."""
    lines = (line.strip() for line in run.output.splitlines() if ": built in " in line)
    return {line.split(")")[0].partition("(")[2] for line in lines if line.startswith("shop (")}


def test_a_branch_that_is_pushed_is_an_environment(shop: Shop) -> None:
    shop.push("feature/one", "Well begun")
    shop.push("feature/wip-two", "Not yet")
    assert _built(shop.deploy()) == {"feature/one"}
    shop.says("feature-one", "Well begun")
    assert shop.namespaces() == {"shop-feature-one"}


def test_only_branches_with_a_new_commit_are_built(shop: Shop) -> None:
    shop.push("feature/two", "Half done")
    assert _built(shop.deploy()) == {"feature/two"}
    shop.says("feature-two", "Half done")
    shop.says("feature-one", "Well begun")
    again = shop.deploy()
    assert set(again.changed.values()) == {0}, str(again)


def test_a_branch_that_is_deleted_takes_its_environment_along_after_its_grace(
    shop: Shop, apps_file: AppsFile
) -> None:
    image = shop.image("feature-one")
    assert image in shop.images()
    shop.delete("feature/one")
    apps_file.changed(lambda apps: apps.append(_app(str(shop.repository), grace="1h")))
    shop.deploy()
    shop.says("feature-one", "Well begun")
    assert "branch gone, stays until" in shop.scenario.play("playbooks/list.yml").output
    apps_file.changed(lambda apps: apps.append(_app(str(shop.repository))))
    shop.deploy()
    wait_for(shop.namespaces, lambda names: names == {"shop-feature-two"})
    wait_for(lambda: shop.ask("feature-one").status, lambda status: status == 404)
    shop.says("feature-two", "Half done")
    assert image not in shop.images()


def test_the_version_before_comes_back_without_a_build_and_stays(shop: Shop) -> None:
    first, second = shop.git("rev-parse", "feature/two"), shop.push("feature/two", "Worse")
    shop.deploy()
    shop.says("feature-two", "Worse")
    run = shop.roll_back("feature/two")
    assert f"(commit {second[:7]}) back to " in run.output
    assert f"(commit {first[:7]})" in run.output
    shop.says("feature-two", "Half done")
    again = shop.deploy()
    assert f"held at commit {first[:7]}" in again.output
    assert (_built(again), set(again.changed.values())) == (set(), {0}), str(again)
    shop.says("feature-two", "Half done")
    shop.push("feature/two", "All done")
    shop.deploy()
    shop.says("feature-two", "All done")


def test_list_and_page_show_every_environment_with_its_last_failure(
    shop: Shop, apps_file: AppsFile
) -> None:
    shop.push("feature/torn", "Never")
    (shop.repository / "Dockerfile").write_text("FROM scratch\nCOPY nothing /\n")
    shop.git("commit", "-q", "-a", "-m", "torn")
    commit = shop.git("rev-parse", "HEAD")
    assert shop.scenario.deploy(shop.apps_file).code != 0
    listed = shop.scenario.play("playbooks/list.yml")
    assert listed.code == 0, listed
    lines = [re.split(" {2,}", line) for line in listed.output.splitlines()]
    [torn] = [line for line in lines if line[:2] == ["shop", "feature/torn"]]
    assert (torn[2], torn[4]) == (commit[:7], "failed, never deployed")
    assert torn[-1].startswith("build, ")
    address, host = shop.scenario.ingress_address(), shop.scenario.facts["dashboard_host"]
    answer = wait_for(
        lambda: shop.scenario.ask(address, host, "/environments.json"),
        lambda answer: answer.status == 200 and "feature/torn" in answer.text,
    )
    rows = {(row["app"], row["branch"]): row for row in json.loads(answer.text)}
    assert rows["shop", "feature/two"]["state"] == "ready 1/1"
    assert rows["shop", "feature/torn"]["state"] == "failed, never deployed"
    assert rows["shop", "feature/torn"]["failure"]["step"] == "build"
    assert rows["greeter", "main"]["urls"] == ["http://demo.slipway.test/greeter/main/"]
    page = shop.scenario.ask(address, host, "/")
    assert (page.status, "feature/torn" in page.text) == (200, True)


def test_a_user_s_namespace_and_objects_stay_when_apps_leave(
    shop: Shop, apps_file: AppsFile
) -> None:
    kubectl = shop.scenario.kubectl
    shop.delete("feature/torn")
    kubectl("create", "namespace", "users-own")
    kubectl("label", "namespace", "users-own", "slipway.internal/apps=true", RESTRICTED)
    kubectl("create", "configmap", "theirs", "--namespace", "users-own")
    try:
        inside = apps_file.changed(lambda apps: _add_to(apps, shop, "users-own"))
        run = shop.scenario.deploy(inside)
        assert run.code == 0, str(run)
        without = apps_file.changed(list)
        run = shop.scenario.deploy(without)
        assert run.code == 0, str(run)
        left = kubectl("get", "deployments,services,configmaps", "-n", "users-own", "-o", "name")
        assert left.split() == ["configmap/kube-root-ca.crt", "configmap/theirs"]
        wait_for(shop.namespaces, lambda names: names == set())
    finally:
        kubectl("delete", "namespace", "users-own", "--wait=false")


def _add_to(apps: Apps, shop: Shop, namespace: str) -> None:
    app = _app(str(shop.repository))
    del app["branches"], app["ingress"]
    apps.append({**app, "git_branch": "main", "namespace": namespace})
