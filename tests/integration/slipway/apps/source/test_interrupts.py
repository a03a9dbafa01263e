"""A run that is ended tidies up first."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from slipway.waiting import wait_until
from tests.support.git_access import TOKEN, content, deploy_key, get
from tests.support.git_servers import GitHub, Sshd

PROJECT = Path(__file__).parents[5]
ENDED = """
import sys
from pathlib import Path
from tests.support.git_access import app_of, get
url, hosts, api, token, cache = sys.argv[1:]
auth = {"github_deploy_key": "admin", "known_hosts": hosts}
get(Path(cache), app_of(url, auth), api=api, admin=token)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_the_deploy_key_is_removed_when_the_run_is_ended(
    tmp_path: Path, sshd: Sshd, github: GitHub, repository: Path, number: signal.Signals
) -> None:
    """At once, or by the next run after a signal that leaves no time."""
    started = tmp_path / "started"
    github.command = f"touch {started}; sleep 600"
    app = deploy_key(sshd, repository)
    arguments = [app.git_url, sshd.known_hosts, github.api, TOKEN, str(tmp_path / "cache")]
    run = subprocess.Popen(
        [sys.executable, "-c", ENDED, *arguments], cwd=PROJECT, start_new_session=True
    )
    try:
        assert wait_until(started.exists, 20)
        [used] = github.keys
        run.send_signal(number)
        assert wait_until(lambda: not github.keys or number == signal.SIGKILL, 20)
    finally:
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
    github.command = ""
    assert content(get(tmp_path / "cache", app, api=github.api, admin=TOKEN)) == "content"
    assert github.keys == []
    if number == signal.SIGKILL:
        assert f"DELETE /repos/owner/web/keys/{used['id']}" in github.calls
