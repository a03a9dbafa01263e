"""Three tiers of which one is reached, whose data outlives what it is on, for each branch anew."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from slipway.certificates import ROOT_FILE
from slipway.kube.client import PODS, SERVICES
from slipway.kube.nodes import nodes_of
from slipway.nodes import containers
from tests.support import postgres, registries
from tests.support.apps_file import Apps, AppsFile, entries_of
from tests.support.checkout import PROJECT
from tests.support.neighbours import neighbour, reaches
from tests.support.scenario import Run, Scenario, wait_for

EXAMPLE = PROJECT / "examples" / "guestbook"
MAIN, STARS = "main", "feature-stars"
SPACE = f"guestbook-{MAIN}"
API, DATABASE = "guestbook-api", "guestbook-api-db"
SEED = "The first page is the hardest"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@dataclass(frozen=True)
class Guestbook:
    """The example, as its files have it but for the registry, the address and the repository."""

    scenario: Scenario
    apps_file: AppsFile
    registry: str
    repository: str
    folder: Path
    address: str

    def deploy(self) -> Run:
        """Deploy it beside the apps of the cluster."""
        return self.scenario.play(
            "playbooks/apps.yml",
            slipway_apps_file=self.apps_file.changed(self._add),
            slipway_ca_dir=self.folder / "ca",
        )

    def push(self, branch: str) -> None:
        """Have a branch of the example in the repository."""
        root = EXAMPLE / branch
        files = [path for path in root.rglob("*") if path.is_file()]
        texts = {path.relative_to(root).as_posix(): path.read_text() for path in files}
        self.apps_file.commit("guestbook", texts, branch)

    def _add(self, apps: Apps) -> None:
        for app in entries_of(EXAMPLE / "apps.yml"):
            app["git_url"] = self.repository
            for service in app.get("services", {}).values():
                service["image"] = service["image"].replace("docker.io", self.registry)
            if "address" in app.get("service", {}):
                app["service"] = {**app["service"], "address": self.address}
            apps.append(app)

    def page(self, slug: str, form: Mapping[str, str] | None = None) -> str:
        """The page of a branch, or what comes of a form, over TLS; empty while nothing answers."""
        context = ssl.create_default_context(cafile=self.folder / "ca" / ROOT_FILE)
        host = f"{slug}.guestbook.{self.scenario.facts['domain']}"
        connection = http.client.HTTPSConnection(host, context=context)
        try:
            plain = socket.create_connection((self.address_of(slug), 443), timeout=10)
            connection.sock = context.wrap_socket(plain, server_hostname=host)
            if form:
                connection.request("POST", "/", urlencode(form), FORM)
            else:
                connection.request("GET", "/")
            response = connection.getresponse()
            text = response.read().decode()
        except ssl.SSLCertVerificationError:
            raise
        except OSError:
            return ""
        finally:
            connection.close()
        return text if response.status == 200 else str(response.status)

    def shows(self, slug: str, *texts: str) -> str:
        """The page of a branch as soon as it shows all these texts."""
        asked = partial(self.page, slug)
        return wait_for(asked, lambda page: all(text in page for text in texts))

    def address_of(self, slug: str) -> str:
        """Where a branch is reached from outside."""
        balancer = self.service("guestbook", f"guestbook-{slug}")["status"]["loadBalancer"]
        return str(balancer["ingress"][0]["ip"])

    def service(self, name: str, space: str = SPACE) -> dict[str, Any]:
        found = self.scenario.kube.get(SERVICES, name, space)
        assert found
        return dict(found)

    def pod(self, name: str, space: str = SPACE) -> dict[str, Any]:
        """The pod of an app that is not on its way out."""
        labels = f"app.kubernetes.io/name={name}"
        found = self.scenario.kube.list(PODS, namespace=space, labels=labels).items
        [pod] = [each for each in found if "deletionTimestamp" not in each["metadata"]]
        return dict(pod)


@pytest.fixture(scope="module")
def guestbook(
    scenario: Scenario, apps_file: AppsFile, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Guestbook]:
    """The example on main, deployed; afterwards the apps are what they were."""
    folder = tmp_path_factory.mktemp("guestbook")
    repository = apps_file.repository("guestbook", {}, like="guestbook")
    address = str(ip_address(scenario.ingress_address()) + 7)
    program = scenario.bundle / "tools" / "docker-registry"
    with registries.served(program, folder / "registry") as registry:
        layout, index = postgres.image_of(scenario)
        registries.push(f"http://{registry}", postgres.NAME, layout, index, tag=postgres.TAG)
        made = Guestbook(scenario, apps_file, registry, repository, folder, address)
        run = made.deploy()
        assert run.code == 0, run
        yield made
    undone = scenario.deploy(scenario.apps_file)
    assert undone.code == 0, undone


def test_from_outside_the_pages_alone_are_reached(guestbook: Guestbook) -> None:
    guestbook.shows(MAIN, SEED)
    assert guestbook.address_of(MAIN) == guestbook.address
    inner = {
        (name, address, port)
        for name, own in ((API, 8080), (DATABASE, 5432))
        for service in [guestbook.service(name)]
        for address, port in (
            (service["spec"]["clusterIP"], service["spec"]["ports"][0]["port"]),
            (guestbook.pod(name)["status"]["podIP"], own),
        )
        if service["spec"]["type"] == "ClusterIP"
    }
    assert len(inner) == 4
    nodes = [node["address"] for node in nodes_of(guestbook.scenario.kube).values()]
    with neighbour(guestbook.scenario) as beside:
        found = {
            each: [reaches(beside, each[1], each[2], by=node) for node in nodes] for each in inner
        }
        assert reaches(beside, guestbook.address, 443) == "reached"
    assert found == dict.fromkeys(inner, ["silence"] * len(nodes))


def test_entries_outlive_the_database_s_pod_and_its_node_s_container(guestbook: Guestbook) -> None:
    words = "Stay <b>here</b>, ünd dort"
    assert guestbook.page(MAIN, {"text": words}) == "303"
    shown = "Stay &lt;b&gt;here&lt;/b&gt;, ünd dort"
    guestbook.shows(MAIN, SEED, shown)
    pod = guestbook.pod(DATABASE)
    name, node = pod["metadata"]["name"], pod["spec"]["nodeName"]
    guestbook.scenario.kubectl("delete", "pod", "--namespace", SPACE, name)
    guestbook.shows(MAIN, SEED, shown)
    container = containers.connect().containers.get(node)
    container.kill()
    container.start()
    guestbook.shows(MAIN, SEED, shown)


def test_a_new_branch_has_a_database_of_its_own_migrated_and_seeded(guestbook: Guestbook) -> None:
    before = guestbook.pod(DATABASE)["metadata"]["uid"]
    guestbook.push("feature/stars")
    run = guestbook.deploy()
    assert run.code == 0, run
    page = guestbook.shows(STARS, f"★★★★★ {SEED}")
    assert "Stay" not in page
    assert guestbook.pod(DATABASE)["metadata"]["uid"] == before
    assert "★" not in guestbook.shows(MAIN, SEED, "Stay")
    claims = guestbook.scenario.kubectl("get", "pvc", "--all-namespaces", "--output=json")
    of = {each["metadata"]["namespace"] for each in json.loads(claims)["items"]}
    assert {SPACE, f"guestbook-{STARS}"} <= of
