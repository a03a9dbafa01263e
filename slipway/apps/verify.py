"""Ask every route the way a user does, through the ingress, and say what answered.

A host with a certificate is asked over TLS, with its name in the handshake, and has to prove
itself by what its users trust: the root of the local authority, or this machine's roots and the
chain that its own certificate came with. Over plain HTTP it has to send clients on to HTTPS.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import urllib3

from slipway.apps.app import App, HostCertificate, Sourced
from slipway.apps.boundary import tried
from slipway.apps.deploy.tls import own_pairs
from slipway.apps.manifests.labels import (
    COMMIT,
    HELD_FROM,
    OWN_SELECTOR,
    ROUTES_NAMESPACE,
    is_app,
    owner_of,
)
from slipway.apps.manifests.routes import MERGEABLE, hosts, tls_of, url
from slipway.certificates import Authority, chain
from slipway.control_node import localhost
from slipway.control_node.localhost import NO_PORTS, Ports
from slipway.errors import Problem, SlipwayError
from slipway.kube.client import DEPLOYMENTS, INGRESSES, Kube, system_reason
from slipway.kube.objects import grouped
from slipway.text import aligned, shortened
from slipway.waiting import allowed

STEP = "verify"
"""What a failure of this step is noted under."""

WORKERS = 16
"""Routes that are asked at the same time."""

RETRY_SECONDS = 0.25
"""Pause before a route is asked again: the ingress needs a moment to learn of new pods."""

ASK_SECONDS = {"connect": 2.0, "read": 10.0}
BODY_BYTES = 1 << 20
"""How much of an answer is read for what is expected in it."""

BODY_SECONDS = 10.0
"""How long it is read: some answers have no end."""

HTTPS_PORT = 443
REDIRECTS = (301, 302, 303, 307, 308)

ANSWER_WIDTH = 60
"""How many characters of an answer are shown."""

COLUMNS = ("APP", "BRANCH", "COMMIT", "NAMESPACE", "URL", "ANSWER")


@dataclass(frozen=True)
class Route:
    """One path of an app, and the address that it is to answer at (``ip`` or ``ip:port``).

    ``url`` is it as a user types it. ``trust`` is what its certificate has to be proved by; None
    for a host without one. Over TLS it is asked at ``tls_port``.
    """

    app_id: str
    url: str
    address: str
    tls_port: int
    host: str
    path: str
    expect: str | None
    trust: ssl.SSLContext | None


@dataclass(frozen=True)
class Answer:
    """What a route said: ``text`` in one short line, ``problem`` empty if that is right."""

    text: str
    problem: str


@dataclass(frozen=True)
class Proof:
    """The apps with their failures, the table of all routes, and where each host is."""

    apps: list[App]
    table: list[str]
    addresses: dict[str, str]
    """By host; empty for one that no ingress controller serves."""

    def problems(self) -> list[Problem]:
        """Why apps failed, at whatever step."""
        return [
            Problem(f"{app.label}, {app.failed.step}", app.failed.reason)
            for app in self.apps
            if app.failed
        ]


def prove(
    kube: Kube,
    apps: Iterable[App],
    *,
    secrets: Mapping[str, str],
    ca_dir: Path,
    address: str | None,
    seconds: float,
    ports: Ports = NO_PORTS,
) -> Proof:
    """Ask all routes at once, each until it answers right or ``seconds`` have passed.

    ``address`` is where the ingress listens; without it, each host's master Ingress tells, but for
    the hosts that are asked at ``ports`` of this machine. An app
    that failed before is asked once, to show what serves in its stead; one that is held at an older
    version may say what that says. Of one without a source, the commit of its Deployment is shown.
    ``secrets`` has the hosts' own certificates, and ``ca_dir`` is where the authority of the others
    is kept; raises SlipwayError when either is missing.
    """
    proved = [copy(app) for app in apps]
    commits = _commits(kube, proved)
    until = time.monotonic() + seconds
    live = [app for app in proved if not app.failed]
    reported = {} if address else _addresses(kube, {*hosts(live)}, until)
    at = {host: address or reported.get(host, "") for host in hosts(proved)}
    trust = _trust(tls_of(proved), secrets, ca_dir)
    routes = [
        Route(
            app.id,
            url(rule, ports),
            *_door(rule.host, at[rule.host], {} if address else ports),
            rule.host,
            rule.path,
            None if app.held else rule.expect,
            trust.get(rule.host),
        )
        for app in proved
        for rule in app.rules
    ]
    failed_before = {app.id for app in proved if app.failed}
    # Without retries there are no redirects either: what the route itself says counts.
    timeout = urllib3.Timeout(**{name: allowed(limit) for name, limit in ASK_SECONDS.items()})
    with urllib3.PoolManager(
        2 * len(routes) + 1, retries=False, timeout=timeout, maxsize=WORKERS
    ) as http:

        def answer_of(route: Route) -> Answer:
            end = 0.0 if route.app_id in failed_before else until
            answer = tried(_ask_until, http, route, end)
            if isinstance(answer, str):
                return Answer(answer.partition("\n")[0], f"{route.url}: {answer}")
            return answer

        with ThreadPoolExecutor(WORKERS) as pool:
            told = zip(routes, pool.map(answer_of, routes), strict=True)
            answers = grouped(told, lambda each: each[0].app_id)
    for app in proved:
        problems = [a.problem for _, a in answers.get(app.id, ()) if a.problem]
        if problems:
            app.fail(STEP, "\n".join(problems))
    return Proof(proved, _table(proved, commits, answers), at)


def _door(host: str, address: str, ports: Ports) -> tuple[str, int]:
    """The address and the port for TLS to ask a host at that is served at ``address``."""
    if address and localhost.is_here(host, ports):
        return f"{localhost.ADDRESS}:{ports['http']}", ports["https"]
    return address, HTTPS_PORT


def _commits(kube: Kube, apps: Iterable[App]) -> dict[str, str]:
    """By app, the commit that it is made of: of one without a source, that of its Deployment.

    Such ones that a rollback holds are noted as held.
    """
    found = {app.id: app.newest_commit for app in apps}
    unknown = [app for app in apps if not isinstance(app, Sourced)]
    if unknown:
        deployed = {
            owner_of(obj): obj["metadata"]["annotations"]
            for obj in kube.list(DEPLOYMENTS, labels=OWN_SELECTOR).items
            if is_app(obj)
        }
        for app in unknown:
            annotations = deployed.get(app.id, {})
            found[app.id] = annotations.get(COMMIT, "")
            if HELD_FROM in annotations:
                app.held = found[app.id]
    return found


def _trust(
    tls: Mapping[str, str | HostCertificate], secrets: Mapping[str, str], ca_dir: Path
) -> dict[str, ssl.SSLContext]:
    """By host with a certificate, what it has to be proved by."""
    own = {host: source for host, source in tls.items() if isinstance(source, HostCertificate)}
    found = {host: _trust_own(pair.certificate) for host, pair in own_pairs(own, secrets).items()}
    if certified := tls.keys() - found.keys():
        authority = Authority.load(ca_dir)
        if authority is None:
            what = "there is no certificate authority here by which hosts could be proved"
            raise SlipwayError(Problem(str(ca_dir), what, "make apps makes one"))
        local = ssl.create_default_context(cadata=authority.root)
        found |= dict.fromkeys(certified, local)
    return found


@cache
def _trust_own(certificate: str) -> ssl.SSLContext:
    """Trust in this machine's roots, and in the chain of a certificate whatever its end.

    So a certificate of a company's authority, whose root this machine need not know, is proved to
    be the one of the vault. Hosts may share one, and to read the roots takes longer than many a
    request.
    """
    own, *issuers = chain(certificate)
    context = ssl.create_default_context()
    context.load_verify_locations(cadata="".join(issuers or [own]))
    # Newer Pythons refuse by default what browsers and their users' certificates do not heed.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def _addresses(kube: Kube, hosts: AbstractSet[str], until: float) -> dict[str, str]:
    """The load balancer address that the master Ingress of each host reports, by ``until``."""
    while True:
        found: dict[str, str] = {
            obj["metadata"]["name"]: point.get("ip") or point.get("hostname", "")
            for obj in kube.list(INGRESSES, namespace=ROUTES_NAMESPACE, labels=OWN_SELECTOR).items
            if obj["metadata"].get("annotations", {}).get(MERGEABLE) == "master"
            for point in obj.get("status", {}).get("loadBalancer", {}).get("ingress", [])[:1]
        }
        if hosts <= found.keys() or time.monotonic() >= until:
            return found
        time.sleep(RETRY_SECONDS)


def _ask_until(http: urllib3.PoolManager, route: Route, until: float) -> Answer:
    """Ask a route until it answers right, or ``until`` has come; at least once."""
    while True:
        answer = _ask(http, route)
        if not answer.problem or time.monotonic() + RETRY_SECONDS >= until:
            return answer
        time.sleep(RETRY_SECONDS)


def _ask(http: urllib3.PoolManager, route: Route) -> Answer:
    """Ask a route once."""
    if not route.address:
        text = "no ingress controller serves this host"
        return Answer(text, f"{route.url}: {text}")
    try:
        response, body = _get(_pool(http, route), route)
        plain = _get(http.connection_from_url(_plain_url(route)), route)[0] if route.trust else None
    except urllib3.exceptions.HTTPError as error:
        text = _failure(route, error)
        return Answer(text, f"{route.url}: {text}")
    if plain is not None and not _leads_to_https(plain, route.host):
        text = f"HTTP {plain.status} over plain HTTP instead of a redirect to HTTPS"
        return Answer(text, f"{route.url}: {text}")
    line = shortened(" ".join(body.split()), ANSWER_WIDTH)
    if response.status >= 400:
        text = f"HTTP {response.status}: {line}"
        return Answer(text, f"{route.url}: {text}")
    if route.expect is not None and route.expect not in body:
        return Answer(line, f"{route.url}: expected {route.expect!r}, it says {line!r}")
    return Answer(line, "")


def _pool(http: urllib3.PoolManager, route: Route) -> urllib3.HTTPConnectionPool:
    """The connections over which a route is asked."""
    if route.trust is None:
        return http.connection_from_url(_plain_url(route))
    tls = {"ssl_context": route.trust, "server_hostname": route.host}
    address = urlsplit(_plain_url(route)).hostname
    return http.connection_from_host(address, route.tls_port, "https", tls)


def _plain_url(route: Route) -> str:
    """Where the ingress listens for plain HTTP."""
    return (
        f"http://[{route.address}]" if route.address.count(":") > 1 else f"http://{route.address}"
    )


def _get(pool: urllib3.HTTPConnectionPool, route: Route) -> tuple[urllib3.BaseHTTPResponse, str]:
    """What a route's path answers, and the text of that."""
    response = pool.urlopen("GET", route.path, headers={"Host": route.host}, preload_content=False)
    body, until = b"", time.monotonic() + BODY_SECONDS
    try:
        while len(body) < BODY_BYTES and time.monotonic() < until:
            part = response.read1(BODY_BYTES - len(body))
            if not part:
                break
            body += part
    finally:
        response.close()  # what was read to its end has given its connection back already
    return response, body.decode(errors="replace")


