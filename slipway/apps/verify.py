"""Ask every route the way a user does, through the ingress, and say what answered."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import urllib3

from slipway.apps.manifests.labels import COMMIT, OWN_SELECTOR, owner_of
from slipway.apps.manifests.routes import MERGEABLE, hosts
from slipway.apps.records import App, Record, app_label, fail
from slipway.errors import Problem, SlipwayError
from slipway.kube import DEPLOYMENTS, INGRESSES, Kube, system_reason

STEP = "verify"
"""What a failure of this step is noted under."""

WORKERS = 16
"""Routes that are asked at the same time."""

RETRY_SECONDS = 0.25
"""Pause before a route is asked again: the ingress needs a moment to learn of new pods."""

ASK_TIMEOUT = urllib3.Timeout(connect=2, read=10)
BODY_BYTES = 1 << 20
"""How much of an answer is read for what is expected in it."""

ANSWER_WIDTH = 60
"""How many characters of an answer are shown."""

COLUMNS = ("APP", "BRANCH", "COMMIT", "NAMESPACE", "URL", "ANSWER")


@dataclass(frozen=True)
class Route:
    """One path of an app, and the address that it is to answer at (``ip`` or ``ip:port``)."""

    app_id: str
    address: str
    host: str
    path: str
    expect: str | None

    @property
    def url(self) -> str:
        """The address as a user types it."""
        return f"http://{self.host}{self.path}"


@dataclass(frozen=True)
class Answer:
    """What a route said: ``text`` in one short line, ``problem`` empty if that is right."""

    text: str
    problem: str


@dataclass(frozen=True)
class Proof:
    """The records with their failures, and the table of all routes."""

    apps: list[Record]
    table: list[str]

    def require(self) -> None:
        """Raise SlipwayError with the reason of every app that failed, at whatever step."""
        problems = [
            Problem(f"{app_label(app)}, {app['failed']['step']}", app["failed"]["reason"])
            for app in self.apps
            if "failed" in app
        ]
        if problems:
            raise SlipwayError(problems)


def prove(kube: Kube, apps: Iterable[App], *, address: str | None, seconds: float) -> Proof:
    """Ask all routes at once, each until it answers right or ``seconds`` have passed.

    ``address`` is where the ingress listens; without it, each host's master Ingress tells. An app
    that failed before is asked once, to show what serves in its stead. A record without a commit
    gets that of its Deployment.
    """
    records = [dict(app) for app in apps]
    _fill_commits(kube, records)
    until = time.monotonic() + seconds
    live = [record for record in records if record["ingress"] and "failed" not in record]
    reported = {} if address else _addresses(kube, {*hosts(live)}, until)
    routes = [
        Route(
            record["id"],
            address or reported.get(rule["host"], ""),
            rule["host"],
            rule["path"],
            rule["expect"],
        )
        for record in records
        if record["ingress"]
        for rule in record["ingress"]["rules"]
    ]
    failed_before = {record["id"] for record in records if "failed" in record}
    # Without retries there are no redirects either: what the route itself says counts.
    with urllib3.PoolManager(retries=False, timeout=ASK_TIMEOUT, maxsize=WORKERS) as http:

        def answer_of(route: Route) -> Answer:
            return _ask_until(http, route, 0.0 if route.app_id in failed_before else until)

        with ThreadPoolExecutor(WORKERS) as pool:
            answers = list(zip(routes, pool.map(answer_of, routes), strict=True))
    for record in records:
        problems = [a.problem for route, a in answers if route.app_id == record["id"] and a.problem]
        if problems:
            fail(record, STEP, "\n".join(problems))
    return Proof(records, _table(records, answers))


def _fill_commits(kube: Kube, records: Iterable[Record]) -> None:
    """Take what commit is deployed from the cluster, for records that were not fetched."""
    unknown = [record for record in records if "commit" not in record]
    if unknown:
        deployed = {
            owner_of(obj): obj["metadata"].get("annotations", {}).get(COMMIT, "")
            for obj in kube.list(DEPLOYMENTS, labels=OWN_SELECTOR).items
        }
        for record in unknown:
            record["commit"] = deployed.get(record["id"], "")


def _addresses(kube: Kube, hosts: AbstractSet[str], until: float) -> dict[str, str]:
    """The load balancer address that the master Ingress of each host reports, by ``until``."""
    while True:
        found: dict[str, str] = {
            obj["metadata"]["name"]: point.get("ip") or point["hostname"]
            for obj in kube.list(INGRESSES, labels=OWN_SELECTOR).items
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
    address = f"[{route.address}]" if route.address.count(":") > 1 else route.address
    try:
        response = http.request(
            "GET",
            f"http://{address}{route.path}",
            headers={"Host": route.host},
            preload_content=False,
        )
        body = response.read(BODY_BYTES).decode(errors="replace")
        response.release_conn()
    except urllib3.exceptions.HTTPError as error:
        text = f"no answer from {route.address}: {system_reason(error)}"
        return Answer(text, f"{route.url}: {text}")
    said = " ".join(body.split())
    line = said if len(said) <= ANSWER_WIDTH else f"{said[: ANSWER_WIDTH - 1]}…"
    if response.status >= 400:
        text = f"HTTP {response.status}: {line}"
        return Answer(text, f"{route.url}: {text}")
    if route.expect is not None and route.expect not in body:
        return Answer(line, f"{route.url}: expected {route.expect!r}, it says {line!r}")
    return Answer(line, "")


def _table(records: Iterable[App], answers: Sequence[tuple[Route, Answer]]) -> list[str]:
    """One aligned line for each route, under a heading; apps without a route have one too."""
    rows = [COLUMNS]
    for record in records:
        about = (
            record["name"],
            record["git_branch"],
            record["commit"][:7] or "-",
            record["namespace"],
        )
        failed = record.get("failed", {}).get("step")
        mark = f"FAILED at {failed}; " if failed else ""
        own = [(route.url, a.text) for route, a in answers if route.app_id == record["id"]]
        rows += [(*about, url, f"{mark}{text}") for url, text in own or [("-", "no route")]]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
