"""The annotations: which values are valid, which roles ignore them, what minions inherit.

The names and their rules are those that NGINX Inc documents for its controller.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from nginx_ingress import words

MERGEABLE = "nginx.org/mergeable-ingress-type"
REWRITES = "nginx.org/rewrites"
WEBSOCKETS = "nginx.org/websocket-services"
SET_HEADERS = "nginx.org/proxy-set-headers"
REWRITE_REDIRECTS = "slipway.internal/rewrite-redirects"
"""This controller's own: redirects of a service that does not know of a rewrite are put right."""
BUFFER_SIZE = "nginx.org/proxy-buffer-size"
BUFFERS = "nginx.org/proxy-buffers"
BUSY_SIZE = "nginx.org/proxy-busy-buffers-size"
SSL_REDIRECT = "nginx.org/ssl-redirect"
SSL_REDIRECT_DEPRECATED = "ingress.kubernetes.io/ssl-redirect"
REDIRECT_TO_HTTPS = "nginx.org/redirect-to-https"
REDIRECT_CODE = "nginx.org/http-redirect-code"
HSTS = "nginx.org/hsts"
HSTS_MAX_AGE = "nginx.org/hsts-max-age"
HSTS_SUBDOMAINS = "nginx.org/hsts-include-subdomains"
HSTS_BEHIND_PROXY = "nginx.org/hsts-behind-proxy"

MASTER_IGNORES = frozenset(
    {
        REWRITES,
        REWRITE_REDIRECTS,
        WEBSOCKETS,
        "nginx.org/ssl-services",
        "nginx.org/grpc-services",
        "nginx.org/use-cluster-ip",
        "nginx.org/path-regex",
    }
)
MINION_IGNORES = frozenset(
    {
        SSL_REDIRECT,
        SSL_REDIRECT_DEPRECATED,
        "nginx.org/proxy-hide-headers",
        "nginx.org/proxy-pass-headers",
        REDIRECT_TO_HTTPS,
        REDIRECT_CODE,
        HSTS,
        HSTS_MAX_AGE,
        HSTS_SUBDOMAINS,
        "nginx.org/server-tokens",
        "nginx.org/listen-ports",
        "nginx.org/listen-ports-ssl",
        "nginx.org/ssl-ciphers",
        "nginx.org/ssl-prefer-server-ciphers",
        "nginx.org/app-root",
    }
)

Headers = tuple[tuple[str, str | None], ...]
"""Names with their values, None for what the request itself has."""

Validator = Callable[[str, Collection[str]], str]
"""Takes the value and the Ingress's services; returns what is wrong, or nothing."""

_BOOLEANS = {
    **dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True),
    **dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False),
}


def is_true(value: str) -> bool:
    """A boolean annotation's value; raises KeyError for one that is not valid."""
    return _BOOLEANS[value]


def service_list(value: str) -> tuple[str, ...]:
    """The names in a comma-separated list of services; a blank belongs to a name."""
    return tuple(value.split(","))


def rewrite_list(value: str) -> dict[str, str]:
    """Each service's rewrite in ``serviceName=tea rewrite=/;serviceName=coffee rewrite=/beans/``.

    Raises ValueError with what is wrong.
    """
    rewrites = {}
    for part in value.split(";"):
        name, _, rewrite = part.strip().partition(" ")
        service, path = (
            each.removeprefix(key) for each, key in ((name, "serviceName="), (rewrite, "rewrite="))
        )
        if not (
            part.strip() == f"serviceName={service} rewrite={path}"
            and service
            and all("=" not in each and words.is_one_word(each) for each in (service, path))
        ):
            raise ValueError(
                f"{words.quoted(part)} is not of the form serviceName=<service> rewrite=<path>"
            )
        if not path.startswith("/") or any(each in path for each in "{};$"):
            raise ValueError(
                f"the rewrite {words.quoted(path)} must start with / and must not include any "
                "whitespace character, `{`, `}`, `;` or `$`"
            )
        if words.is_too_long(path, words.LONGEST_PATH):
            raise ValueError(f"a rewrite must have at most {words.LONGEST_PATH} bytes")
        rewrites[service] = path
    return rewrites


