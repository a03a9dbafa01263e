"""The copies of collections: list, watch, and what goes wrong in between."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from nginx_ingress.kube import ApiError, ApiUnreachable
from nginx_ingress.mirror import Mirror
from nginx_ingress.model import Json, Key


class Over(BaseException):
    """The script is at its end."""


class Script:
    """Answers requests and streams with what a test has written down, in order.

    A list of events is a watch; an exception in it, or in its place, is raised there, and a
    number in it is so many seconds without an event.
    """

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)
        self.asked: list[dict[str, str]] = []
        self.pauses: list[float] = []
        self.now = 0.0

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Json | None = None,
    ) -> Any:
        assert (method, path, body) == ("GET", "/things", None)
        return self._next(query or {})

    def stream(self, path: str, query: Mapping[str, str]) -> Iterator[Any]:
        assert path == "/things"
        for event in self._next(query):
            if isinstance(event, BaseException):
                raise event
            if isinstance(event, float):
                self.now += event
            else:
                yield event

    def _next(self, query: Mapping[str, str]) -> Any:
        self.asked.append(dict(query))
        if not self._answers:
            raise Over
        answer = self._answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer


def thing(name: str, value: int, version: int = 0) -> dict[str, Any]:
    return {"metadata": {"name": name, "resourceVersion": str(version)}, "value": value}


def listed(version: int, *things: dict[str, Any], token: str = "") -> dict[str, Any]:
    return {"metadata": {"resourceVersion": str(version), "continue": token}, "items": [*things]}


def event(kind: str, document: dict[str, Any]) -> dict[str, Any]:
    return {"type": kind, "object": document}


def bookmark(version: int) -> dict[str, Any]:
    return event("BOOKMARK", {"metadata": {"resourceVersion": str(version)}})


class Run:
    """A mirror after it has gone through a script."""

    def __init__(self, *answers: Any) -> None:
        self.script = Script(*answers)
        self.seen: list[dict[str, int]] = []
        self.mirror: Mirror[int] = Mirror(
            self.script,
            "/things",
            lambda document: int(document["value"]),
            self._changed,
            query={"fieldSelector": "type=x"},
            pause=self.script.pauses.append,
        )
        with pytest.raises(Over):
            self.mirror.run()

    def _changed(self) -> None:
        assert self.mirror.synced
        self.seen.append({key.name: value for key, value in self.mirror.objects().items()})

    @property
    def versions(self) -> list[str]:
        """Where each request started from; ``list`` for a list."""
        return [query.get("resourceVersion", "list") for query in self.script.asked]


def test_it_lists_and_then_follows_changes() -> None:
    run = Run(
        listed(5, thing("a", 1), thing("b", 2)),
        [
            event("ADDED", thing("c", 3, 6)),
            event("MODIFIED", thing("a", 9, 7)),
            event("DELETED", thing("b", 2, 8)),
        ],
    )
    assert run.seen == [
        {"a": 1, "b": 2},
        {"a": 1, "b": 2, "c": 3},
        {"a": 9, "b": 2, "c": 3},
        {"a": 9, "c": 3},
    ]
    assert run.versions == ["list", "5", "8"]
    assert run.mirror.objects() == {Key("", "a"): 9, Key("", "c"): 3}
    assert run.script.pauses == []


def test_it_asks_for_its_selection_bookmarks_and_an_end() -> None:
    run = Run(listed(5), [bookmark(6)])
    lists, watch = run.script.asked[:2]
    assert lists == {"fieldSelector": "type=x", "limit": "100"}
    assert watch["fieldSelector"] == "type=x"
    assert (watch["watch"], watch["allowWatchBookmarks"]) == ("1", "true")
    assert 240 <= int(watch["timeoutSeconds"]) <= 360


def test_an_empty_collection_counts_as_synced() -> None:
    run = Run(listed(5))
    assert run.mirror.synced
    assert run.seen == [{}]


def test_a_long_list_comes_in_pages() -> None:
    run = Run(listed(5, thing("a", 1), token="next"), listed(5, thing("b", 2)), [bookmark(6)])
    assert run.seen == [{"a": 1, "b": 2}]
    assert [query.get("continue") for query in run.script.asked[:2]] == [None, "next"]


def test_a_bookmark_moves_on_without_a_change() -> None:
    run = Run(listed(5), [bookmark(70)])
    assert run.versions == ["list", "5", "70"]
    assert run.seen == [{}]


def test_a_change_that_does_not_show_is_no_change() -> None:
    run = Run(listed(5, thing("a", 1)), [event("MODIFIED", thing("a", 1, 6))])
    assert run.seen == [{"a": 1}]
    assert run.versions == ["list", "5", "6"]


@pytest.mark.parametrize(
    "news",
    [
        [[event("MODIFIED", thing("a", 1, 6))]],
        [ApiError(410, "gone"), listed(9, thing("a", 1))],
    ],
    ids=["event", "list"],
)
def test_what_is_told_of_again_is_another_object(news: list[Any]) -> None:
    parsed: list[list[int]] = []

    def parse(document: Json) -> list[int]:
        parsed.append([document["value"]])
        return parsed[-1]

    script = Script(listed(5, thing("a", 1)), *news)
    mirror = Mirror(script, "/things", parse, lambda: None, pause=script.pauses.append)
    with pytest.raises(Over):
        mirror.run()
    assert parsed == [[1], [1]]
    assert mirror.objects()[Key("", "a")] is parsed[-1]


@pytest.mark.parametrize(
    "gone",
    [
        [event("ERROR", {"kind": "Status", "code": 410, "message": "too old"})],
        ApiError(410, "gone"),
    ],
    ids=["in-the-watch", "as-status"],
)
def test_a_history_that_is_gone_is_listed_anew_at_once(gone: Any) -> None:
    run = Run(
        *(listed(5, thing("a", 1)), [bookmark(6)], gone),
        *(listed(9, thing("b", 2)), [bookmark(10)]),
    )
    assert run.versions == ["list", "5", "6", "list", "9", "10"]
    assert run.seen == [{"a": 1}, {"b": 2}]
    assert run.script.pauses == []


def test_a_list_that_is_gone_at_once_does_not_become_a_busy_loop() -> None:
    gone = ApiError(410, "gone")
    run = Run(listed(5), gone, listed(6), gone, listed(7), gone)
    assert run.versions == ["list", "5", "list", "6", "list", "7", "list"]
    assert len(run.script.pauses) == 3


def test_a_list_anew_that_shows_nothing_new_is_no_change() -> None:
    run = Run(listed(5, thing("a", 1)), ApiError(410, "gone"), listed(9, thing("a", 1)))
    assert run.seen == [{"a": 1}]


def test_a_broken_watch_goes_on_from_where_it_was() -> None:
    run = Run(
        listed(5),
        [event("ADDED", thing("a", 1, 6)), ApiUnreachable("reset")],
        ApiError(500, "etcd"),
        [event("ADDED", thing("b", 2, 7))],
    )
    assert run.versions == ["list", "5", "6", "6", "7"]
    assert run.seen == [{}, {"a": 1}, {"a": 1, "b": 2}]
    assert len(run.script.pauses) == 2


def test_a_list_that_fails_is_tried_again() -> None:
    run = Run(ApiUnreachable("refused"), ApiError(403, "forbidden"), listed(5))
    assert run.versions == ["list", "list", "list", "5"]
    assert run.mirror.synced


def test_pauses_grow_to_ten_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nginx_ingress.mirror.random.uniform", lambda low, high: (low + high) / 2)
    run = Run(*[ApiUnreachable("refused")] * 10)
    assert run.script.pauses == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0, 10.0, 10.0]


def test_watches_that_end_at_once_do_not_become_a_busy_loop() -> None:
    run = Run(listed(5), [], [], [])
    assert run.versions == ["list", "5", "5", "5", "5"]
    assert len(run.script.pauses) == 3


def test_a_watch_that_lasted_makes_pauses_short_again(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = ApiUnreachable("refused")
    script = Script(refused, refused, listed(5), [60.0, refused], refused)
    monkeypatch.setattr("nginx_ingress.mirror.random.uniform", lambda low, high: (low + high) / 2)
    monkeypatch.setattr("nginx_ingress.mirror.time.monotonic", lambda: script.now)
    pauses = script.pauses
    mirror: Mirror[int] = Mirror(script, "/things", len, lambda: None, pause=pauses.append)
    with pytest.raises(Over):
        mirror.run()
    assert pauses == [0.2, 0.4, 0.2, 0.4]


def test_what_cannot_be_read_is_left_out() -> None:
    odd = {"metadata": {"name": "odd", "resourceVersion": "6"}, "value": "x"}
    nameless = {"metadata": {"resourceVersion": "7"}, "value": 1}
    run = Run(
        listed(5, thing("a", 1), odd, {}, 7),  # type: ignore[arg-type]
        [
            event("MODIFIED", {**thing("a", 0, 6), "value": []}),
            event("ADDED", odd),
            event("ADDED", nameless),
            event("ADDED", thing("b", 2, 8)),
        ],
    )
    assert run.seen == [{"a": 1}, {}, {"b": 2}]
    assert run.versions == ["list", "5", "8"]
    assert run.script.pauses == []


@pytest.mark.parametrize("answer", [{}, {"items": 7}, "text", ValueError("x"), RecursionError()])
def test_an_answer_that_makes_no_sense_is_asked_for_again(answer: Any) -> None:
    run = Run(answer, listed(5, thing("a", 1)))
    assert run.seen == [{"a": 1}]
    assert len(run.script.pauses) == 1


@pytest.mark.parametrize(
    "nonsense",
    [{}, {"type": "ADDED"}, event("ADDED", thing("a", 1)) | {"object": 7}, ValueError("no JSON")],
)
def test_a_watch_that_makes_no_sense_is_listed_anew(nonsense: Any) -> None:
    run = Run(listed(5, thing("a", 1)), [nonsense], listed(9, thing("b", 2)))
    assert run.seen == [{"a": 1}, {"b": 2}]
    assert run.versions[:3] == ["list", "5", "list"]
