"""The findings as lines: a table of all, or what a run says of those that matter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from slipway.doctor.findings import Finding, State, works
from slipway.text import aligned


def table(findings: Sequence[Finding]) -> list[str]:
    """A line for each, with the mend below it, and one that says what follows from all."""
    rows = [("MACHINE", "CHECK", "STATE", "FOUND")]
    below: list[str] = [""]
    for each in findings:
        place = f"{each.where}: " if each.where else ""
        first, *rest = f"{place}{each.found}".splitlines()
        rows.append((each.machine, each.check, each.state, first))
        fix = [f"fix: {each.fix}"] if each.fix else []
        below.append("".join(f"\n    {line.strip()}" for line in (*rest, *fix)))
    counts = Counter(each.state for each in findings)
    said = ", ".join(f"{counts[state]} {state}" for state in State)
    answer = "will work" if works(findings) else "will not work"
    lines = [line + more for line, more in zip(aligned(rows), below, strict=True)]
    return [*lines, "", f'{said}: "make up" {answer}']


def warnings(findings: Sequence[Finding]) -> list[str]:
    """What a run shows of findings with which it goes on."""
    return [
        line
        for each in findings
        if each.state is State.WARN
        for line in f"warning: {each.problem}".splitlines()
    ]
