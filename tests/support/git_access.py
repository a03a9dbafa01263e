"""Fetching what is not for everybody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slipway.apps.source.fetch import Sources, get_sources
from slipway.apps.source.git_auth import Keys
from slipway.secrets import Secrets
from tests.support.apps import planned
from tests.support.git_servers import Sshd

TOKEN = "canary-Tok3n/with+signs"


def record(url: str, auth: dict[str, str] | None, name: str = "web") -> dict[str, Any]:
    return planned(name, git_url=url, git_auth=auth)


def get(
    cache: Path,
    *records: dict[str, Any],
    check: bool = False,
    api: str = "",
    **secrets: str,
) -> Sources:
    keys = Keys(Secrets(secrets), api or "http://127.0.0.1:1")
    return get_sources(records, cache, check=check, say=lambda text: None, keys=keys)


def content(got: Sources, at: int = 0) -> str:
    assert "failed" not in got.records[at], got.records[at]["failed"]["reason"]
    return Path(got.records[at]["checkout"], "file").read_text()


def reason(got: Sources, at: int = 0) -> str:
    return str(got.records[at]["failed"]["reason"])


def deploy_key(sshd: Sshd, repository: Path) -> dict[str, Any]:
    auth = {"github_deploy_key": "admin", "known_hosts": sshd.known_hosts}
    return record(sshd.url(repository), auth)
