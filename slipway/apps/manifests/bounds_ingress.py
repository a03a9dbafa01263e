"""Where an environment may attach: at the hosts and paths that apps.yml gives to its app.

The ingress controller knows only who came first and whose path is longer. So each path that a
branch brings has to be below one of its app's, and not below a longer one of another app's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from slipway.apps.app import App
from slipway.apps.manifests.shape import part
from slipway.kube.client import Object

_OWN_SERVICES = {
    "nginx.org/client-max-body-size",
    "nginx.org/proxy-buffer-size",
    "nginx.org/proxy-buffers",
    "nginx.org/proxy-connect-timeout",
    "nginx.org/proxy-read-timeout",
    "nginx.org/proxy-send-timeout",
    "nginx.org/rewrites",
    "nginx.org/websocket-services",
}
"""Annotations that say how the ingress treats what goes to the Ingress's own services."""

_OF_TOOLS = ("app.kubernetes.io/", "helm.sh/", "meta.helm.sh/")
"""How annotations begin that tools put on whatever they make."""

_REMOVE = "remove it"

Breach = tuple[str, str]


@dataclass(frozen=True)
class _Route:
    path: str
    exact: bool
    app_id: str

    def covers(self, path: str) -> bool:
        """Whether requests for a path are this route's."""
        below = self.path if self.path.endswith("/") else f"{self.path}/"
        return path == self.path or (not self.exact and path.startswith(below))


class Routes:
    """The hosts and paths of all apps, as apps.yml gives them."""

    def __init__(self, apps: Iterable[App]) -> None:
        self._of_host: dict[str, list[_Route]] = defaultdict(list)
        for app in apps:
            for rule in app.rules:
                route = _Route(unquote(rule.path), rule.path_type == "Exact", app.id)
                self._of_host[rule.host].append(route)

    def holder(self, host: str, path: str) -> str:
        """The id of the app that a path is given to; empty if it is nobody's."""
        fitting = [each for each in self._of_host.get(host, ()) if each.covers(path)]
        return max(fitting, key=lambda each: len(each.path)).app_id if fitting else ""

    def owner(self, host: str, path: str) -> str:
        """The id of the app that has exactly this path; empty if none has."""
        routes = self._of_host.get(host, ())
        return next((each.app_id for each in routes if each.path == path), "")


def ingress_breaches(obj: Object, app: App, routes: Routes, ingress_class: str) -> Iterator[Breach]:
    """What of an Ingress is not within the routes of its app, each with the way to mend it."""
    for name in part(part(obj, "metadata", dict), "annotations", dict):
        if "/" in name and name not in _OWN_SERVICES and not name.startswith(_OF_TOOLS):
            yield f"metadata.annotations: {name}", _REMOVE
    spec = part(obj, "spec", dict)
    if spec.get("defaultBackend"):
        yield "spec.defaultBackend", "have a rule with a host and a path"
    if spec.get("tls"):
        yield "spec.tls", f"{_REMOVE}; the certificate of a host is that of hosts in apps.yml"
    if spec.get("ingressClassName") not in (None, ingress_class):
        yield f"spec.ingressClassName: {spec['ingressClassName']}", f"{_REMOVE}; Slipway sets it"
    hosts = set()
    if not part(spec, "rules", list):
        yield "spec.rules", "give it a host and a path"
    for number, rule in enumerate(part(spec, "rules", list)):
        place = f"spec.rules[{number}]"
        host = rule.get("host") if isinstance(rule, dict) else None
        paths = part(part(rule, "http", dict), "paths", list)
        if not isinstance(host, str) or not paths:
            yield place, "give it a host that apps.yml gives to the app, and a path"
            continue
        hosts.add(host)
        for at, path in enumerate(paths):
            yield from _path_breaches(f"{place}.http.paths[{at}]", host, path, app, routes)
    if len(hosts) > 1:
        yield f"spec.rules: {', '.join(sorted(hosts))}", "write an Ingress for each host"


def _path_breaches(place: str, host: str, entry: Any, app: App, routes: Routes) -> Iterator[Breach]:
    path = entry.get("path") if isinstance(entry, dict) else None
    if not isinstance(path, str) or entry.get("pathType") not in ("Prefix", "Exact"):
        yield place, "give it a path and the pathType Prefix or Exact"
        return
    if "resource" in part(entry, "backend", dict):
        yield f"{place}.backend.resource", "name a service"
    if any(each in (".", "..") for each in path.split("/")) or "//" in path or "%" in path:
        yield f"{place}: {path}", "write the path plainly"
    elif routes.owner(host, path) == app.id:
        fix = f"write one below it; {path} itself leads to the app already"
        yield f"{place}: {host}{path}", fix
    elif routes.holder(host, path) != app.id:
        own = ", ".join(f"{rule.host}{rule.path}" for rule in app.rules) or "nothing"
        fix = f"stay below what apps.yml gives to the app ({own}), or have it give the path"
        yield f"{place}: {host}{path}", fix


def paths_left(ingress: Object, owner: str, routes: Routes, *, brought: bool) -> list[Any]:
    """The rules of an Ingress in the cluster without the paths that apps.yml gives to others.

    Of one that a branch ``brought``, paths below those of others are theirs too.
    """

    def stays(host: Any, entry: Any) -> bool:
        path = str(entry.get("path", "")) if isinstance(entry, dict) else ""
        found = routes.holder(str(host), path) if brought else routes.owner(str(host), path)
        return found in ("", owner)

    rules = []
    for rule in part(part(ingress, "spec", dict), "rules", list):
        entries = part(part(rule, "http", dict), "paths", list)
        left = [entry for entry in entries if stays(rule.get("host"), entry)]
        if left == entries:
            rules.append(rule)
        elif left:
            rules.append({**rule, "http": {**rule["http"], "paths": left}})
    return rules
