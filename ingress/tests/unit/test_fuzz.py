"""Whatever Ingresses there are, an app that is right is served.

Two hundred clusters are made up in each run; SLIPWAY_FUZZ says how many otherwise, as in
``SLIPWAY_FUZZ=100000 pytest ingress/tests/unit/test_fuzz.py``.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from nginx_ingress.decisions import decide
from nginx_ingress.render import Settings, endpoints_of, render_server

from ingress.tests.support.clusters import CLUSTERS, EXAMPLES, as_many_as, check, snapshot
from ingress.tests.support.objects import Document

SETTINGS = Settings(Path("/run/test"))
SLOWEST_SECONDS = 5.0

pytestmark = pytest.mark.usefixtures("quiet")


@as_many_as(EXAMPLES)
@given(CLUSTERS)
def test_a_good_app_is_served_whatever_is_beside_it(odd: list[Document]) -> None:
    began = time.monotonic()
    cluster = snapshot(odd)
    decisions = decide(cluster, "nginx")
    check(decisions)
    endpoints = endpoints_of(cluster.slices.values())
    for server in decisions.servers.values():
        render_server(server, cluster, endpoints, SETTINGS).encode()
    assert time.monotonic() - began < SLOWEST_SECONDS
