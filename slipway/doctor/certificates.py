"""Certificates of the cluster: how long they are good for yet."""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from slipway.control_node.kubeconfig import RENEWED_BEFORE, ends, read
from slipway.doctor.findings import Result, unless, warn
from slipway.on_node.certificates import AUTHORITIES, KUBELET, Unreadable, end_of

ANSWER_SECONDS = 2.0

RENEW = "make up makes it anew"
ANEW = "nobody makes it anew: have kubeadm's authorities replaced, or make the cluster anew by then"


def of_cluster(path: Path) -> Iterable[Result]:
    """What this machine sees of them: its kubeconfig's, and the one that the API server shows."""
    found = ends(path)
    if not found:
        return []
    last = {f"the one of {path}": (found["certificate"], RENEW)} if "certificate" in found else {}
    if "authority" in found:
        last["the cluster's authority"] = (found["authority"], ANEW)
    if shown := _shown(path):
        last["the API server's"] = (shown, RENEW)
    now = datetime.now(UTC)
    return _judged({name: (end - now, fix) for name, (end, fix) in last.items()})


def of_node(seen: Mapping[str, Any]) -> Iterable[Result]:
    """Those of a node, by the seconds that they have left there; nothing of one that is bare."""
    left: Mapping[str, float] = seen.get("certificates") or {}
    fixes = dict.fromkeys(AUTHORITIES, ANEW)
    return _judged(
        {
            name: (timedelta(seconds=seconds), fixes.get(name, RENEW))
            for name, seconds in left.items()
            # A kubelet that runs takes care of its own, and asks when most of it is over.
            if name != KUBELET or seconds < 0
        }
    )


def _judged(left: Mapping[str, tuple[timedelta, str]]) -> Iterable[Result]:
    if not left:
        return []
    first = min(rest for rest, _fix in left.values())
    return unless(f"good until {_date(first)} and longer", _troubles(left))


def _troubles(left: Mapping[str, tuple[timedelta, str]]) -> Iterator[Result]:
    """What ends soon; where there is much of it, the first of those that are mended in one way."""
    for fix in (RENEW, ANEW):
        rests = {name: rest for name, (rest, mend) in left.items() if mend == fix}
        late = sorted((rest, name) for name, rest in rests.items() if rest < RENEWED_BEFORE)
        if late:
            (rest, name), more = late[0], len(late) - 1
            others = f", and {more} more end by {_date(late[-1][0])}" if more else ""
            ending = "ended" if rest < timedelta() else "ends"
            yield warn(f"{name} {ending} on {_date(rest)}{others}", fix)


def _date(left: timedelta) -> str:
    return f"{datetime.now(UTC) + left:%Y-%m-%d}"


def _shown(path: Path) -> datetime | None:
    """When the certificate ends that the API server shows; None where none answers."""
    (cluster,) = read(path)["clusters"]
    server = urlsplit(cluster["cluster"]["server"])
    try:
        address = (str(server.hostname), server.port or 443)
        return datetime.fromtimestamp(
            end_of(ssl.get_server_certificate(address, timeout=ANSWER_SECONDS)), UTC
        )
    except (OSError, Unreadable):
        return None
