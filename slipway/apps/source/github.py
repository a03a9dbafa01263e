"""Deploy keys of GitHub: made for one use of a repository and removed after it.

The three calls are those of https://docs.github.com/rest/deploy-keys.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from slipway.errors import Problem, SlipwayError
from slipway.interrupts import also_when_ended

API = "https://api.github.com"

API_VERSION = "2022-11-28"

ANSWER_SECONDS = 15.0
"""How long the API may take for one call."""

TITLE = re.compile(r"slipway-(?P<machine>.+)-(?P<process>\d+)-[0-9a-f]{8}")
"""What keys of Slipway are called: the machine and the process that use them."""

LONGEST_USE = timedelta(hours=1)
"""After this time nobody uses a key any more."""

_FIX = "the token needs the right to administer the repository (Administration: write)"


@dataclass(frozen=True)
class Repository:
    """A repository of GitHub, and the token that may manage its deploy keys."""

    owner: str
    name: str
    token: str = field(repr=False)
    api: str = API

    @contextmanager
    def deploy_key(self) -> Iterator[str]:
        """The private half of a key that may read the repository as long as this is open.

        Keys that a broken run left are removed first. Raises SlipwayError.
        """
        self._remove_left_over()
        private, public = _key_pair()
        title = f"slipway-{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        wanted = {"title": title, "key": public, "read_only": True}
        made = self._call("POST", "/keys", wanted)
        with also_when_ended(lambda: self._remove(made["id"])):
            yield private

    def _remove_left_over(self) -> None:
        for page in range(1, 100):
            keys = self._call("GET", f"/keys?per_page=100&page={page}")
            for key in keys:
                if key["title"].startswith("slipway-") and not _is_in_use(key):
                    self._remove(key["id"])
            if len(keys) < 100:
                break

    def _remove(self, key: int) -> None:
        try:
            self._call("DELETE", f"/keys/{key}")
        except _NotThere:
            return  # someone else was faster

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """What the API answers to a call about the repository; raises SlipwayError."""
        url = f"{self.api.rstrip('/')}/repos/{self.owner}/{self.name}{path}"
        request = urllib.request.Request(
            url,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Accept": "application/vnd.github+json",
                "Authorization": f"Bearer {self.token}",
                "Content-Type": "application/json",
                "User-Agent": "slipway",
                "X-GitHub-Api-Version": API_VERSION,
            },
        )
        what = f"{method} {url}"
        try:
            with _OPENER.open(request, timeout=ANSWER_SECONDS) as response:
                return json.load(response) if response.status != 204 else None
        except urllib.error.HTTPError as error:
            with error:
                said = f"HTTP status {error.code}: {_message(error)}"
            fix = _FIX if error.code in (401, 403, 404) else ""
            kind = _NotThere if error.code == 404 else SlipwayError
            raise kind(Problem(what, said, fix)) from error
        except (OSError, ValueError) as error:
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            fix = "see whether this machine reaches slipway_github_api"
            raise SlipwayError(Problem(what, f"does not answer: {reason}", fix)) from error


class _NotThere(SlipwayError):
    """The API knows no such thing, or does not tell this token about it."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A token is for the address that it was given for, and for no other."""

    def redirect_request(self, *_: Any) -> None:
        """Follow nothing: the redirect becomes an HTTPError."""


_OPENER = urllib.request.build_opener(_NoRedirects)


def repository_of(url: str) -> tuple[str, str] | None:
    """Owner and name in an ssh URL (``git@github.com:owner/name.git``); None without them."""
    match = re.search(r"[:/]([\w.-]+)/([\w.-]+?)(?:\.git)?/?$", url)
    return (match[1], match[2]) if match else None


def _key_pair() -> tuple[str, str]:
    """A new private key and its public half, both as OpenSSH writes them."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return private.decode(), public.decode()


def _is_in_use(key: Mapping[str, Any]) -> bool:
    """Whether a run that still goes on, here or on another machine, made the key."""
    title = TITLE.fullmatch(key["title"])
    if title is None:
        return False
    if title["machine"] == socket.gethostname():
        return Path("/proc", title["process"]).exists()
    try:
        made = datetime.fromisoformat(key["created_at"])
        return datetime.now(UTC) - made < LONGEST_USE
    except (KeyError, TypeError, ValueError):
        return False


def _message(error: urllib.error.HTTPError) -> str:
    """What the API says about a call that it refuses."""
    try:
        said = json.load(error)
        details = [each.get("message", "") for each in said.get("errors", ())]
        return "; ".join(filter(None, [said["message"], *details]))
    except (AttributeError, KeyError, TypeError, ValueError):
        return str(error.reason)