def _failure(route: Route, error: urllib3.exceptions.HTTPError) -> str:
    """Why a route gave no answer."""
    cause = error.args[0] if isinstance(error, urllib3.exceptions.SSLError) else None
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"wrong certificate: {cause.verify_message}"
    return f"no answer from {route.address}: {system_reason(error)}"


def _leads_to_https(response: urllib3.BaseHTTPResponse, host: str) -> bool:
    """Whether an answer sends the client to the same host over HTTPS."""
    target = urlsplit(response.headers.get("Location", ""))
    return response.status in REDIRECTS and (target.scheme, target.hostname) == ("https", host)


def _table(
    apps: Iterable[App],
    commits: Mapping[str, str],
    answers: Mapping[str, Iterable[tuple[Route, Answer]]],
) -> list[str]:
    """Return an aligned line for each route, under a heading; apps without a route have one too."""
    rows = [COLUMNS]
    for app in apps:
        about = (app.name, app.git_branch, commits[app.id][:7] or "-", app.namespace)
        mark = f"FAILED at {app.failed.step}; " if app.failed else ""
        own = [(route.url, a.text) for route, a in answers.get(app.id, ())]
        rows += [(*about, url, f"{mark}{text}") for url, text in own or [("-", "no route")]]
    return aligned(rows)
