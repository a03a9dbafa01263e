"""Submodules of a repository, which whoever can push to it chooses.

A ``.gitmodules`` may name any address. So a submodule comes with the access of its repository only
from there itself and from what apps.yml grants to the app; from elsewhere it comes as to anybody,
without the user's keys and passwords. A repository on this machine may have others of this machine
as submodules, but no mirror of another repository.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from slipway.apps.source.commands import SOUND, git, local_path
from slipway.apps.source.git_auth import Access
from slipway.errors import Problem, SlipwayError

MOST_DEPTH = 10
"""How many submodules may be in one another."""

OVER_A_NETWORK = "git:http:https:ssh"
ANYBODY = "git:http:https"
"""The protocols that git may use, as gitprotocol names them: those that need no key."""


@dataclass(frozen=True)
class Granted:
    """What submodules may come from: the repository ``url``, by its ``access``.

    ``others`` are the addresses that apps.yml grants beside it, and ``cache`` is where no
    submodule comes from.
    """

    url: str
    access: Access
    others: Sequence[str]
    cache: Path

    @contextmanager
    def environment(self, url: str, where: str) -> Iterator[Mapping[str, str]]:
        """The environment in which git brings a submodule over; SlipwayError if it must not."""
        local = local_path(url)
        if local is not None:
            if not local.is_absolute() or not (self._has(url) or local_path(self.url) is not None):
                raise SlipwayError(self._refused(url, where, "is a path of this machine"))
            if local.resolve().is_relative_to(self.cache.resolve()):
                fix = "take it from where its own repository is"
                raise SlipwayError(Problem(where, f"{url} is in Slipway's own cache", fix))
            yield {**self.access.env, "GIT_ALLOW_PROTOCOL": f"file:{OVER_A_NETWORK}"}
        elif self._has(url):
            yield {**self.access.env, "GIT_ALLOW_PROTOCOL": OVER_A_NETWORK}
        else:
            with tempfile.TemporaryDirectory() as home:
                yield as_anybody(Path(home))

    def explained(self, error: SlipwayError, url: str) -> SlipwayError:
        """The error with the way to mend it, where the submodule came without the access."""
        if self._has(url):
            return self.access.explained(error, url)
        return SlipwayError(replace(each, fix=each.fix or _grant(url)) for each in error.problems)

    def _has(self, url: str) -> bool:
        return _plain(url) in {_plain(each) for each in (self.url, *self.others)}

    def _refused(self, url: str, where: str, why: str) -> Problem:
        return Problem(
            where, f"{url} {why}, from which no submodule of {self.url} comes", _grant(url)
        )


def _grant(url: str) -> str:
    return f"if the app is to have it, add it in apps.yml: git_submodules: [{url}]"


def lay_out(tree: Path, granted: Granted, depth: int = 1) -> None:
    """Bring over the submodules of a work tree, and theirs; raises SlipwayError."""
    git("-C", tree, "submodule", "--quiet", "init", what=granted.url)
    for name, path in _registered(tree, granted.url).items():
        where = f"submodule {name} of {granted.url}"
        if depth == MOST_DEPTH:
            raise SlipwayError(Problem(where, f"is more than {MOST_DEPTH} submodules deep"))
        key = f"submodule.{name}.url"
        url = git("-C", tree, "config", "--get", key, what=where).removesuffix("\n")
        update = ("submodule", "--quiet", "update", "--", path)
        with granted.environment(url, where) as env:
            try:
                git("-C", tree, *SOUND, *update, what=where, env=env)
            except SlipwayError as error:
                raise granted.explained(error, url) from error
        if (tree / path / ".gitmodules").exists():
            lay_out(tree / path, granted, depth + 1)


def _registered(tree: Path, where: str) -> dict[str, str]:
    """The submodules that a commit really has: the path of each by its name."""
    asked = ("config", "--blob", "HEAD:.gitmodules", "--null", "--get-regexp", r"\.path$")
    listed = git("-C", tree, *asked, what=where)
    pairs = (entry.split("\n", 1) for entry in listed.split("\0") if "\n" in entry)
    paths = {key.removeprefix("submodule.").removesuffix(".path"): value for key, value in pairs}
    links = git("-C", tree, "ls-files", "--stage", "-z", what=where).split("\0")
    there = {entry.split("\t", 1)[1] for entry in links if entry.startswith("160000 ")}
    if unknown := sorted(there - {*paths.values()}):
        raise SlipwayError(Problem(where, f".gitmodules has no submodule at {', '.join(unknown)}"))
    return {name: path for name, path in paths.items() if path in there}


def as_anybody(home: Path) -> dict[str, str]:
    """The environment in which git has no key and no password of the user's.

    Proxies and certificates of the user's configuration still hold; ``home`` is an empty folder,
    as curl looks for passwords in that of the user.
    """
    at = int(os.environ.get("GIT_CONFIG_COUNT", "0"))
    own = [Path.home() / ".gitconfig", _config_home() / "git" / "config"]
    configured = next((path for path in own if path.exists()), None)
    return {
        "GIT_ALLOW_PROTOCOL": ANYBODY,
        "GIT_CONFIG_COUNT": str(at + 1),
        # Without a value, it makes git forget the helpers before it.
        f"GIT_CONFIG_KEY_{at}": "credential.helper",
        f"GIT_CONFIG_VALUE_{at}": "",
        "GIT_CONFIG_GLOBAL": os.environ.get("GIT_CONFIG_GLOBAL", str(configured or os.devnull)),
        "HOME": str(home),
        "SSH_AUTH_SOCK": "",
    }


def _config_home() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")


def _plain(url: str) -> str:
    """A URL without what makes no other repository of it."""
    return url.rstrip("/").removesuffix(".git")
