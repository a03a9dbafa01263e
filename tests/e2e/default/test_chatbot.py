"""The chatbot talks over its WebSocket, and remembers beyond its pods."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import pytest
import websocket

from slipway.kube.client import PODS
from slipway.oci import TreeEntry
from tests.support import debian_images, package_indexes, registries
from tests.support.apps_file import Apps, AppsFile, entries_of
from tests.support.checkout import PROJECT
from tests.support.scenario import Run, Scenario, wait_for

EXAMPLE = PROJECT / "examples" / "chatbot"
SPACE, REDIS = "chatbot-main", "library/redis:8"

STREAM = "/_stcore/stream"
FINISHED = bytes([6 << 3, 0])
"""How the message ends by which Streamlit says that its program has run well."""

INPUT = re.compile(rb"\$\$ID-[0-9a-f]{32}-say")
"""What Streamlit calls the field in which one says something."""


def field(number: int, content: bytes) -> bytes:
    """A field of a message of protobuf's, whose content has a length."""
    assert len(content) < 128
    tag = number << 3 | 2
    head = [tag] if tag < 128 else [tag & 127 | 128, tag >> 7]
    return bytes([*head, len(content)]) + content


def rerun(state: bytes = b"") -> bytes:
    """What a page of Streamlit's asks for at its beginning, and when something was put in."""
    return field(11, state)


@dataclass(frozen=True)
class Chatbot:
    """The example, as its files have it but for the registry and the repository."""

    scenario: Scenario
    apps_file: AppsFile
    registry: str
    repository: str

    def deploy(self) -> Run:
        """Deploy it beside the apps of the cluster; its build has secrets."""
        run = self.scenario.play(
            "playbooks/apps.yml",
            slipway_apps_file=self.apps_file.changed(self._add),
            slipway_secrets=package_indexes.secrets(),
        )
        assert run.code == 0, run
        assert package_indexes.MARK not in f"{run.output}{run.errors}"
        return run

    def _add(self, apps: Apps) -> None:
        [app] = entries_of(EXAMPLE / "apps.yml")
        history = {**app["services"]["history"], "image": f"{self.registry}/{REDIS}"}
        build = {app["build"]: {"secrets": {name: name for name in package_indexes.secrets()}}}
        services = {"history": history}
        apps.append({**app, "git_url": self.repository, "build": build, "services": services})

    @property
    def host(self) -> str:
        return f"{SPACE}.{self.scenario.facts['domain']}"

    def page(self) -> str:
        """What a browser gets first."""
        return self.scenario.ask(self.scenario.ingress_address(), self.host, "/").text

    def talk(self, *sentences: str) -> bytes:
        """What a session of a browser is sent, when it is there and after each sentence.

        Nothing, while there is nobody to talk with.
        """
        address = (self.scenario.ingress_address(), 80)
        try:
            with (
                socket.create_connection(address, 10) as connection,
                closing(
                    websocket.create_connection(
                        f"ws://{self.host}{STREAM}",
                        origin=f"http://{self.host}",
                        subprotocols=["streamlit"],
                        timeout=20,
                        socket=connection,
                    )
                ) as opened,
            ):
                shown = _answer(opened, rerun())
                for sentence in sentences:
                    [name] = {*INPUT.findall(shown)}
                    said = field(15, field(1, sentence.encode()))
                    shown = _answer(opened, rerun(field(2, field(1, field(1, name) + said))))
                return shown
        except (OSError, websocket.WebSocketException):
            return b""

    def shows(self, *texts: bytes) -> None:
        """Wait until a new session shows all these texts."""
        wait_for(self.talk, lambda shown: all(text in shown for text in texts))

    def pods(self) -> list[str]:
        labels = "app.kubernetes.io/name=chatbot"
        found = self.scenario.kube.list(PODS, namespace=SPACE, labels=labels).items
        return [each["metadata"]["name"] for each in found]


def _answer(opened: websocket.WebSocket, message: bytes) -> bytes:
    """All that comes of a message, until the program of the page has run to its end."""
    opened.send_binary(message)
    shown = b""
    while not shown.endswith(FINISHED):
        shown += bytes(opened.recv_data()[1])
    return shown


@pytest.fixture(scope="module")
def chatbot(
    scenario: Scenario, apps_file: AppsFile, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Chatbot]:
    """The example on main, deployed; afterwards the apps are what they were."""
    folder = tmp_path_factory.mktemp("chatbot")
    repository = apps_file.repository("chatbot", {}, like="chatbot")
    program = scenario.bundle / "tools" / "docker-registry"
    with registries.served(program, folder / "registry") as registry:
        files = {"/data": TreeEntry(None, owner=999)}
        debian_images.push(scenario, registry, REDIS, ["redis-server"], files)
        made = Chatbot(scenario, apps_file, registry, repository)
        made.deploy()
        yield made
    undone = scenario.deploy(scenario.apps_file)
    assert undone.code == 0, undone


def test_a_session_is_answered_and_what_was_said_outlives_the_pod(chatbot: Chatbot) -> None:
    assert "<title>Streamlit</title>" in chatbot.page()
    shown = chatbot.talk("I am sure that you remember me.")
    answer = b"Why do you say that you are sure that I remember you?"
    assert answer in shown
    [pod] = chatbot.pods()
    chatbot.scenario.kubectl("delete", "pod", "--namespace", SPACE, pod)
    assert pod not in chatbot.pods()
    chatbot.shows(answer, b"Listener")
