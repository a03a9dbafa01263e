"""What nginx runs, and what it refuses, so that one Ingress's mistake stays that Ingress's."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from nginx_ingress.decisions import Culprit, Decisions, Server, Tls, identity_of, oldest_first
from nginx_ingress.model import Key, Snapshot
from nginx_ingress.nginx import ConfigRefused, Nginx, NginxError
from nginx_ingress.render import Settings, endpoints_of, render_server

log = logging.getLogger(__name__)

MOST_SECOND_TRIALS = 4
"""How many of those that were refused are tried again in one go."""

MOST_REFUSED = 8
"""After how many of a namespace its others are not looked for, but wait until these are mended."""

Decide = Callable[[Mapping[Culprit, str]], Decisions]
"""Decisions, given what nginx refuses and in which words."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it went: ``failures`` says for each host why what it had before goes on.

    ``settled`` is False if trying the same again may help.
    """

    failures: Mapping[str, str] = field(default_factory=dict)
    settled: bool = True


@dataclass(frozen=True, slots=True)
class _Refusal:
    """Why nginx did not take something on ``hosts``, and what it was: changed, it is another thing.

    ``beside`` is what those hosts had without it when it was tried last, None before that is known.
    ``waits`` is said of what has not been tried yet.
    """

    words: str
    identity: object
    hosts: tuple[str, ...]
    beside: object = None
    waits: bool = False


class Applied:
    """Brings nginx to what is decided and remembers what is in force, and what is refused."""

    def __init__(self, nginx: Nginx, settings: Settings) -> None:
        self._nginx = nginx
        self._settings = settings
        self._text: str | None = None
        self._servers: Mapping[str, Server] = {}
        self._refused: dict[Culprit, _Refusal] = {}

    def apply(self, decide: Decide, snapshot: Snapshot) -> tuple[Decisions, Outcome]:
        """Have nginx serve what is decided; leave it alone if that is what it does already.

        What nginx refuses is narrowed down to the Ingresses, or certificates, that it is about.
        These are left out, and decided without, until they or what is beside them change.
        """
        self._forget_what_changed(snapshot)
        decisions = decide(self._words())
        try:
            while not self._taken(decisions.servers, snapshot):
                decisions = decide(self._words())
            waiting = self._worth_a_trial(decisions.servers, snapshot)
            for culprit in waiting[:MOST_SECOND_TRIALS]:
                decisions = self._try_again(culprit, decide, snapshot)
        except NginxError as error:
            log.error("configuration not applied: %s", error)
            wanted = decisions.servers
            changed = [host for host in wanted if wanted[host] != self._servers.get(host)]
            return decisions, Outcome(dict.fromkeys(changed, str(error)), settled=False)
        self._nginx.keep_certificates(_certificates(self._servers))
        return decisions, Outcome(settled=len(waiting) <= MOST_SECOND_TRIALS)

    def _taken(self, servers: Mapping[str, Server], snapshot: Snapshot) -> bool:
        """Whether nginx runs with these; if it refuses, it is known afterwards what it refuses."""
        try:
            self._run(servers, snapshot)
        except ConfigRefused as refusal:
            self._find_culprit(servers, snapshot, str(refusal))
            return False
        return True

    def _run(self, servers: Mapping[str, Server], snapshot: Snapshot) -> None:
        self._add_certificates(servers, snapshot)
        text = self._render(servers, snapshot)
        if text != self._text:
            started = time.monotonic()
            self._nginx.apply(text)
            log.info(
                "nginx serves %d hosts with %d locations; it took %.0f ms",
                len(servers),
                sum(len(server.locations) for server in servers.values()),
                (time.monotonic() - started) * 1000,
            )
        self._text = text
        self._servers = dict(servers)

    def _find_culprit(self, servers: Mapping[str, Server], snapshot: Snapshot, reason: str) -> None:
        """Remember the first member with which nginx refuses, by halving what it may be.

        Members come in the order of their age, so that those that were there stay. The order is
        the same in every process.
        """
        members = _members(servers, snapshot)
        if not members or self._problem({}, snapshot):
            raise NginxError(f"not even without any Ingress: {reason}")
        good, bad = 0, len(members)
        while bad - good > 1:
            middle = (good + bad) // 2
            if problem := self._problem(_only(servers, {*members[:middle]}), snapshot):
                bad, reason = middle, problem
            else:
                good = middle
        culprit = members[bad - 1]
        log.error("nginx refuses %s: %s", culprit, reason)
        without = _only(servers, {*members} - {culprit})
        hosts = tuple(host for host in servers if servers[host] != without.get(host))
        self._refused[culprit] = _Refusal(reason, _identity(culprit, snapshot), hosts)
        if self._has_many_refused(_namespace(culprit)):
            self._have_wait(_namespace(culprit), servers, snapshot)

    def _has_many_refused(self, namespace: str) -> bool:
        found = (each for each, refusal in self._refused.items() if not refusal.waits)
        return bool(namespace) and [*map(_namespace, found)].count(namespace) >= MOST_REFUSED

    def _have_wait(self, namespace: str, servers: Mapping[str, Server], snapshot: Snapshot) -> None:
        """Leave out what a namespace has that is not served yet: each part may take a search."""
        words = f"{MOST_REFUSED} others of namespace {namespace} are refused, and have to be mended"
        wanted, served = _parts(servers), _parts(self._servers)
        for key in wanted:
            if key.namespace == namespace and wanted[key] != served.get(key):
                waiting = _Refusal(words, _identity(key, snapshot), (), waits=True)
                self._refused.setdefault(key, waiting)

    def _problem(self, servers: Mapping[str, Server], snapshot: Snapshot) -> str:
        """Why nginx would not take these, or nothing."""
        try:
            return self._nginx.test(self._render(servers, snapshot))
        except ConfigRefused as refusal:
            return str(refusal)

    def _worth_a_trial(self, servers: Mapping[str, Server], snapshot: Snapshot) -> list[Culprit]:
        """Those that may have been refused for what was beside them, as that has changed since."""
        waiting = []
        for culprit, refusal in self._refused.items():
            beside = _beside(refusal.hosts, servers, snapshot)
            if refusal.beside is None:
                self._refused[culprit] = replace(refusal, beside=beside)
            elif refusal.beside != beside:
                waiting.append(culprit)
        return waiting

    def _try_again(self, culprit: Culprit, decide: Decide, snapshot: Snapshot) -> Decisions:
        """Serve something that was refused if nginx takes it by now."""
        refusal = self._refused.pop(culprit)
        decisions = decide(self._words())
        self._add_certificates(decisions.servers, snapshot)
        if problem := self._problem(decisions.servers, snapshot):
            self._refused[culprit] = replace(refusal, words=problem, beside=None)
            decisions = decide(self._words())
            self._worth_a_trial(decisions.servers, snapshot)
        else:
            log.info("nginx takes %s by now", culprit)
            self._run(decisions.servers, snapshot)
        return decisions

    def _words(self) -> dict[Culprit, str]:
        return {culprit: refusal.words for culprit, refusal in self._refused.items()}

    def _forget_what_changed(self, snapshot: Snapshot) -> None:
        self._refused = {
            culprit: refusal
            for culprit, refusal in self._refused.items()
            if _identity(culprit, snapshot) == refusal.identity
        }
        self._refused = {
            culprit: refusal
            for culprit, refusal in self._refused.items()
            if not refusal.waits or self._has_many_refused(_namespace(culprit))
        }

    def _add_certificates(self, servers: Mapping[str, Server], snapshot: Snapshot) -> None:
        names = _certificates(servers)
        pems = {secret.file_name: secret.pem for secret in snapshot.secrets.values()}
        self._nginx.add_certificates({name: pem for name, pem in pems.items() if name in names})

    def _render(self, servers: Mapping[str, Server], snapshot: Snapshot) -> str:
        """nginx's text; if none can be made, that is as if nginx had refused it."""
        endpoints = endpoints_of(snapshot.slices.values())
        try:
            text = "\n".join(
                render_server(server, snapshot, endpoints, self._settings)
                for _, server in sorted(servers.items())
            )
            text.encode()
        except Exception as error:
            raise ConfigRefused(f"cannot be written: {type(error).__name__}: {error}") from error
        return text


