"""What git is let in with: a token, an SSH key, or a deploy key made for the occasion.

A secret is handed over in memory: a file that has no name and is gone with this process. Git and
ssh get its place below ``/proc``, which only this user may open. So nothing secret is in an
argument, in the environment, on a disk or in git's configuration.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from slipway.apps.app import GitAuth
from slipway.apps.source import github
from slipway.errors import Problem, SlipwayError
from slipway.secrets import Secrets, in_memory

USER = "x-access-token"
"""The user name that goes with a token when none is given; GitHub and GitLab take any."""

GITHUB_HOST_KEY = (
    "github.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
)
"""As https://docs.github.com/authentication/keeping-your-account-and-data-secure/githubs-ssh-key-fingerprints
has it."""

_LOCAL = re.compile(r"^(?:localhost|127(?:\.\d+){3}|::1)$")


@dataclass(frozen=True)
class Access:
    """The way to one repository: variables of git's environment, none of them secret.

    ``token`` and ``key`` name the secret that git is let in with.
    """

    env: Mapping[str, str] = field(default_factory=dict)
    token: str = ""
    key: str = ""

    def explained(self, error: SlipwayError, url: str) -> SlipwayError:
        """The error with the way to mend it, where git's words tell it."""
        return SlipwayError(
            replace(problem, fix=problem.fix or _fix(problem.what, url, self))
            for problem in error.problems
        )


OPEN = Access()
"""Git as its user has set it up, with the user's own configuration, helpers and ssh agent."""


@dataclass(frozen=True)
class Keys:
    """What opens repositories: the secrets, and where GitHub's API is."""

    secrets: Secrets = field(default_factory=lambda: Secrets({}))
    github_api: str = github.API

    @contextmanager
    def access(self, url: str, auth: GitAuth | None) -> Iterator[Access]:
        """The way to a repository as long as this is open.

        Raises SlipwayError, as when ``auth`` names a secret that is not there; the text of what
        is raised in the block has every secret masked.
        """
        try:
            with ExitStack() as stack:
                yield self._access(url, auth, stack) if auth else OPEN
        except SlipwayError as error:
            raise SlipwayError(
                _redacted(problem, self.secrets) for problem in error.problems
            ) from None

    def _access(self, url: str, auth: GitAuth, stack: ExitStack) -> Access:
        if auth.token:
            env = _token(url, auth.user or USER, self._line(auth.token), stack)
            return Access(env, token=auth.token)
        if auth.ssh_key:
            key = self._secret(auth.ssh_key)
            return Access(_ssh(key, _known_hosts(url, auth), stack), key=auth.ssh_key)
        name = auth.github_deploy_key or ""
        place = github.repository_of(url)
        if place is None:
            fix = "write it as git@github.com:owner/repository.git"
            raise SlipwayError(Problem(url, "does not name a repository of GitHub", fix))
        repository = github.Repository(*place, token=self._line(name), api=self.github_api)
        key = stack.enter_context(repository.deploy_key())
        return Access(_ssh(key, _known_hosts(url, auth), stack), key=name)

    def _secret(self, name: str) -> str:
        if not self.secrets.get(name, "").strip():
            fix = f"add {name} to slipway_secrets in the vault"
            raise SlipwayError(Problem(f"secret {name}", "is not there or is empty", fix))
        return self.secrets[name].strip() + "\n"

    def _line(self, name: str) -> str:
        """A secret that is one line, as a token is."""
        line = self._secret(name).removesuffix("\n")
        if "\n" in line:
            fix = "store the token alone"
            raise SlipwayError(Problem(f"secret {name}", "has more than one line", fix))
        return line


def _token(url: str, user: str, token: str, stack: ExitStack) -> dict[str, str]:
    """Have git take user and token for the URL's server, and for no other."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not _LOCAL.match(parts.hostname or ""):
        fix = "write a git_url that begins with https://"
        raise SlipwayError(Problem(url, "would carry the token readable by everybody", fix))
    server = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    file = in_memory(f"username={user}\npassword={token}\n", stack)
    # The empty helper keeps those of the user's configuration from storing the token.
    helpers = ["", f"!cat {file} #"]
    before = int(os.environ.get("GIT_CONFIG_COUNT", "0"))
    env = {"GIT_CONFIG_COUNT": str(before + len(helpers))}
    for at, helper in enumerate(helpers, before):
        env |= {f"GIT_CONFIG_KEY_{at}": f"credential.{server}.helper"}
        env |= {f"GIT_CONFIG_VALUE_{at}": helper}
    return env


def _ssh(key: str, known_hosts: str, stack: ExitStack) -> dict[str, str]:
    """Have ssh use this key alone, for servers that are known."""
    options = {
        "BatchMode": "yes",
        "ConnectTimeout": "10",
        # A connection that is open already was made with another key.
        "ControlMaster": "no",
        "ControlPath": "none",
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "IdentityFile": in_memory(key, stack),
        "StrictHostKeyChecking": "yes",
        "UpdateHostKeys": "no",
    }
    if known_hosts:
        options |= {
            "GlobalKnownHostsFile": "none",
            "UserKnownHostsFile": in_memory(known_hosts, stack),
        }
    ssh = os.environ.get("GIT_SSH_COMMAND", "ssh -F none")
    given = " ".join(f"-o {shlex.quote(f'{name}={value}')}" for name, value in options.items())
    return {"GIT_SSH_COMMAND": f"{ssh} {given}"}


def _known_hosts(url: str, auth: GitAuth) -> str:
    """Lines of a known_hosts file; empty for those of the user."""
    given = auth.known_hosts or (GITHUB_HOST_KEY if _host(url)[0] == "github.com" else "")
    return f"{given.rstrip()}\n" if given else ""


def _host(url: str) -> tuple[str, int | None]:
    """The server of a URL or of ``user@host:path``, and its port if it is named."""
    parts = urlsplit(url)
    if parts.hostname is None:
        return url.partition(":")[0].rpartition("@")[2], None
    return parts.hostname, parts.port


def _redacted(problem: Problem, secrets: Secrets) -> Problem:
    return replace(problem, what=secrets.redact(problem.what), fix=secrets.redact(problem.fix))


def _fix(said: str, url: str, access: Access) -> str:
    """What to do about a refusal, by the words of git and ssh."""
    if "HOST IDENTIFICATION HAS CHANGED" in said:
        return (
            "the server shows another key than the known one; if its owner says that it changed, "
            f"replace it in git_auth.known_hosts or in ~/.ssh/known_hosts ({_scan(url)})"
        )
    if "Host key verification failed" in said:
        return (
            f"add the server's key to git_auth.known_hosts or to ~/.ssh/known_hosts: {_scan(url)} "
            "prints it; compare it with what the server's owner publishes"
        )
    if re.search(r'Load key ".*": ', said):
        return f"put a private key without a passphrase, with all its lines, into {access.key}"
    if "Permission denied (" in said:
        if access.key:
            return f"let the key of the secret {access.key} read the repository, as a deploy key"
        return "name the secret that has a key for it: git_auth: {ssh_key: ...}"
    if re.search(r"Authentication failed|could not read Username|HTTP Basic: Access denied", said):
        if access.token:
            return f"put a token that may read the repository into the secret {access.token}"
        return "name the secret that has a token for it: git_auth: {token: ...}"
    return ""


def _scan(url: str) -> str:
    """The command that prints the public keys of a repository's server."""
    host, port = _host(url)
    return f"ssh-keyscan -p {port} {host}" if port else f"ssh-keyscan {host}"
