"""Repeat a playbook that waits for changes, until the user ends it or it cannot begin.

Called with the command of the run, which gets the session's folder as ``slipway_session_dir``. A
run that fails with what it took up does not end the session: the next one waits for the mend.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Sequence

from slipway.dev_session import Session, new_session
from slipway.secrets import VAULT_PASSWORD, conceal

LATER = ("--skip-tags", "always")
"""What is added for all runs but the first: the arguments of roles, which Ansible validates under
this tag, are the same in all of them."""

INTERRUPTED = 130
"""The exit code of programs that were interrupted, as shells have it."""


TERMINATED = 143
"""The exit code of programs that were told to end."""


def main(command: Sequence[str]) -> int:
    """Run ``command`` again and again; return the exit code of the run that took nothing up."""
    with new_session() as session:
        try:
            code = run(command, session)
            while code is None:
                code = run([*command, *LATER], session)
        except KeyboardInterrupt:
            return INTERRUPTED
        return code


def run(command: Sequence[str], session: Session) -> int | None:
    """One run; None for one that took something up, whatever came of that, or its exit code."""
    before = _moment(session)
    extra = json.dumps({"slipway_session_dir": str(session.folder)})
    with subprocess.Popen([*command, "--extra-vars", extra]) as running:
        try:
            code = running.wait()
        except KeyboardInterrupt:
            running.wait()  # it was interrupted as well, and tidies up
            raise
        except SystemExit:
            running.send_signal(signal.SIGINT)
            running.wait()
            raise
    return None if _moment(session) != before else code


def _moment(session: Session) -> int:
    """When something was last taken up."""
    file = session.taken_file
    return file.stat().st_mtime_ns if file.exists() else 0


if __name__ == "__main__":
    conceal(VAULT_PASSWORD)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    sys.exit(main(sys.argv[1:]))