def header_list(value: str) -> dict[str, str | None]:
    """Each header's value in ``name: value, name``; that of the request itself where none is said.

    Raises ValueError with what is wrong.
    """
    headers: dict[str, str | None] = {}
    for part in value.split(","):
        name, colon, text = (each.strip() for each in part.partition(":"))
        if not _HEADER_NAME.fullmatch(name):
            raise ValueError(f"{words.quoted(part)} is not of the form <name>: <value> or <name>")
        if words.is_too_long(text, _LONGEST_HEADER):
            raise ValueError(f"a header must have at most {_LONGEST_HEADER} bytes")
        if "$" in text or words.has_control(text):
            raise ValueError(f"{words.quoted(part)} must not include `$` or a control character")
        headers[name] = text if colon else None
    return headers


def headers_of(own: Mapping[str, str], inherited: Mapping[str, str]) -> Headers:
    """What is sent to a service beside the usual: by the Ingress itself, then by its master."""
    mine, others = (
        header_list(each[SET_HEADERS]) if SET_HEADERS in each else {} for each in (own, inherited)
    )
    named = {name.lower() for name in mine}
    return (*mine.items(), *(each for each in others.items() if each[0].lower() not in named))


_HEADER_NAME = re.compile(r"[-A-Za-z0-9]{1,100}")
_LONGEST_HEADER = 2_000
"""In bytes. With every one of them escaped, it is as long as a word of nginx's may be."""

_UNITS = {
    "y": 365 * 24 * 3600 * 1000,
    "M": 30 * 24 * 3600 * 1000,
    "w": 7 * 24 * 3600 * 1000,
    "d": 24 * 3600 * 1000,
    "h": 3600 * 1000,
    "m": 60 * 1000,
    "s": 1000,
    "ms": 1,
}
_AMOUNT = re.compile(r"(\d+)(ms|[yMwdhms]?)\s*", re.ASCII)
_MOST_DIGITS = 19
_OFFSET_UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30}
_LARGEST = 2**62
"""What nginx can still add to the present time; its own numbers end at 2^63 - 1."""
_LARGEST_BUFFER, _MOST_BUFFERS, _LARGEST_BUFFERS = 2**20, 64, 2**22
"""What one request may have of the memory that all share; the last is of all its buffers."""


def milliseconds(value: str) -> int:
    """A time: numbers with units, the larger unit first; without a unit it is seconds.

    Raises ValueError for what is none, or is more than nginx can reckon with.
    """
    text, time, at, smallest = value.strip(), 0, 0, float("inf")
    while not at or at < len(text):
        amount = _AMOUNT.match(text, at)
        # Each unit is smaller than the one before it.
        if not amount or not (unit := _UNITS[amount[2] or "s"]) < smallest:
            raise ValueError("must be a time")
        time += _whole(amount[1]) * unit
        at, smallest = amount.end(), unit
    if time > _LARGEST:
        raise ValueError("must be a time")
    return time


def _whole(digits: str) -> int:
    """A number; one that has more digits than nginx's largest is just more than that."""
    return int(digits) if len(digits) <= _MOST_DIGITS else _LARGEST + 1


def offset(value: str) -> str:
    """A number of bytes, as nginx takes it: with no unit, or k, m or g in either case.

    Raises ValueError for what is none, or is more than nginx can reckon with.
    """
    match = re.fullmatch(r"(\d+)([kmg]?)", value.strip().lower(), re.ASCII)
    if not match or _whole(match[1]) * _OFFSET_UNITS[match[2]] > _LARGEST:
        raise ValueError("must be an offset")
    return match[0]


def size(value: str) -> str:
    """A size of a buffer, as nginx takes it; raises ValueError for what is none, or too large."""
    return f"{_kilobytes(value)}k"


