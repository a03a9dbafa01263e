"""Secrets that stand in apps.yml itself, which is no place for them.

Two things give one away: the form that its issuer gave it, anywhere in the file, and the name that
a value goes by, where apps choose names: environment, arguments of builds, configuration, values
of charts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from slipway.apps.plan.places import Finding, setting_at
from slipway.apps.plan.yaml_lines import Document, Place
from slipway.errors import Problem
from slipway.secrets import MASK

_FORMS = {
    "a private key": r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----",
    "a token of GitHub": r"\b(?:gh[pousr]_[A-Za-z0-9]{16,}|github_pat_\w{16,})",
    "a token of GitLab": r"\bgl(?:pat|dt|rt|ft|oas|cbt|ptt|imt|agent|soat)-[\w.-]{16,}",
    "an access key of AWS": r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    "a token of Slack": r"\bxox[a-z]-[A-Za-z0-9-]{10,}|\bhooks\.slack\.com/services/T\w+/B\w+/\w+",
    "an API key of Google": r"\bAIza[\w-]{35}",
    "a key of Stripe": r"\b[rs]k_live_[A-Za-z0-9]{16,}",
    "a token of npm": r"\bnpm_[A-Za-z0-9]{36}\b",
    "a token of PyPI": r"\bpypi-AgE[\w-]{16,}",
    "a token of Docker Hub": r"\bdckr_(?:pat|oat)_[\w-]{16,}",
    "what Ansible Vault encrypted (docs/secrets.md)": r"\A\$ANSIBLE_VAULT;",
    "a JSON Web Token": r"(?<![\w-])eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}",
}
"""What issuers' secrets look like, as they document it."""

_ANY_FORM = re.compile("|".join(f"({form})" for form in _FORMS.values()))

_URL = re.compile(
    r"\b[a-z][a-z0-9+.-]{0,30}://[^\s/:@\"'<>]*:(?P<value>[^\s/@\"'<>]+)@", re.IGNORECASE
)
_QUERY = re.compile(
    r"[?&;](?:password|passwd|pwd|token|secret)=(?P<value>[^\s&;\"']+)", re.IGNORECASE
)
_LINE = re.compile(
    r"^(?:-D|[ \t-]*)[\"']?(?P<name>[\w.][\w.-]*)[\"']?[ \t]*[=:][ \t]*(?P<value>\S.*)$",
    re.MULTILINE,
)
"""``name=value`` and ``name: value`` in the text of a file, and ``-Dname=value``."""

_TELLING = re.compile(
    r"(?:^|_)(?:password|passwd|passphrase|pwd|secret|token|credentials?|apikey|(?:api|access|"
    r"account|auth|client|encryption|master|private|secret|signing|service)_?key|secret_key_base)$"
)
"""The end of a name that says that its value is a secret: DB_PASSWORD, but not TOKEN_URL."""

