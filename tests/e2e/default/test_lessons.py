"""The lessons do what their README says, one after the other on one cluster."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from slipway.kube.nodes import nodes_of
from tests.support.apps_file import Apps, AppsFile, entries_of
from tests.support.checkout import PROJECT
from tests.support.scenario import Answer, Scenario, wait_for

ASK = "import urllib.request as u; print(u.urlopen('http://localhost:8000/{name}').read().decode())"
FORWARDING = re.compile(r"Forwarding from (127\.0\.0\.1:\d+) ")


@pytest.fixture(scope="module")
def lessons(scenario: Scenario, apps_file: AppsFile) -> Iterator[Scenario]:
    """A cluster with the apps of all lessons."""

    def add(apps: Apps) -> None:
        for path in sorted((PROJECT / "examples" / "lessons").glob("*.yml")):
            apps += entries_of(path)

    run = scenario.deploy(apps_file.changed(add))
    assert run.code == 0, str(run)
    yield scenario
    undone = scenario.deploy(scenario.apps_file)
    assert undone.code == 0, str(undone)


def asked(lessons: Scenario, path: str) -> str:
    """What is answered at a path of the lessons' host."""
    host = f"lessons.{lessons.facts['domain']}"
    ask = partial(lessons.ask, lessons.ingress_address(), host, path)
    return wait_for(ask, lambda answer: answer.status == 200).text.strip()


def reached(lessons: Scenario, app: str, name: str) -> str:
    """Whether an app of the lesson on networks reaches another one, as it says itself."""
    return lessons.python_in_pod(f"{app}-main", f"deployment/{app}", ASK.format(name=name))


def at(lessons: Scenario, address: str) -> Answer:
    return lessons.ask(address, address, "/")


@contextmanager
def forwarded(lessons: Scenario, app: str) -> Iterator[str]:
    """A port of this machine that kubectl forwards to the Service of an app."""
    kubectl = [lessons.bundle / "bin" / "kubectl", "--kubeconfig", lessons.facts["kubeconfig"]]
    command = [*kubectl, "port-forward", "--namespace", f"{app}-main", f"service/{app}", ":80"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        found = FORWARDING.match(process.stdout.readline())
        assert found
        yield found[1]
        process.terminate()


def test_a_config_map_is_variables_and_files(lessons: Scenario) -> None:
    assert asked(lessons, "/canteen/") == "Enjoy your meal! Today there is soup."
    names = lessons.kubectl("get", "configmaps", "--namespace", "canteen-main", "--output=name")
    assert "configmap/words" in names.split()
    assert re.search(r"^configmap/canteen-\w+$", names, re.MULTILINE), names


def test_an_account_may_do_what_its_role_says_and_nothing_else(lessons: Scenario) -> None:
    assert asked(lessons, "/porter/pods").startswith("porter-")
    assert "cannot list resource" in asked(lessons, "/porter/secrets")


def test_services_reach_those_that_they_name_and_no_others(lessons: Scenario) -> None:
    assert asked(lessons, "/counter/kitchen") == "kitchen is reached"
    assert asked(lessons, "/counter/cellar").startswith("cellar is not reached")
    assert reached(lessons, "kitchen", "cellar") == "cellar is reached"
    assert reached(lessons, "kitchen", "counter").startswith("counter is not reached")


def test_a_port_of_the_nodes_is_open_to_all_and_a_forwarded_one_to_whoever_forwards_it(
    lessons: Scenario,
) -> None:
    for node in nodes_of(lessons.kube).values():
        assert at(lessons, f"{node['address']}:30808").text == "here\n"
    with forwarded(lessons, "office") as address:
        assert at(lessons, address).text == "here\n"
    assert at(lessons, address).status == 0
