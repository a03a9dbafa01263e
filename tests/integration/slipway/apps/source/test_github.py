"""Deploy keys: made for a clone, and removed after it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from slipway.waiting import wait_until
from tests.support.checkout import PROJECT
from tests.support.git_access import TOKEN, content, deploy_key, get, reason
from tests.support.git_servers import GitHub, Sshd


def test_a_deploy_key_lives_as_long_as_the_clone(
    tmp_path: Path, sshd: Sshd, github: GitHub, repository: Path
) -> None:
    yesterday = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    in_use = {"id": 3, "title": "slipway-elsewhere-12-0a1b2c3d", "key": "c", "created_at": now}
    foreign = {"id": 4, "title": "somebody's", "key": "d", "created_at": yesterday}
    github.keys = [
        {"id": 1, "title": "slipway-left", "key": "a"},
        {**in_use, "id": 2, "created_at": yesterday},
        in_use,
        foreign,
    ]
    got = get(tmp_path / "cache", deploy_key(sshd, repository), api=github.api, admin=TOKEN)
    assert content(got) == "content"
    assert github.keys == [in_use, foreign]
    assert github.calls == [
        "GET /repos/owner/web/keys?per_page=100&page=1",
        "DELETE /repos/owner/web/keys/1",
        "DELETE /repos/owner/web/keys/2",
        "POST /repos/owner/web/keys",
        "DELETE /repos/owner/web/keys/101",
    ]


def test_the_deploy_key_is_removed_after_a_failure(
    tmp_path: Path, sshd: Sshd, github: GitHub, repository: Path
) -> None:
    github.command = "false"
    got = get(tmp_path / "cache", deploy_key(sshd, repository), api=github.api, admin=TOKEN)
    assert "git ended with code 128" in reason(got)
    assert github.calls[-1].startswith("DELETE")
    assert github.keys == []


def test_a_key_that_cannot_be_made_or_removed_is_said(
    tmp_path: Path, sshd: Sshd, github: GitHub, repository: Path
) -> None:
    app = deploy_key(sshd, repository)
    wrong = get(tmp_path / "cache", app, api=github.api, admin="canary-wrong")
    assert "HTTP status 401: Bad credentials" in reason(wrong)
    assert "Administration: write" in reason(wrong)
    assert "canary" not in reason(wrong)
    github.refused = {"DELETE": 500}
    stays = get(tmp_path / "cache", app, api=github.api, admin=TOKEN)
    assert "/repos/owner/web/keys/101: HTTP status 500" in reason(stays)
    away = get(tmp_path / "cache", app, api="http://127.0.0.1:1", admin=TOKEN)
    assert "Connection refused" in reason(away)


def test_a_check_makes_no_deploy_key(
    tmp_path: Path, sshd: Sshd, github: GitHub, repository: Path
) -> None:
    app = deploy_key(sshd, repository)
    new = get(tmp_path / "cache", app, check=True, api=github.api, admin=TOKEN)
    assert not new.apps[0].failed
    assert new.apps[0].newest_commit == ""
    assert github.calls == []
    got = get(tmp_path / "cache", app, api=github.api, admin=TOKEN)
    github.calls.clear()
    known = get(tmp_path / "cache", app, check=True, api=github.api, admin=TOKEN)
    assert known.apps == got.apps
    assert github.calls == []


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
