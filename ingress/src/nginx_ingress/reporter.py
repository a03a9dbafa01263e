"""What is said on the objects themselves: events and load balancer addresses."""

from __future__ import annotations

import hashlib
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Condition
from typing import Any

from nginx_ingress.decisions import Message
from nginx_ingress.kube import Api, ApiError, ApiUnreachable
from nginx_ingress.model import Address, Ingress, Key

log = logging.getLogger(__name__)

COMPONENT = "nginx-ingress-controller"
RETRY_SECONDS = 2.0
_OBJECT_CHANGED = frozenset({404, 409, 422})
"""The object is gone, or another one has its name by now: there is nothing left to say."""


@dataclass(frozen=True, slots=True)
class StatusChange:
    """The addresses that an Ingress is to have."""

    ingress: Ingress
    addresses: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class Event:
    """A message on an Ingress."""

    ingress: Ingress
    message: Message


Item = StatusChange | Event


class Reporter:
    """Writes to the API server, one thing after another, in a thread of its own.

    Objects have their turn in the order in which they were submitted. Of what waits for one, only
    the last status is written, and the same words are said once, where they were submitted last.

    Events are written twice at most; ``failed`` is called when a status could not be written, for
    whoever knows what it should be by then.
    """

    def __init__(
        self,
        api: Api,
        failed: Callable[[], None],
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._api = api
        self._failed = failed
        self._pause = pause
        self._changed = Condition()
        self._waiting: OrderedDict[tuple[Key, str], list[Item]] = OrderedDict()
        self._finishing = False

    def submit(self, items: Sequence[Item]) -> None:
        """Have these written soon."""
        with self._changed:
            for item in items:
                waiting = self._waiting.setdefault((item.ingress.key, item.ingress.uid), [])
                waiting[:] = [each for each in waiting if not _replaces(item, each)]
                waiting.append(item)
            self._changed.notify()

    def finish(self) -> None:
        """Have :meth:`run` return after what has been submitted."""
        with self._changed:
            self._finishing = True
            self._changed.notify()

    def run(self) -> None:
        """Write what is submitted, until :meth:`finish`."""
        while items := self._next():
            for item in items:
                try:
                    if isinstance(item, Event):
                        self._say(item)
                    else:
                        self._set_status(item)
                # One that cannot be written is not to keep the others from being written.
                except Exception:
                    log.exception("%s: not written", item.ingress.key)

    def _next(self) -> list[Item]:
        """Wait for an object's turn and take what there is to write on it; nothing at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._finishing)
            return self._waiting.popitem(last=False)[1] if self._waiting else []

    def _set_status(self, change: StatusChange) -> None:
        key, addresses = change.ingress.key, [each.as_json() for each in change.addresses]
        path = f"/apis/networking.k8s.io/v1/namespaces/{key.namespace}/ingresses/{key.name}/status"
        body = {
            # The server refuses if the name belongs to another object by now.
            "metadata": {"uid": change.ingress.uid},
            "status": {"loadBalancer": {"ingress": addresses or None}},
        }
        try:
            self._api.request("PATCH", path, body=body)
        except (ApiError, ApiUnreachable) as error:
            if isinstance(error, ApiError) and error.status in _OBJECT_CHANGED:
                return
            log.warning("status of %s not written: %s", key, error)
            self._pause(RETRY_SECONDS)
            self._failed()

    def _say(self, event: Event) -> None:
        try:
            self._write_event(event)
        except ApiUnreachable:
            self._pause(RETRY_SECONDS)
            try:
                self._write_event(event)
            except (ApiError, ApiUnreachable) as error:
                log.warning("event on %s not written: %s", event.ingress.key, error)
        except ApiError as error:
            log.warning("event on %s not written: %s", event.ingress.key, error)

    def _write_event(self, event: Event) -> None:
        """Make the event, or count one more of it: the same words have the same name."""
        document = event_document(event, datetime.now(UTC))
        collection = f"/api/v1/namespaces/{event.ingress.key.namespace}/events"
        path = f"{collection}/{document['metadata']['name']}"
        try:
            self._api.request("POST", collection, body=document)
        except ApiError as error:
            if error.status != 409:
                raise
            count = self._api.request("GET", path).get("count") or 0
            again = {"count": count + 1, "lastTimestamp": document["lastTimestamp"]}
            self._api.request("PATCH", path, body=again)


def _replaces(new: Item, old: Item) -> bool:
    """Whether nobody misses the older of two items on the same object."""
    if isinstance(new, Event) and isinstance(old, Event):
        return new.message == old.message
    return isinstance(new, StatusChange) and isinstance(old, StatusChange)


def event_document(event: Event, now: datetime) -> dict[str, Any]:
    """The core/v1 Event, under a name made from what it says about which object."""
    ingress, message = event.ingress, event.message
    words = "\0".join((ingress.uid, message.type, message.reason, message.text))
    digest = hashlib.sha256(words.encode(errors="replace")).hexdigest()
    time_text = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{ingress.key.name[:230].rstrip('.-')}.{digest[:16]}",
            "namespace": ingress.key.namespace,
        },
        "involvedObject": {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "namespace": ingress.key.namespace,
            "name": ingress.key.name,
            "uid": ingress.uid,
        },
        "type": message.type,
        "reason": message.reason,
        # The API server takes no more bytes than this.
        "message": message.text.encode(errors="replace")[:1024].decode(errors="ignore"),
        "count": 1,
        "firstTimestamp": time_text,
        "lastTimestamp": time_text,
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "reportingInstance": "",
    }
