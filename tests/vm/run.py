"""Have the embedded cluster made, used and removed on a machine with control groups of version 2.

The machine is a virtual one that this makes: see the README beside this file.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from slipway.control_node import tools
from slipway.errors import Problem, SlipwayError
from slipway.waiting import Patience, wait_until
from tests.vm import disks
from tests.vm.disks import CHECKOUT, PROJECT
from tests.vm.machine import Machine, running

TOOLS = ("mke2fs", "mmdebstrap", "qemu", "ssh")

FACTOR = 15
"""How many times longer than usual waits may be there."""

RUN_SECONDS = 3600.0
"""How long one run of the Makefile may take."""

STEP_SECONDS = 1200.0
"""How long anything else may take."""

NODE = "slipway-single"

TITLE = "Quotation of the day"

ASK = "curl --silent --fail --max-time 60 --resolve demo.slipway.test:80:172.30.255.200"
PAGE = f"{ASK} http://demo.slipway.test/quotes/main/"

KUBECTL = f"docker exec --interactive {NODE} kubectl --kubeconfig=/etc/kubernetes/admin.conf"

LIMITS = {"memory": str(48 * 1024 * 1024), "cpu": "500m"}

GREEDY = """
from pathlib import Path
for name in ("memory.max", "cpu.max"):
    print(name, Path("/sys/fs/cgroup", name).read_text().strip(), flush=True)
b"x" * 2**30
"""
"""Tells the limits that its control group has, and takes more memory than it may."""


def main() -> int:
    """Make the machine, use it, and say what was found; the exit code is 1 when that is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", action="store_true", help="keep the machine until Ctrl-C")
    keep = parser.parse_args().keep
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "slipway"
    try:
        tools.have(TOOLS, say)
        with step("the machine's disks"):
            made = disks.have(cache, say)
        with step("start of the machine"), running(made) as machine:
            try:
                check(machine)
            except SlipwayError:
                tell_state(machine)
                raise
            finally:
                if keep:
                    say(f"kept until Ctrl-C; a command there: {' '.join(machine.argv('...'))}")
                    wait_for_interrupt()
    except SlipwayError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    say("all as it should be")
    return 0


def say(line: str) -> None:
    """Tell what goes on."""
    print(f"[{time.strftime('%H:%M:%S')}] {line}", flush=True)


@contextmanager
def step(title: str) -> Iterator[None]:
    """Tell of a step and, once it is done, how long it took."""
    say(f"==> {title}")
    started = time.monotonic()
    yield
    say(f"    {title}: {time.monotonic() - started:.0f} s")


def check(machine: Machine) -> None:
    """All that is to hold there; raises SlipwayError with what does not."""
    print(machine.ask("machine", "uname -sr; stat -fc 'control groups: %T' /sys/fs/cgroup"))
    machine.ask("checkout", f"tar -x -C {CHECKOUT}", stdin=checkout())
    machine.show("node image", "docker images", STEP_SECONDS)
    with step("make up"):
        machine.show("make up", make("up"), RUN_SECONDS)
    with step("the page"):
        wait_for_page(machine)
    with step("limits of pods"):
        check_limits(machine)
    with step("make up, with nothing changed"):
        machine.show("make up", make("up"), RUN_SECONDS)
        machine.show("changed=0", "! grep --extended-regexp 'changed=[1-9]' /root/up.log", 60)
    with step("the node started again"):
        machine.show("restart", f"docker restart -t 60 {NODE}", STEP_SECONDS)
        wait_for_page(machine)
        machine.show("node", f"{KUBECTL} wait --for=condition=Ready --timeout=20m node --all", 1260)
    with step("make down"):
        machine.show("make down", make("down"), RUN_SECONDS)
        left = machine.ask("what is left", "docker ps --all --quiet; docker volume ls --quiet")
        if left.strip():
            raise SlipwayError(Problem("make down", f"leaves {left.split()}"))


def make(target: str) -> str:
    """The command that makes a target of the Makefile there, and keeps what it says."""
    settings = f"-e slipway_apps_file={CHECKOUT}/tests/vm/apps.yml -e slipway_wait_factor={FACTOR}"
    return (
        f"set -o pipefail; cd {CHECKOUT}; "
        f"make {target} INVENTORY=inventory/single ARGS='{settings}' 2>&1 | tee /root/{target}.log"
    )


def checkout() -> bytes:
    """A tar of this checkout's files, whether they are committed or not."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=PROJECT, capture_output=True, check=True).stdout
    there = [name for name in names.split(b"\0") if os.path.lexists(PROJECT / os.fsdecode(name))]
    tar = ["tar", "-c", "--exclude=.venv", "--null", "--files-from=-"]
    done = subprocess.run(
        tar, cwd=PROJECT, input=b"\0".join(there), capture_output=True, check=True
    )
    return done.stdout


def wait_for_page(machine: Machine) -> None:
    """Wait until the service's page is served."""

    def is_served() -> bool:
        return TITLE in machine.ask("page", f"{PAGE} || true")

    if not wait_until(is_served, STEP_SECONDS, pause=5):
        raise SlipwayError(Problem("page", f"is not served after {STEP_SECONDS:.0f} s"))
    print(machine.ask("page", PAGE).splitlines()[0])


def check_limits(machine: Machine) -> None:
    """See that a pod has the limits that it asks for, and ends where it takes more."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "greedy", "namespace": "default"},
        "spec": {
            "restartPolicy": "Never",
            "containers": [
                {
                    "name": "greedy",
                    "image": f"bundle.slipway.internal/python:{disks.versions()['python']}",
                    "imagePullPolicy": "Never",
                    "command": ["python3", "-c", GREEDY],
                    "resources": {"limits": LIMITS},
                }
            ],
        },
    }
    machine.ask("pod", f"{KUBECTL} apply -f -", stdin=json.dumps(pod).encode())
    ended = "{.status.containerStatuses[0].state.terminated.reason}"
    reason = f"{KUBECTL} get pod greedy --output=jsonpath='{ended}'"
    wait_until(lambda: machine.ask("pod", reason), STEP_SECONDS, pause=5)
    said = machine.ask("pod", f"{KUBECTL} logs greedy; {reason}")
    print(said)
    if said.split("\n") != [f"memory.max {LIMITS['memory']}", "cpu.max 50000 100000", "OOMKilled"]:
        raise SlipwayError(Problem("limits of pods", "are not those that the pod asked for"))
    machine.ask("pod", f"{KUBECTL} delete pod greedy")


def tell_state(machine: Machine) -> None:
    """Show what may tell why something went wrong."""
    print(f"--- the console\n{machine.console()}", flush=True)
    if not machine.answers():
        return
    for command in (
        f"docker logs --tail 20 {NODE}",
        f"docker exec {NODE} journalctl --no-pager --output=cat --lines=30 --unit=kubelet",
        f"{KUBECTL} get nodes,pods --all-namespaces --output=wide",
        f"{KUBECTL} get events --all-namespaces --sort-by=.lastTimestamp | tail -20",
    ):
        print(
            f"--- {command}\n{machine.ask('state', f'{{ {command}; }} 2>&1 || true')}", flush=True
        )


def wait_for_interrupt() -> None:
    """Do nothing until Ctrl-C."""
    try:
        while True:
            time.sleep(60)
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    Patience.factor = FACTOR
    sys.exit(main())
