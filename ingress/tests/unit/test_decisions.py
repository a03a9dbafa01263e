"""Who is served, who is not, and what is said about it. Headings name the rules."""

from __future__ import annotations

from typing import Any

import pytest
from nginx_ingress import annotations as known
from nginx_ingress.annotations import Https
from nginx_ingress.decisions import Decisions, Location, Tls, decide
from nginx_ingress.model import (
    Ingress,
    IngressClass,
    Key,
    Snapshot,
    parse_ingress,
    parse_ingress_class,
    parse_tls_secret,
)
from nginx_ingress.validation import errors_in

from ingress.tests.support.objects import (
    Document,
    ingress,
    ingress_class,
    make_certificate,
    master,
    minion,
    path,
    tls_secret,
)

HOST = "cafe.example.com"
OLD, YOUNG = "2030-01-01T00:00:00Z", "2030-01-01T00:00:01Z"


def decided(
    *ingresses: Document,
    secrets: tuple[Document, ...] = (),
    classes: tuple[Document, ...] = (ingress_class(),),
) -> Decisions:
    """What is decided when this is all there is."""
    found: dict[Key, IngressClass] = {
        each.key: each for each in (parse_ingress_class(document) for document in classes)
    }
    snapshot = Snapshot(
        ingresses={each.key: each for each in map(parse_ingress, ingresses)},
        classes=found,
        secrets={each.key: each for each in map(parse_tls_secret, secrets)},
    )
    return decide(snapshot, "nginx")


def said(decisions: Decisions, name: str, namespace: str = "default") -> tuple[str, str, str]:
    """Type, reason and text about an Ingress."""
    message = decisions.reports[Key(namespace, name)].message({})
    return message.type, message.reason, message.text


def accepted(name: str, namespace: str = "default") -> tuple[str, str, str]:
    return "Normal", "AddedOrUpdated", f"Configuration for {namespace}/{name} was added or updated"


def warned(name: str, *warnings: str) -> tuple[str, str, str]:
    text = f"Configuration for default/{name} was added or updated with warning(s): "
    return "Warning", "AddedOrUpdatedWithWarning", text + "; ".join(warnings)


def rejected(text: str) -> tuple[str, str, str]:
    return "Warning", "Rejected", text


ORPHAN = ("Warning", "NoIngressMasterFound", "Ingress master is invalid or doesn't exist")
TAKEN = rejected("All hosts are taken by other resources")


def served(decisions: Decisions, host: str = HOST) -> list[tuple[str, str]]:
    """Path and owner of a host's locations."""
    return [(each.path, str(each.source)) for each in decisions.servers[host].locations]


def only_location(decisions: Decisions, host: str = HOST) -> Location:
    (location,) = decisions.servers[host].locations
    return location


# Class (R2)


def test_an_ingress_of_another_class_or_of_none_is_not_handled() -> None:
    decisions = decided(
        master("other", class_name="traefik"), master("none", class_name=None, host="b.example.com")
    )
    assert decisions == Decisions()


def test_the_class_has_to_belong_to_this_controller() -> None:
    assert not decided(master(), classes=()).reports
    assert not decided(master(), classes=(ingress_class(controller="else/where"),)).reports


def test_the_annotation_wins_over_the_class_name() -> None:
    name = "kubernetes.io/ingress.class"
    ours = master("ours", class_name="traefik", annotations={name: "nginx"})
    theirs = master("theirs", host="b.example.com", annotations={name: "traefik"})
    empty = master("empty", host="c.example.com", annotations={name: ""})
    assert set(decided(ours, theirs, empty).reports) == {Key("default", "ours")}


# Pairing (R8, R9, R10, R16)


def test_minions_of_all_namespaces_join_the_master_of_their_host() -> None:
    decisions = decided(
        master(namespace="gate"),
        minion("tea", "b", path("/tea")),
        minion("coffee", "a", path("/coffee"), path("/beans", path_type="Exact")),
        minion("apple", "a-b", path("/apple")),
    )
    assert served(decisions) == [
        ("/apple", "a-b/apple"),
        ("/coffee", "a/coffee"),
        ("/beans", "a/coffee"),
        ("/tea", "b/tea"),
    ]
    assert decisions.servers[HOST].source == Key("gate", "master")
    exact = [each.path for each in decisions.servers[HOST].locations if each.exact]
    assert exact == ["/beans"]
    for namespace, name in (("gate", "master"), ("b", "tea"), ("a", "coffee"), ("a-b", "apple")):
        assert said(decisions, name, namespace) == accepted(name, namespace)


