"""Objects in, decisions out: who owns each host and path, what is served, what is said to whom.

Nothing here talks to a cluster or to nginx, so the same objects always give the same decisions.
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from nginx_ingress import annotations as known
from nginx_ingress.model import Backend, Ingress, Key, Path, Snapshot
from nginx_ingress.validation import (
    MOST_OF_NAMESPACE,
    Role,
    as_message,
    errors_in,
    role_of,
    size_of,
)

CONTROLLER = "nginx.org/ingress-controller"
"""What an IngressClass has to name as its controller."""

NORMAL, WARNING = "Normal", "Warning"

Culprit = Key | str
"""What nginx may refuse: an Ingress, or a certificate by the name of its file."""

T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Upstream:
    """A Service's endpoints behind one port (number or name), under a name of nginx's own."""

    name: str
    service: Key
    port: int | str


@dataclass(frozen=True, slots=True)
class Location:
    """One path of a server. ``rewrite`` replaces the matched part; empty leaves paths alone.

    ``redirects`` says whether the service's redirects are to be put right where there is one.
    """

    path: str
    exact: bool
    source: Key
    upstream: Upstream
    rewrite: str = ""
    websocket: bool = False
    directives: tuple[tuple[str, ...], ...] = ()
    headers: known.Headers = ()
    redirects: bool = False


@dataclass(frozen=True, slots=True)
class Tls:
    """How a server does TLS: with the file in the certificates' folder, or, without one, not."""

    file_name: str = ""


@dataclass(frozen=True, slots=True)
class Server:
    """All that is served for one host, on behalf of the Ingress ``source``."""

    host: str
    source: Key
    locations: tuple[Location, ...]
    tls: Tls | None = None
    https: known.Https = field(default_factory=known.Https)


@dataclass(frozen=True, slots=True)
class Message:
    """What an event says: its type, reason and text."""

    type: str
    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class Report:
    """What is to be said about one Ingress.

    ``refusal`` is why it is not served, None if it is; ``warnings`` go with success, ``notes`` go
    to the log alone. ``hosts`` are those whose configuration it is part of. ``displaced`` is the
    text instead of the refusal's for an Ingress that has been served until now. It is time to say
    it again when ``revision`` changes.
    """

    ingress: Ingress
    revision: object
    refusal: Message | None = None
    warnings: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    displaced: str = ""
    notes: tuple[str, ...] = ()

    def message(self, failures: Mapping[str, str]) -> Message:
        """The event's words, given why hosts' configurations could not be applied."""
        if self.refusal:
            return self.refusal
        text = f"Configuration for {self.ingress.key} was added or updated"
        if self.warnings:
            text += f" with warning(s): {'; '.join(self.warnings)}"
        failed = [failures[host] for host in self.hosts if host in failures]
        if failed:
            return _not_applied(text, "; ".join(dict.fromkeys(failed)))
        if self.warnings:
            return Message(WARNING, "AddedOrUpdatedWithWarning", text)
        return Message(NORMAL, "AddedOrUpdated", text)


@dataclass(frozen=True, slots=True)
class Decisions:
    """``servers`` by host; ``reports`` on every Ingress of the class."""

    servers: Mapping[str, Server] = field(default_factory=dict)
    reports: Mapping[Key, Report] = field(default_factory=dict)


def decide(
    snapshot: Snapshot, class_name: str, refused: Mapping[Culprit, str] | None = None
) -> Decisions:
    """Who is served and who is not, among the Ingresses of ``class_name``.

    ``refused`` are those that nginx does not take, with its words.
    """
    return _Round(snapshot, class_name, refused or {}).decisions()


