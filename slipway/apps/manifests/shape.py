"""Whether a Kubernetes object has the shape that Slipway counts on, and nothing of Slipway's own.

The API checks all that it knows itself. What is asked here is what Slipway reads before, and the
labels and annotations by which it finds what it made: who wears them is taken for its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

from slipway.apps.manifests.labels import OWN, OWN_DOMAIN
from slipway.kube.client import Object

K = TypeVar("K", dict[str, Any], list[Any])

_WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet")

_NAMES = {dict: "a mapping", list: "a list", str: "text", bool: "a boolean", type(None): "empty"}


def faults(obj: Object) -> Iterator[str]:
    """What is wrong with an object that has a kind and a name."""
    metadata = obj["metadata"]
    yield from _wrong(metadata, "metadata", "namespace", str)
    for key in ("labels", "annotations"):
        yield from _texts(metadata, "metadata", key)
    if obj["apiVersion"] == "v1" and obj["kind"] in ("ConfigMap", "Secret"):
        for key in ("data", "binaryData", "stringData"):
            yield from _texts(obj, "", key)
    elif obj["apiVersion"] == "v1" and obj["kind"] == "Service":
        yield from _wrong(obj, "", "spec", dict)
    elif obj["apiVersion"] == "apps/v1" and obj["kind"] in _WORKLOADS:
        yield from _workload(obj)
    elif obj["kind"] == "CustomResourceDefinition":
        yield from _definition(obj)
    for place, worn in _reserved(obj):
        what = "is one by which Slipway knows what it made itself: remove it"
        yield f"{'.'.join(map(str, place))}: {worn} {what}"


def _workload(obj: Object) -> Iterator[str]:
    yield from (found := [*_wrong(obj, "", "spec", dict, needed=True)])
    if found:
        return
    yield from _wrong(obj["spec"], "spec", "selector", dict, needed=True)
    template = part(obj["spec"], "template", dict)
    for key in ("labels", "annotations"):
        yield from _texts(part(template, "metadata", dict), "spec.template.metadata", key)
    pod = part(template, "spec", dict)
    yield from _texts(pod, "spec.template.spec", "nodeSelector")
    for kind in ("initContainers", "containers"):
        for number, container in enumerate(part(pod, kind, list)):
            for at, variable in enumerate(part(container, "env", list)):
                place = f"spec.template.spec.{kind}[{number}].env[{at}]"
                if isinstance(variable, dict):
                    yield from _no_text(variable.get("value"), f"{place}.value")


def part(whole: Any, key: str, kind: type[K]) -> K:
    """A part of something that the API will look at itself; an empty one if there is none."""
    part = whole.get(key) if isinstance(whole, dict) else None
    return part if isinstance(part, kind) else kind()


def _definition(obj: Object) -> Iterator[str]:
    """What is wrong with a definition of a kind."""
    yield from (found := [*_wrong(obj, "", "spec", dict, needed=True)])
    if found:
        return
    spec = obj["spec"]
    for key, kind in (("group", str), ("scope", str), ("names", dict), ("versions", list)):
        yield from _wrong(spec, "spec", key, kind, needed=True)
    if isinstance(spec.get("names"), dict):
        yield from _wrong(spec["names"], "spec.names", "kind", str, needed=True)
    versions = spec.get("versions")
    for number, version in enumerate(versions if isinstance(versions, list) else ()):
        place = f"spec.versions[{number}]"
        if isinstance(version, dict):
            yield from _wrong(version, place, "name", str, needed=True)
        else:
            yield f"{place} {_is(version)}: it must be a mapping"


def _wrong(
    mapping: Object, place: str, key: str, kind: type, *, needed: bool = False
) -> Iterator[str]:
    """What is wrong with the value of a key that is to be of a kind."""
    title = f"{place}.{key}".removeprefix(".")
    value = mapping.get(key)
    if value is None and not needed:
        return
    if key not in mapping:
        yield f"lacks {title}, which is {_NAMES[kind]}"
    elif not isinstance(value, kind):
        yield f"{title} {_is(value)}: it must be {_NAMES[kind]}"


def _texts(mapping: Object, place: str, key: str) -> Iterator[str]:
    """What is wrong with what must hold nothing but texts, as labels and annotations do."""
    yield from (found := [*_wrong(mapping, place, key, dict)])
    for name, value in () if found else (mapping.get(key) or {}).items():
        yield from _no_text(value, f"{place}.{key}.{name}".removeprefix("."))


def _no_text(value: Any, title: str) -> Iterator[str]:
    """What is wrong with what must be text."""
    if value is not None and not isinstance(value, str):
        yield f"{title} {_is(value)}: it must be text, so put it in quotes"


def _reserved(value: Any) -> Iterator[tuple[tuple[Any, ...], str]]:
    """The labels and annotations of Slipway's own in an object and in its templates of others.

    Each with the way to it.
    """
    for key, part in value.items() if isinstance(value, dict) else enumerate(value):
        if not isinstance(part, dict | list):
            continue
        if key == "metadata" and isinstance(part, dict):
            for where in ("labels", "annotations"):
                worn = part.get(where)
                for name, worth in worn.items() if isinstance(worn, dict) else ():
                    if OWN_DOMAIN in name or OWN.get(name) == worth:
                        yield (key, where), f"{name}: {worth}"
        for place, what in _reserved(part):
            yield (key, *place), what


def _is(value: Any) -> str:
    """What a value is, as a message says it."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"is {_NAMES[type(value)]}"
    return f"is the number {value}"
