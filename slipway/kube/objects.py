"""What Slipway wants of a Kubernetes object, and whether a live one is already so.

An object is written with the hash of itself as it was rendered (``HASH``). So a look at the live
object tells both what somebody edited since and which fields the rendered one no longer has.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeVar

from slipway.kube.client import Object, Resource

T = TypeVar("T")
K = TypeVar("K")

Key = tuple[str, str, str]
"""Kind, namespace and name."""

HASH = "slipway.internal/hash"
"""The annotation with the hash."""


@dataclass(frozen=True)
class Change:
    """One object before and after; None where it does not exist."""

    before: Object | None
    after: Object | None


_TEXT = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=str)


def grouped(things: Iterable[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    """The things by what ``key`` says of each, in their order."""
    found: dict[K, list[T]] = defaultdict(list)
    for thing in things:
        found[key(thing)].append(thing)
    return dict(found)


def of_kind(resource: Resource, metadata: dict[str, Any], spec: dict[str, Any]) -> Object:
    """An object of a kind."""
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": metadata,
        "spec": spec,
    }


def key_of(obj: Object) -> Key:
    """What tells an object from all others."""
    metadata = obj["metadata"]
    return obj["kind"], metadata.get("namespace", ""), metadata["name"]


def by_key(objects: Iterable[Object]) -> dict[Key, Object]:
    """Objects, each at its key."""
    return {key_of(obj): obj for obj in objects}


def sealed(obj: Object) -> Object:
    """The object with its own hash among its annotations."""
    metadata = obj["metadata"]
    annotations = {**(metadata.get("annotations") or {}), HASH: digest(obj)}
    return {**obj, "metadata": {**metadata, "annotations": annotations}}


def is_sealed(obj: Object) -> bool:
    """Whether an object has its own hash, so that it was Slipway that made it."""
    return HASH in (obj["metadata"].get("annotations") or {})


def applicable(live: Object) -> Object:
    """What of an object in the cluster can be applied: without the API's bookkeeping."""
    kept = {"name", "namespace", "labels", "annotations"}
    metadata = {key: value for key, value in live["metadata"].items() if key in kept}
    rest = {key: value for key, value in live.items() if key != "status"}
    return {**rest, "metadata": metadata}


def said(manifest: Object) -> Object:
    """What a manifest wants: a null says nothing, and a status is for controllers to write."""
    wanted: Object = _without_nulls(
        {key: value for key, value in manifest.items() if key != "status"}
    )
    return wanted


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(part) for key, part in value.items() if part is not None}
    if isinstance(value, list):
        return [_without_nulls(part) for part in value]
    return value


_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)(m|k|[MGTPE]|[KMGTPE]i)?")
_UNITS = {"": Decimal(1), "m": Decimal("0.001"), "k": Decimal(1000)}
_UNITS |= {unit: Decimal(1000) ** power for power, unit in enumerate("MGTPE", start=2)}
_UNITS |= {f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTPE", start=1)}
_LARGE = ("Mi", "Gi", "Ti", "Pi", "Ei")


def contains(live: Any, wanted: Any) -> bool:
    """Whether ``live`` still says all that ``wanted`` says, whatever the API made of it.

    The API adds what has a default, leaves out what is empty, and writes quantities in its own
    way: ``1000m`` is ``1``.
    """
    if live == wanted:
        return True
    if isinstance(wanted, dict):
        return isinstance(live, dict) and all(
            not value if live.get(key) is None else contains(live[key], value)
            for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return (
            isinstance(live, list) and len(live) == len(wanted) and all(map(contains, live, wanted))
        )
    return isinstance(live, str) and (found := amount(live)) is not None and found == amount(wanted)


def amount(value: Any) -> Decimal | None:
    """What a quantity amounts to; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    found = _QUANTITY.fullmatch(str(value))
    return Decimal(found[1]) * _UNITS[found[2] or ""] if found else None


def quantity(value: Decimal) -> str:
    """An amount as people write it, to a thousandth; what is whole mebibytes or more, in those."""
    whole = value.to_integral_value()
    if whole != value:
        return f"{(value * 1000).to_integral_value():f}m"
    large = [unit for unit in _LARGE if whole and not whole % _UNITS[unit]]
    return f"{whole / _UNITS[large[-1]]:f}{large[-1]}" if large else f"{whole:f}"


def digest(value: Any) -> str:
    """A short content hash of plain data, the same in every run; YAML's dates count as text."""
    return hashlib.sha256(_TEXT.encode(value).encode()).hexdigest()[:16]
