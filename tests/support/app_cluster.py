"""A Kubernetes API in miniature, over real HTTP."""

from __future__ import annotations

import json
import re
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

from slipway.kube.client import Object

KINDS = {
    "v1": [
        ("ConfigMap", "configmaps", True),
        ("Secret", "secrets", True),
        ("Service", "services", True),
        ("ServiceAccount", "serviceaccounts", True),
        ("PersistentVolumeClaim", "persistentvolumeclaims", True),
        ("Pod", "pods", True),
    ],
    "apps/v1": [
        ("Deployment", "deployments", True),
        ("DaemonSet", "daemonsets", True),
        ("StatefulSet", "statefulsets", True),
    ],
    "batch/v1": [("CronJob", "cronjobs", True), ("Job", "jobs", True)],
    "networking.k8s.io/v1": [
        ("Ingress", "ingresses", True),
        ("NetworkPolicy", "networkpolicies", True),
    ],
    "rbac.authorization.k8s.io/v1": [
        ("ClusterRole", "clusterroles", False),
        ("RoleBinding", "rolebindings", True),
    ],
    "apiextensions.k8s.io/v1": [
        ("CustomResourceDefinition", "customresourcedefinitions", False),
    ],
}
"""What the API knows, besides what Slipway writes: kind, plural, whether it is in namespaces."""

Hook = Callable[["FakeApi", Object], None]


def _no_hook(_api: FakeApi, _obj: Object) -> None:
    """What happens to an applied object where nothing acts on it."""


LARGEST_REQUEST = 3 << 20
"""How many bytes of a request the API server takes."""


class FakeApi:
    """Objects by plural, namespace and name, with versions, generations and a write log.

    ``on_apply`` plays the controllers: it is called with each object that was applied.
    ``impersonated`` has user and path of each write as somebody else than the client's own user.
    ``refusals`` and ``warnings`` have what is said to who applies an object, by plural and name.
    ``breaks`` is how many requests are yet to be left without an answer, or with half of one, and
    ``busy`` how many are yet to be told to come again.
    """

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str], Object] = {}
        self.logs: dict[tuple[str, bool], str] = {}
        self.refusals: dict[str, str] = {}
        self.warnings: dict[str, str] = {}
        self.kinds = dict(KINDS)
        self.requests: list[tuple[str, str]] = []
        self.impersonated: list[tuple[str, str]] = []
        self.on_apply: Hook = _no_hook
        self.breaks = 0
        self.busy = 0
        self.version = 1
        self.changed = threading.Condition()

    @property
    def writes(self) -> list[tuple[str, str]]:
        """The requests that changed something, as method and path."""
        return [request for request in self.requests if request[0] != "GET"]

    def put(self, plural: str, obj: Object) -> Object:
        """Store an object as it is and tell the watchers."""
        metadata = obj["metadata"]
        with self.changed:
            self.version += 1
            metadata["resourceVersion"] = str(self.version)
            self.objects[plural, metadata.get("namespace", ""), metadata["name"]] = obj
            self.changed.notify_all()
        return obj

    def allows(self, user: str, namespace: str, plural: str) -> bool:
        """Whether a user may write there: by a binding of the namespace to a cluster's role."""
        for (kind, place, _name), binding in [*self.objects.items()]:
            if kind != "rolebindings" or place != namespace:
                continue
            role = self.objects.get(("clusterroles", "", binding["roleRef"]["name"]), {})
            kinds = {each for rule in role.get("rules", ()) for each in rule["resources"]}
            names = {subject["name"] for subject in binding["subjects"]}
            if user in names and plural in kinds:
                return True
        return False

    def named(self, plural: str, namespace: str, name: str) -> Object:
        """The object of that name; KeyError if there is none."""
        return self.objects[plural, namespace, name]

    def apply(self, plural: str, wanted: Object, *, dry_run: bool) -> Object:
        """Server-side apply by one manager: the spec is replaced, the status stays."""
        metadata = wanted["metadata"]
        key = (plural, metadata.get("namespace", ""), metadata["name"])
        before = self.objects.get(key, {"metadata": {"generation": 0}})
        same = before.get("spec") == wanted.get("spec")
        generation = before["metadata"].get("generation", 0) + (not same)
        after = {**before, **wanted, "metadata": {**metadata, "generation": generation}}
        if plural == "namespaces":
            after["status"] = {"phase": "Active"}
        if plural == "resourcequotas":
            after["status"] = {"hard": after["spec"]["hard"], "used": {}}
        if not dry_run:
            self.put(plural, after)
            self.on_apply(self, after)
        return after

    def merge(self, plural: str, obj: Object, change: Object) -> Object:
        """A merge patch of what is in a spec."""
        after = {**obj, "spec": {**obj["spec"], **change["spec"]}}
        after["metadata"] = {**obj["metadata"], "generation": obj["metadata"]["generation"] + 1}
        self.put(plural, after)
        self.on_apply(self, after)
        return after


