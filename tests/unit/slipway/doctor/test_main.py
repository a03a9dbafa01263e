"""``make doctor``: a run that writes a report, which is shown and says whether it will work."""

from __future__ import annotations

import json
import sys

import pytest

from slipway.doctor.__main__ import main
from slipway.doctor.findings import Finding, State, encoded

OK = Finding("localhost", "memory", State.OK, "16.0 GiB")
WARN = Finding("localhost", "hosts", State.WARN, "a.test unknown", "make hosts")
FAIL = Finding("lab-1", "cores", State.FAIL, "1", "give it 2")


def run(*findings: Finding) -> list[str]:
    """A command that finds this, as the playbook does, and says other things."""
    script = (
        "import json, pathlib, sys\n"
        "print('==> phase 1 of 2')\n"
        "assert sys.argv[-2] == '--extra-vars'\n"
        "report = json.loads(sys.argv[-1])['__doctor_report']\n"
        f"pathlib.Path(report).write_bytes({encoded(findings)!r})\n"
    )
    return [sys.executable, "-c", script, "--inventory", "inventory/lab"]


@pytest.mark.parametrize(("findings", "code"), [((OK,), 0), ((OK, WARN), 0), ((OK, WARN, FAIL), 1)])
@pytest.mark.parametrize("output", ["text", "json"])
def test_the_exit_code_says_whether_make_up_will_work(
    output: str, findings: tuple[Finding, ...], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--output", output, *run(*findings)]) == code
    assert "phase" not in capsys.readouterr().out


def test_a_program_reads_nothing_but_the_json(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--output", "json", *run(OK, FAIL)])
    document = json.loads(capsys.readouterr().out)
    assert [each["check"] for each in document["findings"]] == ["memory", "cores"]


def test_text_is_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--output", "text", *run(OK, FAIL)])
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].split() == ["MACHINE", "CHECK", "STATE", "FOUND"]
    assert shown[-1] == '1 ok, 0 warn, 1 fail: "make up" will not work'


@pytest.mark.parametrize("output", ["text", "json"])
def test_a_run_that_does_not_come_to_its_end_is_told_with_its_last_words(
    output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = [sys.executable, "-c", "print('no hosts matched'); raise SystemExit(4)"]
    assert main(["--output", output, *broken]) == 1
    shown = capsys.readouterr().out
    assert "ended with code 4" in shown
    assert "no hosts matched" in shown


def test_another_form_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--output", "xml", *run(OK)])
    assert ended.value.code == 2
    assert "json" in capsys.readouterr().err
