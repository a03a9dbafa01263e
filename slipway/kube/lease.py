"""One Lease of the cluster for all runs that change it, wherever they are."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

from slipway.kube.client import LEASES, Kube, Object
from slipway.locks import Told

NAMESPACE = "kube-system"
NAME = "slipway"

DURATION = 45
"""Seconds after which a Lease is nobody's that nobody has renewed."""


@dataclass
class Lease:
    """The Lease, as ``holder`` asks for it: a text that tells users who that is, and no other has.

    How long it was not renewed is measured here: clocks of other machines may differ.
    """

    kube: Kube
    holder: str
    _seen: tuple[str, str] = field(default=("", ""), init=False)
    _since: float = field(default=0.0, init=False)

    def acquire(self) -> None:
        """Have it, once whoever else holds it lets it go or does not renew it any more."""
        told = Told("the cluster")
        while not self._take():
            told.wait(lambda: self._seen[0], pause=0.3)

    def renew(self) -> None:
        """Go on to hold it, unless somebody has taken it over."""
        found = self._found()
        if found and _holder(found) == self.holder:
            self._write(found, self.holder)

    def release(self) -> None:
        """Let it go, if it is held."""
        found = self._found()
        if found and _holder(found) == self.holder:
            self._write(found, "")

    def _take(self) -> bool:
        found = self._found()
        if found is None:
            return self.kube.create(self._wanted({}, self.holder))
        spec = found.get("spec") or {}
        seen = (_holder(found), str(spec.get("renewTime")))
        if seen != self._seen:
            self._seen, self._since = seen, time.monotonic()
        age = time.monotonic() - self._since
        if seen[0] in ("", self.holder) or age > (spec.get("leaseDurationSeconds") or DURATION):
            return self._write(found, self.holder)
        return False

    def _found(self) -> Object | None:
        return self.kube.get(LEASES, NAME, NAMESPACE)

    def _write(self, found: Object, holder: str) -> bool:
        """Whether it has another holder now, as nobody else has changed it meanwhile."""
        version = {"resourceVersion": found["metadata"]["resourceVersion"]}
        return self.kube.replace(self._wanted(version, holder))

    def _wanted(self, metadata: dict[str, str], holder: str) -> Object:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": {"name": NAME, "namespace": NAMESPACE, **metadata},
            "spec": {
                "holderIdentity": holder,
                "leaseDurationSeconds": DURATION,
                "renewTime": now,
            },
        }


def _holder(found: Object) -> str:
    return str((found.get("spec") or {}).get("holderIdentity") or "")
