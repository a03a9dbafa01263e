"""What a run says before anything is changed, and what a report has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from plugins.action import doctor
from slipway.architecture import Architecture
from slipway.doctor.examine import Wanted
from slipway.doctor.findings import Finding, State
from tests.support.fake_ansible import action

ARGS: dict[str, Any] = {
    "apps_file": "apps.yml",
    "cluster": "lab",
    "nodes": {"control": "192.0.2.1"},
    "control_plane": ["control"],
    "pool": ["192.0.2.200-192.0.2.220"],
    "pod_subnet": "10.244.0.0/16",
    "service_subnet": "10.96.0.0/16",
    "kubeconfig": "/root/.kube/lab.yaml",
    "provider": "source",
    "project": "/srv/slipway",
    "versions": {"kubernetes": "1.36.3", "jre": 21},
    "cache": "/root/.cache/slipway",
}

OK = Finding("localhost", "memory", State.OK, "16.0 GiB")
WARN = Finding("localhost", "engine storage", State.WARN, "vfs", "overlay2")
FAIL = Finding("lab-1", "cores", State.FAIL, "1; kubeadm needs 2", "give it 2")
OTHER = Finding("localhost", "inventory", State.FAIL, "has no address", "", "inventory pool")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Wanted]:
    """What is examined, with nothing found that will not do."""
    return finds(monkeypatch, OK)


def finds(monkeypatch: pytest.MonkeyPatch, *findings: Finding) -> list[Wanted]:
    """Let this be found; gives what was examined."""
    asked: list[Wanted] = []

    def examined(wanted: Wanted, _look: object) -> list[Finding]:
        asked.append(wanted)
        return [*findings]

    monkeypatch.setattr(doctor, "examined", examined)
    return asked


def test_a_run_says_nothing_when_everything_will_do(
    asked: list[Wanted], capsys: pytest.CaptureFixture[str]
) -> None:
    result = action(doctor.ActionModule, ARGS).run()
    assert result["changed"] is False
    assert "failed" not in result
    assert capsys.readouterr().out == ""
    assert not asked[0].names, "the proof at the end of a run says which hosts are not known"


def test_a_run_shows_warnings_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    finds(monkeypatch, OK, WARN)
    assert "failed" not in action(doctor.ActionModule, ARGS).run()
    lines = capsys.readouterr().out.splitlines()
    assert [line.strip() for line in lines] == [
        "warning: localhost, engine storage: vfs",
        "fix: overlay2",
    ]


def test_a_run_ends_with_every_problem_and_all_warnings_before(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    finds(monkeypatch, OK, FAIL, WARN, OTHER)
    result = action(doctor.ActionModule, ARGS).run()
    assert result["failed"]
    assert result["msg"].splitlines() == [
        "lab-1, cores: 1; kubeadm needs 2",
        "    fix: give it 2",
        "inventory pool: has no address",
    ]
    assert "engine storage" in capsys.readouterr().out


def test_a_report_has_all_findings_without_secrets_and_the_task_does_not_fail(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    leak = Finding("localhost", "sources", State.FAIL, "asked with s3cr3t-word")
    asked = finds(monkeypatch, OK, WARN, leak)
    report = tmp_path / "report.json"
    known = {"slipway_secrets": {"token": "s3cr3t-word"}}
    told = action(doctor.ActionModule, {**ARGS, "report": str(report)}).run(task_vars=known)
    assert "failed" not in told
    assert "s3cr3t-word" not in report.read_text()
    document = json.loads(report.read_text())
    assert document["works"] is False
    assert [each["state"] for each in document["findings"]] == ["ok", "warn", "fail"]
    assert capsys.readouterr().out == ""
    assert asked[0].names


def test_what_is_examined_is_what_the_task_says(asked: list[Wanted]) -> None:
    machines = {"control": {"failure": "refused"}}
    more = {"machines": machines, "routed": False, "kept": ["/x"], "tools": ["git"]}
    action(doctor.ActionModule, {**ARGS, **more, "workers": ["w"], "segment": "10.9.0.0/16"}).run()
    (found,) = asked
    assert (found.cluster, found.version, found.nodes) == ("lab", "1.36.3", machines)
    assert (found.routed, found.kept, found.tools) == (False, [Path("/x")], ["git"])
    assert (found.workers, found.inventory.segment) == (["w"], "10.9.0.0/16")
    (bundle,) = found.bundles([Architecture.ARM64]).values()
    assert bundle.provider.versions["jre"] == "21"
    assert found.cache == Path(ARGS["cache"])
    assert found.containers