class Handler(BaseHTTPRequestHandler):
    """The few requests that Slipway sends."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body of an answer in one packet
    api: FakeApi
    warning = ""

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the test's output clean."""

    def do_GET(self) -> None:
        if asked := re.fullmatch(r"/(?:api|apis/[^/]+)/v[^/]+", urlsplit(self.path).path):
            return self._discover(asked[0].removeprefix("/apis/").removeprefix("/api/"))
        plural, namespace, name, rest, query = self._parse()
        if rest == "log":
            log = self.api.logs.get((name, query.get("previous") == "true"))
            return self._text(log) if log is not None else self._refuse(400, "no such container")
        if name:
            found = self.api.objects.get((plural, namespace, name))
            return self._json(found) if found else self._refuse(404, f"{name} not found")
        if query.get("watch"):
            return self._watch(plural, query)
        items = [
            {key: value for key, value in obj.items() if key not in ("apiVersion", "kind")}
            for (kind, place, _name), obj in self.api.objects.items()
            if kind == plural and namespace in ("", place) and _selected(obj, query)
        ]
        version = str(self.api.version)
        return self._json({"metadata": {"resourceVersion": version}, "items": items})

    def do_PATCH(self) -> None:
        plural, namespace, name, _rest, query = self._parse()
        length = int(self.headers["Content-Length"])
        wanted = json.loads(self.rfile.read(length))
        if length > LARGEST_REQUEST:
            return self._refuse(413, "Request entity too large: limit is 3145728")
        assert query["fieldManager"] == "slipway"
        if self.headers["Content-Type"] == "application/merge-patch+json":
            found = self.api.objects.get((plural, namespace, name))
            return self._json(self.api.merge(plural, found, wanted)) if found else self._missing()
        assert self.headers["Content-Type"] == "application/apply-patch+yaml"
        if user := self.headers.get("Impersonate-User"):
            self.api.impersonated.append((user, self.path.partition("?")[0]))
            if not self.api.allows(user, namespace, plural):
                place = f' in the namespace "{namespace}"' if namespace else " at the cluster scope"
                return self._refuse(403, f'User "{user}" cannot patch resource "{plural}"{place}')
        if refusal := self.api.refusals.get(f"{plural}/{name}"):
            return self._refuse(422, refusal)
        if namespace and ("namespaces", "", namespace) not in self.api.objects:
            return self._refuse(404, f'namespaces "{namespace}" not found')
        before = self.api.objects.get((plural, namespace, name))
        if before and wanted["kind"] == "Job" and before["spec"] != wanted["spec"]:
            return self._refuse(422, "spec.template: field is immutable")
        self.warning = self.api.warnings.get(f"{plural}/{name}", "")
        return self._json(self.api.apply(plural, wanted, dry_run=query.get("dryRun") == "All"))

    def do_PUT(self) -> None:
        """Put an object in the place of one, if that is still the version that is named."""
        plural, namespace, name, _rest, _query = self._parse()
        wanted = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        before = self.api.objects.get((plural, namespace, name))
        if before is None:
            return self._refuse(404, "not found")
        if before["metadata"]["resourceVersion"] != wanted["metadata"]["resourceVersion"]:
            return self._refuse(409, "the object has been modified")
        return self._json(self.api.put(plural, wanted))

    def do_POST(self) -> None:
        """Store a new object, or say whether whoever asks may do something."""
        if not self.path.endswith("/selfsubjectaccessreviews"):
            plural, namespace, _name, _rest, _query = self._parse()
            wanted = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if (plural, namespace, wanted["metadata"]["name"]) in self.api.objects:
                return self._refuse(409, "already exists")
            return self._json(self.api.put(plural, wanted), 201)
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        about = asked["spec"]["resourceAttributes"]
        user = self.headers["Impersonate-User"]
        allowed = self.api.allows(user, about["namespace"], about["resource"])
        return self._json({"status": {"allowed": allowed}}, 201)

    def do_DELETE(self) -> None:
        plural, namespace, name, _rest, _query = self._parse()
        found = self.api.objects.pop((plural, namespace, name), None)
        return self._json({"kind": "Status"}) if found else self._refuse(404, "not found")

    def _discover(self, version: str) -> None:
        """Tell the kinds of a version, as Kubernetes does; their sub-resources are no kinds."""
        self.api.requests.append(("GET", urlsplit(self.path).path))
        kinds = self.api.kinds.get(version)
        if kinds is None:
            return self._refuse(404, "the server could not find the requested resource")
        names = [(kind, plural, scope) for kind, plural, scope in kinds]
        names += [(kind, f"{plural}/status", scope) for kind, plural, scope in kinds]
        found = [{"kind": kind, "name": name, "namespaced": scope} for kind, name, scope in names]
        return self._json({"kind": "APIResourceList", "resources": found})

    def _parse(self) -> tuple[str, str, str, str, dict[str, str]]:
        """Plural, namespace, name and what follows of the path, and the query."""
        url = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        method = self.command if query.get("dryRun") != "All" else "GET"
        self.api.requests.append((method, url.path))
        parts = url.path.strip("/").split("/")
        parts = parts[2 if parts[0] == "api" else 3 :]
        namespace = ""
        if parts[0] == "namespaces" and len(parts) > 2:
            namespace, parts = parts[1], parts[2:]
        plural, name, rest = (*parts, "", "")[:3]
        return plural, namespace, name, rest, query

    def _watch(self, plural: str, query: dict[str, str]) -> None:
        """Send the next change after the version that is given, or nothing in time."""
        since = int(query["resourceVersion"])

        def news() -> list[Object]:
            return [
                obj
                for (kind, _place, _name), obj in self.api.objects.items()
                if kind == plural
                and int(obj["metadata"]["resourceVersion"]) > since
                and _selected(obj, query)
            ]

        with self.api.changed:
            self.api.changed.wait_for(news, timeout=float(query["timeoutSeconds"]))
            lines = [json.dumps({"type": "MODIFIED", "object": obj}) for obj in news()]
        self._text("".join(f"{line}\n" for line in lines))

    def _missing(self) -> None:
        self._refuse(404, "not found")

    def _refuse(self, status: int, message: str) -> None:
        self._json({"kind": "Status", "message": message}, status)

    def _json(self, value: Any, status: int = 200) -> None:
        self._text(json.dumps(value), status)

    def _text(self, text: str, status: int = 200) -> None:
        body = text.encode()
        if self.api.busy:
            self.api.busy -= 1
            self.send_response(503)
            self.send_header("Retry-After", "1")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if self.api.breaks:
            self.api.breaks -= 1
            self.close_connection = True
            if self.api.breaks % 2:
                return
            status, body = 200, body[:1]
        self.send_response(status)
        self.send_header("Content-Length", str(len(text.encode())))
        if self.warning:
            quoted = self.warning.replace("\\", "\\\\").replace('"', '\\"')
            self.send_header("Warning", f'299 - "{quoted}"')
            self.warning = ""
        self.end_headers()
        self.wfile.write(body)


