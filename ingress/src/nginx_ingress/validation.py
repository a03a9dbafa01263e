"""What makes an Ingress invalid: its shape and its paths. Each error names the field.

A user's text is looked at character by character, never by or as a regular expression, so that
the time it takes is that of reading it.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

from nginx_ingress import words
from nginx_ingress.annotations import MERGEABLE, annotation_errors, buffers_problem
from nginx_ingress.model import Backend, Ingress, Path

MOST_RULES, MOST_PATHS, MOST_TLS_HOSTS = 100, 500, 500
"""How much one Ingress may bring; paths and hosts of TLS are those of all its rules and entries."""
MOST_OF_NAMESPACE = 2_000
"""How many hosts and paths the Ingresses of one namespace may bring in all: each is a part of the
configuration that all have in common, and of every worker's memory."""


class Role(Enum):
    """What an Ingress is in a merge."""

    REGULAR = "regular"
    MASTER = "master"
    MINION = "minion"


def role_of(ingress: Ingress) -> Role:
    """The Ingress's role; raises ValueError where its annotation names none."""
    return Role(ingress.annotations.get(MERGEABLE, "regular"))


def size_of(ingress: Ingress) -> int:
    """How many hosts and paths an Ingress brings."""
    return len(ingress.rules) + sum(len(rule.paths or ()) for rule in ingress.rules)


def services_of(ingress: Ingress) -> set[str]:
    """The names of the Services that an Ingress's backends name."""
    paths = [path for rule in ingress.rules for path in rule.paths or ()]
    backends = [path.backend for path in paths] + [ingress.default_backend]
    return {backend.service for backend in backends if backend and backend.service}


def errors_in(ingress: Ingress) -> list[str]:
    """Every error, none twice; an Ingress without any is accepted."""
    errors = annotation_errors(ingress.annotations, services_of(ingress))
    errors += _spec_errors(ingress)
    match ingress.annotations.get(MERGEABLE):
        case "master":
            errors += _master_errors(ingress)
        case "minion":
            errors += _minion_errors(ingress)
        # What a minion says, and inherits, is looked at with its master's.
        case None if not errors and (problem := buffers_problem(ingress.annotations, {})):
            errors.append(problem)
    return list(dict.fromkeys(errors))


def as_message(errors: list[str]) -> str:
    """Errors in one text."""
    return errors[0] if len(errors) == 1 else f"[{', '.join(errors)}]"


def _spec_errors(ingress: Ingress) -> Iterator[str]:
    if not (words.is_host(ingress.key.name) and words.is_name(ingress.key.namespace)):
        yield "metadata: Invalid value: must have the name and the namespace that Kubernetes allows"
    if ingress.default_backend:
        yield from _backend_errors(ingress.default_backend, "spec.defaultBackend")
    if not ingress.rules:
        yield "spec.rules: Required value"
    amounts = (
        ("spec.rules", len(ingress.rules), MOST_RULES),
        ("spec.rules.http.paths", sum(len(rule.paths or ()) for rule in ingress.rules), MOST_PATHS),
        ("spec.tls.hosts", sum(len(entry.hosts) for entry in ingress.tls), MOST_TLS_HOSTS),
    )
    if excess := [_too_many(*amount) for amount in amounts if amount[1] > amount[2]]:
        yield from excess
        return
    hosts: set[str] = set()
    for index, rule in enumerate(ingress.rules):
        where = f"spec.rules[{index}]"
        if not rule.host:
            yield f"{where}.host: Required value"
        elif not words.is_host(rule.host.removeprefix("*.")):
            yield (
                f"{where}.host: Invalid value: {words.quoted(rule.host)}: must be a host name in "
                f"lower case of at most {words.LONGEST_HOST} characters"
            )
        elif rule.host in hosts:
            yield f"{where}.host: Duplicate value: {words.quoted(rule.host)}"
        hosts.add(rule.host)
        for number, path in enumerate(rule.paths or ()):
            yield from _path_errors(path, f"{where}.http.paths[{number}].path")
            yield from _backend_errors(path.backend, f"{where}.http.paths[{number}].backend")


def _backend_errors(backend: Backend, where: str) -> Iterator[str]:
    if backend.service is None:
        yield f"{where}.resource: Forbidden: resource backends are not supported"
        return
    if not words.is_name(backend.service):
        service = words.quoted(backend.service)
        yield f"{where}.service.name: Invalid value: {service}: must be the name of a Service"
    port = backend.port
    if not (words.is_name(port) if isinstance(port, str) else 0 <= port < 2**16):
        port = words.quoted(str(port))
        yield f"{where}.service.port: Invalid value: {port}: must be a port's name or number"


def _path_errors(path: Path, where: str) -> Iterator[str]:
    text = path.path
    if not text:
        if path.path_type != "ImplementationSpecific":
            yield f"{where}: Required value: path is required for Exact and Prefix PathTypes"
        return
    if words.is_too_long(text, words.LONGEST_PATH):
        yield f"{where}: Too long: must have at most {words.LONGEST_PATH} bytes"
        return
    invalid = f"{where}: Invalid value: {words.quoted(text)}: "
    if not text.startswith("/") or ";" in text or not words.is_one_word(text):
        yield (
            f"{invalid}must start with / and must not include any whitespace character, "
            "control character or `;`"
        )
        return
    if text.startswith("//"):
        yield f"{invalid}must not start with //"
    if ".." in text.split("/"):
        yield f"{invalid}must not include a segment `..`"
    if problem := words.expression_problem(text):
        yield f"{invalid}must be a valid regular expression: {problem}"
    if words.has_open_quote(text):
        yield f"{invalid}must have all '\"' escaped and must not end with an unescaped '\\'"
    if any(_has_letter(inner) for inner in words.braced(text)):
        yield f"{invalid}must not include curly braces containing alphabetical characters"
    if _is_of_the_system(text):
        yield f"{invalid}must not contain invalid paths"


def _has_letter(text: str) -> bool:
    return any(each.isascii() and each.isalpha() for each in text)


def _is_of_the_system(path: str) -> bool:
    return (
        path.startswith("/etc/")
        or path.split("/")[1] in ("root", "var")
        or "\\n" in path
        or "\\r" in path
    )


def _master_errors(ingress: Ingress) -> Iterator[str]:
    if len(ingress.rules) != 1:
        yield _too_many("spec.rules", len(ingress.rules), 1)
    elif ingress.rules[0].paths:
        yield _too_many("spec.rules[0].http.paths", len(ingress.rules[0].paths), 0)


def _minion_errors(ingress: Ingress) -> Iterator[str]:
    if ingress.tls:
        yield _too_many("spec.tls", len(ingress.tls), 0)
    if len(ingress.rules) != 1:
        yield _too_many("spec.rules", len(ingress.rules), 1)
    elif not ingress.rules[0].paths:
        yield "spec.rules[0].http.paths: Required value: must include at least one path"


def _too_many(where: str, count: int, most: int) -> str:
    return f"{where}: Too many: {count}: must have at most {most} item{'' if most == 1 else 's'}"
