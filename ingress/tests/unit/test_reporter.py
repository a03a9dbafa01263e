"""What is written to the API server."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from nginx_ingress.decisions import Message
from nginx_ingress.kube import ApiError, ApiUnreachable
from nginx_ingress.model import Address, Json, parse_ingress
from nginx_ingress.reporter import (
    RETRY_SECONDS,
    Event,
    Item,
    Reporter,
    StatusChange,
    event_document,
)

from ingress.tests.support.live import PATIENCE_SECONDS, eventually
from ingress.tests.support.objects import master

INGRESS = parse_ingress(master("cafe", "shop", uid="u1"))
MESSAGE = Message("Warning", "Rejected", "no good")
STATUS_PATH = "/apis/networking.k8s.io/v1/namespaces/shop/ingresses/cafe/status"
EVENTS_PATH = "/api/v1/namespaces/shop/events"
NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


class Recorder:
    """An API that writes down what is asked of it and answers as told, in order.

    An answer that is an exception is raised, and one that can be called gives the answer.
    """

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)
        self.asked: list[tuple[str, str, Any]] = []

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Json | None = None,
    ) -> Any:
        self.asked.append((method, path, body))
        answer = self._answers.pop(0) if self._answers else {}
        if isinstance(answer, Exception):
            raise answer
        return answer() if callable(answer) else answer

    def stream(self, path: str, query: Mapping[str, str]) -> Iterator[Any]:
        raise AssertionError("nothing is watched")


def written(item: Item, *answers: Any) -> tuple[Recorder, list[float], int]:
    """What is asked, the pauses, and how often failure was reported."""
    api = Recorder(*answers)
    pauses: list[float] = []
    failures: list[None] = []
    reporter = Reporter(api, lambda: failures.append(None), pauses.append)
    reporter.submit([item])
    reporter.finish()
    reporter.run()
    return api, pauses, len(failures)


@pytest.mark.parametrize(
    ("addresses", "expected"),
    [
        (
            (Address(ip="192.0.2.1"), Address(hostname="lb")),
            [{"ip": "192.0.2.1"}, {"hostname": "lb"}],
        ),
        ((), None),
    ],
)
def test_a_status_is_patched_for_that_very_object(
    addresses: tuple[Address, ...], expected: object
) -> None:
    api, _, failures = written(StatusChange(INGRESS, addresses))
    body = {"metadata": {"uid": "u1"}, "status": {"loadBalancer": {"ingress": expected}}}
    assert api.asked == [("PATCH", STATUS_PATH, body)]
    assert failures == 0


@pytest.mark.parametrize("error", [ApiUnreachable("refused"), ApiError(500, "etcd")])
def test_a_status_that_could_not_be_written_is_reported(error: Exception) -> None:
    _, pauses, failures = written(StatusChange(INGRESS, ()), error)
    assert (pauses, failures) == ([RETRY_SECONDS], 1)


@pytest.mark.parametrize("status", [404, 409, 422])
def test_a_status_of_an_object_that_is_gone_is_let_go(status: int) -> None:
    _, pauses, failures = written(StatusChange(INGRESS, ()), ApiError(status, "gone"))
    assert (pauses, failures) == ([], 0)


def test_an_event_names_its_object_and_its_words() -> None:
    document = event_document(Event(INGRESS, MESSAGE), NOW)
    assert document["metadata"]["namespace"] == "shop"
    assert document["metadata"]["name"].startswith("cafe.")
    assert document["involvedObject"] == {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "namespace": "shop",
        "name": "cafe",
        "uid": "u1",
    }
    assert (document["type"], document["reason"], document["message"]) == (
        "Warning",
        "Rejected",
        "no good",
    )
    assert document["count"] == 1
    assert document["firstTimestamp"] == document["lastTimestamp"] == "2030-01-02T03:04:05Z"


def test_the_same_words_have_the_same_name_and_others_another() -> None:
    def name(uid: str, text: str) -> str:
        ingress = parse_ingress(master("cafe", "shop", uid=uid))
        event = Event(ingress, Message("Warning", "Rejected", text))
        found: str = event_document(event, NOW)["metadata"]["name"]
        return found

    assert name("u1", "x") == name("u1", "x")
    assert len({name("u1", "x"), name("u1", "y"), name("u2", "x")}) == 3


def test_a_long_name_or_text_is_cut_to_what_the_server_takes() -> None:
    ingress = parse_ingress(master("c" * 253, "shop"))
    document = event_document(Event(ingress, Message("Warning", "Rejected", "x" * 5000)), NOW)
    assert len(document["metadata"]["name"]) <= 253
    assert len(document["message"]) == 1024


def test_a_text_is_cut_by_its_bytes_and_between_characters() -> None:
    event = Event(INGRESS, Message("Warning", "Rejected", "x" + "ü" * 1024))
    assert event_document(event, NOW)["message"] == "x" + "ü" * 511


def test_one_that_cannot_be_written_at_all_keeps_no_other_from_it() -> None:
    api = Recorder(RuntimeError("odd"))
    reporter = Reporter(api, lambda: None, lambda _: None)
    reporter.submit([StatusChange(INGRESS, ()), Event(INGRESS, MESSAGE)])
    reporter.finish()
    reporter.run()
    assert [method for method, *_ in api.asked] == ["PATCH", "POST"]


def test_words_said_before_are_counted() -> None:
    api, _, _ = written(Event(INGRESS, MESSAGE), ApiError(409, "exists"), {"count": 4})
    name = api.asked[0][2]["metadata"]["name"]
    methods_and_paths = [(method, path) for method, path, _ in api.asked]
    assert methods_and_paths == [
        ("POST", EVENTS_PATH),
        ("GET", f"{EVENTS_PATH}/{name}"),
        ("PATCH", f"{EVENTS_PATH}/{name}"),
    ]
    assert api.asked[2][2]["count"] == 5


def test_an_event_is_tried_once_more_when_nobody_answers() -> None:
    api, pauses, _ = written(Event(INGRESS, MESSAGE), ApiUnreachable("a"), ApiUnreachable("b"))
    assert [method for method, _, _ in api.asked] == ["POST", "POST"]
    assert pauses == [RETRY_SECONDS]


def test_an_event_that_is_refused_is_let_go() -> None:
    api, pauses, failures = written(Event(INGRESS, MESSAGE), ApiError(403, "terminating"))
    assert (len(api.asked), pauses, failures) == (1, [], 0)


# What waits


def notes(api: Recorder) -> list[tuple[str, str]]:
    """Whom something was said about, and what: a message or an IP address."""
    found = []
    for method, _, body in api.asked:
        if method == "POST":
            found.append((body["involvedObject"]["uid"], body["message"]))
        else:
            (address,) = body["status"]["loadBalancer"]["ingress"]
            found.append((body["metadata"]["uid"], address["ip"]))
    return found


def status(uid: str, ip: str, name: str = "") -> StatusChange:
    return StatusChange(parse_ingress(master(name or uid, uid=uid)), (Address(ip=ip),))


def event(uid: str, text: str) -> Event:
    return Event(parse_ingress(master(uid, uid=uid)), Message("Normal", "AddedOrUpdated", text))


def noted(*items: Item, meanwhile: Item | None = None) -> list[tuple[str, str]]:
    """What is written when all these wait, and another one comes during the first request."""
    more = [meanwhile] if meanwhile else []

    def another() -> None:
        reporter.submit(more)

    api = Recorder(another)
    reporter: Reporter = Reporter(api, lambda: None)
    for item in items:
        reporter.submit([item])
    reporter.finish()
    reporter.run()
    return notes(api)


def test_a_newer_status_takes_the_place_of_the_one_that_waits() -> None:
    items = (status("a", "1"), status("b", "1"), status("a", "2"), status("a", "3"))
    assert noted(*items) == [("a", "3"), ("b", "1")]


def test_a_status_comes_after_the_one_that_is_being_written() -> None:
    assert noted(status("a", "1"), meanwhile=status("a", "2")) == [("a", "1"), ("a", "2")]


def test_another_object_of_that_name_has_a_status_of_its_own() -> None:
    items = (status("a", "1", "name"), status("b", "2", "name"))
    assert noted(*items) == [("a", "1"), ("b", "2")]


def test_the_same_words_that_wait_are_said_once() -> None:
    items = (event("a", "x"), event("b", "x"), event("a", "x"))
    assert noted(*items) == [("a", "x"), ("b", "x")]


def test_the_last_words_on_an_object_stay_the_last() -> None:
    items = (event("a", "x"), event("b", "x"), event("a", "y"), status("a", "1"), event("a", "x"))
    assert noted(*items) == [("a", "y"), ("a", "1"), ("a", "x"), ("b", "x")]


def test_the_writer_waits_for_what_is_submitted() -> None:
    api = Recorder()

    def said(text: str) -> bool:
        return ("a", text) in notes(api)

    reporter = Reporter(api, lambda: None)
    thread = threading.Thread(target=reporter.run)
    thread.start()
    for text in ("x", "y"):
        reporter.submit([event("a", text)])
        eventually(text, partial(said, text))
    reporter.finish()
    thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive()
