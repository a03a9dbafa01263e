"""Where an app's source comes from and how its image is built."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from slipway.apps.places import Finding, Places, plain, texts
from slipway.apps.plan.secret_names import unknown_secrets

_URL_SECRET = re.compile(r"^[a-z+]+://[^/@\s:]*:[^/@\s]+@", re.IGNORECASE)
_HAS_HOST = re.compile(r"^(?:[a-z+]+://|[^/]+:)", re.IGNORECASE)
"""A URL, or ``host:path`` as ssh has it; anything else is a path."""

_HTTPS = re.compile(r"^https?://", re.IGNORECASE)


def mistakes(
    places: Places, app: Mapping[str, Any], secrets: Collection[str] | None
) -> Iterator[Finding]:
    """What is wrong with an app's repository, and with how it is reached."""
    url = app.get("git_url")
    if url is None:
        fix = "add git_url to the app or to the defaults"
        yield places.finding((), "lacks the key git_url", fix)
    elif _URL_SECRET.match(url):
        fix = "take it out; put it into slipway_secrets and name it: git_auth: {token: ...}"
        yield places.finding(("git_url",), "holds a password", fix)
    else:
        yield from _auth_mistakes(places, app.get("git_auth", {}), url)
    for key in ("token", "ssh_key", "github_deploy_key"):
        if name := app.get("git_auth", {}).get(key):
            yield from unknown_secrets(places, ("git_auth", key), name, secrets)
    build = app.get("build")
    for tool, options in build.items() if isinstance(build, Mapping) else ():
        for key, name in options.get("secrets", {}).items():
            yield from unknown_secrets(places, ("build", tool, "secrets", key), name, secrets)


def _auth_mistakes(places: Places, auth: Mapping[str, Any], url: str) -> Iterator[Finding]:
    wants_https = "token" in auth
    if auth and wants_https != bool(_HTTPS.match(url)):
        [key] = [key for key in ("token", "ssh_key", "github_deploy_key") if key in auth]
        scheme = "https://" if wants_https else "ssh:// or user@host:path"
        yield places.finding(
            ("git_auth", key),
            f"does not go with git_url {url}",
            f"write a git_url that begins with {scheme}, or choose another git_auth",
        )


def record(app: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The part of the record that says where the source is and how it is built."""
    auth = app.get("git_auth")
    return {
        "git_url": _absolute(app["git_url"], folder),
        "git_auth": plain(auth) if auth else None,
        "build": _build(app.get("build")),
        "base_image": _base_image(app.get("base_image")),
    }


def _absolute(git_url: str, folder: Path) -> str:
    """A relative path seen from ``folder``; a URL and an absolute path as they are."""
    return git_url if _HAS_HOST.match(git_url) else str((folder / git_url).resolve())


def _build(given: str | Mapping[str, Any] | None) -> dict[str, Any]:
    """The builder under ``tool`` (None: to be found out) and its options beside it."""
    if given is None or isinstance(given, str):
        return {"tool": given}
    [(tool, options)] = plain(given).items()
    options = plain(options)
    if tool == "buildx":
        options["args"] = texts(options.get("args", {}))
    return {"tool": tool, **options}


def _base_image(given: str | Mapping[str, str] | None) -> dict[str, str]:
    """The base image that the user names for each builder."""
    if given is None:
        return {}
    return {"jib": given, "buildx": given} if isinstance(given, str) else plain(given)