def test_a_master_may_have_no_minions_and_no_http() -> None:
    decisions = decided(master())
    assert decisions.servers[HOST].locations == ()
    assert said(decisions, "master") == accepted("master")


def test_a_minion_without_a_master_waits() -> None:
    decisions = decided(minion("tea", "default", path("/tea")))
    assert said(decisions, "tea") == ORPHAN
    assert decisions.servers == {}


def test_a_minion_of_an_invalid_master_waits() -> None:
    decisions = decided(
        ingress("master", role="master", paths=[path("/")]), minion("tea", "default", path("/tea"))
    )
    assert said(decisions, "tea") == ORPHAN


def test_a_minion_of_a_regular_ingress_s_host_waits() -> None:
    decisions = decided(ingress("shop", paths=[path("/")]), minion("tea", "default", path("/tea")))
    assert said(decisions, "tea") == ORPHAN
    assert served(decisions) == [("/", "default/shop")]


def test_hosts_pair_as_texts_only() -> None:
    decisions = decided(
        master(host="*.example.com"),
        minion("star", "default", path("/star"), host="*.example.com"),
        minion("one", "default", path("/one"), host="one.example.com"),
    )
    assert served(decisions, "*.example.com") == [("/star", "default/star")]
    assert said(decisions, "one") == ORPHAN


def test_the_default_backend_of_a_minion_or_master_serves_nothing() -> None:
    backend = {"service": {"name": "tea", "port": {"number": 80}}}
    decisions = decided(
        master(defaultBackend=backend),
        minion("tea", "default", path("/tea"), defaultBackend=backend),
    )
    assert served(decisions) == [("/tea", "default/tea")]


# Hosts (R11, R12)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"created": OLD, "uid": "a"}, {"created": YOUNG, "uid": "b"}),
        ({"created": OLD, "uid": "b"}, {"created": OLD, "uid": "a"}),
    ],
    ids=["older", "larger-uid"],
)
@pytest.mark.parametrize("swapped", [False, True])
def test_the_senior_master_has_the_host_and_its_minions(
    first: dict[str, Any], second: dict[str, Any], swapped: bool
) -> None:
    names = ("z", "a") if swapped else ("a", "z")
    winner, loser = master(names[0], **first), master(names[1], **second)
    tea = minion("tea", "default", path("/tea"))
    decisions = decided(winner, loser, tea)
    assert decisions.servers[HOST].source == Key("default", names[0])
    assert said(decisions, names[0]) == accepted(names[0])
    assert said(decisions, names[1]) == TAKEN
    assert said(decisions, "tea") == accepted("tea")
    assert decisions.reports[Key("default", names[1])].displaced == (
        f"default/{names[1]} was rejected: with warning(s): "
        f"host {HOST} is taken by another resource"
    )


def test_the_next_master_takes_over() -> None:
    younger = master("younger", created=YOUNG)
    assert said(decided(master("older"), younger), "younger") == TAKEN
    assert said(decided(younger), "younger") == accepted("younger")


def test_a_regular_ingress_can_lose_some_of_its_hosts() -> None:
    rules = [
        {"host": "a.example.com", "http": {"paths": [path("/")]}},
        {"host": "b.example.com", "http": {"paths": [path("/")]}},
    ]
    decisions = decided(
        master("older", host="a.example.com"),
        ingress("shop", created=YOUNG, rules=rules),
        minion("tea", "default", path("/tea"), host="a.example.com"),
    )
    assert said(decisions, "shop") == warned(
        "shop", "host a.example.com is taken by another resource"
    )
    assert served(decisions, "a.example.com") == [("/tea", "default/tea")]
    assert served(decisions, "b.example.com") == [("/", "default/shop")]


