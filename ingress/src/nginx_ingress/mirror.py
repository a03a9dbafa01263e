"""A copy of one of the API server's collections that keeps itself up to date."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any, Generic, TypeVar

from nginx_ingress.kube import Api, ApiError, ApiUnreachable
from nginx_ingress.model import Json, Key, key_of

log = logging.getLogger(__name__)

WATCH_SECONDS = 300
"""After how long the server is asked to end a watch."""
_PAGE = "100"
"""Objects in one answer, each of which may have more than a megabyte."""
_GONE = 410
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 10.0
_SHORT_WATCH_SECONDS = 1.0

T = TypeVar("T")


class Mirror(Generic[T]):
    """The objects of one collection, as ``parse`` reads them.

    ``changed`` is called after each change that ``parse`` can see, and once the first list is
    there. What ``parse`` cannot read is left out. ``query`` narrows the collection. ``pause`` waits
    for so many seconds.
    """

    def __init__(
        self,
        api: Api,
        path: str,
        parse: Callable[[Json], T],
        changed: Callable[[], None],
        query: Mapping[str, str] | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._api = api
        self._path = path
        self._parse = parse
        self._changed = changed
        self._query = query or {}
        self._pause = pause
        self._lock = Lock()
        self._objects: dict[Key, T] = {}
        self._version = ""
        self.synced = False

    def objects(self) -> dict[Key, T]:
        """All objects at this moment."""
        with self._lock:
            return dict(self._objects)

    def run(self) -> None:
        """List, then watch, for ever; after a failure, again, less and less often."""
        failures = 0
        while True:
            started = time.monotonic()
            listing = not self._version
            try:
                if listing:
                    self._list()
                heard = self._watch()
                trouble = "" if heard else "the watch ended at once"
            except ApiError as error:
                trouble = str(error)
                if error.status == _GONE:
                    # There is a gap that only a new list closes; the server itself is well.
                    self._version = ""
                    if not listing:
                        log.info("%s: %s; listing anew", self._path, trouble)
                        trouble = ""
            except ApiUnreachable as error:
                trouble = str(error)
            # Nothing that a server sends may end this.
            except Exception as error:
                log.exception("%s: an answer that cannot be read", self._path)
                trouble, self._version = f"{type(error).__name__}: {error}", ""
            if time.monotonic() - started > _SHORT_WATCH_SECONDS:
                failures = 0
            if trouble:
                pause = min(_FIRST_PAUSE * 2**failures, _LONGEST_PAUSE) * random.uniform(0.8, 1.2)
                log.warning("%s: %s; again in %.1f s", self._path, trouble, pause)
                self._pause(pause)
                failures += 1

    def _list(self) -> None:
        found: dict[Key, T] = {}
        query = {**self._query, "limit": _PAGE}
        while True:
            page = self._api.request("GET", self._path, query)
            for item in page.get("items") or ():
                key, parsed = self._read(item)
                if key and parsed is not None:
                    found[key] = parsed
            token = page["metadata"].get("continue")
            if not token:
                break
            query["continue"] = token
        with self._lock:
            changed = found != self._objects or not self.synced
            self._objects = found
        self._version = page["metadata"]["resourceVersion"]
        self.synced = True
        if changed:
            self._changed()

    def _watch(self) -> bool:
        """Follow changes until the server ends the watch; say whether it was of any use."""
        started = time.monotonic()
        heard = False
        query = {
            **self._query,
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            # Not all mirrors' watches end together.
            "timeoutSeconds": str(int(WATCH_SECONDS * random.uniform(0.8, 1.2))),
        }
        for event in self._api.stream(self._path, query):
            self._take(event["type"], event["object"])
            heard = True
        return heard or time.monotonic() - started > _SHORT_WATCH_SECONDS

    def _take(self, kind: str, document: Any) -> None:
        if kind == "ERROR":
            raise ApiError(document.get("code", 0), document.get("message", ""))
        if kind != "BOOKMARK":
            key, read = self._read(document)
            if key:
                self._replace(key, None if kind == "DELETED" else read)
        self._version = document["metadata"]["resourceVersion"]

    def _replace(self, key: Key, after: T | None) -> None:
        with self._lock:
            before = self._objects.pop(key, None)
            if after is not None:
                self._objects[key] = after
        if after != before:
            self._changed()

    def _read(self, document: Json) -> tuple[Key | None, T | None]:
        """An object with its key; None for what of the two cannot be read."""
        key = None
        try:
            key = key_of(document)
            return key, self._parse(document)
        # One object is not to keep the others from being read.
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
            log.error("%s: %s is left out: %s", self._path, key or "an object", problem)
            return key, None
