"""The loop: what changes in the cluster becomes what nginx runs and what the objects say."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import replace
from functools import partial
from queue import Empty, SimpleQueue
from typing import Literal

from nginx_ingress.applied import Applied, Outcome
from nginx_ingress.decisions import CONTROLLER, Decisions, Message, decide
from nginx_ingress.kube import Api
from nginx_ingress.mirror import Mirror
from nginx_ingress.model import (
    Key,
    Service,
    Snapshot,
    parse_endpoint_slice,
    parse_ingress,
    parse_ingress_class,
    parse_service,
    parse_tls_secret,
)
from nginx_ingress.nginx import Nginx
from nginx_ingress.reporter import Event, Reporter, StatusChange

log = logging.getLogger(__name__)

DEBOUNCE_SECONDS = 0.1
"""The shortest pause between two turns: a rollout is a few reloads, not many. It is as many times
longer as there are workers that cannot end yet: whatever changes all the time, and whoever holds on
to a connection, they become some dozens, and not a thousand."""
RETRY_SECONDS, LONGEST_RETRY_SECONDS = 5.0, 60.0
"""After how long what did not succeed is tried again: at first, and at most."""
STUCK_SECONDS = 60.0
"""After how long without a turn the loop counts as stuck."""
_TURN_SECONDS = 1.0
_LAST_WORDS_SECONDS = 2.0

Wakeup = Literal["changed", "unwritten", "stop"]


class Controller:
    """Everything at work. ``external_service`` is the Service whose addresses Ingresses get."""

    def __init__(
        self,
        api: Api,
        nginx: Nginx,
        applied: Applied,
        class_name: str,
        external_service: Key | None,
    ) -> None:
        self._nginx = nginx
        self._applied = applied
        self._class_name = class_name
        self._external_service = external_service
        # The one queue whose put() may be called from a signal handler.
        self._wakeups: SimpleQueue[Wakeup] = SimpleQueue()
        self._ready = False
        self._last_turn = time.monotonic()
        self._failures = 0
        self._said: dict[Key, tuple[object, Message]] = {}
        self._served: set[Key] = set()
        self._statuses: dict[Key, StatusChange] = {}
        self._class_known = True
        networking = "/apis/networking.k8s.io/v1"
        self._ingresses = Mirror(api, f"{networking}/ingresses", parse_ingress, self.wake)
        self._classes = Mirror(api, f"{networking}/ingressclasses", parse_ingress_class, self.wake)
        self._services = Mirror(api, "/api/v1/services", parse_service, self.wake)
        self._slices = Mirror(
            api, "/apis/discovery.k8s.io/v1/endpointslices", parse_endpoint_slice, self.wake
        )
        self._secrets = Mirror(
            api,
            "/api/v1/secrets",
            parse_tls_secret,
            self.wake,
            query={"fieldSelector": "type=kubernetes.io/tls"},
        )
        self._mirrors = (
            self._ingresses,
            self._classes,
            self._services,
            self._slices,
            self._secrets,
        )
        self._reporter = Reporter(api, failed=lambda: self._wakeups.put("unwritten"))

    def wake(self) -> None:
        """Have the loop look at the cluster again."""
        self._wakeups.put("changed")

    def stop(self) -> None:
        """Have :meth:`run` end; may be called from a signal handler."""
        self._wakeups.put("stop")

    def livez(self) -> tuple[bool, str]:
        """Whether a restart is not needed, and why."""
        if self._nginx.exit_code is not None:
            return False, "nginx has ended"
        # Narrowing down what nginx refuses takes many tests, and as long as they go on, it works.
        idle = time.monotonic() - max(self._last_turn, self._nginx.tested)
        return idle < STUCK_SECONDS, f"last turn {idle:.0f} s ago"

    def readyz(self) -> tuple[bool, str]:
        """Whether requests are served by what the cluster says, or said last, and why."""
        if self._ready and self._nginx.running:
            return True, "serving"
        return False, "not serving"

    def run(self, grace_seconds: float) -> int:
        """Work until :meth:`stop`; return the exit code.

        At the end, requests under way get ``grace_seconds`` to finish.
        """
        if self._nginx.resume():
            log.info("ready with what was served before")
            self._ready = True
        for mirror in self._mirrors:
            threading.Thread(target=mirror.run, daemon=True).start()
        writer = threading.Thread(target=self._reporter.run, daemon=True)
        writer.start()
        code = self._loop()
        self._ready = False
        self._nginx.quit(grace_seconds)
        self._reporter.finish()
        writer.join(_LAST_WORDS_SECONDS)
        return code

    def _loop(self) -> int:
        """Take a turn when something has changed: at once after a quiet time, else after a pause.

        The pause is as long as the last turn took, so that no more than about half of a core goes
        into turns, however much changes, and longer where workers of earlier ones are still there.
        """
        changed, rested = False, 0.0
        while True:
            patience = rested - time.monotonic() if changed else _TURN_SECONDS
            try:
                wakeup = self._wakeups.get(timeout=min(max(0.0, patience), _TURN_SECONDS))
            except Empty:
                wakeup = None
            self._last_turn = time.monotonic()
            if self._nginx.exit_code is not None:
                log.error("nginx has ended with code %d", self._nginx.exit_code)
                return 1
            if wakeup == "stop":
                return 0
            if wakeup == "unwritten":
                self._statuses.clear()
            changed = changed or wakeup is not None
            if changed and self._last_turn >= rested and self._wakeups.empty():
                changed = False
                if all(mirror.synced for mirror in self._mirrors):
                    self._take_turn()
                    took = time.monotonic() - self._last_turn
                    pause = DEBOUNCE_SECONDS * (1 + self._nginx.leaving)
                    rested = time.monotonic() + max(pause, took)

    def _take_turn(self) -> None:
        """Take a turn; what does not succeed is tried again, less and less often."""
        try:
            settled = self._turn()
        # Whatever it is that cannot be done, what is served goes on, and so do later changes.
        except Exception:
            log.exception("a look at the cluster failed")
            settled = False
        if settled:
            self._failures = 0
            return
        pause = min(RETRY_SECONDS * 2**self._failures, LONGEST_RETRY_SECONDS)
        self._failures = min(self._failures + 1, 10)
        retry = threading.Timer(pause, self.wake)
        retry.daemon = True
        retry.start()

    def _turn(self) -> bool:
        """Look at the cluster once; whether trying the same again would change nothing."""
        snapshot = Snapshot(
            ingresses=self._ingresses.objects(),
            classes=self._classes.objects(),
            services=self._services.objects(),
            slices=self._slices.objects(),
            secrets=self._secrets.objects(),
        )
        self._look_for_class(snapshot)
        decisions, outcome = self._applied.apply(
            partial(decide, snapshot, self._class_name), snapshot
        )
        if outcome.settled and not self._ready:
            log.info("ready")
            self._ready = True
        self._reporter.submit(self._events(decisions, outcome))
        if self._external_service:
            service = snapshot.services.get(self._external_service)
            self._reporter.submit(self._status_changes(decisions, service))
        return outcome.settled

    def _events(self, decisions: Decisions, outcome: Outcome) -> list[Event]:
        """Messages that have not been given before."""
        news: list[Event] = []
        said: dict[Key, tuple[object, Message]] = {}
        for key, report in decisions.reports.items():
            message = report.message(outcome.failures)
            said[key] = (report.revision, message)
            if self._said.get(key) != said[key]:
                if report.displaced and key in self._served:
                    message = replace(message, text=report.displaced)
                log.info("%s: %s: %s", key, message.reason, message.text)
                for note in report.notes:
                    log.error("%s", note)
                news.append(Event(report.ingress, message))
        self._said = said
        self._served = {key for key, report in decisions.reports.items() if not report.refusal}
        return news

    def _status_changes(self, decisions: Decisions, service: Service | None) -> list[StatusChange]:
        """Statuses that differ and have not been submitted for the very object that is mirrored.

        Whatever happens to an Ingress puts another object into the mirror, also what makes it equal
        to what it was before. Until then, what has been submitted is on its way, or its echo is.
        """
        before, self._statuses = self._statuses, {}
        news: list[StatusChange] = []
        for key, report in decisions.reports.items():
            addresses = service.addresses if service and not report.refusal else ()
            if report.ingress.addresses == addresses:
                continue
            change = self._statuses[key] = StatusChange(report.ingress, addresses)
            last = before.get(key)
            if not (last and last.ingress is change.ingress and last.addresses == addresses):
                news.append(change)
        return news

    def _look_for_class(self, snapshot: Snapshot) -> None:
        """Say so in the log when the class comes or goes: without it, little is served."""
        found = snapshot.classes.get(Key("", self._class_name))
        known = found is not None and found.controller == CONTROLLER
        if known != self._class_known:
            state = "is there" if known else f"is missing or its controller is not {CONTROLLER}"
            log.warning("IngressClass %s %s", self._class_name, state)
        self._class_known = known
