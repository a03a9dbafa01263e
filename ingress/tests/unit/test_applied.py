"""What is brought to nginx, and what is held back."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from nginx_ingress.applied import MOST_REFUSED, MOST_SECOND_TRIALS, Applied, Outcome
from nginx_ingress.decisions import Decisions, Server, decide
from nginx_ingress.model import (
    Key,
    Snapshot,
    parse_endpoint_slice,
    parse_ingress,
    parse_ingress_class,
    parse_service,
    parse_tls_secret,
)
from nginx_ingress.nginx import ConfigRefused, Nginx, NginxError
from nginx_ingress.render import Settings, render_server

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

BAD = "it is bad"


class Recorder(Nginx):
    """An nginx that refuses a text with all words of one of ``unwelcome``.

    It writes down what it is given, and counts how often it is asked.
    """

    def __init__(self) -> None:
        self.given: list[str] = []
        self.trials = 0
        self.stuck = False
        self.unwelcome: list[tuple[str, ...]] = [('"/bad"',)]

    def add_certificates(self, certificates: Mapping[str, bytes]) -> None:
        """There is no folder."""

    def keep_certificates(self, names: Collection[str]) -> None:
        """There is no folder."""

    def test(self, servers: str) -> str:
        self.trials += 1
        refused = any(all(word in servers for word in words) for words in self.unwelcome)
        return BAD if refused else ""

    def apply(self, servers: str) -> None:
        if problem := self.test(servers):
            raise ConfigRefused(problem)
        if self.stuck:
            raise NginxError("stuck")
        self.given.append(servers)


@pytest.fixture
def nginx() -> Recorder:
    return Recorder()


@pytest.fixture
def applied(nginx: Recorder) -> Applied:
    return Applied(nginx, Settings(Path("/run/test")))


def snapshot(*documents: Document, port: int = 8080) -> Snapshot:
    """A cluster with these Ingresses and secrets."""
    slices = parse_endpoint_slice(endpoint_slice("tea", port))
    ingresses = [parse_ingress(each) for each in documents if each["kind"] == "Ingress"]
    secrets = [parse_tls_secret(each) for each in documents if each["kind"] == "Secret"]
    classes, tea = parse_ingress_class(ingress_class()), parse_service(service("tea"))
    return Snapshot(
        ingresses={each.key: each for each in ingresses},
        classes={classes.key: classes},
        services={tea.key: tea},
        slices={slices.key: slices},
        secrets={each.key: each for each in secrets},
    )


def apply(applied: Applied, cluster: Snapshot) -> tuple[Decisions, Outcome]:
    return applied.apply(partial(decide, cluster, "nginx"), cluster)


def host(name: str, *paths: str) -> Document:
    """A host with paths of its own."""
    return ingress(name, host=f"{name}.test", paths=[path(text) for text in paths])


def minions(*names: str, **more: str) -> list[Document]:
    """Minions of one host, each with the path of its name."""
    return [minion(name, "default", path(f"/{name}"), **more) for name in names]


def refused(decisions: Decisions) -> dict[str, str]:
    """The Ingresses that nginx does not take, and what they are told."""
    return {
        key.name: report.refusal.text
        for key, report in decisions.reports.items()
        if report.refusal and report.refusal.reason == "AddedOrUpdatedWithError"
    }


def told(name: str) -> str:
    return f"Configuration for default/{name} was added or updated; but was not applied: {BAD}"


def test_the_same_is_given_once(nginx: Recorder, applied: Applied) -> None:
    assert apply(applied, snapshot())[1] == Outcome()
    assert len(nginx.given) == 1
    for _ in range(3):
        assert apply(applied, snapshot(host("a", "/x"), host("b", "/y")))[1] == Outcome()
    assert apply(applied, snapshot(host("b", "/y"), host("a", "/x")))[1] == Outcome()
    assert len(nginx.given) == 2


def test_endpoints_alone_are_given(nginx: Recorder, applied: Applied) -> None:
    apply(applied, snapshot(host("a", "/x"), port=8080))
    apply(applied, snapshot(host("a", "/x"), port=9090))
    assert "127.0.0.1:8080" in nginx.given[0]
    assert "127.0.0.1:9090" in nginx.given[1]


def test_a_refused_minion_goes_alone_and_everybody_else_goes_on(
    nginx: Recorder, applied: Applied
) -> None:
    cluster = [master(), *minions("a", "b"), host("other", "/x")]
    apply(applied, snapshot(*cluster))
    bad = minion("z", "default", path("/bad"))
    decisions, outcome = apply(applied, snapshot(*cluster, bad, host("new", "/y")))
    assert outcome == Outcome()
    assert refused(decisions) == {"z": told("z")}
    assert all(f'location "/{path}"' in nginx.given[-1] for path in ("a", "b", "x", "y"))
    assert "/bad" not in nginx.given[-1]


def test_a_refused_host_goes_alone(nginx: Recorder, applied: Applied) -> None:
    decisions, _ = apply(applied, snapshot(host("a", "/bad"), host("b", "/x")))
    assert refused(decisions) == {"a": told("a")}
    assert "b.test" in nginx.given[-1]
    assert "a.test" not in nginx.given[-1]


def test_the_minions_of_a_refused_master_wait(nginx: Recorder, applied: Applied) -> None:
    nginx.unwelcome = [("return 307",)]
    code = {"nginx.org/redirect-to-https": "true", "nginx.org/http-redirect-code": "307"}
    cluster = snapshot(master(annotations=code), *minions("a"), host("other", "/x"))
    decisions, _ = apply(applied, cluster)
    assert refused(decisions) == {"master": told("master")}
    orphan = decisions.reports[Key("default", "a")].refusal
    assert orphan
    assert orphan.reason == "NoIngressMasterFound"
    assert "other.test" in nginx.given[-1]


def test_of_two_that_do_not_go_together_the_older_stays(nginx: Recorder, applied: Applied) -> None:
    nginx.unwelcome = [("/first", "/second")]
    younger = minions("first", created="2031-01-01T00:00:00Z")
    cluster = snapshot(master(), *younger, *minions("second"))
    assert refused(apply(applied, cluster)[0]) == {"first": told("first")}
    # Another process comes to the same.
    again = apply(Applied(nginx, Settings(Path("/run/test"))), cluster)[0]
    assert refused(again) == {"first": told("first")}


def test_what_no_text_can_be_made_of_is_refused_alone(
    nginx: Recorder, applied: Applied, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(server: Server, *more: Any) -> str:
        if any(location.path == "/odd" for location in server.locations):
            raise RecursionError("too deep")
        return render_server(server, *more)

    monkeypatch.setattr("nginx_ingress.applied.render_server", failing)
    decisions, _ = apply(applied, snapshot(master(), *minions("a", "odd"), host("other", "/x")))
    (text,) = refused(decisions).values()
    assert text.endswith(
        "default/odd was added or updated; but was not applied: "
        "cannot be written: RecursionError: too deep"
    )
    assert all(f'"/{path}"' in nginx.given[-1] for path in ("a", "x"))


def test_a_certificate_that_nginx_refuses_leaves_its_host_without_tls(
    nginx: Recorder, applied: Applied
) -> None:
    secret = tls_secret("cafe", *make_certificate("cafe.example.com"))
    tls = [{"hosts": ["cafe.example.com"], "secretName": "cafe"}]
    cluster = snapshot(master(tls=tls), *minions("a"), secret)
    nginx.unwelcome = [("ssl_certificate ",)]
    decisions, _ = apply(applied, cluster)
    assert refused(decisions) == {}
    message = decisions.reports[Key("default", "master")].message({})
    assert message.text.endswith(f"with warning(s): TLS secret cafe is invalid: {BAD}")
    assert 'location "/a"' in nginx.given[-1]
    trials = nginx.trials
    apply(applied, cluster)
    assert nginx.trials == trials


@pytest.mark.parametrize("bad", [1, 3])
def test_the_culprits_are_found_by_halving(nginx: Recorder, applied: Applied, bad: int) -> None:
    names = [f"minion-{number:03}" for number in range(200)]
    nginx.unwelcome = [(f'"/{name}"',) for name in names[50 : 50 + bad]]
    decisions, _ = apply(applied, snapshot(master(), *minions(*names)))
    assert list(refused(decisions)) == names[50 : 50 + bad]
    # For each one: the whole, nothing at all, and the halves; and the whole without them.
    assert nginx.trials <= bad * (2 + math.ceil(math.log2(len(names) + 1))) + 1


def test_what_stays_refused_costs_no_search_again(nginx: Recorder, applied: Applied) -> None:
    cluster = [master(), *minions("a", "b", "bad"), host("other", "/x")]
    apply(applied, snapshot(*cluster))
    trials = nginx.trials
    # Nothing changes, and then another host, and then endpoints.
    for more, port, cost in ((None, 8080, 0), ("/y", 8080, 1), ("/y", 9090, 1)):
        changed = [*cluster, *([host("more", more)] if more else [])]
        assert refused(apply(applied, snapshot(*changed, port=port))[0]) == {"bad": told("bad")}
        trials += cost
        assert nginx.trials == trials
    # The host itself: one trial shows that it is refused all the same.
    decisions, _ = apply(applied, snapshot(*cluster, host("more", "/y"), *minions("c"), port=9090))
    assert refused(decisions) == {"bad": told("bad")}
    assert nginx.trials == trials + 2
    assert 'location "/c"' in nginx.given[-1]


def test_one_that_is_mended_is_served(nginx: Recorder, applied: Applied) -> None:
    apply(applied, snapshot(master(), *minions("a", "bad")))
    mended = minion("bad", "default", path("/good"))
    mended["metadata"]["generation"] = 2
    decisions, _ = apply(applied, snapshot(master(), *minions("a"), mended))
    assert refused(decisions) == {}
    assert 'location "/good"' in nginx.given[-1]


def test_one_that_was_refused_for_another_is_served_without_that(
    nginx: Recorder, applied: Applied
) -> None:
    nginx.unwelcome = [("/first", "/second")]
    younger = minions("second", created="2031-01-01T00:00:00Z")
    apply(applied, snapshot(master(), *minions("a", "first"), *younger))
    assert '"/second"' not in nginx.given[-1]
    decisions, _ = apply(applied, snapshot(master(), *minions("a"), *younger))
    assert refused(decisions) == {}
    assert '"/second"' in nginx.given[-1]


def test_a_minion_that_its_master_spoiled_is_tried_with_another_master(
    nginx: Recorder, applied: Applied
) -> None:
    nginx.unwelcome = [("client_max_body_size", '"7m"')]
    spoiling = master(annotations={"nginx.org/client-max-body-size": "7m"})
    assert refused(apply(applied, snapshot(spoiling, *minions("a")))[0]) == {"a": told("a")}
    assert refused(apply(applied, snapshot(master(), *minions("a")))[0]) == {}
    assert '"/a"' in nginx.given[-1]


def test_second_trials_are_few_at_a_time(nginx: Recorder, applied: Applied) -> None:
    names = [f"bad-{number}" for number in range(MOST_SECOND_TRIALS + 2)]
    nginx.unwelcome = [(f'"/{name}"',) for name in names]
    apply(applied, snapshot(master(), *minions(*names)))
    nginx.unwelcome = []
    changed = snapshot(master(), *minions("a", *names))
    counts = []
    for _ in range(2):
        decisions, outcome = apply(applied, changed)
        counts.append((len(refused(decisions)), outcome.settled))
    assert counts == [(2, False), (0, True)]


def test_a_namespace_of_which_many_are_refused_takes_no_long_search(
    nginx: Recorder, applied: Applied
) -> None:
    names = [f"bad-{number:03}" for number in range(100)]
    nginx.unwelcome = [(f'"/{name}"',) for name in names]
    others = [minion("fine", "odd", path("/fine"), created="2031-01-01T00:00:00Z")]
    bad = [minion(name, "odd", path(f"/{name}")) for name in names]
    good = [master(), *minions("a")]
    decisions, outcome = apply(applied, snapshot(*good, *bad, *others))
    assert outcome == Outcome()
    assert 'location "/a"' in nginx.given[-1]
    assert nginx.trials <= MOST_REFUSED * (2 + math.ceil(math.log2(len(names) + 2))) + 1
    assert refused(decisions).keys() == {*names, "fine"}
    waiting = "but was not applied: 8 others of namespace odd are refused, and have to be mended"
    assert refused(decisions)["fine"].endswith(waiting)
    # As soon as there are fewer, the next are looked at.
    for left in (bad[1:], []):
        decisions, _ = apply(applied, snapshot(*good, *minions("b"), *left, *others))
        assert 'location "/b"' in nginx.given[-1]
        assert ('location "/fine"' in nginx.given[-1]) is (not left)
    assert refused(decisions) == {}


def test_what_is_served_stays_when_many_others_of_its_namespace_are_refused(
    nginx: Recorder, applied: Applied
) -> None:
    good = [master(), *minions("a", "b")]
    apply(applied, snapshot(*good))
    names = [f"bad-{number:03}" for number in range(20)]
    nginx.unwelcome = [(f'"/{name}"',) for name in names]
    decisions, _ = apply(applied, snapshot(*good, *minions(*names)))
    assert refused(decisions).keys() == {*names}
    assert 'location "/b"' in nginx.given[-1]


def test_what_nobody_is_to_blame_for_is_nobodys_refusal(nginx: Recorder, applied: Applied) -> None:
    nginx.unwelcome = [()]
    decisions, outcome = apply(applied, snapshot(host("a", "/x")))
    assert refused(decisions) == {}
    assert outcome == Outcome({"a.test": f"not even without any Ingress: {BAD}"}, settled=False)
    nginx.unwelcome = []
    assert apply(applied, snapshot(host("a", "/x")))[1] == Outcome()


def test_a_reload_that_fails_is_the_failure_of_what_changed_and_not_settled(
    nginx: Recorder, applied: Applied
) -> None:
    apply(applied, snapshot(host("a", "/x"), host("b", "/x")))
    nginx.stuck = True
    changed = snapshot(host("a", "/x"), host("b", "/y"), host("c", "/x"))
    outcome = apply(applied, changed)[1]
    assert outcome == Outcome({"b.test": "stuck", "c.test": "stuck"}, settled=False)
    nginx.stuck = False
    assert apply(applied, changed)[1] == Outcome()
