"""Clusters that are made up: a good app, and whatever Ingresses and others there may be."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from nginx_ingress import annotations as known
from nginx_ingress.decisions import Decisions
from nginx_ingress.mirror import Mirror
from nginx_ingress.model import (
    Key,
    Snapshot,
    parse_endpoint_slice,
    parse_ingress,
    parse_ingress_class,
    parse_service,
    parse_tls_secret,
)
from nginx_ingress.reporter import Event, event_document

from ingress.tests.support.objects import (
    Document,
    endpoint_slice,
    ingress,
    ingress_class,
    make_certificate,
    master,
    minion,
    path,
    service,
    tls_secret,
)

EXAMPLES = int(os.environ.get("SLIPWAY_FUZZ", "200"))
"""How many clusters are made up."""
HOST, SHARED = "good.example.com", "shared.example.com"

NASTY_TEXTS = [
    *("", " ", "/", "//", "/..", "/../x", "/etc/passwd", "/root", "/var/x", "/ü", "/%00", "/%"),
    *("/x{4294967295}", "/{a}", "/{", "/}", "/(", "/)", "/[", "/[]", "/[^]]", "/*", "/+", "/|"),
    *(
        "/\\",
        '/"',
        "/'",
        '/\\"',
        "/#",
        "/$x",
        "/${x}",
        "/;",
        "/a b",
        "/a?b",
        "~ /",
        "= /",
        "@x",
    ),
    *("/\t", "/\n}", "/\r", "/\0", "/\x7f", "/\x85", "/\u2028", "/\ud800"),
    *(
        "1s",
        "1h1h",
        "9" * 30,
        "1" + " " * 40 + "x",
        "-1",
        "1e9",
        "٣s",
        "0",
        "8m",
        "4294967297g",
    ),
    *("true", "off", "301", "999", "master", "minion", "Master", "nginx", "max-age=1; x"),
    *("serviceName=tea rewrite=/", "serviceName=tea rewrite=/a;", "serviceName=tea rewrite=$"),
    *("serviceName=tea rewrite=/\0", "serviceName=tea rewrite=/#{", "tea", "tea,,", ",", ";"),
    *(HOST, SHARED, "GOOD.example.com", "a..b", "x_y.com", "localhost", "_", "~^x", "$host"),
    *("*", "*.", "-", ".", '"', "};", "include /etc/passwd", "{{ x }}", "{% x %}", "default"),
]
NASTY = st.sampled_from(NASTY_TEXTS)
LONG = st.builds(
    lambda text, times: text * times,
    st.sampled_from(["(", "[", "{", "x", "/", "/a", "\\", '"', " ", "9", "ü", "a.", "1s ", "a,"]),
    st.sampled_from([50, 1000, 1023, 3000, 5000]),
)
TEXTS = NASTY | LONG | st.text(max_size=20) | st.builds("/{}".format, NASTY | LONG)
WRONG = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | TEXTS
    | st.lists(TEXTS | st.none(), max_size=2)
    | st.dictionaries(TEXTS, TEXTS, max_size=2)
)
ANNOTATIONS = st.sampled_from([*known._VALIDATORS, *known._FORBIDDEN, "nginx.org/rewrite-target"])


@st.composite
def documents(draw: st.DrawFn) -> Document:
    """An object of one of the kinds that are watched, with a few fields that are something else."""
    name = draw(st.sampled_from(["a", "b", "c", "d"]))
    texts = draw(st.lists(TEXTS, min_size=1, max_size=3))
    document = draw(
        st.sampled_from(
            [
                minion(name, "default", *map(path, texts), host=SHARED),
                minion(name, "default", path("/" + name), host=SHARED),
                ingress(name, host=SHARED, paths=[path("/"), path("/")]),
                ingress(name, host=texts[0], paths=[path("/")]),
                master(name, host=SHARED, tls=[{"hosts": [SHARED], "secretName": "pair"}]),
                service("tea"),
                endpoint_slice("tea", 8080),
                {**tls_secret("pair", b"x", b"y")},
                ingress_class("other"),
            ]
        )
    )
    document = copy.deepcopy(document)
    more = draw(st.dictionaries(ANNOTATIONS, TEXTS, max_size=2))
    if document["kind"] == "Ingress":
        document["metadata"]["annotations"] |= more
    for _ in range(draw(st.integers(0, 2))):
        _spoil(draw, document)
    return document


def _spoil(draw: st.DrawFn, document: Document) -> None:
    """Put something else in some place."""
    places = [
        (parent, key)
        for parent, key in _places(document)
        if not (parent is document and key in ("kind", "metadata"))
    ]
    parent, key = draw(st.sampled_from(places))
    if isinstance(parent, dict) and draw(st.integers(0, 3)) == 0:
        del parent[key]
    else:
        parent[key] = draw(WRONG)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(items):
        yield value, key
        if isinstance(inner, dict | list):
            yield from _places(inner)


class Listed:
    """An API server that gives a list, once."""

    def __init__(self, items: list[Document]) -> None:
        self._items = items

    def request(self, *_: Any) -> Any:
        return {"metadata": {"resourceVersion": "1"}, "items": self._items}

    def stream(self, *_: Any) -> Iterator[Any]:
        raise Over


class Over(BaseException):
    """The list has been read."""


def mirrored(parse: Any, items: list[Document]) -> dict[Key, Any]:
    """What the controller makes of a collection."""
    mirror = Mirror(Listed(items), "/things", parse, lambda: None)
    with pytest.raises(Over):
        mirror.run()
    return mirror.objects()


CERTIFICATE = make_certificate(HOST)
GOOD = {
    "Ingress": [
        master("good", "good", host=HOST, tls=[{"hosts": [HOST], "secretName": "good"}]),
        minion("good-app", "good", path("/app/"), host=HOST),
    ],
    "IngressClass": [ingress_class()],
    "Service": [service("tea", "good")],
    "EndpointSlice": [endpoint_slice("tea", 8080, "good")],
    "Secret": [tls_secret("good", *CERTIFICATE, "good")],
}
for each in GOOD["Ingress"]:
    each["metadata"]["creationTimestamp"] = "2000-01-01T00:00:00Z"
PARSERS = {
    "Ingress": parse_ingress,
    "IngressClass": parse_ingress_class,
    "Service": parse_service,
    "EndpointSlice": parse_endpoint_slice,
    "Secret": parse_tls_secret,
}


def place(document: Document) -> tuple[Any, ...]:
    """What an API server has one object of, wherever the document says something else."""
    metadata = document.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    return document["kind"], metadata.get("namespace"), metadata.get("name")


def snapshot(odd: list[Document]) -> Snapshot:
    """A cluster with the good app and these objects; none is in the place of one of the app's."""
    taken = [place(each) for kind in GOOD.values() for each in kind]
    others = [each for each in odd if place(each) not in taken]
    found = {
        kind: mirrored(parse, [*GOOD[kind], *(each for each in others if each["kind"] == kind)])
        for kind, parse in PARSERS.items()
    }
    return Snapshot(
        ingresses=found["Ingress"],
        classes=found["IngressClass"],
        services=found["Service"],
        slices=found["EndpointSlice"],
        secrets=found["Secret"],
    )


def check(decisions: Decisions) -> None:
    """The good app is served as if it were alone, and what is said of the others can be said."""
    server = decisions.servers[HOST]
    assert [(each.path, each.upstream.service) for each in server.locations] == [
        ("/app/", Key("good", "tea"))
    ]
    assert server.tls
    assert server.tls.file_name
    for report in decisions.reports.values():
        event = event_document(Event(report.ingress, report.message({})), datetime.now(UTC))
        assert len(event["message"].encode()) <= 1024
    for name in ("good", "good-app"):
        assert decisions.reports[Key("good", name)].message({}).reason == "AddedOrUpdated"


CLUSTERS = st.lists(documents(), min_size=1, max_size=6)


def as_many_as(examples: int) -> settings:
    """How many clusters a test is asked about.

    A cluster that is made anew says more than one that is cut down, and a busy machine is slow.
    """
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize="SLIPWAY_FUZZ" not in os.environ,
        database=None,
        suppress_health_check=[*HealthCheck],
    )
