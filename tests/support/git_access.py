"""Fetching what is not for everybody."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from slipway.apps.app import App, Sourced
from slipway.apps.source.fetch import Sources, get_sources
from slipway.apps.source.git_auth import Keys
from slipway.secrets import Secrets
from tests.support import apps
from tests.support.git_servers import Sshd

TOKEN = "canary-Tok3n/with+signs"


def app_of(
    url: str, auth: dict[str, str] | None, name: str = "web", submodules: Sequence[str] = ()
) -> App:
    return apps.planned(name, git_url=url, git_auth=auth, git_submodules=list(submodules))


def get(
    cache: Path,
    *wanted: App,
    check: bool = False,
    api: str = "",
    **secrets: str,
) -> Sources:
    keys = Keys(Secrets(secrets), api or "http://127.0.0.1:1")
    return get_sources(wanted, cache, check=check, say=lambda text: None, keys=keys)


def content(got: Sources, at: int = 0) -> str:
    app = got.apps[at]
    assert isinstance(app, Sourced), app.failed
    return Path(app.checkout, "file").read_text()


def reason(got: Sources, at: int = 0) -> str:
    return apps.reason(got.apps[at])


def deploy_key(sshd: Sshd, repository: Path) -> App:
    auth = {"github_deploy_key": "admin", "known_hosts": sshd.known_hosts}
    return app_of(sshd.url(repository), auth)
