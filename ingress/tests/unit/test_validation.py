"""What makes an Ingress invalid, and in which words."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from nginx_ingress import annotations as known
from nginx_ingress.annotations import milliseconds, offset, rewrite_list
from nginx_ingress.model import (
    LONGEST_CHAIN,
    LONGEST_KEY,
    parse_endpoint_slice,
    parse_ingress,
    parse_tls_secret,
)
from nginx_ingress.validation import as_message, errors_in

from ingress.tests.support.objects import (
    Document,
    endpoint_slice,
    ingress,
    make_certificate,
    master,
    minion,
    path,
    tls_secret,
)

RESOURCE = {"resource": {"kind": "StorageBucket", "name": "static", "apiGroup": "k8s.example.com"}}


def errors(document: Document) -> list[str]:
    return errors_in(parse_ingress(document))


@pytest.mark.parametrize(
    "document",
    [
        master(),
        minion("tea", "default", path("/tea"), path("/beans", path_type="Exact")),
        minion("tea", "default", path("", path_type="ImplementationSpecific")),
        ingress("shop", paths=[path("/"), path("/a.b/~c/%20+$x")]),
        ingress("shop", rules=[{"host": "a.example.com"}, {"host": "b.example.com"}]),
        minion("tea", "default", path("/a{2,3}"), path("/rooted"), path("/vars"), path("/a..b")),
        minion(
            "tea",
            "default",
            path("/(a|b)[c(]"),
            path("/[]]"),
            path("/\\("),
            path("/{{"),
            path("/ü"),
        ),
        minion("tea", "default", path("/" + "x" * 1023), path('/\\"'), path("/x{1000}")),
        ingress("shop", host="*.example.com", paths=[path("/")]),
        ingress("shop", rules=[{"host": f"h{number}.test"} for number in range(100)]),
    ],
)
def test_a_sound_ingress_has_no_errors(document: Document) -> None:
    assert errors(document) == []


@pytest.mark.parametrize("value", ["Master", "slave", "master "])
def test_the_role_is_one_of_two_words(value: str) -> None:
    assert errors(ingress("x", role=value, paths=[path("/")])) == [
        f'annotations.nginx.org/mergeable-ingress-type: Invalid value: "{value}": '
        "must be one of: 'master' or 'minion'"
    ]


TWO_RULES: dict[str, Any] = {"rules": [{"host": "a.example.com"}, {"host": "b.example.com"}]}


@pytest.mark.parametrize(
    ("document", "error"),
    [
        (master(**TWO_RULES), "spec.rules: Too many: 2: must have at most 1 item"),
        (
            ingress("m", role="master", paths=[path("/a"), path("/b")]),
            "spec.rules[0].http.paths: Too many: 2: must have at most 0 items",
        ),
        (minion("m", **TWO_RULES), "spec.rules: Too many: 2: must have at most 1 item"),
        (minion("m"), "spec.rules[0].http.paths: Required value: must include at least one path"),
        (
            ingress("m", role="minion"),
            "spec.rules[0].http.paths: Required value: must include at least one path",
        ),
        (
            minion("m", "default", path("/"), tls=[{"hosts": ["a.example.com"]}]),
            "spec.tls: Too many: 1: must have at most 0 items",
        ),
        (ingress("x", host=None, paths=[path("/")]), "spec.rules[0].host: Required value"),
        (
            ingress("x", rules=[{"host": "a.example.com"}] * 2),
            'spec.rules[1].host: Duplicate value: "a.example.com"',
        ),
        (ingress("x", rules=[]), "spec.rules: Required value"),
        (
            ingress("x", paths=[{"path": "/", "pathType": "Prefix", "backend": RESOURCE}]),
            "spec.rules[0].http.paths[0].backend.resource: Forbidden: "
            "resource backends are not supported",
        ),
        (
            ingress("x", defaultBackend=RESOURCE),
            "spec.defaultBackend.resource: Forbidden: resource backends are not supported",
        ),
    ],
)
def test_shapes_that_are_refused(document: Document, error: str) -> None:
    assert errors(document) == [error]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("tea", "must start with / and"),
        ("/a b", "must start with / and must not include any whitespace"),
        ("/a;b", "must start with / and must not include any whitespace"),
        ("//tea", "must not start with //"),
        ("/a/../b", "must not include a segment `..`"),
        ("/..", "must not include a segment `..`"),
        ("/(", "must be a valid regular expression"),
        ("/)(", "must be a valid regular expression"),
        ("/" + "(" * 1000, "must be a valid regular expression"),
        ("/" + "[" * 1000, "must be a valid regular expression"),
        ("/[^]", "must be a valid regular expression"),
        ("/x{4294967295}", "must be a valid regular expression: more than 1000 repetitions"),
        ("/x{1,1001}", "must be a valid regular expression: more than 1000 repetitions"),
        ("/a\tb", "must start with / and must not include any whitespace"),
        ("/a\xa0b", "must start with / and must not include any whitespace"),
        ("/a\0b", "control character"),
        ("/a\x7fb", "control character"),
        ("/\ud800", "control character"),
        ("/{a{1}", "must not include curly braces containing alphabetical characters"),
        ("/{abc}", "must not include curly braces containing alphabetical characters"),
        ('/"', "must have all '\"' escaped"),
        ("/etc/passwd", "must not contain invalid paths"),
        ("/root", "must not contain invalid paths"),
        ("/root/x", "must not contain invalid paths"),
        ("/var/log", "must not contain invalid paths"),
        ("/a\\nb", "must not contain invalid paths"),
        ("/a\\rb", "must not contain invalid paths"),
    ],
)
def test_paths_that_are_refused(text: str, reason: str) -> None:
    (error,) = errors(minion("m", "default", path(text)))
    assert error.startswith("spec.rules[0].http.paths[0].path: Invalid value: ")
    assert reason in error


@pytest.mark.parametrize("text", ["/" + "x" * 1024, "/" + "ü" * 512, "/" + "(" * 5000])
def test_paths_that_are_too_long(text: str) -> None:
    assert errors(minion("m", "default", path(text))) == [
        "spec.rules[0].http.paths[0].path: Too long: must have at most 1024 bytes"
    ]


@pytest.mark.parametrize(
    ("document", "error"),
    [
        (
            ingress("x", rules=[{"host": f"h{number}.test"} for number in range(101)]),
            "spec.rules: Too many: 101: must have at most 100 items",
        ),
        (
            ingress("x", paths=[path(f"/{number}") for number in range(501)]),
            "spec.rules.http.paths: Too many: 501: must have at most 500 items",
        ),
        (
            ingress("x", paths=[path("/")], tls=[{"hosts": ["a.test"] * 501}]),
            "spec.tls.hosts: Too many: 501: must have at most 500 items",
        ),
    ],
)
def test_an_ingress_brings_no_more_than_so_much(document: Document, error: str) -> None:
    assert errors(document) == [error]


@pytest.mark.parametrize(
    "host",
    ["A.test", "a..test", "-a.test", "a b", "$host", "~^a", "*", "a.*.test", "x" * 254, "ü.test"],
)
def test_hosts_that_are_refused(host: str) -> None:
    (error,) = errors(ingress("x", host=host, paths=[path("/")]))
    assert error.startswith("spec.rules[0].host: Invalid value: ")
    assert "must be a host name" in error


@pytest.mark.parametrize(
    ("service", "port", "field"),
    [("Tea", 80, "name"), ("a b", 80, "name"), ("tea", "a;b", "port"), ("tea", 65536, "port")],
)
def test_backends_that_are_refused(service: str, port: int | str, field: str) -> None:
    (error,) = errors(minion("m", "default", path("/", service, port=port)))
    assert error.startswith(f"spec.rules[0].http.paths[0].backend.service.{field}: Invalid value: ")


def test_a_long_value_is_cut_in_what_is_said_of_it() -> None:
    wrong = {"nginx.org/hsts": "x" * 4096, "nginx.org/proxy-read-timeout": "9" * 4097}
    first, second = errors(minion("m", "default", path("/"), annotations=wrong))
    assert first.endswith(f'Invalid value: "{"x" * 100}...": must be a boolean')
    assert second.endswith("Too long: must have at most 4096 bytes")


@pytest.mark.parametrize("name", [*known._VALIDATORS])
@pytest.mark.parametrize("text", [" ", "1 ", "1s ", "a,", "-", "a ", "{", "=", "(", "9"])
def test_every_value_is_read_in_a_moment(name: str, text: str) -> None:
    began = time.monotonic()
    for value in (text * 5000, "1" + text * 1300 + "x"):
        errors(minion("m", "default", path("/"), annotations={name: value}))
    assert time.monotonic() - began < 2


MALFORMED: list[tuple[dict[str, Any], str]] = [
    ({"spec": None}, ""),
    ({"spec": []}, "spec: must be a mapping"),
    ({"spec": {"rules": {}}}, "rules: must be a list"),
    ({"spec": {"rules": [None]}}, "rules: must be a list of mappings"),
    ({"spec": {"rules": [{"host": 7}]}}, "host: must be text"),
    ({"spec": {"rules": [{"http": []}]}}, "http: must be a mapping"),
    ({"spec": {"rules": [{"http": {"paths": [{"path": "/"}]}}]}}, "backend: Required value"),
    ({"spec": {"tls": [{"hosts": "a.test"}]}}, "hosts: must be a list"),
    ({"spec": {"tls": [{"hosts": [7]}]}}, "hosts: must be a list of texts"),
    ({"spec": {"defaultBackend": {"service": {}}}}, "backend.service.name: Required value"),
    ({"status": 7}, "status: must be a mapping"),
    ({"status": {"loadBalancer": {"ingress": ["x"]}}}, "ingress: must be a list of mappings"),
    ({"metadata": {"name": "x", "annotations": {"a": 1}}}, "a: must be text"),
    ({"metadata": {"name": "x", "annotations": [1]}}, "annotations: must be a mapping"),
    ({"metadata": {"name": "x", "generation": "1"}}, "generation: must be a whole number"),
    ({"metadata": {"name": "x", "generation": True}}, "generation: must be a whole number"),
]


@pytest.mark.parametrize(("parts", "problem"), MALFORMED)
def test_an_ingress_that_cannot_be_read_says_why(parts: dict[str, Any], problem: str) -> None:
    assert parse_ingress({**ingress("x"), **parts}).problem == problem


@pytest.mark.parametrize("address", ["1.2.3.4; }", "x", "1.2.3", "", 7, "fe80::1;"])
def test_an_address_that_is_none_makes_a_slice_unreadable(address: Any) -> None:
    with pytest.raises(ValueError):
        parse_endpoint_slice(endpoint_slice("tea", 80, addresses=(address,)))


@pytest.mark.parametrize("data", [None, 7, {"tls.crt": 7}, {"tls.crt": "ü", "tls.key": "x"}])
def test_a_secret_that_cannot_be_read_has_a_problem(data: Any) -> None:
    assert parse_tls_secret({**tls_secret("x", b"", b""), "data": data}).problem


def encrypted(key: bytes) -> bytes:
    """The key with a password, which takes a while to be tried."""
    loaded = serialization.load_pem_private_key(key, None)
    slow = serialization.BestAvailableEncryption(b"password")
    pem = serialization.Encoding.PEM
    return loaded.private_bytes(pem, serialization.PrivateFormat.PKCS8, slow)


def test_no_password_of_a_key_is_tried() -> None:
    certificate, key = make_certificate("x.example.com")
    assert parse_tls_secret(tls_secret("x", certificate, encrypted(key))).problem == (
        "its certificate and key cannot be used: the key is encrypted"
    )


def test_a_certificate_and_its_key_are_no_longer_than_they_may_be() -> None:
    certificate, key = make_certificate("x.example.com")
    chain = certificate * (LONGEST_CHAIN // len(certificate))
    padded = key + b"\n" * (LONGEST_KEY - len(key))
    assert parse_tls_secret(tls_secret("x", chain, padded)).problem == ""
    for pair, problem in (
        ((chain + certificate, key), f"its tls.crt has more than {LONGEST_CHAIN} bytes"),
        ((certificate, padded + b"\n"), f"its tls.key has more than {LONGEST_KEY} bytes"),
    ):
        assert parse_tls_secret(tls_secret("x", *pair)).problem == problem


def test_only_an_implementation_may_do_without_a_path() -> None:
    assert errors(minion("m", "default", path("", path_type="Prefix"))) == [
        "spec.rules[0].http.paths[0].path: Required value: "
        "path is required for Exact and Prefix PathTypes"
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("nginx.org/client-max-body-size", "8m"),
        ("nginx.org/client-max-body-size", "0"),
        ("nginx.org/proxy-read-timeout", "1h 30m"),
        ("nginx.org/proxy-read-timeout", "500ms"),
        ("nginx.org/proxy-read-timeout", "60"),
        ("nginx.org/proxy-read-timeout", "1y"),
        ("nginx.org/proxy-buffering", "false"),
        ("nginx.org/proxy-buffer-size", "32k"),
        ("nginx.org/proxy-buffer-size", "1M"),
        ("nginx.org/proxy-buffers", "4 32k"),
        ("nginx.org/proxy-busy-buffers-size", "4096"),
        ("nginx.org/proxy-set-headers", "X-Forwarded-Prefix: /a:b@c~%C3%A9, X-Other ,X-Empty:"),
        ("slipway.internal/rewrite-redirects", "true"),
        ("nginx.org/http-redirect-code", "308"),
        ("nginx.org/ssl-redirect", "False"),
        ("nginx.org/websocket-services", "tea"),
        ("nginx.org/hsts-max-age", "-1"),
        ("nginx.org/listen-ports", "80,8080"),
        ("example.com/nginx", "whatever"),
    ],
)
def test_values_that_are_valid(name: str, value: str) -> None:
    assert errors(minion("m", "default", path("/"), annotations={name: value})) == []


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("nginx.org/client-max-body-size", "8mb", 'Invalid value: "8mb": must be an offset'),
        ("nginx.org/client-max-body-size", "", "Required value"),
        ("nginx.org/proxy-read-timeout", "soon", 'Invalid value: "soon": must be a time'),
        ("nginx.org/proxy-read-timeout", "1s;", 'Invalid value: "1s;": must be a time'),
        ("nginx.org/proxy-buffering", "off", 'Invalid value: "off": must be a boolean'),
        (
            "nginx.org/proxy-buffer-size",
            "2m",
            'Invalid value: "2m": must be a size from 1k to 1024k',
        ),
        (
            "nginx.org/proxy-buffer-size",
            "9" * 40,
            f'Invalid value: "{"9" * 40}": must be a size from 1k to 1024k',
        ),
        *(
            (
                "nginx.org/proxy-buffers",
                value,
                f'Invalid value: "{value}": must be a proxy buffer spec of 2 to 64 buffers',
            )
            for value in ("1 8k", "8  8k", "8k", "65 8k")
        ),
        (
            "nginx.org/proxy-buffers",
            "64 65k",
            'Invalid value: "64 65k": must be buffers of no more than 4096k in all',
        ),
        *(
            (
                "nginx.org/proxy-set-headers",
                value,
                f"Invalid value: {json.dumps(value)}: {json.dumps(part)} {wrong}",
            )
            for value, part, wrong in (
                ("X Y: z", "X Y: z", "is not of the form <name>: <value> or <name>"),
                ("X: a,", "", "is not of the form <name>: <value> or <name>"),
                ("X: $host", "X: $host", "must not include `$` or a control character"),
                ("X: a\nY: b", "X: a\nY: b", "must not include `$` or a control character"),
            )
        ),
        (
            "nginx.org/proxy-set-headers",
            "x" * 101,
            f'Invalid value: "{"x" * 100}...": "{"x" * 100}..." is not of the form '
            "<name>: <value> or <name>",
        ),
        (
            "nginx.org/proxy-set-headers",
            "X: " + "x" * 2001,
            f'Invalid value: "X: {"x" * 97}...": a header must have at most 2000 bytes',
        ),
        (
            "slipway.internal/rewrite-redirects",
            "maybe",
            'Invalid value: "maybe": must be a boolean',
        ),
        (
            "nginx.org/http-redirect-code",
            "303",
            'Invalid value: "303": must be one of: 301, 302, 307 or 308',
        ),
        (
            "nginx.org/websocket-services",
            "tea, tea",
            'Invalid value: "tea, tea": must be a comma-separated list of services. '
            "The following services were not found:  tea",
        ),
        ("nginx.org/ssl-redirect", "yes", 'Invalid value: "yes": must be a boolean'),
        (
            "nginx.org/websocket-services",
            "tea,milk",
            'Invalid value: "tea,milk": must be a comma-separated list of services. '
            "The following services were not found: milk",
        ),
        # Ignored on a minion, or without effect here, and refused nevertheless.
        ("nginx.org/hsts", "perhaps", 'Invalid value: "perhaps": must be a boolean'),
        ("nginx.org/max-fails", "-1", 'Invalid value: "-1": must be a non-negative integer'),
        (
            "nginx.org/location-snippets",
            "return 200;",
            "Forbidden: snippet specified but snippets feature is not enabled",
        ),
        ("nginx.com/slow-start", "10s", "Forbidden: annotation requires NGINX Plus"),
    ],
)
def test_values_that_are_refused(name: str, value: str, error: str) -> None:
    document = minion("m", "default", path("/"), annotations={name: value})
    assert errors(document) == [f"annotations.{name}: {error}"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("60", 60_000),
        ("1500ms", 1500),
        ("1s 500ms", 1500),
        ("30 500ms", 30_500),
        ("1h30m", 5_400_000),
        ("1h  2", 3_602_000),
        ("1y 1M 1w 1d", 34_819_200_000),
        ("0", 0),
    ],
)
def test_a_time_is_the_sum_of_its_parts(text: str, expected: int) -> None:
    assert milliseconds(text) == expected


@pytest.mark.parametrize(
    "text", ["", " ", "s", "1 2s", "1s 1h", "1h1h", "1.5s", "-1", "1hh", "²s", "9" * 17, "1s\n;"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a time"):
        milliseconds(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0", "0"), ("8m", "8m"), (" 10G", "10g"), ("4294967296g", "4294967296g")],
)
def test_an_offset_is_a_number_of_bytes(text: str, expected: str) -> None:
    assert offset(text) == expected


@pytest.mark.parametrize("text", ["", "m", "8mb", "8t", "1.5g", "-1", "4294967297g", "9" * 20])
def test_what_is_no_offset_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be an offset"):
        offset(text)


def test_rewrites_are_by_service() -> None:
    assert rewrite_list("serviceName=tea rewrite=/; serviceName=c rewrite=/beans/") == {
        "tea": "/",
        "c": "/beans/",
    }


@pytest.mark.parametrize(
    "text",
    [
        "serviceName=tea rewrite=/;",
        "serviceName=tea  rewrite=/",
        "serviceName=tea;rewrite=/",
        "tea=/",
        "serviceName=tea rewrite=/a=b",
        "serviceName=tea rewrite=/ extra",
        "serviceName= rewrite=/",
        "serviceName=tea rewrite=beans",
        "serviceName=tea rewrite=",
        "serviceName=tea rewrite=/$uri",
        "serviceName=tea rewrite=/{a}",
    ],
)
def test_rewrites_that_are_refused(text: str) -> None:
    document = minion("m", "default", path("/"), annotations={"nginx.org/rewrites": text})
    (error,) = errors(document)
    assert error.startswith("annotations.nginx.org/rewrites: Invalid value: ")


def test_all_errors_are_given_at_once() -> None:
    document = minion(
        "m", "default", path("x"), annotations={"nginx.org/hsts": "x"}, tls=[{"hosts": ["a"]}]
    )
    found = errors(document)
    assert len(found) == 3
    assert as_message(found) == f"[{found[0]}, {found[1]}, {found[2]}]"
