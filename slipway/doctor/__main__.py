"""Run the playbook that looks at all machines, and show what was found: ``make doctor``.

Called with the command of the run. The exit code says whether ``make up`` will work.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from slipway.doctor.findings import Finding, State, decoded, encoded, works
from slipway.doctor.report import table
from slipway.run import last_lines
from slipway.secrets import VAULT_PASSWORD, conceal

FORMATS = ("text", "json")


def main(argv: Sequence[str]) -> int:
    """Show the findings; 0 if none of them is a failure, otherwise 1."""
    parser = argparse.ArgumentParser(prog="make doctor", description=__doc__)
    parser.add_argument("--output", choices=FORMATS, default=FORMATS[0])
    parser.add_argument("command", nargs=argparse.REMAINDER)
    args = parser.parse_args(argv)
    findings = found_by(args.command)
    if args.output == "json":
        print(encoded(findings).decode())
    else:
        print("\n".join(table(findings)))
    return 0 if works(findings) else 1


def found_by(command: Sequence[str]) -> list[Finding]:
    """What the run finds; a run that does not come to its end is a finding of its own."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        extra = json.dumps({"__doctor_report": str(report)})
        argv = [*command, "--extra-vars", extra]
        done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=False)
        if report.exists():
            return decoded(report.read_bytes())
    what = f"the look at the machines ended with code {done.returncode}; it last said\n"
    fix = "mend what is said there"
    return [Finding("localhost", "run", State.FAIL, what + last_lines(done.stdout), fix)]


if __name__ == "__main__":
    conceal(VAULT_PASSWORD)
    sys.exit(main(sys.argv[1:]))
