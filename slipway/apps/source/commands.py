"""How git is run: it never prompts, and takes no more from servers than it has to."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote

from slipway.run import printed

FETCH_SECONDS = 600.0
"""How long one repository may take to come over."""

PROTOCOLS = "file:git:http:https:ssh"
"""Those that git may use, as git's documentation has them under ``GIT_ALLOW_PROTOCOL``; others run
programs that an address names."""

SSH = "-o BatchMode=yes -o ConnectTimeout=10 -o ServerAliveInterval=15 -o ServerAliveCountMax=4"
"""Options by which ssh asks nobody, and gives up on a server that is gone."""

_OLD_WAYS = (
    "badDate",
    "badEmail",
    "badTimezone",
    "missingEmail",
    "missingNameBeforeEmail",
    "missingSpaceBeforeDate",
    "missingSpaceBeforeEmail",
    "missingTaggerEntry",
    "zeroPaddedFilemode",
)
"""What git fsck finds in many an old history, written by tools of the time, and does no harm."""

SOUND = (
    *("-c", "fetch.fsckObjects=true"),
    *(part for name in _OLD_WAYS for part in ("-c", f"fetch.fsck.{name}=ignore")),
)
"""The options by which git refuses objects that are not as they have to be."""

_FILE = "file://"
_SCHEME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+.-]*(?:://|::)")
"""How URLs begin, and addresses of programs that git calls for others."""


def local_path(url: str) -> Path | None:
    """The path that git opens for an address; None for one of another machine.

    In a URL it is all that follows the host: to git, ``?`` and ``#`` are letters like others.
    """
    if url.startswith(_FILE):
        _, slash, path = url.removeprefix(_FILE).partition("/")
        return Path(unquote(f"{slash}{path}", errors="surrogateescape"))
    host, colon, _ = url.partition(":")
    if _SCHEME.match(url) or (colon and "/" not in host):
        return None
    return Path(url)


def _environment() -> dict[str, str]:
    """Settings under which git fails rather than asks, and gives up on a server that stalls."""
    ssh = os.environ.get("GIT_SSH_COMMAND", "ssh")
    return {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "",
        "SSH_ASKPASS_REQUIRE": "never",
        "GCM_INTERACTIVE": "never",  # Git Credential Manager's windows
        "GIT_SSH_COMMAND": f"{ssh} {SSH}",
        "GIT_HTTP_LOW_SPEED_LIMIT": "1000",
        "GIT_HTTP_LOW_SPEED_TIME": "20",
        "GIT_ALLOW_PROTOCOL": os.environ.get("GIT_ALLOW_PROTOCOL", PROTOCOLS),
        "LC_ALL": "C",
    }


def git(
    *arguments: str | Path,
    what: str,
    timeout: float = FETCH_SECONDS,
    stdin: str = "",
    env: Mapping[str, str] | None = None,
) -> str:
    """Run git and return what it printed; raises SlipwayError, which names ``what``."""
    found = git_bytes(*arguments, what=what, timeout=timeout, stdin=stdin, env=env)
    return found.decode(errors="replace")


def git_bytes(
    *arguments: str | Path,
    what: str,
    timeout: float = FETCH_SECONDS,
    stdin: str = "",
    env: Mapping[str, str] | None = None,
) -> bytes:
    """As :func:`git`, of what need not be text."""
    return printed(
        ["git", *arguments],
        what=what,
        timeout=timeout,
        stdin=stdin.encode(),
        env={**_environment(), **(env or {})},
    )
