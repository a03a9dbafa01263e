"""What an app's configuration, manifests and charts say, once their templates are filled in.

They are in apps.yml itself, in the app's repository, or on this machine's disk.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from msgspec import structs

from slipway.apps.app import NODES, App, Built, Chart, ConfigFile, Located, Manifest, Variable
from slipway.apps.deploy.helm import HOOK, Helm
from slipway.apps.limits import FIX, excess, unfit
from slipway.apps.manifests.config import config_keys
from slipway.apps.manifests.documents import Fault, documents
from slipway.apps.manifests.extras import Extra
from slipway.apps.manifests.images import Use, uses, with_images
from slipway.apps.manifests.passwords import stand_ins
from slipway.apps.manifests.secrets import encoded, secret_data
from slipway.apps.manifests.shape import faults
from slipway.apps.templates import Unfilled, fill, variables_of
from slipway.errors import SlipwayError
from slipway.files import Refused, inside, read_bytes, readable
from slipway.kube.client import CONFIG_MAPS, SECRETS, Object
from slipway.kube.objects import said
from slipway.secrets import ENCRYPTED

T = TypeVar("T")

_SOURCE = re.compile(r"^# Source: (.+)$", re.MULTILINE)
"""Helm's comment above each document of a chart."""

_API_VERSION = re.compile(r"(?:[a-z0-9.-]+/)?v[a-z0-9]+")
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9:._-]*[A-Za-z0-9])?")
"""What may be in the path of a request: names of roles have colons, all others are narrower."""


@dataclass(frozen=True)
class Content:
    """An app whose settings are filled in, its extras, and what is wrong with them.

    Pods of the extras have images of the store, where those are carried to nodes.
    """

    app: App
    extras: list[Extra]
    faults: list[str]


def complete(app: App, secrets: Mapping[str, str], helm: Helm | None) -> Content:
    """Fill in the text of an app's variables and files, and read its manifests and charts.

    An app that failed before, or has no image yet, stays as it is. Values of ``secrets`` are
    looked at and get into nothing here.
    """
    if app.failed or not isinstance(app, Built):
        return Content(app, [], [])
    return _Reader(app, helm).read(secrets)


def named_images(app: Built, helm: Helm | None) -> list[Use] | None:
    """What an app's manifests and charts name as images that are to be carried to nodes.

    None where one of them cannot be read: :func:`complete` says why.
    """
    reader = _Reader(app, helm)
    found = [*reader.uses()]
    return None if reader.faults else found


