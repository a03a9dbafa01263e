"""What the developer of a service waits for: everything from nothing, nothing, and an edit.

The edit is followed by hand, too, with the tools that Slipway calls and nothing around them: Jib
makes an archive in a checkout that has been built before, kind's command imports that on the one
worker, and ``kubectl set image`` names it.
"""

from __future__ import annotations

import os
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

from bench.delivery import IMPORT, on_all
from bench.figures import Figure, Report, Target
from bench.runs import PROJECT, Run, play
from slipway.apps.build.jib import PLUGIN, PLUGIN_VERSION
from slipway.containers import connect
from slipway.kube import PODS, SERVICES, Kube
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

SECONDS = 300.0
"""How long the edited service may take to answer with its new text."""

EDITS = 3
"""Edits that are followed; the one with the middle overhead counts. A kubelet looks once a second
whether a pod has started, and how long the wait for that is, is chance."""

OVERHEAD = Target(most=3)
"""Seconds between edit and answer that neither the compiler nor the service itself takes."""

_LOADED = re.compile(r"\[(?P<moment>[^]]+)\] (?P<name>\S+)")
"""A line of the JVM's log of classes, as :func:`maven_log` asks for it."""

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
    play(INVENTORY, "playbooks/bundle.yml", "playbooks/reset.yml")
    up = play(INVENTORY, "site.yml")
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder)
        shutil.copytree(PROJECT / "examples", workspace / "examples")
        shutil.copy(PROJECT / "apps.yml", workspace)
        play(INVENTORY, "playbooks/apps.yml", extra=of_workspace(workspace))
        hand = ByHand(workspace)
        hand.edit_to_served()  # fills Jib's cache
        by_hand = sorted(
            (hand.edit_to_served() for _ in range(EDITS)), key=lambda each: each.overhead
        )
        edits = [edit_to_served(workspace) for _ in range(EDITS)]
        run, edit = sorted(edits, key=lambda each: each[1].overhead)[EDITS // 2]
        again = play(INVENTORY, "site.yml", extra=of_workspace(workspace))
    if not keep:
        play(INVENTORY, "playbooks/reset.yml")
    figures = [
        Figure("no nodes to all routes answer", up.seconds),
        Figure("nothing changed", again.seconds, instead="from nothing", instead_value=up.seconds),
        *edit.figures(by_hand[EDITS // 2]),
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
    classes = workspace / "classes.log"
    text = edit_greeting(workspace)
    edited = time.time()
    with ThreadPoolExecutor() as pool:
        running = pool.submit(
            play, INVENTORY, "playbooks/apps.yml", extra=extra, env=maven_log(classes)
        )
        served = wait_for_text(address, text)
        run = running.result()
    build, deploy = run.role("apps_image"), run.role("apps_deploy")
    return run, completed(classes, edited, build.begin, build.end, deploy.begin, served)


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
        address, classes = ingress_address(), self._workspace / "classes.log"
        archive, text = self._workspace / "greeter.tar", edit_greeting(self._workspace)
        ref = f"apps.slipway.internal/greeter:by-hand-{time.time_ns()}"
        edited = time.time()
        self._maven(classes, archive, ref)
        built = time.time()
        on_all([self._worker], IMPORT, archive)
        deploying = time.time()
        self._kubectl("set", "image", "deployment/greeter", f"*={ref}")
        served = wait_for_text(address, text)
        return completed(classes, edited, edited, built, deploying, served)

    def _maven(self, classes: Path, archive: Path, ref: str) -> None:
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
            env={**os.environ, **maven_log(classes)},
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


def maven_log(classes: Path) -> dict[str, str]:
    """What has Maven's JVM log its classes to a file, as environment variables."""
    return {"MAVEN_OPTS": f"-Xlog:class+load:file={classes}:time"}


def completed(
    classes: Path, edited: float, building: float, built: float, deploying: float, served: float
) -> Edit:
    """The edit with the moments that Maven's log of classes and the service's own log tell."""
    compiling, packaging = maven_moments(classes.read_text().splitlines())
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