class _Round:
    """One pass over a snapshot."""

    def __init__(self, snapshot: Snapshot, class_name: str, refused: Mapping[Culprit, str]) -> None:
        self._snapshot = snapshot
        self._refused = refused
        self._names = _UpstreamNames()
        self._servers: dict[str, Server] = {}
        self._reports: dict[Key, Report] = {}
        self._ours = [
            ingress
            for ingress in sorted(snapshot.ingresses.values(), key=lambda each: str(each.key))
            if _is_ours(ingress, snapshot, class_name)
        ]

    def decisions(self) -> Decisions:
        claimants: list[Ingress] = []
        minions: dict[str, list[Ingress]] = {}
        for ingress in self._within_limits([each for each in self._ours if self._sound(each)]):
            if role_of(ingress) is Role.MINION:
                minions.setdefault(ingress.rules[0].host, []).append(ingress)
            else:
                claimants.append(ingress)
        owners = _host_owners(claimants)
        for claimant in claimants:
            won = [rule.host for rule in claimant.rules if owners[rule.host] is claimant]
            lost = [
                f"host {rule.host} is taken by another resource"
                for rule in claimant.rules
                if owners[rule.host] is not claimant
            ]
            if not won:
                displaced = f"{claimant.key} was rejected: with warning(s): {'; '.join(lost)}"
                text = "All hosts are taken by other resources"
                self._refuse(claimant, "Rejected", text, displaced)
            elif role_of(claimant) is Role.MASTER:
                members = minions.pop(won[0], [])
                if not self._alone(claimant, partial(self._serve_master, claimant, members)):
                    minions[won[0]] = members
            else:
                self._alone(claimant, partial(self._serve_regular, claimant, won, lost))
        for minion in (each for orphans in minions.values() for each in orphans):
            text = "Ingress master is invalid or doesn't exist"
            self._refuse(minion, "NoIngressMasterFound", text)
        return Decisions(self._servers, self._reports)

    def _sound(self, ingress: Ingress) -> bool:
        """Whether there is nothing against an Ingress itself; if there is, it is refused."""
        if ingress.problem:
            self._refuse(ingress, "Rejected", ingress.problem)
            return False
        errors = self._alone(ingress, lambda: errors_in(ingress))
        if errors:
            self._refuse(ingress, "Rejected", as_message(errors))
        elif errors is not None and ingress.key in self._refused:
            text = f"Configuration for {ingress.key} was added or updated"
            message = _not_applied(text, self._refused[ingress.key])
            self._reports[ingress.key] = Report(ingress, identity_of(ingress), message)
        return ingress.key not in self._reports

    def _within_limits(self, sound: Sequence[Ingress]) -> list[Ingress]:
        """Those that their namespaces have room for, the older ones first; others are refused."""
        taken: Counter[str] = Counter()
        for ingress in oldest_first(sound):
            namespace, size = ingress.key.namespace, size_of(ingress)
            if taken[namespace] + size <= MOST_OF_NAMESPACE:
                taken[namespace] += size
                continue
            text = (
                f"spec.rules: Too many: {size} hosts and paths: with older Ingresses, namespace "
                f"{namespace} would have more than {MOST_OF_NAMESPACE}"
            )
            self._refuse(ingress, "Rejected", text)
        return [each for each in sound if each.key not in self._reports]

    def _alone(self, ingress: Ingress, work: Callable[[], T]) -> T | None:
        """What ``work`` gives; if it fails, whatever the reason, that Ingress alone is refused."""
        try:
            return work()
        except Exception as error:
            log.exception("%s cannot be handled", ingress.key)
            text = f"cannot be handled: {type(error).__name__}: {error}"
            self._refuse(ingress, "Rejected", text)
            return None

    def _refuse(self, ingress: Ingress, reason: str, text: str, displaced: str = "") -> None:
        self._reports[ingress.key] = Report(
            ingress, identity_of(ingress), Message(WARNING, reason, text), displaced=displaced
        )

    def _serve_master(self, master: Ingress, minions: Sequence[Ingress]) -> bool:
        host = master.rules[0].host
        minions = [each for each in minions if self._goes_with(each, master)]
        tls, tls_warnings = self._tls(master, host)
        owners = _path_owners(minions)
        locations: list[Location] = []
        for minion in minions:
            paths = minion.rules[0].paths or ()
            mine = [path for path in paths if owners[_location_of(path)] is minion]
            own = self._alone(minion, partial(self._locations, minion, host, mine, master))
            if own is None:
                continue
            locations += own
            lost = [
                f"path {path} is taken by another resource"
                for path in dict.fromkeys(map(_location_of, paths))
                if owners[path] is not minion
            ]
            revision = (identity_of(minion), own)
            self._accept(minion, revision, (host,), lost, known.MINION_IGNORES)
        https = known.https_of(master.annotations)
        server = Server(host, master.key, tuple(locations), tls, https)
        self._servers[host] = server
        whole = (tuple(identity_of(member) for member in (master, *minions)), server)
        self._accept(master, whole, (host,), tls_warnings, known.MASTER_IGNORES)
        return True

    def _goes_with(self, minion: Ingress, master: Ingress) -> bool:
        """Whether what a minion says goes with what it inherits; if it does not, it is refused."""
        problem = known.buffers_problem(minion.annotations, master.annotations)
        if problem:
            self._refuse(minion, "Rejected", problem)
        return not problem

    def _serve_regular(self, ingress: Ingress, hosts: Sequence[str], lost: Sequence[str]) -> None:
        warnings, servers = list(lost), {}
        for rule in ingress.rules:
            if rule.host not in hosts:
                continue
            paths = list(rule.paths or ())
            if ingress.default_backend and "/" not in map(_location_of, paths):
                paths.append(Path("/", "Prefix", ingress.default_backend))
            tls, tls_warnings = self._tls(ingress, rule.host)
            warnings += tls_warnings
            locations = self._locations(ingress, rule.host, paths)
            https = known.https_of(ingress.annotations)
            servers[rule.host] = Server(rule.host, ingress.key, locations, tls, https)
        self._servers |= servers
        revision = (identity_of(ingress), tuple(servers.values()))
        self._accept(ingress, revision, tuple(hosts), warnings, ())

    def _accept(
        self,
        ingress: Ingress,
        revision: object,
        hosts: tuple[str, ...],
        warnings: Sequence[str],
        denied: Collection[str],
    ) -> None:
        ignored = known.ignored(ingress.annotations, denied)
        note = (
            f"{role_of(ingress).value} {ingress.key} cannot contain the '{','.join(ignored)}' "
            "annotation(s). They will be ignored"
        )
        self._reports[ingress.key] = Report(
            ingress,
            revision,
            warnings=(
                *warnings,
                *(
                    f"annotation {name} is not supported by this controller and has no effect"
                    for name in known.unsupported(ingress.annotations, denied)
                ),
            ),
            hosts=hosts,
            notes=(note,) if ignored else (),
        )

    def _locations(
        self, ingress: Ingress, host: str, paths: Sequence[Path], master: Ingress | None = None
    ) -> tuple[Location, ...]:
        text = ingress.annotations.get(known.REWRITES)
        rewrites = known.rewrite_list(text) if text else {}
        websockets = known.service_list(ingress.annotations.get(known.WEBSOCKETS, ""))
        inherited = master.annotations if master else {}
        directives = known.location_directives(ingress.annotations, inherited)
        headers = known.headers_of(ingress.annotations, inherited)
        redirects = known.is_true(ingress.annotations.get(known.REWRITE_REDIRECTS, "false"))

        def location(path: Path) -> Location:
            upstream = self._names.upstream(ingress.key, host, path.backend)
            return Location(
                path=_location_of(path),
                exact=path.path_type == "Exact",
                source=ingress.key,
                upstream=upstream,
                rewrite=rewrites.get(upstream.service.name, ""),
                websocket=upstream.service.name in websockets,
                directives=directives,
                headers=headers,
                redirects=redirects,
            )

        return tuple(map(location, paths))

    def _tls(self, ingress: Ingress, host: str) -> tuple[Tls | None, list[str]]:
        """TLS for a host that ``spec.tls`` names literally, and what is wrong with its secret."""
        entry = next((each for each in ingress.tls if host in each.hosts), None)
        if entry is None:
            return None, []
        if not entry.secret:
            return Tls(), [f"TLS secret for host {host} is not named"]
        secret = self._snapshot.secrets.get(Key(ingress.key.namespace, entry.secret))
        if secret is None:
            problem = "there is no such secret of type kubernetes.io/tls"
        else:
            problem = secret.problem or self._refused.get(secret.file_name, "")
        if secret is None or problem:
            return Tls(), [f"TLS secret {entry.secret} is invalid: {problem}"]
        return Tls(secret.file_name), []


