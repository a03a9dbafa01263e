"""Where an app's source comes from and how its image is built."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from slipway.apps.names import BUNDLE_HOST
from slipway.apps.plan import branches, schema
from slipway.apps.plan.places import Finding, Places, plain
from slipway.apps.plan.secret_names import unknown_secrets
from slipway.apps.plan.yaml_lines import Place
from slipway.apps.source.github import repository_of

_HAS_HOST = re.compile(r"^(?:[a-z+]+://|[^/]+:)", re.IGNORECASE)
"""A URL, or ``host:path`` as ssh has it; anything else is a path."""

_HTTPS = re.compile(
    r"^(?:https://|http://(?:localhost|127(?:\.\d+){3}|\[::1\])[:/])", re.IGNORECASE
)
"""Where a token may go: nobody on the way can read it."""

_KINDS = ("token", "ssh_key", "github_deploy_key")

_GOES_WITH = {"user": ("token",), "known_hosts": ("ssh_key", "github_deploy_key")}
"""What else ``git_auth`` may have, with the kinds that it is for."""

_KNOWN_HOST = re.compile(r"\s*(?:#|$|(?:@\S+\s+)?\S+\s+[a-z]\S*\s+AAAA\S+)")
"""A line of a known_hosts file (sshd(8)); every public key begins with AAAA."""


def mistakes(
    places: Places, app: Mapping[str, Any], secrets: Collection[str] | None
) -> Iterator[Finding]:
    """What is wrong with an app's repository, and with how it is reached."""
    url = app.get("git_url")
    if "image" in app:
        yield from _image_mistakes(places, app)
    elif url is None:
        fix = "add git_url to the app or to the defaults, or image if it is of an image"
        yield places.finding((), "lacks the key git_url", fix)
    if url is not None:
        yield from _auth_mistakes(places, app.get("git_auth", {}), url)
    for key in _KINDS:
        if name := app.get("git_auth", {}).get(key):
            yield from unknown_secrets(places, ("git_auth", key), name, app["name"], secrets)
    for host, login in app.get("registry_auth", {}).items():
        setting: Place = ("registry_auth", host, "password")
        yield from unknown_secrets(places, setting, login["password"], app["name"], secrets)
    build = app.get("build")
    for tool, options in plain(build).items() if isinstance(build, Mapping) else ():
        for key, name in options.get("secrets", {}).items():
            yield from unknown_secrets(
                places, ("build", tool, "secrets", key), name, app["name"], secrets
            )


def _image_mistakes(places: Places, app: Mapping[str, Any]) -> Iterator[Finding]:
    """What has no meaning for an app of an image, or wants a repository and has none."""
    for key in ("build", "base_image"):
        if key in app:
            yield places.finding((key,), "has no meaning with image", "remove one of the two")
    if app["image"].startswith(BUNDLE_HOST):
        what = f"{app['image']} is to build on, and no image of a registry"
        yield places.finding(("image",), what, "name an image of a registry")
    if "git_url" in app:
        return
    fix = "remove it, or add the git_url of a repository"
    for key in ("git_path", "git_auth", "git_submodules", "repository_settings"):
        if app.get(key):
            yield places.finding((key,), "needs a repository", fix)
    if branches.is_pattern(app["git_branch"]):
        what = "a pattern needs a repository whose branches it stands for"
        yield places.finding(("git_branch",), what, "write a name, or add git_url")
    for key in ("config_files", "manifests", "helm"):
        for number, entry in enumerate(app.get(key, ())):
            if "source" in entry:
                what = f"{entry['source']} is to come from a repository, and there is none"
                fix = "write file or content, or add the git_url of the repository"
                yield places.finding((key, number, "source"), what, fix)


def _auth_mistakes(places: Places, auth: Mapping[str, Any], url: str) -> Iterator[Finding]:
    """What does not go together in the way to a repository."""
    kind = next((key for key in _KINDS if key in auth), None)
    if kind is None:
        return
    if (kind == "token") != bool(_HTTPS.match(url)):
        scheme = "https://" if kind == "token" else "ssh:// or user@host:path"
        yield places.finding(
            ("git_auth", kind),
            f"does not go with git_url {url}",
            f"write a git_url that begins with {scheme}, or choose another git_auth",
        )
    elif kind == "github_deploy_key" and repository_of(url) is None:
        fix = "write a git_url such as git@github.com:owner/repository.git"
        yield places.finding(("git_auth", kind), f"needs owner and repository, {url} has none", fix)
    for key in auth.keys() & _GOES_WITH.keys():
        if kind not in _GOES_WITH[key]:
            fix = f"remove it, or name {' or '.join(_GOES_WITH[key])}"
            yield places.finding(("git_auth", key), f"has no meaning with {kind}", fix)
    lines = auth.get("known_hosts", "").splitlines()
    if not all(_KNOWN_HOST.match(line) for line in lines):
        fix = "write lines as ssh-keyscan prints them: host, type of key, key"
        yield places.finding(("git_auth", "known_hosts"), "is not as in a known_hosts file", fix)


def settings_of(app: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The settings of an App that say where the source is and how it is built."""
    auth = app.get("git_auth")
    return {
        "git_url": _absolute(app["git_url"], folder) if "git_url" in app else "",
        "git_auth": plain(auth) if auth else None,
        "git_submodules": [str(url) for url in app.get("git_submodules", [])],
        "git_path": posixpath.normpath(app.get("git_path", schema.default("git_path"))),
        "build": _build(app.get("build")) if "image" not in app else _image(app["image"]),
        "base_image": _base_image(app.get("base_image")),
        "registry_auth": {
            host: plain(login) for host, login in app.get("registry_auth", {}).items()
        },
    }


def _absolute(git_url: str, folder: Path) -> str:
    """A relative path seen from ``folder``; a URL and an absolute path as they are."""
    return git_url if _HAS_HOST.match(git_url) else str((folder / git_url).resolve())


def _build(given: str | Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The builder under ``tool`` and its options beside it; None if it is to be found out."""
    if given is None:
        return None
    if isinstance(given, str):
        return {"tool": given}
    [(tool, options)] = plain(given).items()
    return {"tool": tool, **plain(options)}


def _image(ref: str) -> dict[str, str]:
    """An image by its reference as a builder with its options."""
    return {"tool": "image", "ref": ref}


def _base_image(given: str | Mapping[str, str] | None) -> dict[str, str]:
    """The base image that the user names for each builder."""
    if given is None:
        return {}
    return {"jib": given, "buildx": given} if isinstance(given, str) else plain(given)