class _Reader:
    """Reads one app's content; ``faults`` is what is wrong with what was read so far."""

    def __init__(self, app: Built, helm: Helm | None) -> None:
        self._app = app
        self._helm = helm
        self._variables = variables_of(app)
        self._for_manifests = {**self._variables, "image": app.image}
        self.faults: list[str] = []

    def read(self, secrets: Mapping[str, str]) -> Content:
        env = {
            name: found
            for name, source in self._app.env.items()
            if (found := self._tried(self._env, name, source)) is not None
        }
        files = [
            text
            for file in self._app.config_files
            if (text := self._tried(self._config_file, file)) is not None
        ]
        sizes = {
            file.path: len(file.binary or (file.content or "").encode())
            for file in files
            if not file.is_secret
        }
        self._tried(_check_size, "the ConfigMap of its config files", sizes)
        app = structs.replace(self._app, env=env, config_files=files)
        self._tried(self._check_secrets, app, secrets)
        return Content(app, self._placed(self._extras()), self.faults)

    def uses(self) -> Iterator[Use]:
        """Where the extras name images that are to be carried to nodes."""
        for extra in self._extras():
            if extra.carried:
                yield from uses(extra.where, extra.obj)

    def _extras(self) -> list[Extra]:
        """What the manifests and charts have."""
        return [
            *(
                extra
                for number, entry in enumerate(self._app.manifests)
                for extra in self._tried(self._manifest, number, entry) or ()
            ),
            *(
                extra
                for number, entry in enumerate(self._app.helm)
                for extra in self._tried(self._chart, number, entry) or ()
            ),
        ]

    def _placed(self, extras: list[Extra]) -> list[Extra]:
        """Extras with the images that nodes get, but for those that a check has still to fetch."""
        carried = {each.named: each for each in self._app.carried}
        if not self.faults:
            self.faults += [
                f"{use.where} names {use.named}, which the build did not find there: run again, "
                "and have the text be the same each time it is filled in"
                for extra in extras
                if extra.carried
                for use in uses(extra.where, extra.obj)
                if use.named not in carried
            ]
        there = {named: each for named, each in carried.items() if each.image}
        return [
            replace(extra, obj=with_images(extra.obj, there)) if extra.carried else extra
            for extra in extras
        ]

    def _tried(self, step: Callable[..., T], *given: Any) -> T | None:
        """What ``step`` gives, or None after noting what is wrong."""
        try:
            return step(*given)
        except (Fault, SlipwayError) as error:
            self.faults.append(str(error))
            return None

    def _env(self, name: str, source: Variable) -> Variable:
        if source.value is None:
            return source
        value = _filled(f"env {name}", source.value, self._variables)
        _check_variable(name, value)
        return Variable(value)

    def _config_file(self, file: ConfigFile) -> ConfigFile:
        if file.is_secret:
            return file
        title = f"config file {file.path}"
        text = file.content
        if text is None:
            content = self._bytes(title, file)
            if content.startswith(ENCRYPTED.encode()):
                fix = "put its text into slipway_secrets, and name it by secret (docs/secrets.md)"
                raise Fault(f"{title}: {file.name} is encrypted by Ansible Vault: {fix}")
            try:
                text = content.decode()
            except UnicodeDecodeError as error:
                if not file.template:
                    return ConfigFile(path=file.path, binary=content)
                fix = "remove template: true"
                raise Fault(f"{title}: {file.name} is no UTF-8 text to fill in: {fix}") from error
        if file.template:
            text = _filled(file.name or title, text, self._variables)
        return ConfigFile(path=file.path, content=text)

    def _check_secrets(self, app: Built, secrets: Mapping[str, str]) -> None:
        try:
            data = secret_data(app, secrets, stand_ins(app))
        except KeyError as error:
            name = error.args[0]
            raise Fault(f"slipway_secrets has no {name}: add it in the vault") from error
        except Unfilled as error:  # its text may hold a part of the value
            raise Fault(f"a secret cannot be filled in: see its line {error.line}") from None
        for name, source in app.env.items():
            if source.secret:
                _check_variable(name, secrets[source.secret])
        paths = {key: file.path for key, file in config_keys(app).items()}
        sizes = {paths.get(key, f"env {key}"): size for key, size in _sizes(data).items()}
        _check_size("the Secret of its secrets", sizes)

    def _manifest(self, number: int, entry: Manifest) -> list[Extra]:
        where, text = self._text(f"manifests[{number}]", entry)
        if entry.template:
            text = _filled(where, text, self._for_manifests)
        return [_said_by(entry, extra) for extra in objects(where, text)]

    def _chart(self, number: int, entry: Chart) -> list[Extra]:
        folder = self._path(f"helm[{number}]", entry)
        where = f"chart {entry.name}"
        values = self._values(f"helm[{number}].values", entry.values)
        if self._helm is None:
            raise Fault(f"{where}: there is nothing here that renders charts")
        rendered = self._helm.template(
            folder,
            release=entry.release,
            namespace=self._app.namespace,
            values=values,
        )
        found = [  # others wrote it, and Helm takes it
            replace(_said_by(entry, extra), where=_template_of(where, rendered, extra.where))
            for extra in objects(where, rendered, doubled=True)
        ]
        for extra in found:
            if hook := (extra.obj["metadata"].get("annotations") or {}).get(HOOK):
                title = f"{extra.obj['kind']} {extra.obj['metadata']['name']}"
                raise Fault(f"{where}: {title} is a hook ({hook}), and hooks are not run")
        return found

    def _values(self, where: str, value: Any) -> Any:
        """A chart's values with every text in them filled in."""
        if isinstance(value, dict):
            return {key: self._values(f"{where}.{key}", each) for key, each in value.items()}
        if isinstance(value, list):
            return [self._values(f"{where}[{at}]", each) for at, each in enumerate(value)]
        return _filled(where, value, self._for_manifests) if isinstance(value, str) else value

    def _text(self, title: str, entry: Manifest) -> tuple[str, str]:
        """An entry's text, and the name by which a user knows it."""
        if entry.content is not None:
            return title, entry.content
        try:
            return entry.name, self._bytes(title, entry).decode()
        except UnicodeDecodeError as error:
            raise Fault(f"{title}: {entry.name} cannot be read: it is no UTF-8 text") from error

    def _bytes(self, title: str, entry: Located) -> bytes:
        """What an entry's file holds."""
        path = self._path(title, entry)
        try:
            if isinstance(entry, ConfigFile) and not entry.template:
                _check_size(title, {entry.name: path.stat().st_size})
            return read_bytes(path)
        except OSError as error:
            raise Fault(f"{title}: {entry.name} cannot be read: {error.strerror}") from error

    def _path(self, title: str, entry: Located) -> Path:
        """Where an entry is, on disk or in the app's project."""
        try:
            if entry.source is not None:
                return inside(Path(self._app.checkout), Path(self._app.project, entry.source))
            return readable(Path(entry.name))
        except Refused as error:
            raise Fault(f"{title}: {entry.name} cannot be read: {error}") from error


