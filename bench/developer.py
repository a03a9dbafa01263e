"""What the developer of a service waits for: everything from nothing, nothing, and an edit."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

from bench.delivery import IMPORT
from bench.figures import Figure, Report, Target
from bench.runs import PROJECT, Run, play
from slipway.kube import PODS, SERVICES, Kube
from slipway.oci import ImageStore

INVENTORY = "developer"
WORKER = "bench-worker"
HOST = "demo.slipway.test"
PATH = "/greeter/main/"
NAMESPACE = "greeter-main"
GREETING = "examples/greeter/main/src/main/java/org/example/greeter/Greeting.java"
CACHE = Path.home() / ".cache" / "slipway"
KUBECONFIG = Path.home() / ".kube" / "bench.yaml"

SECONDS = 300.0
"""How long the edited service may take to answer with its new text."""

EDITS = 3
"""Edits that are followed; the one with the middle overhead counts. A kubelet looks once a second
whether a pod has started, and how long the wait for that is, is chance."""

OVERHEAD = Target(most=3)
"""Seconds between edit and answer that neither the compiler nor the service itself takes."""

_LOADED = re.compile(r"\[(?P<moment>[^]]+)\] (?P<name>\S+)")
"""A line of the JVM's log of classes, as MAVEN_OPTS below asks for it."""

_STARTED = re.compile(
    r"^(?P<moment>\S+) .* Started \S+ in \S+ seconds \(process running for (?P<running>[\d.]+)\)",
    re.MULTILINE,
)
"""What Spring Boot says when a service is up."""


@dataclass(frozen=True)
class Edit:
    """The moments, in seconds since the epoch, between an edit and the answer that shows it.

    ``compiling`` is when Maven starts and ``packaging`` when the first class of Jib is loaded into
    it, which is when it has compiled.
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

    def figures(self) -> list[Figure]:
        """The whole way, its parts, and the sum of those that are Slipway's."""
        parts = self.parts()
        return [
            Figure("one line of the Java greeter to its text served", sum(parts.values())),
            *(Figure(f"of that, {name}", seconds) for name, seconds in parts.items()),
            Figure(
                "of that, all but compile and application start",
                self.overhead,
                target=OVERHEAD,
            ),
        ]


def measure(*, keep: bool) -> Report:
    """Measure on a cluster that is made for it, and removed unless it is to be kept."""
    play(INVENTORY, "playbooks/bundle.yml", "playbooks/reset.yml")
    up = play(INVENTORY, "site.yml")
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder)
        shutil.copytree(PROJECT / "examples", workspace / "examples")
        shutil.copy(PROJECT / "apps.yml", workspace)
        play(INVENTORY, "playbooks/apps.yml", extra=of_workspace(workspace))
        edits = [edit_to_served(workspace) for _ in range(EDITS)]
        run, edit = sorted(edits, key=lambda each: each[1].overhead)[EDITS // 2]
        again = play(INVENTORY, "site.yml", extra=of_workspace(workspace))
    delivered, whole = run.role("app_images").seconds, whole_image()
    if not keep:
        play(INVENTORY, "playbooks/reset.yml")
    figures = [
        Figure("no nodes to all routes answer", up.seconds),
        Figure("nothing changed", again.seconds, instead="from nothing", instead_value=up.seconds),
        *edit.figures(),
        Figure(
            "image to the node",
            delivered,
            instead="the whole archive",
            instead_value=whole,
        ),
    ]
    notes = [
        f"From nothing: {up.where_the_time_went}",
        f"After the edit: {run.where_the_time_went}",
        f"Nothing changed: {again.where_the_time_went}",
    ]
    return Report(figures, notes)


def of_workspace(workspace: Path) -> list[str]:
    """The arguments that make a run take apps.yml and the samples of ``workspace``."""
    return [
        f"-eslipway_apps_file={workspace}/apps.yml",
        f"-eexample_repositories_source={workspace}/examples",
        f"-eexample_repositories_path={workspace}/.slipway/examples",
    ]


def edit_to_served(workspace: Path) -> tuple[Run, Edit]:
    """Change one line of the Java greeter and follow it to where its text is served."""
    extra = of_workspace(workspace)
    address = ingress_address()
    text = f"from main, {time.time_ns()}"
    source = workspace / GREETING
    source.write_text(source.read_text().replace("from main", text))
    classes = workspace / "classes.log"
    env = {"MAVEN_OPTS": f"-Xlog:class+load:file={classes}:time"}
    edited = time.time()
    with ThreadPoolExecutor() as pool:
        running = pool.submit(play, INVENTORY, "playbooks/apps.yml", extra=extra, env=env)
        served = wait_for_text(address, text)
        run = running.result()
    compiling, packaging = maven_moments(classes.read_text().splitlines())
    starting, started = spring_moments(newest_log())
    build, deploy = run.role("apps_image"), run.role("apps_deploy")
    return run, Edit(
        edited=edited,
        building=build.begin,
        compiling=compiling,
        packaging=packaging,
        built=build.end,
        deploying=deploy.begin,
        starting=starting,
        started=started,
        served=served,
    )


def maven_moments(log: Sequence[str]) -> tuple[float, float]:
    """When Maven started and when it came to Jib, of its JVM's log of classes."""
    found = [match for match in map(_LOADED.match, log) if match]
    jib = next(each for each in found if each["name"].startswith("com.google.cloud.tools.jib."))
    return moment(found[0]["moment"]), moment(jib["moment"])


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


def whole_image() -> float:
    """Seconds to bring a whole greeter image to a node, as tools without a registry do."""
    store = ImageStore(CACHE / "images")
    ref = next(ref for ref in store.images() if "/greeter:" in ref)
    with tempfile.TemporaryFile() as archive:
        store.write_archive([ref], archive)
        archive.seek(0)
        begin = time.monotonic()
        subprocess.run(
            ["docker", "exec", "--interactive", WORKER, *IMPORT],
            stdin=archive,
            stdout=subprocess.DEVNULL,
            check=True,
        )
        return time.monotonic() - begin
