"""What nginx runs, host by host, so that one host's mistake stays that host's."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from nginx_ingress.decisions import Server
from nginx_ingress.model import Snapshot
from nginx_ingress.nginx import ConfigRefused, Nginx, NginxError
from nginx_ingress.render import Settings, endpoints_of, render_server

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it went: ``failures`` says for each host why what it had before goes on.

    ``settled`` is False if trying the same again may help.
    """

    failures: Mapping[str, str] = field(default_factory=dict)
    settled: bool = True


class Applied:
    """Brings nginx to what is decided and remembers what is in force."""

    def __init__(self, nginx: Nginx, settings: Settings) -> None:
        self._nginx = nginx
        self._settings = settings
        self._text: str | None = None
        self._servers: Mapping[str, Server] = {}

    def apply(self, wanted: Mapping[str, Server], snapshot: Snapshot) -> Outcome:
        """Have nginx serve ``wanted``; leave it alone if that is what it does already.

        When nginx refuses, hosts are tried one by one, and those that it does not take keep their
        last good decisions, with today's endpoints.
        """
        pems = {secret.file_name: secret.pem for secret in snapshot.secrets.values()}
        names = _certificates(wanted)
        self._nginx.add_certificates({name: pem for name, pem in pems.items() if name in names})
        failures: dict[str, str] = {}
        try:
            try:
                self._run(wanted, self._render(wanted, snapshot))
            except ConfigRefused:
                accepted = self._accepted(wanted, snapshot, failures)
                self._run(accepted, self._render(accepted, snapshot))
        except NginxError as error:
            log.error("configuration not applied: %s", error)
            changed = [host for host in wanted if wanted[host] != self._servers.get(host)]
            return Outcome(dict.fromkeys(changed, str(error)), settled=False)
        self._nginx.keep_certificates(_certificates(self._servers))
        return Outcome(failures)

    def _run(self, servers: Mapping[str, Server], text: str) -> None:
        if text != self._text:
            started = time.monotonic()
            self._nginx.apply(text)
            log.info(
                "nginx serves %d hosts with %d locations; it took %.0f ms",
                len(servers),
                sum(len(server.locations) for server in servers.values()),
                (time.monotonic() - started) * 1000,
            )
        self._text = text
        self._servers = dict(servers)

    def _accepted(
        self, wanted: Mapping[str, Server], snapshot: Snapshot, failures: dict[str, str]
    ) -> Mapping[str, Server]:
        """The most of ``wanted`` that nginx takes; says in ``failures`` what is wrong elsewhere."""
        accepted = {host: old for host, old in self._servers.items() if host in wanted}
        for host, server in wanted.items():
            if accepted.get(host) == server:
                continue
            trial = {**accepted, host: server}
            if problem := self._nginx.test(self._render(trial, snapshot)):
                log.error("host %s keeps what it had: %s", host, problem)
                failures[host] = problem
            else:
                accepted = trial
        return accepted

    def _render(self, servers: Mapping[str, Server], snapshot: Snapshot) -> str:
        endpoints = endpoints_of(snapshot.slices.values())
        return "\n".join(
            render_server(server, snapshot, endpoints, self._settings)
            for _, server in sorted(servers.items())
        )


def _certificates(servers: Mapping[str, Server]) -> set[str]:
    return {server.tls.file_name for server in servers.values() if server.tls} - {""}
