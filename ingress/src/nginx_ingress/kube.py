"""The API server, as the Kubernetes client library is configured to reach it."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol
from urllib.parse import urlencode

import urllib3
from kubernetes import config
from kubernetes.client import ApiClient, Configuration

from nginx_ingress.model import Json

_TIMEOUT = urllib3.Timeout(connect=5, read=30)
QUIET_SECONDS = 420
"""For how long a watch may be quiet: the server has been asked to end it before that. A peer that
is dead shows by TCP's own keep-alive, but not one that has stopped."""
_WATCH_TIMEOUT = urllib3.Timeout(connect=5, read=QUIET_SECONDS)
# The library gives these no types.
_load_kube_config: Callable[..., None] = config.load_kube_config
_load_incluster_config: Callable[..., None] = config.load_incluster_config
# A peer that vanished without a word is noticed after 15 + 3 * 5 s.
_KEEPALIVE = (
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
)


class ApiError(Exception):
    """The API server refused; ``status`` is the HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status} {message}")
        self.status = status


class ApiUnreachable(Exception):
    """The API server did not answer, or not to the end."""


class Api(Protocol):
    """What the controller asks of an API server.

    Both methods raise ApiError and ApiUnreachable.
    """

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Json | None = None,
    ) -> Any:
        """Send JSON (with PATCH, a merge patch) and return the JSON that is answered."""

    def stream(self, path: str, query: Mapping[str, str]) -> Iterator[Any]:
        """The JSON lines of an answer as they come, until the server ends it.

        A line that is no JSON is a ValueError.
        """


class HttpApi:
    """An API server over HTTP; what the client library's own models would do is left out."""

    def __init__(self, kubeconfig: str | None) -> None:
        """``kubeconfig`` is a file; without one, the pod's own service account is used."""
        self._configuration: Any = Configuration()
        if kubeconfig:
            _load_kube_config(kubeconfig, client_configuration=self._configuration)
        else:
            _load_incluster_config(client_configuration=self._configuration)
        self._pool: urllib3.PoolManager = ApiClient(self._configuration).rest_client.pool_manager
        self._pool.connection_pool_kw["socket_options"] = _KEEPALIVE

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Json | None = None,
    ) -> Any:
        """See :class:`Api`."""
        return json.loads(self._send(method, path, query, body).data)

    def stream(self, path: str, query: Mapping[str, str]) -> Iterator[Any]:
        """See :class:`Api`."""
        response = self._send("GET", path, query, streamed=True)
        rest = b""
        try:
            for chunk in response.stream(65536):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from map(json.loads, lines)
        except urllib3.exceptions.HTTPError as error:
            raise ApiUnreachable(str(error)) from error
        finally:
            response.close()

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: Json | None = None,
        *,
        streamed: bool = False,
    ) -> urllib3.BaseHTTPResponse:
        patch = "application/merge-patch+json"
        headers = {
            "Accept": "application/json",
            "Content-Type": patch if method == "PATCH" else "application/json",
        }
        # The token is read anew when it is about to expire.
        for setting in self._configuration.auth_settings().values():
            headers[setting["key"]] = setting["value"]
        try:
            response = self._pool.request(
                method,
                f"{self._configuration.host}{path}?{urlencode(query or {})}",
                headers=headers,
                body=None if body is None else json.dumps(body).encode(),
                retries=False,
                timeout=_WATCH_TIMEOUT if streamed else _TIMEOUT,
                preload_content=not streamed,
            )
            if response.status >= 400:
                raise ApiError(response.status, _reason(response.data))
        except urllib3.exceptions.HTTPError as error:
            # The part before names an object of this process.
            raise ApiUnreachable(str(error).rpartition(">: ")[2]) from error
        return response


def _reason(body: bytes) -> str:
    """The message in a Status object, or the text of whoever else answered."""
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace")
