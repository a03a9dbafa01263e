"""The embedded cluster in one virtual machine, which is the control node and runs the node, too."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import ExitStack
from pathlib import Path

from slipway.errors import Problem, SlipwayError
from slipway.waiting import wait_until
from tests.support.checkout import PROJECT, VERSIONS
from tests.vm import disks
from tests.vm.disks import CHECKOUT
from tests.vm.machine import Hypervisor, Machine, running
from tests.vm.segment import SEGMENT, laid_out
from tests.vm.steps import APPS_FILE, RUN_SECONDS, STEP_SECONDS, TITLE, say, step, watched

NODE = "slipway-single"

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


STATE = (
    f"docker logs --tail 20 {NODE}",
    f"docker exec {NODE} journalctl --no-pager --output=cat --lines=30 --unit=kubelet",
    f"{KUBECTL} get nodes,pods --all-namespaces --output=wide",
    f"{KUBECTL} get events --all-namespaces --sort-by=.lastTimestamp | tail -20",
)
"""What may tell why something went wrong."""


def prove(cache: Path, hypervisor: Hypervisor, *, keep: bool) -> None:
    """Make the machine and use it; raises SlipwayError with what is wrong."""
    with step("the machine's disks"):
        made = disks.control_node(cache, say)
    with ExitStack() as stack:
        stack.enter_context(laid_out(SEGMENT, hypervisor, 1))
        with step("start of the machine"):
            nic = SEGMENT.nic(0)
            machine = stack.enter_context(
                running("slipway-vm", hypervisor, made, nic, processors=2, memory=8192)
            )
        stack.enter_context(watched(machine, STATE, keep=keep))
        check(machine, hypervisor.factor)


def check(machine: Machine, factor: int) -> None:
    """All that is to hold there; raises SlipwayError with what does not."""
    print(machine.ask("machine", "uname -sr; stat -fc 'control groups: %T' /sys/fs/cgroup"))
    machine.ask("checkout", f"tar -x -C {CHECKOUT}", stdin=checkout())
    machine.show("node image", "docker images", STEP_SECONDS)
    with step("make up"):
        machine.show("make up", make("up", factor), RUN_SECONDS)
    with step("the page"):
        wait_for_page(machine)
    with step("limits of pods"):
        check_limits(machine)
    with step("make up, with nothing changed"):
        machine.show("make up", make("up", factor), RUN_SECONDS)
        machine.show("changed=0", "! grep --extended-regexp 'changed=[1-9]' /root/up.log", 60)
    with step("the node started again"):
        machine.show("restart", f"docker restart -t 60 {NODE}", STEP_SECONDS)
        wait_for_page(machine)
        machine.show("node", f"{KUBECTL} wait --for=condition=Ready --timeout=20m node --all", 1260)
    with step("make down"):
        machine.show("make down", make("down", factor), RUN_SECONDS)
        left = machine.ask("what is left", "docker ps --all --quiet; docker volume ls --quiet")
        if left.strip():
            raise SlipwayError(Problem("make down", f"leaves {left.split()}"))


def make(target: str, factor: int) -> str:
    """The command that makes a target of the Makefile there, and keeps what it says."""
    settings = f"-e slipway_apps_file={CHECKOUT}/{APPS_FILE} -e slipway_wait_factor={factor}"
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
                    "image": f"bundle.slipway.internal/python:{VERSIONS['python']}",
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