def test_an_invalid_ingress_claims_no_host() -> None:
    broken = ingress("broken", role="master", paths=[path("/")], created=OLD)
    assert said(decided(broken, master(created=YOUNG)), "master") == accepted("master")


# Paths (R13, R14, R15)


def test_the_senior_minion_has_the_path_and_the_other_keeps_its_others() -> None:
    decisions = decided(
        master(),
        minion("a", "default", path("/x"), path("/a"), created=YOUNG),
        minion("b", "default", path("/x", path_type="Exact")),
    )
    assert served(decisions) == [("/a", "default/a"), ("/x", "default/b")]
    assert said(decisions, "a") == warned("a", "path /x is taken by another resource")
    assert said(decisions, "b") == accepted("b")
    assert decisions.reports[Key("default", "a")].refusal is None


def test_with_equal_age_the_larger_uid_has_the_path() -> None:
    decisions = decided(
        master(),
        minion("a", "default", path("/x"), uid="2"),
        minion("b", "default", path("/x"), uid="1"),
    )
    assert served(decisions) == [("/x", "default/a")]


def test_a_minion_that_lost_every_path_is_still_accepted() -> None:
    decisions = decided(
        master(),
        minion("a", "default", path("/x")),
        minion("b", "default", path("/x"), created=YOUNG),
    )
    assert said(decisions, "b") == warned("b", "path /x is taken by another resource")
    assert decisions.reports[Key("default", "b")].refusal is None


def test_paths_differ_as_texts() -> None:
    decisions = decided(
        master(),
        minion("a", "default", path("/x")),
        minion("b", "default", path("/x/")),
        minion("c", "default", path("", path_type="ImplementationSpecific")),
    )
    assert [each for each, _ in served(decisions)] == ["/x", "/x/", "/"]


def test_no_path_is_the_same_path_as_the_root() -> None:
    empty = path("", path_type="ImplementationSpecific")
    decisions = decided(
        master(),
        minion("older", "default", path("/"), created=OLD),
        minion("younger", "default", empty, path("/more"), created=YOUNG),
    )
    assert served(decisions) == [("/", "default/older"), ("/more", "default/younger")]
    assert said(decisions, "younger") == warned("younger", "path / is taken by another resource")