class _UpstreamNames:
    """Gives each Service behind each Ingress and host a name of its own."""

    def __init__(self) -> None:
        self._taken: dict[str, tuple[object, ...]] = {}

    def upstream(self, ingress: Key, host: str, backend: Backend) -> Upstream:
        service = Key(ingress.namespace, backend.service or "")
        identity = (ingress, host, service, backend.port)
        name = f"{ingress.namespace}-{ingress.name}-{host}-{service.name}-{backend.port}"
        # Names may contain hyphens themselves: "a-b" + "c" must not become "a" + "b-c".
        if self._taken.setdefault(name, identity) != identity:
            name += f"-{hashlib.sha256(repr(identity).encode()).hexdigest()[:8]}"
        return Upstream(name, service, backend.port)


def _not_applied(text: str, why: str) -> Message:
    return Message(WARNING, "AddedOrUpdatedWithError", f"{text}; but was not applied: {why}")


def _is_ours(ingress: Ingress, snapshot: Snapshot, class_name: str) -> bool:
    if ingress.class_name != class_name:
        return False
    ingress_class = snapshot.classes.get(Key("", class_name))
    by_class = ingress_class is not None and ingress_class.controller == CONTROLLER
    return ingress.class_by_annotation or by_class


def identity_of(ingress: Ingress) -> object:
    """What changes when a user changes the Ingress, and not when its status does."""
    annotations = tuple(sorted(ingress.annotations.items()))
    return (ingress.key, ingress.uid, ingress.generation, annotations)


def oldest_first(ingresses: Iterable[Ingress]) -> list[Ingress]:
    """In the order in which they come where two want the same."""
    by_uid = sorted(ingresses, key=lambda each: each.uid, reverse=True)
    return sorted(by_uid, key=lambda each: each.created)


def _senior(candidates: Sequence[Ingress]) -> Ingress:
    """The oldest; of those made in the same second, the one with the largest UID."""
    return oldest_first(candidates)[0]


def _host_owners(claimants: Sequence[Ingress]) -> dict[str, Ingress]:
    claims: dict[str, list[Ingress]] = {}
    for ingress in claimants:
        for rule in ingress.rules:
            claims.setdefault(rule.host, []).append(ingress)
    return {host: _senior(candidates) for host, candidates in claims.items()}


def _location_of(path: Path) -> str:
    """Where nginx looks for a path: no path at all is the same to it as ``/``."""
    return path.path or "/"


def _path_owners(minions: Sequence[Ingress]) -> dict[str, Ingress | None]:
    """Who serves each path, compared as text; nobody does if its owner has it twice."""
    claims: dict[str, list[Ingress]] = {}
    for minion in minions:
        for path in minion.rules[0].paths or ():
            claims.setdefault(_location_of(path), []).append(minion)
    owners = {text: _senior(candidates) for text, candidates in claims.items()}
    return {
        text: owner if sum(each is owner for each in claims[text]) == 1 else None
        for text, owner in owners.items()
    }
