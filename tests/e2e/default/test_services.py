"""Services answer whatever becomes of kube-proxy."""

from __future__ import annotations

import re
from functools import partial

from testinfra.host import Host

from slipway.kube.client import SERVICES
from tests.support.scenario import Scenario, wait_for

SYNCED = re.compile(r"^kubeproxy_sync_full_proxy_rules_duration_seconds_count\S* [1-9]", re.M)
"""kube-proxy's own word that it has looked through all rules since it started."""

METRICS = "import urllib.request as u; print(u.urlopen('{url}', timeout=5).read().decode())"
CONNECT = "import socket; socket.create_connection(('{address}', 443), 5)"


def test_services_answer_when_kube_proxy_has_looked_through_what_it_finds(
    scenario: Scenario,
) -> None:
    scenario.kubectl("delete", "pod", "-n", "kube-system", "-l", "k8s-app=kube-proxy")
    scenario.kubectl("rollout", "status", "-n", "kube-system", "daemonset/kube-proxy")
    for node in scenario.nodes.values():
        wait_for(partial(_metrics, node), lambda text: bool(SYNCED.search(text)))
    api = scenario.kube.get(SERVICES, "kubernetes", "default")
    assert api
    program = CONNECT.format(address=api["spec"]["clusterIP"])
    codes = {name: _python(node, program)[0] for name, node in scenario.nodes.items()}
    assert codes == dict.fromkeys(scenario.nodes, 0)


def _metrics(node: Host) -> str:
    return _python(node, METRICS.format(url="http://127.0.0.1:10249/metrics"))[1]


def _python(node: Host, program: str) -> tuple[int, str]:
    """The exit code of a program on a node, and what it prints."""
    done = node.run("python3 -c %s", program)
    return done.rc, str(done.stdout)