def buffers(value: str) -> str:
    """A number of buffers and their size; raises ValueError for what is none, or too many."""
    match = re.fullmatch(r"(\d{1,4}) (\S+)", value, re.ASCII)
    if not match or not 2 <= int(match[1]) <= _MOST_BUFFERS:
        raise ValueError(f"must be a proxy buffer spec of 2 to {_MOST_BUFFERS} buffers")
    if int(match[1]) * _kilobytes(match[2]) > _LARGEST_BUFFERS >> 10:
        raise ValueError(f"must be buffers of no more than {_LARGEST_BUFFERS >> 10}k in all")
    return f"{int(match[1])} {size(match[2])}"


def _kilobytes(value: str) -> int:
    match = re.fullmatch(r"(\d{1,7})([km]?)", value.lower(), re.ASCII)
    number = int(match[1]) * _OFFSET_UNITS[match[2]] if match else 0
    if not 1024 <= number <= _LARGEST_BUFFER:
        raise ValueError(f"must be a size from 1k to {_LARGEST_BUFFER >> 10}k")
    return -(-number // 1024)


def _time_text(value: str) -> str:
    return f"{milliseconds(value)}ms"


def _switch(value: str) -> str:
    return "on" if is_true(value) else "off"


LOCATION_DIRECTIVES: Mapping[str, tuple[str, Callable[[str], str]]] = {
    "nginx.org/client-max-body-size": ("client_max_body_size", offset),
    BUFFER_SIZE: ("proxy_buffer_size", size),
    "nginx.org/proxy-buffering": ("proxy_buffering", _switch),
    BUFFERS: ("proxy_buffers", buffers),
    BUSY_SIZE: ("proxy_busy_buffers_size", size),
    "nginx.org/proxy-connect-timeout": ("proxy_connect_timeout", _time_text),
    "nginx.org/proxy-read-timeout": ("proxy_read_timeout", _time_text),
    "nginx.org/proxy-send-timeout": ("proxy_send_timeout", _time_text),
}
"""Annotations that are one directive of a location, and how their values become its own.

A minion inherits its master's.
"""


@dataclass(frozen=True, slots=True)
class Https:
    """How the clients of a host are brought to HTTPS and kept there.

    ``redirect`` is for what comes over HTTP where the host has TLS, ``redirect_forwarded`` for
    what a proxy in front says came so. ``hsts`` is the header's value, empty for none; it is sent
    with what comes over TLS or, with ``hsts_behind_proxy``, with what that proxy says came so.
    """

    redirect: bool = True
    redirect_forwarded: bool = False
    redirect_code: int = 301
    hsts: str = ""
    hsts_behind_proxy: bool = False


def https_of(annotations: Mapping[str, str]) -> Https:
    """What valid annotations of a master or a regular Ingress say of HTTPS."""

    def on(name: str, default: str = "false") -> bool:
        return is_true(annotations.get(name, default))

    hsts = f"max-age={annotations.get(HSTS_MAX_AGE, '2592000')}; "
    hsts += "includeSubDomains; " if on(HSTS_SUBDOMAINS) else ""
    return Https(
        redirect=on(SSL_REDIRECT, annotations.get(SSL_REDIRECT_DEPRECATED, "true")),
        redirect_forwarded=on(REDIRECT_TO_HTTPS),
        redirect_code=int(annotations.get(REDIRECT_CODE, "301")),
        hsts=f"{hsts}preload" if on(HSTS) else "",
        hsts_behind_proxy=on(HSTS_BEHIND_PROXY),
    )


def _matching(pattern: str, what: str) -> Validator:
    compiled = re.compile(pattern, re.ASCII)
    return lambda value, _: "" if compiled.fullmatch(value) else f"must be {what}"


def _missing(names: Collection[str], services: Collection[str]) -> str:
    unknown = sorted(set(names) - set(services))
    return f"The following services were not found: {','.join(unknown)}" if unknown else ""


def _services(value: str, services: Collection[str]) -> str:
    missing = _missing(service_list(value), services)
    return f"must be a comma-separated list of services. {missing}" if missing else ""


def _rewrites(value: str, services: Collection[str]) -> str:
    try:
        return _missing(rewrite_list(value), services)
    except ValueError as error:
        return str(error)


def _headers_sent(value: str, _: Collection[str]) -> str:
    return _reason(header_list, value)


def _buffer_size(value: str, _: Collection[str]) -> str:
    return _reason(size, value)


def _buffers(value: str, _: Collection[str]) -> str:
    return _reason(buffers, value)


def _time(value: str, _: Collection[str]) -> str:
    return _reason(milliseconds, value)


def _offset(value: str, _: Collection[str]) -> str:
    return _reason(offset, value)


def _reason(convert: Callable[[str], object], value: str) -> str:
    """Why a value cannot be converted, or nothing."""
    try:
        convert(value)
    except ValueError as error:
        return str(error)
    return ""


def _boolean(value: str, _: Collection[str]) -> str:
    return "" if value in _BOOLEANS else "must be a boolean"


_size = _matching(r"\d+[kKmM]?", "a size")
_integer = _matching(r"-?\d+", "an integer")
_natural = _matching(r"\d+", "a non-negative integer")
_ports = _matching(r"\d{1,5}( *, *\d{1,5})*", "a comma-separated list of port numbers")
_headers = _matching(r"[-A-Za-z0-9]+( *, *[-A-Za-z0-9]+)*", "a comma-separated list of headers")

_VALIDATORS: Mapping[str, Validator] = {
    MERGEABLE: _matching("master|minion", "one of: 'master' or 'minion'"),
    REWRITES: _rewrites,
    WEBSOCKETS: _services,
    SSL_REDIRECT: _boolean,
    SSL_REDIRECT_DEPRECATED: _boolean,
    "nginx.org/client-body-buffer-size": _size,
    "nginx.org/client-max-body-size": _offset,
    "nginx.org/fail-timeout": _time,
    "nginx.org/grpc-services": _services,
    HSTS: _boolean,
    HSTS_BEHIND_PROXY: _boolean,
    HSTS_SUBDOMAINS: _boolean,
    HSTS_MAX_AGE: _integer,
    REDIRECT_CODE: _matching("301|302|307|308", "one of: 301, 302, 307 or 308"),
    "nginx.org/keepalive": _integer,
    "nginx.org/listen-ports": _ports,
    "nginx.org/listen-ports-ssl": _ports,
    "nginx.org/max-conns": _natural,
    "nginx.org/max-fails": _natural,
    "nginx.org/path-regex": _matching(
        "case_sensitive|case_insensitive|exact",
        "one of: 'case_sensitive', 'case_insensitive' or 'exact'",
    ),
    BUFFER_SIZE: _buffer_size,
    "nginx.org/proxy-buffering": _boolean,
    BUFFERS: _buffers,
    BUSY_SIZE: _buffer_size,
    "nginx.org/proxy-connect-timeout": _time,
    "nginx.org/proxy-hide-headers": _headers,
    "nginx.org/proxy-max-temp-file-size": _size,
    "nginx.org/proxy-next-upstream-timeout": _time,
    "nginx.org/proxy-next-upstream-tries": _natural,
    "nginx.org/proxy-pass-headers": _headers,
    "nginx.org/proxy-read-timeout": _time,
    "nginx.org/proxy-send-timeout": _time,
    SET_HEADERS: _headers_sent,
    REWRITE_REDIRECTS: _boolean,
    REDIRECT_TO_HTTPS: _boolean,
    "nginx.org/server-tokens": _boolean,
    "nginx.org/ssl-services": _services,
    "nginx.org/upstream-zone-size": _size,
    "nginx.org/use-cluster-ip": _boolean,
}

_NO_SNIPPETS = "snippet specified but snippets feature is not enabled"
_NO_PLUS = "annotation requires NGINX Plus"
_FORBIDDEN: Mapping[str, str] = {
    "nginx.org/location-snippets": _NO_SNIPPETS,
    "nginx.org/server-snippets": _NO_SNIPPETS,
    "nginx.com/health-checks": _NO_PLUS,
    "nginx.com/health-checks-mandatory": _NO_PLUS,
    "nginx.com/health-checks-mandatory-queue": _NO_PLUS,
    "nginx.com/jwt-key": _NO_PLUS,
    "nginx.com/jwt-login-url": _NO_PLUS,
    "nginx.com/jwt-realm": _NO_PLUS,
    "nginx.com/jwt-token": _NO_PLUS,
    "nginx.com/slow-start": _NO_PLUS,
    "nginx.com/sticky-cookie-services": _NO_PLUS,
    "appprotect.f5.com/app-protect-enable": "annotation requires AppProtect",
    "appprotect.f5.com/app-protect-policy": "annotation requires AppProtect",
    "appprotect.f5.com/app-protect-security-log": "annotation requires AppProtect",
    "appprotect.f5.com/app-protect-security-log-destination": "annotation requires AppProtect",
    "appprotect.f5.com/app-protect-security-log-enable": "annotation requires AppProtect",
    "appprotectdos.f5.com/app-protect-dos-resource": "annotation requires AppProtectDos",
}

_SUPPORTED = frozenset(
    {
        MERGEABLE,
        REWRITES,
        REWRITE_REDIRECTS,
        SET_HEADERS,
        WEBSOCKETS,
        SSL_REDIRECT,
        SSL_REDIRECT_DEPRECATED,
        REDIRECT_TO_HTTPS,
        REDIRECT_CODE,
        HSTS,
        HSTS_MAX_AGE,
        HSTS_SUBDOMAINS,
        HSTS_BEHIND_PROXY,
        *LOCATION_DIRECTIVES,
    }
)
_OWN_PREFIXES = ("nginx.org/", "nginx.com/", "appprotect.f5.com/", "appprotectdos.f5.com/")


def annotation_errors(annotations: Mapping[str, str], services: Collection[str]) -> list[str]:
    """What is wrong with the values, also of annotations that would have no effect."""
    errors = []
    for name, value in sorted(annotations.items()):
        where = f"annotations.{name}"
        if name in _FORBIDDEN:
            errors.append(f"{where}: Forbidden: {_FORBIDDEN[name]}")
        elif name not in _VALIDATORS:
            continue
        elif not value:
            errors.append(f"{where}: Required value")
        elif words.is_too_long(value, words.LONGEST_VALUE):
            errors.append(f"{where}: Too long: must have at most {words.LONGEST_VALUE} bytes")
        elif wrong := _VALIDATORS[name](value, services):
            errors.append(f"{where}: Invalid value: {words.quoted(value)}: {wrong}")
    return errors


def ignored(annotations: Mapping[str, str], denied: Collection[str]) -> list[str]:
    """The annotations that an Ingress's role makes ineffective, sorted."""
    return sorted(set(annotations) & set(denied))


def unsupported(annotations: Mapping[str, str], denied: Collection[str]) -> list[str]:
    """The annotations that NGINX Inc's controller would heed and this one does not, sorted."""
    return sorted(
        name
        for name in annotations
        if name.startswith(_OWN_PREFIXES) and name not in _SUPPORTED and name not in denied
    )


def buffers_problem(own: Mapping[str, str], inherited: Mapping[str, str]) -> str:
    """Why valid sizes of buffers do not go together, as nginx wants them, or nothing."""
    said = {BUFFER_SIZE: "32k", BUFFERS: "4 32k", **inherited, **own}
    number, each = buffers(said[BUFFERS]).split()
    one = _kilobytes(each)
    largest, most = max(_kilobytes(said[BUFFER_SIZE]), one), (int(number) - 1) * one
    busy = _kilobytes(said[BUSY_SIZE]) if BUSY_SIZE in said else 2 * largest
    if largest <= busy <= most:
        return ""
    return (
        f"annotations.{BUSY_SIZE}: Invalid value: {busy}k, twice the largest buffer unless given: "
        f"must be at least the largest, {largest}k, and at most all of {BUFFERS} but one, {most}k"
    )


def location_directives(
    own: Mapping[str, str], inherited: Mapping[str, str]
) -> tuple[tuple[str, ...], ...]:
    """The directives of a location, word by word: the Ingress's own, then what its master gives."""
    merged = {**inherited, **own}
    return tuple(
        (directive, *convert(merged[name]).split())
        for name, (directive, convert) in LOCATION_DIRECTIVES.items()
        if name in merged
    )
