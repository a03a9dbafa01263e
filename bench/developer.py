"""What the developer of a service waits for: everything from nothing, nothing, and an edit.

The edit is followed by ``make dev`` and by hand, with the tools that Slipway calls and nothing
around them: Jib makes an archive in a checkout that has been built before, kind's command imports
that on the one worker, and ``kubectl set image`` names it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self
from urllib.error import URLError
from urllib.request import Request, urlopen

from bench.delivery import IMPORT, on_all
from bench.figures import Figure, Report, Target
from bench.runs import PROJECT, Session, play
from slipway.apps.builders.jib import PLUGIN, PLUGIN_VERSION
from slipway.apps.builders.sandbox import WORK
from slipway.kube.client import PODS, SERVICES, Kube
from slipway.nodes.containers import connect
from slipway.oci import ImageStore

INVENTORY = "developer"
WORKER = "bench-worker"
HOST = "demo.slipway.test"
PATH = "/greeter/main/"
NAMESPACE = "greeter-main"
SOURCE = Path("examples", "greeter", "main")
GREETING = SOURCE / "src/main/java/org/example/greeter/Greeting.java"
CACHE = Path.home() / ".cache" / "slipway"
KUBECONFIG = Path.home() / ".kube" / "bench.yaml"

BUILD, DEPLOY = "apps : Have an image of each app", "apps : Deploy the apps"
"""The tasks of a run whose moments count."""

LOG = "maven.log"

SECONDS = 300.0
"""How long the edited service may take to answer with its new text."""

EDITS = 5
"""Edits that are followed, after one that fills caches; the one with the middle overhead counts. A
kubelet looks once a second whether a pod has started, and how long the wait for that is, is
chance."""

REST_SECONDS = 5.0
"""Time before an edit, in which the service that it is to replace comes to rest."""

OVERHEAD = Target(most=3)
"""Seconds between edit and answer that neither the compiler nor the service itself takes."""

_GOAL = re.compile(
    r"^(?P<moment>\S+) \[INFO\] (?:(?P<begun>Scanning for projects)|--- jib(?:-maven-plugin)?:)"
)
"""The lines of Maven's log, as :func:`maven_log` asks for it, with which it begins and comes to
Jib."""

_GREETING = re.compile('from main[^"]*')
"""The text of the greeter that is edited."""

_STARTED = re.compile(
    r"^(?P<moment>\S+) .* Started \S+ in \S+ seconds \(process running for (?P<running>[\d.]+)\)",
    re.MULTILINE,
)
"""What Spring Boot says when a service is up."""


@dataclass(frozen=True)
class Edit:
    """The moments, in seconds since the epoch, between an edit and the answer that shows it.

    ``compiling`` is when Maven starts, ``packaging`` when it has compiled and comes to Jib.
    """

    edited: float
    building: float
    compiling: float
    packaging: float
    built: float
    deploying: float
    starting: float
    started: float
    served: float

    def parts(self) -> dict[str, float]:
        """Seconds of each part of the way; together they are all of it."""
        return {
            "start, plan and source": self.building - self.edited,
            "compile": self.packaging - self.compiling,
            "image": self.compiling - self.building + self.built - self.packaging,
            "delivery": self.deploying - self.built,
            "apply": self.starting - self.deploying,
            "application start": self.started - self.starting,
            "first answer": self.served - self.started,
        }

    @property
    def overhead(self) -> float:
        """Seconds of all parts that are Slipway's."""
        parts = self.parts()
        return sum(parts.values()) - parts["compile"] - parts["application start"]

    def figures(self, by_hand: Edit) -> list[Figure]:
        """The whole way, its parts, and the sum of those that are Slipway's."""
        parts, others = self.parts(), by_hand.parts()
        overhead = "of that, all but compile and application start"

        def beside(what: str, own: float, other: float) -> Figure:
            return Figure(what, own, instead="by hand", instead_value=other)

        whole = "one line of the Java greeter to its text served"
        return [
            beside(whole, sum(parts.values()), sum(others.values())),
            *(beside(f"of that, {name}", parts[name], others[name]) for name in parts),
            beside(overhead, self.overhead, by_hand.overhead),
            Figure(overhead, self.overhead, target=OVERHEAD),
        ]