def _selected(obj: Object, query: dict[str, str]) -> bool:
    """Whether an object has the labels and the fields of a query's selectors."""
    parts = [part for part in query.get("labelSelector", "").split(",") if part]
    labels = dict(part.split("=") for part in parts if "=" in part)
    own = obj["metadata"].get("labels", {})
    if not all("=" in part or part in own for part in parts):
        return False
    fields = dict(part.split("=") for part in query.get("fieldSelector", "").split(",") if part)
    values = {
        "type": obj.get("type"),
        "involvedObject.name": obj.get("involvedObject", {}).get("name"),
    }
    return labels.items() <= own.items() and all(
        values[key] == value for key, value in fields.items()
    )


def deployment_status(obj: Object) -> dict[str, Any]:
    """The status of a Deployment or StatefulSet that is rolled out."""
    count = obj["spec"]["replicas"]
    return {
        "observedGeneration": obj["metadata"]["generation"],
        "replicas": count,
        "updatedReplicas": count,
        "availableReplicas": count,
    }


def rolled_out_at_once(api: FakeApi, obj: Object) -> None:
    """A hook that has every Deployment and StatefulSet ready as soon as it is applied."""
    if obj["kind"] in ("Deployment", "StatefulSet"):
        api.put(f"{obj['kind'].lower()}s", {**obj, "status": deployment_status(obj)})


def calls(work: Callable[[], object]) -> int:
    """How many functions some work calls: what it costs, whatever else the machine has to do."""
    count = 0

    def note(_frame: object, event: str, _about: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count
