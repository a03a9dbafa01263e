"""The CIS Kubernetes Benchmark, asked of every node: what is not so is in docs/cis.md."""

from __future__ import annotations

import re

from slipway.cache.layout import CacheLayout
from tests.support import kube_bench
from tests.support.checkout import PROJECT
from tests.support.scenario import Scenario

TARGETS = {True: "master,etcd,controlplane,node", False: "node"}
"""What a control plane is asked, and what a worker."""


def exceptions() -> set[str]:
    """The numbers of the checks that docs/cis.md gives a reason for."""
    rows = re.findall(
        r"^\| ((?:\d+\.\d+\.\d+(?:, )?)+)", (PROJECT / "docs/cis.md").read_text(), re.M
    )
    return {number for row in rows for number in row.split(", ")}


def test_what_the_benchmark_asks_is_so_or_has_a_reason_in_the_documentation(
    scenario: Scenario,
) -> None:
    program = kube_bench.archive(CacheLayout(scenario.cache), scenario.facts["versions"]["go"])
    found: dict[str, set[str]] = {}
    for name, host in scenario.nodes.items():
        targets = TARGETS[name in scenario.facts["control_plane"]]
        for number, status in kube_bench.asked(name, host, program, targets).items():
            found.setdefault(number, set()).add(status)
    assert len(found) > 90
    assert {number for number, statuses in found.items() if statuses != {"PASS"}} == exceptions()