def measure(*, keep: bool) -> Report:
    """Measure on a cluster that is made for it, and removed unless it is to be kept."""
    play(INVENTORY, "bench/playbooks/by_hand.yml", "playbooks/bundle.yml", "playbooks/reset.yml")
    up = play(INVENTORY, "site.yml")
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder)
        shutil.copytree(PROJECT / "examples", workspace / "examples")
        shutil.copy(PROJECT / "apps.yml", workspace)
        play(INVENTORY, "playbooks/apps.yml", extra=of_workspace(workspace))
        by_hand = middle(ByHand(workspace).edit_to_served)
        with Followed(workspace) as followed:
            edit = middle(followed.edit_to_served)
        again = play(INVENTORY, "site.yml", extra=of_workspace(workspace))
    if not keep:
        play(INVENTORY, "playbooks/reset.yml")
    figures = [
        Figure("no nodes to all routes answer", up.seconds),
        Figure("nothing changed", again.seconds, instead="from nothing", instead_value=up.seconds),
        *edit.figures(by_hand),
    ]
    notes = [
        f"From nothing: {up.where_the_time_went}",
        f"Nothing changed: {again.where_the_time_went}",
    ]
    return Report(figures, notes)


def of_workspace(workspace: Path) -> list[str]:
    """The arguments that make a run take apps.yml and the samples of ``workspace``."""
    return [
        f"-eslipway_apps_file={workspace}/apps.yml",
        f"-eslipway_examples_dir={workspace}/examples",
        f"-eslipway_example_repositories_dir={workspace}/.slipway/examples",
    ]