@pytest.mark.parametrize("error", [RecursionError, MemoryError, OverflowError, KeyError])
def test_one_that_cannot_be_handled_is_refused_alone(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def failing(ingress: Ingress) -> list[str]:
        if ingress.key.name == "odd":
            raise error("of its own")
        return errors_in(ingress)

    monkeypatch.setattr("nginx_ingress.decisions.errors_in", failing)
    decisions = decided(
        master(), minion("odd", "default", path("/odd")), minion("tea", "default", path("/tea"))
    )
    assert served(decisions) == [("/tea", "default/tea")]
    kind, reason, text = said(decisions, "odd")
    assert (kind, reason) == ("Warning", "Rejected")
    assert text.startswith(f"cannot be handled: {error.__name__}: ")


def test_one_that_cannot_be_served_is_refused_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(value: str) -> dict[str, str]:
        raise RecursionError

    documents = (
        master(),
        minion("odd", "default", path("/odd"), annotations={"nginx.org/websocket-services": "tea"}),
        minion("tea", "default", path("/tea")),
    )
    service_list = known.service_list
    monkeypatch.setattr(
        known, "service_list", lambda value: failing(value) if value else service_list(value)
    )
    monkeypatch.setattr("nginx_ingress.decisions.errors_in", lambda _: [])
    decisions = decided(*documents)
    assert served(decisions) == [("/tea", "default/tea")]
    assert said(decisions, "odd")[1] == "Rejected"


def test_the_minions_of_a_master_that_cannot_be_served_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(known, "https_of", None)
    decisions = decided(master(), minion("tea", "default", path("/tea")))
    assert decisions.servers == {}
    assert said(decisions, "master")[1] == "Rejected"
    assert said(decisions, "tea") == ORPHAN


BUFFERS_APART = (
    "annotations.nginx.org/proxy-busy-buffers-size: Invalid value: {}k, twice the largest buffer "
    "unless given: must be at least the largest, {}k, and at most all of nginx.org/proxy-buffers "
    "but one, {}k"
)


@pytest.mark.parametrize(
    ("masters", "own", "wrong"),
    [
        ({}, {"buffers": "2 8k"}, (64, 32, 8)),
        ({}, {"buffer-size": "64k"}, (128, 64, 96)),
        ({"buffers": "4 64k"}, {"buffer-size": "64k"}, ()),
        ({"busy-buffers-size": "96k"}, {}, ()),
        ({"busy-buffers-size": "97k"}, {}, (97, 32, 96)),
        ({"busy-buffers-size": "97k"}, {"busy-buffers-size": "31k"}, (31, 32, 96)),
    ],
)
def test_buffers_that_do_not_go_together_are_refused_alone(
    masters: dict[str, str], own: dict[str, str], wrong: tuple[int, ...]
) -> None:
    of_master, of_minion = (
        {f"nginx.org/proxy-{name}": value for name, value in each.items()}
        for each in (masters, own)
    )
    usual = {"nginx.org/proxy-busy-buffers-size": "64k"}
    decisions = decided(
        master(annotations=of_master),
        minion("odd", "default", path("/odd"), path("/"), annotations=of_minion, created=OLD),
        minion("tea", "default", path("/"), annotations=usual, created=YOUNG),
    )
    expected = rejected(BUFFERS_APART.format(*wrong)) if wrong else accepted("odd")
    assert said(decisions, "odd") == expected
    owners = {owner for where, owner in served(decisions) if where == "/"}
    assert owners == {"default/tea" if wrong else "default/odd"}
    if not masters:
        regular = ingress("regular", host="other.test", paths=[path("/")], annotations=of_minion)
        assert said(decided(regular), "regular") == (expected if wrong else accepted("regular"))


def test_a_namespace_brings_no_more_than_so_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nginx_ingress.decisions.MOST_OF_NAMESPACE", 5)
    decisions = decided(
        master(),
        minion("late", "branch", path("/c"), created=YOUNG),
        minion("large", "branch", *map(path, ("/d", "/e", "/f")), created=YOUNG),
        minion("early", "branch", path("/a"), path("/b"), created=OLD),
        minion("other", "other", *map(path, ("/1", "/2", "/3", "/4")), created=YOUNG),
    )
    too_many = "spec.rules: Too many: {} hosts and paths: with older Ingresses, namespace branch "
    too_many += "would have more than 5"
    assert {(where, str(key)) for where, key in served(decisions)} == {
        *(("/a", "branch/early"), ("/b", "branch/early"), ("/c", "branch/late")),
        *((f"/{number}", "other/other") for number in (1, 2, 3, 4)),
    }
    assert said(decisions, "large", "branch") == rejected(too_many.format(4))


def test_a_path_that_a_minion_has_twice_is_not_served() -> None:
    decisions = decided(
        master(),
        minion("a", "default", path("/x"), path("/x", path_type="Exact"), path("/y")),
        minion("b", "default", path("/x"), created=YOUNG),
    )
    assert served(decisions) == [("/y", "default/a")]
    taken = "path /x is taken by another resource"
    assert said(decisions, "a") == warned("a", taken)
    assert said(decisions, "b") == warned("b", taken)


# Annotations


def test_ignored_annotations_are_noted_in_the_log_alone() -> None:
    decisions = decided(
        master(annotations={"nginx.org/path-regex": "exact"}),
        minion(
            "tea",
            "default",
            path("/tea"),
            annotations={"nginx.org/hsts": "true", "nginx.org/ssl-redirect": "false"},
        ),
    )
    assert said(decisions, "master") == accepted("master")
    assert said(decisions, "tea") == accepted("tea")
    assert decisions.reports[Key("default", "master")].notes == (
        "master default/master cannot contain the 'nginx.org/path-regex' annotation(s). "
        "They will be ignored",
    )
    assert decisions.reports[Key("default", "tea")].notes == (
        "minion default/tea cannot contain the 'nginx.org/hsts,nginx.org/ssl-redirect' "
        "annotation(s). They will be ignored",
    )


def test_an_annotation_that_would_have_an_effect_elsewhere_is_warned_of() -> None:
    decisions = decided(master(annotations={"nginx.org/keepalive": "8"}))
    assert said(decisions, "master") == warned(
        "master",
        "annotation nginx.org/keepalive is not supported by this controller and has no effect",
    )


def test_a_minion_inherits_what_it_does_not_say_itself() -> None:
    given = {
        "client-max-body-size": "8M",
        "proxy-buffer-size": "64K",
        "proxy-buffering": "False",
        "proxy-buffers": "4 64k",
        "proxy-connect-timeout": "5",
        "proxy-read-timeout": "1h 30m",
    }
    decisions = decided(
        master(annotations={f"nginx.org/{name}": value for name, value in given.items()}),
        minion(
            "tea",
            "default",
            path("/tea"),
            annotations={
                "nginx.org/proxy-read-timeout": "10s",
                "nginx.org/proxy-send-timeout": "20s",
            },
        ),
    )
    assert {*only_location(decisions).directives} == {
        ("client_max_body_size", "8m"),
        ("proxy_buffer_size", "64k"),
        ("proxy_buffering", "off"),
        ("proxy_buffers", "4", "64k"),
        ("proxy_connect_timeout", "5000ms"),
        ("proxy_read_timeout", "10000ms"),
        ("proxy_send_timeout", "20000ms"),
    }


def test_headers_are_a_minion_s_and_those_of_its_master_that_it_does_not_say() -> None:
    name = "nginx.org/proxy-set-headers"
    own = {name: "X-Forwarded-Prefix: /tea, X-Own"}
    decisions = decided(
        master(annotations={name: "x-forwarded-prefix: /gate,X-Gate: a:b "}),
        minion("tea", "default", path("/tea"), annotations=own),
    )
    assert only_location(decisions).headers == (
        ("X-Forwarded-Prefix", "/tea"),
        ("X-Own", None),
        ("X-Gate", "a:b"),
    )


def test_redirects_are_put_right_for_a_minion_that_says_so() -> None:
    name = "slipway.internal/rewrite-redirects"
    tea = minion("tea", "default", path("/tea"), annotations={name: "true"})
    assert only_location(decided(master(), tea)).redirects
    decisions = decided(master(annotations={name: "true"}), minion("tea", "default", path("/tea")))
    assert not only_location(decisions).redirects
    assert decisions.reports[Key("default", "master")].notes


def test_rewrites_and_websockets_are_by_service() -> None:
    annotations = {
        "nginx.org/rewrites": "serviceName=tea rewrite=/;serviceName=beans rewrite=/b/",
        "nginx.org/websocket-services": "coffee,beans",
    }
    paths = [path("/tea/", "tea"), path("/coffee", "coffee"), path("/beans/", "beans")]
    decisions = decided(master(), minion("all", "default", *paths, annotations=annotations))
    seen = [(each.rewrite, each.websocket) for each in decisions.servers[HOST].locations]
    assert seen == [("/", False), ("", True), ("/b/", True)]


def test_rewrites_on_a_master_reject_it_because_it_has_no_services() -> None:
    decisions = decided(master(annotations={"nginx.org/rewrites": "serviceName=tea rewrite=/"}))
    assert said(decisions, "master") == rejected(
        'annotations.nginx.org/rewrites: Invalid value: "serviceName=tea rewrite=/": '
        "The following services were not found: tea"
    )


# Upstreams (R17)


def test_services_are_looked_up_in_the_minion_s_namespace_under_a_name_of_their_own() -> None:
    decisions = decided(
        master(namespace="gate"),
        minion("tea", "a", path("/a", "tea")),
        minion("tea", "b", path("/b", "tea", port="http")),
    )
    first, second = (each.upstream for each in decisions.servers[HOST].locations)
    assert (first.name, first.service) == (f"a-tea-{HOST}-tea-80", Key("a", "tea"))
    assert (second.name, second.service) == (f"b-tea-{HOST}-tea-http", Key("b", "tea"))


def test_names_that_hyphens_would_make_equal_stay_apart() -> None:
    decisions = decided(
        master(),
        minion("b-c", "a", path("/1", "d")),
        minion("c", "a-b", path("/2", "d")),
    )
    names = {each.upstream.name for each in decisions.servers[HOST].locations}
    assert len(names) == 2


# Regular Ingresses


def test_a_regular_ingress_has_its_default_backend_on_each_host_without_a_root() -> None:
    rules = [
        {"host": "a.example.com", "http": {"paths": [path("/x")]}},
        {"host": "b.example.com", "http": {"paths": [path("/", "own")]}},
        {"host": "c.example.com"},
    ]
    backend = {"service": {"name": "rest", "port": {"number": 80}}}
    decisions = decided(ingress("shop", rules=rules, defaultBackend=backend))
    services = {
        host: [(each.path, each.upstream.service.name) for each in server.locations]
        for host, server in decisions.servers.items()
    }
    assert services == {
        "a.example.com": [("/x", "tea"), ("/", "rest")],
        "b.example.com": [("/", "own")],
        "c.example.com": [("/", "rest")],
    }


# TLS (R18)


def _secure(**more: Any) -> Document:
    return master(tls=[{"hosts": [HOST], "secretName": "pair"}], **more)


def test_tls_takes_the_secret_of_the_master_s_namespace() -> None:
    secret = tls_secret("pair", *make_certificate(HOST))
    decisions = decided(_secure(), secrets=(secret,))
    parsed = parse_tls_secret(secret)
    assert decisions.servers[HOST].tls == Tls(parsed.file_name)
    assert said(decisions, "master") == accepted("master")
    elsewhere = decided(_secure(namespace="gate"), secrets=(secret,))
    assert elsewhere.servers[HOST].tls == Tls()


def test_tls_is_for_hosts_that_it_names_literally() -> None:
    entry = {"hosts": ["*.example.com"], "secretName": "pair"}
    assert decided(master(tls=[entry])).servers[HOST].tls is None


@pytest.mark.parametrize(
    ("secrets", "problem"),
    [
        ((), "there is no such secret of type kubernetes.io/tls"),
        ((tls_secret("pair", b"", b"k"),), "it has no tls.crt"),
        ((tls_secret("pair", b"c", b"k"),), "its certificate and key cannot be used: "),
    ],
)
def test_without_a_usable_secret_handshakes_are_refused(
    secrets: tuple[Document, ...], problem: str
) -> None:
    decisions = decided(_secure(), secrets=secrets)
    assert decisions.servers[HOST].tls == Tls()
    kind, reason, text = said(decisions, "master")
    assert (kind, reason) == ("Warning", "AddedOrUpdatedWithWarning")
    assert f"with warning(s): TLS secret pair is invalid: {problem}" in text


def test_a_key_of_another_certificate_is_refused() -> None:
    certificate, _ = make_certificate("a.example.com")
    _, key = make_certificate("b.example.com")
    decisions = decided(_secure(), secrets=(tls_secret("pair", certificate, key),))
    assert decisions.servers[HOST].tls == Tls()


def test_tls_without_a_secret_s_name_refuses_handshakes() -> None:
    decisions = decided(master(tls=[{"hosts": [HOST]}]))
    assert decisions.servers[HOST].tls == Tls()
    assert said(decisions, "master") == warned("master", f"TLS secret for host {HOST} is not named")


@pytest.mark.parametrize(
    ("annotations", "redirect"),
    [
        ({}, True),
        ({"nginx.org/ssl-redirect": "false"}, False),
        ({"ingress.kubernetes.io/ssl-redirect": "False"}, False),
        (
            {
                "ingress.kubernetes.io/ssl-redirect": "false",
                "nginx.org/ssl-redirect": "true",
            },
            True,
        ),
    ],
)
def test_http_is_redirected_unless_told_otherwise(
    annotations: dict[str, str], redirect: bool
) -> None:
    decisions = decided(_secure(annotations=annotations))
    assert decisions.servers[HOST].https == Https(redirect)


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        ({"redirect-to-https": "true"}, Https(redirect_forwarded=True)),
        ({"http-redirect-code": "308"}, Https(redirect_code=308)),
        ({"hsts": "true"}, Https(hsts="max-age=2592000; preload")),
        ({"hsts-max-age": "60", "hsts-include-subdomains": "true"}, Https()),
        (
            {"hsts": "true", "hsts-max-age": "60", "hsts-include-subdomains": "true"},
            Https(hsts="max-age=60; includeSubDomains; preload"),
        ),
        (
            {"hsts": "true", "hsts-behind-proxy": "true"},
            Https(hsts="max-age=2592000; preload", hsts_behind_proxy=True),
        ),
    ],
)
@pytest.mark.parametrize("role", ["master", None])
def test_what_is_said_of_https(
    role: str | None, annotations: dict[str, str], expected: Https
) -> None:
    given = {f"nginx.org/{name}": value for name, value in annotations.items()}
    paths = None if role else [path("/")]
    decisions = decided(ingress("main", role=role, paths=paths, annotations=given))
    assert decisions.servers[HOST].https == expected
    assert said(decisions, "main") == accepted("main")