def _said_by(entry: Manifest | Chart, extra: Extra) -> Extra:
    """An object with what its entry of apps.yml says of it."""
    return replace(
        extra,
        is_operators=entry.source is None,
        allowed=entry.allow_kinds,
        carried=entry.pull != NODES,
    )


def _template_of(chart: str, rendered: str, where: str) -> str:
    """Where an object of a chart comes from: Helm names the template above each document."""
    line = int(where.rpartition(":")[2])
    above = _SOURCE.findall("\n".join(rendered.split("\n", line)[:line]))
    return f"{chart}: {above[-1]}" if above else where


def objects(where: str, text: str, *, doubled: bool = False) -> Iterator[Extra]:
    """The objects of a manifest; raises Fault with the line of what is none."""
    for line, value in documents(where, text, doubled=doubled):
        yield from _extras(f"{where}:{line}", value)


def _extras(where: str, value: Any) -> Iterator[Extra]:
    if value is None:
        return
    if not isinstance(value, dict):
        raise Fault(f"{where}: is no Kubernetes object, which is a mapping")
    if value.get("kind") == "List" and isinstance(value.get("items"), list):
        for item in value["items"]:
            yield from _extras(where, item)
        return
    metadata = value.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    sound = {
        "apiVersion": _matches(_API_VERSION, value.get("apiVersion")),
        "kind": _matches(_NAME, value.get("kind")),
        "metadata.name": _matches(_NAME, name),
    }
    if missing := [key for key, is_sound in sound.items() if not is_sound]:
        raise Fault(f"{where}: lacks a usable {' and '.join(missing)}")
    title = f"{value['kind']} {name}"
    if wrong := [f"{where}: {title}: {what}" for what in faults(value)]:
        raise Fault("\n".join(wrong))
    obj = _plain(where, said(value))
    _check_size(f"{where}: {title}", _data_sizes(obj))
    yield Extra(where, obj)


def _matches(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _plain(where: str, obj: Object) -> Object:
    """An object as the API gives it back: a Secret's text as its data."""
    if (obj["apiVersion"], obj["kind"]) != (SECRETS.api_version, SECRETS.kind):
        return obj
    try:
        data = {
            key: base64.b64encode(base64.b64decode("".join(value.split()), validate=True)).decode()
            for key, value in obj.get("data", {}).items()
        }
        texts = {key: encoded(value) for key, value in obj.get("stringData", {}).items()}
    except (binascii.Error, AttributeError) as error:
        reason = "has data that is no base64, or stringData that is no text"
        raise Fault(f"{where}: Secret {obj['metadata']['name']} {reason}") from error
    rest = {key: value for key, value in obj.items() if key != "stringData"}
    return {**rest, "data": {**data, **texts}}


def _check_size(holder: str, sizes: Mapping[str, int]) -> None:
    """Raise Fault when an object of these data would be too large."""
    if why := excess(holder, sizes):
        raise Fault(f"{why}: {FIX}")


def _check_variable(name: str, value: str) -> None:
    """Raise Fault when no environment can have a variable."""
    if why := unfit(name, value):
        raise Fault(f"env {name} {why}")


def _data_sizes(obj: Object) -> dict[str, int]:
    """How much there is of each of the data of a ConfigMap or Secret, and of no other object."""
    kind = (obj["apiVersion"], obj["kind"])
    if kind == (SECRETS.api_version, SECRETS.kind):
        return _sizes(obj["data"])
    if kind != (CONFIG_MAPS.api_version, CONFIG_MAPS.kind):
        return {}
    texts = {key: len(text.encode()) for key, text in obj.get("data", {}).items()}
    return {**texts, **_sizes(obj.get("binaryData", {}))}


def _sizes(data: Mapping[str, str]) -> dict[str, int]:
    """How many bytes each of values in base64 has."""
    return {key: len(text) * 3 // 4 - text.count("=") for key, text in data.items()}


def _filled(where: str, text: str, variables: Mapping[str, str]) -> str:
    try:
        return fill(text, variables)
    except Unfilled as error:
        raise Fault(f"{where}:{error.line}: {error}; known: {', '.join(variables)}") from error
