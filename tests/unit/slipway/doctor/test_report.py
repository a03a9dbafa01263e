"""Findings as lines."""

from __future__ import annotations

from slipway.doctor.findings import Finding, State
from slipway.doctor.report import table, warnings

FINDINGS = [
    Finding("localhost", "memory", State.OK, "16.0 GiB"),
    Finding("localhost", "hosts", State.WARN, "demo.test unknown", "make hosts"),
    Finding("lab-1", "node", State.FAIL, "is not bare\nport 6443 is in use", "kubeadm reset"),
    Finding("localhost", "inventory", State.FAIL, "has no address", "", "inventory metallb_pool"),
]


def test_the_table_has_a_line_for_each_with_its_mend_below_and_the_answer() -> None:
    assert table(FINDINGS) == [
        "MACHINE    CHECK      STATE  FOUND",
        "localhost  memory     ok     16.0 GiB",
        "localhost  hosts      warn   demo.test unknown\n    fix: make hosts",
        "lab-1      node       fail   is not bare\n    port 6443 is in use\n    fix: kubeadm reset",
        "localhost  inventory  fail   inventory metallb_pool: has no address",
        "",
        '1 ok, 1 warn, 2 fail: "make up" will not work',
    ]


def test_warnings_do_not_keep_make_up_from_working() -> None:
    assert table(FINDINGS[:2])[-1] == '1 ok, 1 warn, 0 fail: "make up" will work'


def test_a_run_shows_warnings_alone_and_says_nothing_of_what_will_do() -> None:
    assert warnings(FINDINGS) == [
        "warning: localhost, hosts: demo.test unknown",
        "    fix: make hosts",
    ]
    assert warnings(FINDINGS[:1]) == []
