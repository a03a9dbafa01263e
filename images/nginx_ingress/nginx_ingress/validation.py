"""What makes an Ingress invalid: its shape and its paths. Each error names the field."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from enum import Enum

from nginx_ingress.annotations import MERGEABLE, annotation_errors
from nginx_ingress.model import Backend, Ingress, Path


class Role(Enum):
    """What an Ingress is in a merge."""

    REGULAR = "regular"
    MASTER = "master"
    MINION = "minion"


def role_of(ingress: Ingress) -> Role:
    """The Ingress's role; raises ValueError where its annotation names none."""
    return Role(ingress.annotations.get(MERGEABLE, "regular"))


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
    return list(dict.fromkeys(errors))


def as_message(errors: list[str]) -> str:
    """Errors in one text."""
    return errors[0] if len(errors) == 1 else f"[{', '.join(errors)}]"


def _spec_errors(ingress: Ingress) -> Iterator[str]:
    if ingress.default_backend:
        yield from _backend_errors(ingress.default_backend, "spec.defaultBackend")
    if not ingress.rules:
        yield "spec.rules: Required value"
    hosts: set[str] = set()
    for index, rule in enumerate(ingress.rules):
        where = f"spec.rules[{index}]"
        if not rule.host:
            yield f"{where}.host: Required value"
        elif rule.host in hosts:
            yield f"{where}.host: Duplicate value: {json.dumps(rule.host)}"
        hosts.add(rule.host)
        for number, path in enumerate(rule.paths or ()):
            yield from _path_errors(path, f"{where}.http.paths[{number}].path")
            yield from _backend_errors(path.backend, f"{where}.http.paths[{number}].backend")


def _backend_errors(backend: Backend, where: str) -> Iterator[str]:
    if backend.service is None:
        yield f"{where}.resource: Forbidden: resource backends are not supported"


_SYSTEM_PATHS = re.compile(r"^/etc/|^/root(/|$)|^/var(/|$)|\\n|\\r")


def _path_errors(path: Path, where: str) -> Iterator[str]:
    text = path.path
    if not text:
        if path.path_type != "ImplementationSpecific":
            yield f"{where}: Required value: path is required for Exact and Prefix PathTypes"
        return
    invalid = f"{where}: Invalid value: {json.dumps(text)}: "
    if not re.fullmatch(r"/[^\s;]*", text):
        yield f"{invalid}must start with / and must not include any whitespace character or `;`"
        return
    if text.startswith("//"):
        yield f"{invalid}must not start with //"
    if ".." in text.split("/"):
        yield f"{invalid}must not include a segment `..`"
    try:
        re.compile(text)
    except re.error as error:
        yield f"{invalid}must be a valid regular expression: {error}"
    if not re.fullmatch(r'([^"\\]|\\.)*', text):
        yield f"{invalid}must have all '\"' escaped and must not end with an unescaped '\\'"
    if any(re.search("[A-Za-z]", braced) for braced in re.findall(r"\{(.*?)\}", text)):
        yield f"{invalid}must not include curly braces containing alphabetical characters"
    if _SYSTEM_PATHS.search(text):
        yield f"{invalid}must not contain invalid paths"


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