def middle(follow: Callable[[], Edit]) -> Edit:
    """The edit with the middle overhead, of those after the first."""
    edits = []
    for _ in range(1 + EDITS):
        time.sleep(REST_SECONDS)
        edits.append(follow())
    return sorted(edits[1:], key=lambda edit: edit.overhead)[EDITS // 2]


class Followed:
    """A session of ``make dev`` that follows the samples of a workspace."""

    def __init__(self, workspace: Path) -> None:
        self._workspace = workspace
        self._session = Session(INVENTORY, of_workspace(workspace), maven_log(Path(WORK, LOG)))

    def __enter__(self) -> Self:
        self._session.start()
        self._session.wait_until_waiting()
        return self

    def __exit__(self, *_: object) -> None:
        self._session.end()

    def edit_to_served(self) -> Edit:
        """Change one line of the Java greeter and follow it to where its text is served."""
        address, text = ingress_address(), edit_greeting(self._workspace)
        edited = time.time()
        served = wait_for_text(address, text)
        run = self._session.wait_until_waiting()
        build, deploy = run.task(BUILD), run.task(DEPLOY)
        logs = Path(tempfile.gettempdir()).glob(f"slipway-dev-*/maven/*/work/{LOG}")
        log = max(logs, key=lambda path: path.stat().st_mtime)
        compiling, packaging = maven_moments(log.read_text().splitlines())
        return completed(edited, build.begin, compiling, packaging, build.end, deploy.begin, served)


class ByHand:
    """The same edit in a checkout of its own, with Jib, kind's import and kubectl alone."""

    def __init__(self, workspace: Path) -> None:
        self._workspace = workspace
        self._worker = connect().containers.get(WORKER)
        self._base = workspace / "base.tar"
        images = max(CACHE.glob("bundle/*/images"), key=lambda path: path.stat().st_mtime)
        bundle = ImageStore(images)
        bundle.write_docker_archive(
            next(ref for ref in bundle.images() if "/jre:" in ref), self._base
        )

    def edit_to_served(self) -> Edit:
        """Change the line and bring it to where it is served."""
        address, log = ingress_address(), self._workspace / LOG
        archive, text = self._workspace / "greeter.tar", edit_greeting(self._workspace)
        ref = f"apps.slipway.internal/greeter:by-hand-{time.time_ns()}"
        edited = time.time()
        self._maven(log, archive, ref)
        built = time.time()
        on_all([self._worker], IMPORT, archive)
        deploying = time.time()
        self._kubectl("set", "image", "deployment/greeter", f"*={ref}")
        served = wait_for_text(address, text)
        _, packaging = maven_moments(log.read_text().splitlines())
        return completed(edited, edited, edited, packaging, built, deploying, served)

    def _maven(self, log: Path, archive: Path, ref: str) -> None:
        """Compile, and have Jib write the image to ``archive``."""
        settings = {
            "jib.from.image": f"tar://{self._base}",
            "jib.to.image": ref,
            "jib.outputPaths.tar": archive,
            "jib.disableUpdateChecks": "true",
            "style.color": "never",
            "jib.baseImageCache": self._workspace / "jib" / "base",
            "jib.applicationCache": self._workspace / "jib" / "application",
        }
        properties = [f"-D{name}={value}" for name, value in settings.items()]
        goals = ["process-classes", f"{PLUGIN}:{PLUGIN_VERSION}:buildTar"]
        subprocess.run(
            ["mvn", "--batch-mode", "--quiet", *goals, *properties],
            cwd=self._workspace / SOURCE,
            env={**os.environ, **maven_log(log)},
            check=True,
        )

    @staticmethod
    def _kubectl(*command: str) -> None:
        subprocess.run(
            ["kubectl", "--kubeconfig", KUBECONFIG, "--namespace", NAMESPACE, *command],
            stdout=subprocess.DEVNULL,
            check=True,
        )


def edit_greeting(workspace: Path) -> str:
    """Change one line of the Java greeter, and return what it is to say from now on."""
    text = f"from main, {time.time_ns()}"
    source = workspace / GREETING
    source.write_text(_GREETING.sub(text, source.read_text()))
    return text


def maven_log(file: Path) -> dict[str, str]:
    """What has Maven write to a file when it begins each of its goals, as environment variables."""
    settings = {
        "log.org.apache.maven.cli.event.ExecutionEventLogger": "info",
        "logFile": file,
        "showDateTime": "true",
        "dateTimeFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
    }
    options = [f"-Dorg.slf4j.simpleLogger.{name}={value}" for name, value in settings.items()]
    return {"MAVEN_OPTS": " ".join(options)}


def completed(
    edited: float,
    building: float,
    compiling: float,
    packaging: float,
    built: float,
    deploying: float,
    served: float,
) -> Edit:
    """The edit with the moments that the service's own log tells."""
    starting, started = spring_moments(newest_log())
    return Edit(
        edited=edited,
        building=building,
        compiling=compiling,
        packaging=packaging,
        built=built,
        deploying=deploying,
        starting=starting,
        started=started,
        served=served,
    )


def maven_moments(log: Sequence[str]) -> tuple[float, float]:
    """When Maven's last build began and when it came to Jib, of its log."""
    found = {bool(match["begun"]): match["moment"] for match in map(_GOAL.match, log) if match}
    return moment(found[True]), moment(found[False])


def spring_moments(log: str) -> tuple[float, float]:
    """When a service's process started and when it was up, of its log."""
    found = _STARTED.search(log)
    if found is None:
        raise SystemExit(f"the greeter did not say when it started:\n{log}")
    started = moment(found["moment"])
    return started - float(found["running"]), started


def moment(text: str) -> float:
    """Seconds since the epoch at a date and time in ISO 8601."""
    return datetime.fromisoformat(text).timestamp()


def newest_log() -> str:
    """What the newest pod of the greeter has said."""
    with Kube(KUBECONFIG) as kube:
        pods = kube.list(PODS, namespace=NAMESPACE).items
        newest = max(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
        return kube.log(newest, newest["spec"]["containers"][0]["name"], lines=1000)


def wait_for_text(address: str, text: str) -> float:
    """The moment at which the greeter's route answered with ``text``."""
    request = Request(f"http://{address}{PATH}", headers={"Host": HOST})
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        try:
            with urlopen(request, timeout=2) as answer:
                if text in answer.read().decode():
                    return time.time()
        except URLError:
            pass
        time.sleep(0.05)
    raise SystemExit(f"{PATH} did not answer '{text}' within {SECONDS:.0f} s")


def ingress_address() -> str:
    """Where the bench cluster's ingress controller listens."""
    with Kube(KUBECONFIG) as kube:
        service = kube.get(SERVICES, "nginx-ingress", "nginx-ingress")
    if service is None:
        raise SystemExit("the bench cluster has no ingress controller")
    (address,) = service["status"]["loadBalancer"]["ingress"]
    return str(address["ip"])