_NO_SECRET = re.compile(
    r"""
    .*(?:\{\{|\$\{|\$\(|%\().* | \$\w+      # filled in elsewhere
    | <.*> | \*+ | x+ | \.\.\.               # left open
    | true | false | yes | no | on | off | null | none | ~ | \{\} | \[\]
    | (?:/[\w.-]+){2,}/?                     # the path of a file
    | [a-z][a-z0-9+.-]*://[^@]*              # a URL; one with a password is found by it
    | [|>][+-]?                              # YAML: the lines that follow are the value
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)

_SHORTEST = 4
_SHOWN = 12
"""Characters by which a value is recognized where a message shows it, or the beginning of it."""


@dataclass(frozen=True)
class _Found:
    """A secret in the file."""

    place: Place
    what: str
    value: str


def mistakes(document: Document, others: Iterable[Finding]) -> list[Finding]:
    """The secrets that stand in a document, and what is wrong otherwise without them in it.

    ``others`` are the findings about the document. Those that are about a secret as a value are
    left out, and in the rest it is masked.
    """
    found = list(_found(document))
    places = {each.place for each in found}
    mask = _mask(each.value for each in found)
    own = {
        each.place: (
            each.place,
            Problem(document.where(each.place), each.what, _fix(each, document)),
        )
        for each in reversed(found)
    }
    return [
        *((place, mask(problem)) for place, problem in others if place not in places),
        *own.values(),
    ]


def _mask(values: Iterable[str]) -> Callable[[Problem], Problem]:
    """What masks the values in a problem, also where only their beginnings are shown."""
    beginnings = {value[:_SHOWN] for value in values if len(value) >= _SHORTEST}
    pattern = re.compile(
        "|".join(
            rf"{re.escape(text)}[^\s'\"]*" for text in sorted(beginnings, key=len, reverse=True)
        )
        or r"(?!)"  # matches nothing
    )

    def mask(problem: Problem) -> Problem:
        return replace(
            problem, what=pattern.sub(MASK, problem.what), fix=pattern.sub(MASK, problem.fix)
        )

    return mask


def _found(document: Document) -> Iterator[_Found]:
    for place, value in _values(document.value, document.root):
        text = str(value)
        if match := _ANY_FORM.search(text):
            what = list(_FORMS)[(match.lastindex or 1) - 1]
            yield _Found(place, f"holds {what}", match[0])
        for pattern in (_URL, _QUERY):
            for match in pattern.finditer(text):
                if not _NO_SECRET.fullmatch(match["value"]):
                    yield _Found(place, "holds a password", match["value"])
        if _names_are_free(place) and _tells(str(place[-1])) and _is_secret(value):
            yield _Found(place, "is a secret by its name", text)
        if place[-1] == "content" or (len(place) > 1 and place[-2] == "args"):
            for match in _LINE.finditer(text):
                given = match["value"].strip("\"', \t\r")
                if _tells(match["name"]) and _is_secret(given):
                    yield _Found(place, f"holds {match['name']}, a secret by its name", given)


def _values(value: Any, place: Place) -> Iterator[tuple[Place, Any]]:
    """Every scalar of a document with its place."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _values(each, (*place, key))
    elif isinstance(value, list):
        for at, each in enumerate(value):
            yield from _values(each, (*place, at))
    elif place and value is not None:
        yield place, value


def _names_are_free(place: Place) -> bool:
    """Whether the key of a value is the app's own, and not one of the schema's."""
    _app, setting = setting_at(place)
    if setting[:1] == ("env",):
        return len(setting) == 2
    return "values" in setting[:-1] or (setting[:1] == ("build",) and "args" in setting[:-1])


def _tells(name: str) -> bool:
    """Whether a name says that its value is a secret."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+", "_", name)
    return bool(_TELLING.search(words.lower().rstrip("_0123456789")))


def _is_secret(value: Any) -> bool:
    if isinstance(value, bool | float):
        return False
    text = str(value).strip()
    return bool(text) and not _NO_SECRET.fullmatch(text)


def _fix(found: _Found, document: Document) -> str:
    app, setting = setting_at(found.place)
    name = _suggested(app, setting, document)
    vault = f"put it into slipway_secrets in the vault as {name}"
    match setting:
        case ("env", key):
            return f"{vault}, and write {key}: {{secret: {name}}}"
        case ("git_auth", key) | ("registry_auth", _, key):
            return f"{vault}, and write its name here: {key}: {name}"
        case ("git_url",):
            return f"take it out, {vault}, and write git_auth: {{token: {name}}}"
        case ("build", str(tool), "args", *_):
            return f"{vault}, and write build: {{{tool}: {{secrets: {{{name}: {name}}}}}}}"
        case ("config_files", *_, "content"):
            file = f"put the file into slipway_secrets in the vault as {name}"
            return f"{file}, and write secret: {name} in place of content"
        case ("helm", *_):
            return "have the chart read it from a Secret that is in the namespace, and take it out"
        case _:
            return f"{vault}, and name it where the app needs it, as {{secret: {name}}}"


def _suggested(app: Any, setting: Place, document: Document) -> str:
    """A name for the secret, of those that the schema allows."""
    entry = {} if app is None else document.app(app)
    words = [str(entry["name"])] if isinstance(entry, Mapping) and "name" in entry else []
    if setting[:1] == ("git_url",):
        words.append("git_token")
    elif setting[:1] == ("git_auth",):
        words.append(f"git_{setting[-1]}")
    elif setting[:1] == ("config_files",):
        words.append("config")
    else:
        named = [part for part in setting if isinstance(part, str)]
        words += named[-1:]
    return re.sub(r"\W+", "_", "_".join(words)).lower().strip("_") or "secret"
