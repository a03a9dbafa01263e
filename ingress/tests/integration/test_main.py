"""The process around the controller: its command line, its log, its way to the API server."""

from __future__ import annotations

import json
import logging
import os
import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import urllib3
from nginx_ingress import kube
from nginx_ingress.__main__ import OneLine, arguments, open_files
from nginx_ingress.kube import ApiError, ApiUnreachable, HttpApi
from nginx_ingress.mirror import WATCH_SECONDS
from nginx_ingress.model import Key
from nginx_ingress.render import OPEN_FILES

from ingress.tests.support.fake_api import COLLECTIONS, FakeApi, served
from ingress.tests.support.objects import ingress_class, service


@pytest.fixture
def fake() -> FakeApi:
    return FakeApi()


@pytest.fixture
def api(fake: FakeApi, tmp_path: Path) -> Iterator[HttpApi]:
    with served(fake, tmp_path) as kubeconfig:
        yield HttpApi(str(kubeconfig))


def test_a_collection_is_read(fake: FakeApi, api: HttpApi) -> None:
    fake.put(ingress_class("mine"))
    (item,) = api.request("GET", COLLECTIONS["IngressClass"], {"limit": "5"})["items"]
    assert item["metadata"]["name"] == "mine"


def test_a_watch_gives_each_line_whole(fake: FakeApi, api: HttpApi) -> None:
    fake.put(service("a"))
    fake.put(service("b"))
    fake.end()
    query = {"watch": "1", "resourceVersion": "0"}
    events = list(api.stream(COLLECTIONS["Service"], query))
    assert [(each["type"], each["object"]["metadata"]["name"]) for each in events] == [
        ("ADDED", "a"),
        ("ADDED", "b"),
    ]


def test_a_watch_that_is_quiet_for_too_long_has_ended(
    api: HttpApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert kube.QUIET_SECONDS > WATCH_SECONDS * 1.2
    monkeypatch.setattr(kube, "_WATCH_TIMEOUT", urllib3.Timeout(read=0.2))
    query = {"watch": "1", "resourceVersion": "0"}
    with pytest.raises(ApiUnreachable, match="Read timed out"):
        list(api.stream(COLLECTIONS["Service"], query))


def test_a_watch_that_is_no_json_says_so(
    fake: FakeApi, api: HttpApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.put(service("a"))
    monkeypatch.setattr(kube, "json", SimpleNamespace(loads=lambda _: json.loads("nonsense")))
    with pytest.raises(ValueError, match="Expecting value"):
        list(api.stream(COLLECTIONS["Service"], {"watch": "1", "resourceVersion": "0"}))


def test_a_refusal_has_the_server_s_own_words(api: HttpApi) -> None:
    event = {"metadata": {"name": "e"}}
    api.request("POST", "/api/v1/namespaces/a/events", body=event)
    with pytest.raises(ApiError, match=r"^409 already exists$") as caught:
        api.request("POST", "/api/v1/namespaces/a/events", body=event)
    assert caught.value.status == 409


def test_nobody_there_is_said_shortly(fake: FakeApi, tmp_path: Path) -> None:
    with served(fake, tmp_path) as kubeconfig:
        api = HttpApi(str(kubeconfig))
    with pytest.raises(ApiUnreachable, match="Failed to establish a new connection") as caught:
        api.request("GET", "/api/v1/services")
    assert " at 0x" not in str(caught.value)


def test_the_defaults_are_the_image_s() -> None:
    args = arguments([])
    assert args.class_name == "nginx"
    assert args.external_service is None
    assert args.run_dir == Path("/var/run/nginx-ingress")
    assert (args.http_port, args.https_port, args.health_port) == (8080, 8443, 8081)
    assert args.worker_processes == os.cpu_count()


@pytest.mark.parametrize(
    ("hard", "given"), [(OPEN_FILES, OPEN_FILES), (1 << 20, OPEN_FILES), (2000, 2000)]
)
def test_a_worker_has_as_many_files_as_it_is_let(
    monkeypatch: pytest.MonkeyPatch, hard: int, given: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, hard))
    assert open_files() == given


def test_the_external_service_is_a_key() -> None:
    assert arguments(["--external-service", "a/b"]).external_service == Key("a", "b")


@pytest.mark.parametrize("text", ["name", "a/", "/b", ""])
def test_half_a_key_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        arguments(["--external-service", text])
    assert "not of the form namespace/name" in capsys.readouterr().err


def test_a_traceback_is_one_line() -> None:
    try:
        raise ValueError("one\ntwo")
    except ValueError:
        record = logging.LogRecord("n", logging.ERROR, "f", 1, "text", None, sys.exc_info())
    text = OneLine().format(record)
    assert "\n" not in text
    assert text.endswith("ValueError: one | two")