def _certificates(servers: Mapping[str, Server]) -> set[str]:
    return {server.tls.file_name for server in servers.values() if server.tls} - {""}


def _members(servers: Mapping[str, Server], snapshot: Snapshot) -> list[Culprit]:
    """What servers are made of: those that have hosts, then certificates, then minions.

    Of each kind the older comes first, as it does where two want the same.
    """

    def aged(keys: Collection[Key]) -> list[Key]:
        return [each.key for each in oldest_first(snapshot.ingresses[key] for key in keys)]

    owners = {server.source for server in servers.values()}
    sources = {each.source for server in servers.values() for each in server.locations}
    return [*aged(owners), *sorted(_certificates(servers)), *aged(sources - owners)]


def _namespace(culprit: Culprit) -> str:
    """Whose Ingress it is; a certificate may be that of several."""
    return culprit.namespace if isinstance(culprit, Key) else ""


def _parts(servers: Mapping[str, Server]) -> dict[Key, list[object]]:
    """What each Ingress has of servers."""
    found: dict[Key, list[object]] = {}
    for host, server in servers.items():
        found.setdefault(server.source, []).append((host, server.tls, server.https))
        for each in server.locations:
            found.setdefault(each.source, []).append((host, each))
    return found


def _only(servers: Mapping[str, Server], members: Collection[Culprit]) -> dict[str, Server]:
    """What is left of servers with these members alone."""
    return {
        host: replace(
            server,
            locations=tuple(each for each in server.locations if each.source in members),
            tls=Tls() if server.tls and server.tls.file_name not in members else server.tls,
        )
        for host, server in servers.items()
        if server.source in members
    }


def _identity(culprit: Culprit, snapshot: Snapshot) -> object:
    """What changes with an Ingress; a certificate is another one when it is changed."""
    if isinstance(culprit, Key):
        ingress = snapshot.ingresses.get(culprit)
        return ingress and identity_of(ingress)
    return any(secret.file_name == culprit for secret in snapshot.secrets.values())


def _beside(
    hosts: Sequence[str], servers: Mapping[str, Server], snapshot: Snapshot
) -> Sequence[object]:
    """What hosts have, and the Ingresses by which they have it."""
    found = [servers[host] for host in hosts if host in servers]
    return [(server, _identity(server.source, snapshot)) for server in found]
