"""Measure what a developer waits for, and what they would wait for instead.

A cluster of its own is made, used and removed; bundle, images and sources come from the cache.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

from slipway.kube import SERVICES, Kube
from slipway.oci import ImageStore

PROJECT = Path(__file__).resolve().parent.parent
INVENTORY = PROJECT / "bench" / "inventory"
WORKER = "bench-worker"
HOST = "demo.slipway.test"
CACHE = Path.home() / ".cache" / "slipway"
SECONDS = 300.0
"""How long the edited service may take to answer with its new text."""


@dataclass(frozen=True)
class Figure:
    """One row of the table; ``instead`` is what the alternative took in the same run."""

    what: str
    seconds: float
    instead: str = ""
    instead_seconds: float | None = None

    def row(self) -> str:
        """The figure as a row of a Markdown table."""
        if self.instead_seconds is None:
            return f"| {self.what} | {self.seconds:.1f} | | | |"
        ratio = self.instead_seconds / self.seconds
        return (
            f"| {self.what} | {self.seconds:.1f} | {self.instead} "
            f"| {self.instead_seconds:.1f} | {ratio:.1f} |"
        )


def play(*playbooks: str, extra: Sequence[str] = ()) -> tuple[float, str]:
    """Run playbooks against the bench cluster; return the seconds and the output."""
    started = time.monotonic()
    done = subprocess.run(
        ["ansible-playbook", "--inventory", str(INVENTORY), *playbooks, *extra],
        cwd=PROJECT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(playbooks)} failed:\n{done.stdout[-4000:]}{done.stderr}")
    return time.monotonic() - started, done.stdout


def where_the_time_went(output: str) -> str:
    """The phases and slowest tasks that the run printed."""
    return output[output.index("WHERE THE TIME WENT") :].strip()


def wait_for_text(address: str, path: str, text: str, deadline: float) -> float:
    """The moment at which the route answered with ``text``."""
    request = Request(f"http://{address}{path}", headers={"Host": HOST})
    while time.monotonic() < deadline:
        try:
            with urlopen(request, timeout=2) as answer:
                if text in answer.read().decode():
                    return time.monotonic()
        except URLError:
            pass
        time.sleep(0.05)
    raise SystemExit(f"{path} did not answer '{text}' within {SECONDS:.0f} s")


def of_workspace(workspace: Path) -> list[str]:
    """The arguments that make a run take apps.yml and the samples of ``workspace``."""
    return [
        f"-eslipway_apps_file={workspace}/apps.yml",
        f"-eexample_repositories_source={workspace}/examples",
        f"-eexample_repositories_path={workspace}/.slipway/examples",
    ]


def edit_to_served(workspace: Path) -> tuple[float, str]:
    """Change one line of the Java greeter; return the seconds until its text is served."""
    source = workspace / "examples/greeter/main/src/main/java/org/example/greeter/Greeting.java"
    extra = of_workspace(workspace)
    play("playbooks/apps.yml", extra=extra)
    address = ingress_address()
    text = f"from main, {time.time_ns()}"
    source.write_text(source.read_text().replace("from main", text))
    started = time.monotonic()
    running = subprocess.Popen(
        ["ansible-playbook", "--inventory", str(INVENTORY), "playbooks/apps.yml", *extra],
        cwd=PROJECT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    served = wait_for_text(address, "/greeter/main/", text, started + SECONDS)
    output, _nothing = running.communicate()
    return served - started, output


def ingress_address() -> str:
    """Where the bench cluster's ingress controller listens."""
    with Kube(Path.home() / ".kube" / "bench.yaml") as kube:
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
        command = ["docker", "exec", "-i", WORKER, "ctr", "-n", "bench", "images", "import", "-"]
        archive.seek(0)
        started = time.monotonic()
        subprocess.run(command, stdin=archive, stdout=subprocess.DEVNULL, check=True)
        return time.monotonic() - started


def delivered(output: str) -> float:
    """Seconds that the delivery of images took in a run."""
    lines = (line for line in output.splitlines() if "app_images : Have the apps'" in line)
    return next(float(line.split()[0]) for line in lines if " s " in line)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave the cluster running")
    keep = parser.parse_args().keep
    play("playbooks/bundle.yml", "playbooks/reset.yml")
    up, output = play("site.yml")
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder)
        shutil.copytree(PROJECT / "examples", workspace / "examples")
        shutil.copy(PROJECT / "apps.yml", workspace)
        edit, edited = edit_to_served(workspace)
        again, _same = play("site.yml", extra=of_workspace(workspace))
    delivery, whole = delivered(edited), whole_image()
    if not keep:
        play("playbooks/reset.yml")
    figures = [
        Figure("no nodes to all routes answer", up),
        Figure("nothing changed", again, "the same from nothing", up),
        Figure("one line of the Java greeter to its text served", edit),
        Figure(
            "of that, image to the node", delivery, "the whole image, without a registry", whole
        ),
    ]
    print("| what | s | instead | s | ratio |\n| --- | --- | --- | --- | --- |")
    print("\n".join(figure.row() for figure in figures))
    print(f"\nFrom nothing: {where_the_time_went(output)}")
    print(f"\nAfter the edit: {where_the_time_went(edited)}")


if __name__ == "__main__":
    main()