def test_what_a_minion_says_of_https_has_no_effect() -> None:
    said_by_minion = {"nginx.org/hsts": "true", "nginx.org/redirect-to-https": "true"}
    decisions = decided(
        master(), minion("tea", "default", path("/tea"), annotations=said_by_minion)
    )
    assert decisions.servers[HOST].https == Https()


# Life (R21, R22)


def test_an_update_that_makes_a_minion_invalid_removes_it() -> None:
    good = minion("tea", "default", path("/tea"))
    assert served(decided(master(), good)) == [("/tea", "default/tea")]
    bad = minion("tea", "default", path("tea"))
    decisions = decided(master(), bad)
    assert served(decisions) == []
    assert said(decisions, "tea")[1] == "Rejected"


def test_a_failure_is_told_to_the_master_and_all_its_minions() -> None:
    decisions = decided(
        master(), minion("tea", "default", path("/tea")), master("b", host="b.example.com")
    )
    for name in ("master", "tea"):
        message = decisions.reports[Key("default", name)].message({HOST: "no good"})
        assert (message.type, message.reason) == ("Warning", "AddedOrUpdatedWithError")
        assert message.text == (
            f"Configuration for default/{name} was added or updated; but was not applied: no good"
        )
    other = decisions.reports[Key("default", "b")].message({HOST: "no good"})
    assert other.reason == "AddedOrUpdated"


