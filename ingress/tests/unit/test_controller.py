"""The loop: when it looks at the cluster, and what it writes there."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from nginx_ingress.applied import Applied
from nginx_ingress.controller import STUCK_SECONDS, Controller
from nginx_ingress.kube import ApiError, ApiUnreachable
from nginx_ingress.model import Json, Key
from nginx_ingress.nginx import ConfigRefused, Nginx
from nginx_ingress.render import Settings

from ingress.tests.support.fake_api import COLLECTIONS, FakeApi
from ingress.tests.support.live import ADDRESS, PATIENCE_SECONDS, eventually
from ingress.tests.support.objects import Document, ingress_class, master, minion, path, service

SERVICE = Key("nginx-ingress", "lb")


class DirectApi:
    """The API server without HTTP.

    ``patched`` names the Ingress of each patch of a status. The next ones fail as ``failures``
    says. The watch of Ingresses says nothing while ``watching`` is not set, and nothing is listed
    while ``listing`` is not.
    """

    def __init__(self, fake: FakeApi) -> None:
        self._fake = fake
        self._kinds = {path: kind for kind, path in COLLECTIONS.items()}
        self.patched: list[str] = []
        self.failures: list[Exception] = []
        self.watching = threading.Event()
        self.listing = threading.Event()
        for allowed in (self.watching, self.listing):
            allowed.set()

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Json | None = None,
    ) -> Any:
        if path in self._kinds:
            self.listing.wait()
            return self._fake.list(self._kinds[path])
        if method == "GET":
            return self._fake.events[path.rpartition("/")[2]]
        assert body is not None
        if path.endswith("/status"):
            self.patched.append(path.split("/")[-2])
            if self.failures:
                raise self.failures.pop(0)
        document = dict(body)
        status = (
            self._fake.create_event(document)
            if method == "POST"
            else self._fake.patch(path, document)
        )
        if status >= 400:
            raise ApiError(status, "refused")
        return {}

    def stream(self, path: str, query: Mapping[str, str]) -> Iterator[Any]:
        kind = self._kinds[path]
        for event in self._fake.watch(kind, int(query["resourceVersion"])):
            if kind == "Ingress":
                self.watching.wait()
            yield event
        # The test is over; a mirror would go on asking.
        threading.Event().wait()


class StubNginx(Nginx):
    """An nginx that refuses what contains ``/bad``; each turn takes ``seconds``.

    ``turns`` has the time at which each one began and that at which it ended; those in which it is
    ``broken`` end at once. ``resumes`` says whether there is something to go on with.
    """

    leaving = 0

    def __init__(self) -> None:
        self.seconds = 0.0
        self.turns: list[tuple[float, float]] = []
        self.code: int | None = None
        self.broken = self.resumes = False
        self._began = 0.0

    @property
    def exit_code(self) -> int | None:
        return self.code

    @property
    def running(self) -> bool:
        return True

    def resume(self) -> bool:
        return self.resumes

    def add_certificates(self, certificates: Mapping[str, bytes]) -> None:
        self._began = time.monotonic()
        if self.broken:
            self.turns.append((self._began, self._began))
            raise RuntimeError("broken")
        time.sleep(self.seconds)

    def keep_certificates(self, names: Collection[str]) -> None:
        self.turns.append((self._began, time.monotonic()))

    def test(self, servers: str) -> str:
        return "it is bad" if "/bad" in servers else ""

    def apply(self, servers: str) -> None:
        if problem := self.test(servers):
            raise ConfigRefused(problem)

    def quit(self, seconds: float) -> None:
        """There is nothing to end."""


@dataclass
class Cluster:
    """A cluster in which a controller can run."""

    fake: FakeApi
    api: DirectApi
    nginx: StubNginx
    controller: Controller
    codes: list[int]

    @contextmanager
    def running(self) -> Iterator[threading.Thread]:
        """Have the controller run; its exit code comes into ``codes``."""
        thread = threading.Thread(target=lambda: self.codes.append(self.controller.run(1.0)))
        thread.start()
        try:
            eventually("ready", lambda: self.controller.readyz()[0])
            yield thread
        finally:
            self.controller.stop()
            self.api.watching.set()
            self.fake.end()
            thread.join()

    def turn(self) -> None:
        """Have the controller look at the cluster once more."""
        before = len(self.nginx.turns)
        self.controller.wake()
        eventually("a turn", lambda: len(self.nginx.turns) > before)

    def told(self, name: str, reason: str = "AddedOrUpdated") -> int:
        """How often an Ingress has been told something."""
        events = [*self.fake.events.values()]
        return sum(
            event["count"]
            for event in events
            if event["involvedObject"]["name"] == name and event["reason"] == reason
        )

    def is_told(self, name: str) -> bool:
        return self.told(name) > 0

    def addresses(self, name: str) -> object:
        status = self.fake.get("Ingress", "default", name).get("status") or {}
        return (status.get("loadBalancer") or {}).get("ingress")

    def wipe(self, name: str) -> None:
        """Have somebody else take the addresses from an Ingress."""
        uid = self.fake.get("Ingress", "default", name)["metadata"]["uid"]
        path = f"/apis/networking.k8s.io/v1/namespaces/default/ingresses/{name}/status"
        self.fake.patch(path, {"metadata": {"uid": uid}, "status": {}})


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    debounce(monkeypatch, 0.01)
    monkeypatch.setattr("nginx_ingress.reporter.RETRY_SECONDS", 0.01)
    fake = FakeApi()
    fake.put(ingress_class())
    fake.put(service(SERVICE.name, SERVICE.namespace, ip=ADDRESS))
    api, nginx = DirectApi(fake), StubNginx()
    applied = Applied(nginx, Settings(Path("/run/test")))
    return Cluster(fake, api, nginx, Controller(api, nginx, applied, "nginx", SERVICE), [])


def debounce(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    monkeypatch.setattr("nginx_ingress.controller.DEBOUNCE_SECONDS", seconds)


def app(name: str) -> Document:
    return minion(name, "default", path(f"/{name}"))


# Statuses


def test_a_status_whose_echo_is_to_come_is_not_written_again(cluster: Cluster) -> None:
    names = ["master", "a", "b"]
    for document in (master(), app("a"), app("b")):
        cluster.fake.put(document)
    cluster.api.watching.clear()
    with cluster.running():
        eventually("three patches", lambda: len(cluster.api.patched) == 3)
        for _ in range(5):
            cluster.turn()
        cluster.api.watching.set()
        cluster.fake.put(app("last"))
        eventually("the last one's patch", lambda: "last" in cluster.api.patched)
    assert sorted(cluster.api.patched) == sorted([*names, "last"])
    assert cluster.addresses("a") == [{"ip": ADDRESS}]


def test_a_status_that_somebody_wipes_is_written_again(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.fake.put(master())
    cluster.api.watching.clear()
    with cluster.running():
        eventually("a patch", lambda: cluster.addresses("master") is not None)
        # The echo and the end of it come together: the object looks as if nothing had happened.
        cluster.wipe("master")
        debounce(monkeypatch, 0.5)
        cluster.turn()
        cluster.api.watching.set()
        eventually("a patch again", lambda: cluster.addresses("master") is not None)
    assert cluster.api.patched == ["master", "master"]


def test_other_addresses_are_not_held_up_by_an_echo_that_is_to_come(cluster: Cluster) -> None:
    cluster.fake.put(master())
    cluster.api.watching.clear()
    with cluster.running():
        eventually("one address", lambda: cluster.addresses("master") == [{"ip": ADDRESS}])
        cluster.fake.put(service(SERVICE.name, SERVICE.namespace, ip="192.0.2.11"))
        eventually("another", lambda: cluster.addresses("master") == [{"ip": "192.0.2.11"}])


def test_a_status_that_could_not_be_written_is_written_again(cluster: Cluster) -> None:
    cluster.fake.put(master())
    cluster.api.watching.clear()
    cluster.api.failures += [ApiUnreachable("refused"), ApiError(500, "etcd")]
    with cluster.running():
        eventually("the status", lambda: cluster.addresses("master") == [{"ip": ADDRESS}])
    assert cluster.api.patched == ["master"] * 3


# Events


def test_apps_that_come_one_after_another_are_told_once_each(cluster: Cluster) -> None:
    names = [f"app-{number}" for number in range(20)]
    cluster.fake.put(master())
    with cluster.running():
        for name in names:
            cluster.fake.put(app(name))
            eventually(f"{name} is told", partial(cluster.is_told, name))
    assert [cluster.told(name) for name in names] == [1] * 20
    assert cluster.told("master") <= 1 + len(names)


def test_what_nginx_refuses_is_told_to_the_one_that_it_is_about(cluster: Cluster) -> None:
    for document in (master(), app("a"), app("bad")):
        cluster.fake.put(document)
    with cluster.running():
        eventually("the refusal", lambda: cluster.told("bad", "AddedOrUpdatedWithError") == 1)
        for name in ("master", "a"):
            eventually(f"{name} is told", partial(cluster.is_told, name))
        eventually("an address", lambda: cluster.addresses("a") == [{"ip": ADDRESS}])
        cluster.turn()
    assert [cluster.told(name, "AddedOrUpdatedWithError") for name in ("master", "a")] == [0, 0]
    assert cluster.addresses("bad") is None


def test_a_look_that_fails_is_taken_again_less_and_less_often(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    class Soon(threading.Timer):
        """One that notes how long it was to wait, and does not."""

        def __init__(self, interval: float, function: Callable[[], None]) -> None:
            pauses.append(interval)
            super().__init__(0, function)

    monkeypatch.setattr("nginx_ingress.controller.threading.Timer", Soon)
    with cluster.running():
        cluster.nginx.broken = True
        cluster.fake.put(master())
        eventually("some looks", lambda: len(pauses) > 4)
        assert [later / earlier for earlier, later in itertools.pairwise(pauses[:4])] == [2, 2, 2]
        cluster.nginx.broken = False
        cluster.fake.put(app("a"))
        eventually("the event", lambda: cluster.is_told("a"))
    assert cluster.codes == [0]


def test_what_was_served_before_makes_it_ready(cluster: Cluster) -> None:
    cluster.nginx.resumes = True
    cluster.api.listing.clear()
    with cluster.running():
        assert cluster.controller.readyz() == (True, "serving")
        assert cluster.nginx.turns == []
        cluster.api.listing.set()
        eventually("a turn", lambda: bool(cluster.nginx.turns))


def test_a_long_search_for_what_nginx_refuses_counts_as_work(cluster: Cluster) -> None:
    cluster.controller._last_turn = time.monotonic() - 2 * STUCK_SECONDS
    assert not cluster.controller.livez()[0]
    cluster.nginx.tested = time.monotonic()
    assert cluster.controller.livez()[0]


# Turns


def test_a_change_after_a_quiet_time_is_looked_at_at_once(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    debounce(monkeypatch, 1.0)
    with cluster.running():
        time.sleep(1.1)
        woken = time.monotonic()
        cluster.turn()
    assert cluster.nginx.turns[-1][0] - woken < 0.9


@pytest.mark.parametrize(("debounced", "seconds"), [(0.2, 0.0), (0.01, 0.2)])
def test_there_is_a_pause_between_turns(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, debounced: float, seconds: float
) -> None:
    debounce(monkeypatch, debounced)
    cluster.nginx.seconds = seconds
    with cluster.running():
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            cluster.controller.wake()
            time.sleep(0.005)
    turns = cluster.nginx.turns
    assert len(turns) > 2
    for (began, ended), (next_began, _) in itertools.pairwise(turns):
        assert next_began - ended >= max(debounced, ended - began)


def test_a_pause_is_longer_while_workers_of_earlier_turns_cannot_end(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    debounce(monkeypatch, 0.05)
    monkeypatch.setattr(StubNginx, "leaving", 5)
    with cluster.running():
        for _ in range(3):
            cluster.turn()
    for (_, ended), (began, _) in itertools.pairwise(cluster.nginx.turns):
        assert began - ended >= 6 * 0.05


def test_a_change_during_a_turn_is_looked_at_in_another(cluster: Cluster) -> None:
    cluster.nginx.seconds = 0.3
    with cluster.running():
        cluster.controller.wake()
        time.sleep(0.15)
        cluster.fake.put(master())
        eventually("the event", lambda: cluster.is_told("master"))


@pytest.mark.parametrize("code", [0, 1])
def test_a_pause_holds_up_no_end(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    debounce(monkeypatch, 60.0)
    with cluster.running() as thread:
        cluster.controller.wake()
        time.sleep(0.2)
        if code:
            cluster.nginx.code = code
        else:
            cluster.controller.stop()
        thread.join(PATIENCE_SECONDS)
        assert cluster.codes == [code]
