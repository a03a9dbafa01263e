"""A cluster of two virtual machines, reached over SSH: a control plane and a worker on a segment.

Each has a kernel of its own. This machine is the control node.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import yaml

from slipway.errors import Problem, SlipwayError
from slipway.run import run
from slipway.waiting import wait_until
from tests.support.checkout import PROJECT
from tests.vm import disks
from tests.vm.machine import Hypervisor, Machine, running
from tests.vm.segment import SEGMENT, laid_out
from tests.vm.steps import APPS_FILE, STEP_SECONDS, TITLE, say, step, watched

NAMES = ("vm-control-plane", "vm-worker")

POOL = SEGMENT.address(200)

KUBECTL = "/usr/local/bin/kubectl --kubeconfig=/etc/kubernetes/admin.conf"

STATE = (
    "journalctl --no-pager --output=cat --lines=30 --unit=kubelet",
    f"{KUBECTL} get nodes,pods --all-namespaces --output=wide",
    f"{KUBECTL} get events --all-namespaces --sort-by=.lastTimestamp | tail -20",
)
"""What may tell why something went wrong."""

FILES = "find /etc /usr/local /opt /var/lib -xdev -newer /root/began ! -path '/var/lib/systemd/*'"
"""What is on a machine that was not there, or otherwise, when it was first reached."""


def prove(cache: Path, hypervisor: Hypervisor, *, keep: bool) -> None:
    """Make the machines and use them; raises SlipwayError with what is wrong."""
    with step("the machines' disks"):
        made = disks.node(cache, say)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="slipway-vms-")))
        stack.enter_context(laid_out(SEGMENT, hypervisor, len(NAMES)))
        with step("start of the machines"):
            machines = {
                name: stack.enter_context(
                    running(name, hypervisor, made, SEGMENT.nic(number), processors=2, memory=4096)
                )
                for number, name in enumerate(NAMES)
            }
        stack.enter_context(watched(machines[NAMES[0]], STATE, keep=keep))
        check(machines, inventory(folder, machines, hypervisor.factor))


def inventory(folder: Path, machines: Mapping[str, Machine], factor: int) -> Path:
    """What a user would write for these machines."""
    known = folder / "known_hosts"
    scan = ["ssh-keyscan", *(machine.nic.address for machine in machines.values())]
    known.write_text(run(scan, what="host keys"))
    control_plane, worker = (
        {
            name: {
                "ansible_host": machine.nic.address,
                "ansible_ssh_private_key_file": str(machine.folder / "key"),
            }
        }
        for name, machine in machines.items()
    )
    local = {
        "ansible_connection": "local",
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
    }
    nodes = {
        "vars": {
            "ansible_user": "root",
            "ansible_ssh_common_args": f"-o UserKnownHostsFile={known}",
        },
        "children": {"control_plane": {"hosts": control_plane}, "workers": {"hosts": worker}},
    }
    cluster = {
        "hosts": {"localhost": local},
        "children": {"nodes": nodes},
        "vars": {
            "slipway_cluster_name": SEGMENT.name,
            "metallb_pool": [f"{POOL}-{POOL}"],
            "slipway_apps_file": str(PROJECT / APPS_FILE),
            "slipway_wait_factor": factor,
        },
    }
    path = folder / "inventory.yml"
    path.write_text(yaml.safe_dump({"cluster": cluster, "nodes_to_be_made": None}))
    return path


def check(machines: Mapping[str, Machine], path: Path) -> None:
    """All that is to hold; raises SlipwayError with what does not."""
    for name, machine in machines.items():
        about = "uname -sr; stat -fc 'control groups: %T' /sys/fs/cgroup"
        print(name, machine.ask("machine", about))
        machine.ask("machine", "touch /root/began; sleep 1")
    with step("make up"):
        play(path, "site.yml")
    with step("the page"):
        wait_for_page()
    with step("a machine started again"):
        machines[NAMES[1]].reboot()
        wait_for_page()
    with step("make up, with nothing changed"):
        said = play(path, "site.yml")
        if changed := re.findall(r"changed=[1-9]\d*", said):
            raise SlipwayError(Problem("make up", f"changed something again: {changed}"))
    with step("make down"):
        play(path, "playbooks/reset.yml")
        for name, machine in machines.items():
            if left := machine.ask("what is left", FILES).split("\n"):
                print(name, "has", *left, sep="\n  ", flush=True)


def play(path: Path, playbook: str) -> str:
    """Run a playbook with its output shown; return that."""
    argv = ["ansible-playbook", "--inventory", str(path), playbook]
    said: list[str] = []
    with subprocess.Popen(
        argv, cwd=PROJECT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            for line in process.stdout or ():
                print(line, end="", flush=True)
                said.append(line)
        except BaseException:
            process.terminate()
            raise
    if process.returncode != 0:
        raise SlipwayError(Problem(playbook, f"ended with code {process.returncode}"))
    return "".join(said)


def wait_for_page() -> None:
    """Wait until the service's page is served."""
    ask = ["curl", "--silent", "--max-time", "60", "--resolve", f"demo.slipway.test:80:{POOL}"]
    ask.append("http://demo.slipway.test/quotes/main/")

    def is_served() -> bool:
        return TITLE in subprocess.run(ask, capture_output=True, text=True, check=False).stdout

    if not wait_until(is_served, STEP_SECONDS, pause=5):
        raise SlipwayError(Problem("page", f"is not served after {STEP_SECONDS:.0f} s"))