def test_a_minion_is_told_again_when_what_concerns_it_changes_and_a_master_always() -> None:
    tea, coffee = minion("tea", "default", path("/tea")), minion("c", "default", path("/c"))
    other = master("b", host="b.example.com")
    annotated = {"nginx.org/client-max-body-size": "8m"}

    def told(*after: Document) -> set[str]:
        """Which of those that were there before are told again."""
        reports, now = decided(master(), tea, coffee, other).reports, decided(*after).reports
        return {key.name for key in reports if reports[key].revision != now[key].revision}

    changed = minion("tea", "default", path("/tea"))
    changed["metadata"]["generation"] += 1
    assert told(master(), changed, coffee, other) == {"master", "tea"}
    elsewhere = minion("tea", "default", path("/tea", "milk"))
    assert told(master(), elsewhere, coffee, other) == {"master", "tea"}
    added = minion("a", "default", path("/a"))
    assert told(master(), added, tea, coffee, other) == {"master"}
    # What a minion inherits concerns it.
    assert told(master(annotations=annotated), tea, coffee, other) == {"master", "tea", "c"}
    heir = minion("c", "default", path("/c"), annotations=annotated)
    assert told(master(), tea, heir, other) == {"master", "c"}
    secure = master(tls=[{"hosts": [HOST]}])
    assert told(secure, tea, coffee, other) == {"master"}
    assert told(master(), tea, coffee, master("b", host="b.example.com", uid="new")) == {"b"}


def test_a_status_is_no_reason_to_tell_again() -> None:
    before = decided(master()).reports[Key("default", "master")]
    status = {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}
    after = decided({**master(), "status": status}).reports[Key("default", "master")]
    assert before.revision == after.revision
    assert before.ingress != after.ingress
