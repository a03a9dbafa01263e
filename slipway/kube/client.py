"""The Kubernetes API as Slipway uses it: plain JSON objects, server-side apply, bounded watches.

Configuration, TLS, tokens and transport are those of the ``kubernetes`` package. Its generated
models are left alone: loading them costs more than all of Slipway's requests together.
"""

from __future__ import annotations

import base64
import builtins
import json
import os
import re
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import urllib3
import yaml
from kubernetes.client import ApiClient, ApiException, Configuration
from kubernetes.config import ConfigException, load_kube_config_from_dict

from slipway.errors import Problem, SlipwayError
from slipway.waiting import allowed

T = TypeVar("T")

Object = dict[str, Any]
"""A Kubernetes object as JSON gives it."""

FIELD_MANAGER = "slipway"
"""Owner of the fields that Slipway applies, as ``kubectl get --show-managed-fields`` names it."""

CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0

AGAIN_SECONDS = 30.0
"""How long an API server that broke off is asked again; one that starts anew takes some seconds."""

AGAIN_PAUSE = 0.5

UNKNOWN_USER = 401
"""The HTTP status with which the API refuses a certificate that it does not, or no longer, know."""


def _root(api_version: str) -> str:
    """The URL path below which the API has ``v1`` or ``group/version``."""
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"


@dataclass(frozen=True)
class Resource:
    """One kind of object and where the API keeps it."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool = True

    def path(self, namespace: str | None = None, name: str | None = None) -> str:
        """The URL path of one object, or of all of them (in ``namespace``, if it is given)."""
        root = _root(self.api_version)
        scope = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return f"{root}{scope}/{self.plural}" + (f"/{name}" if name else "")


NAMESPACES = Resource("v1", "Namespace", "namespaces", namespaced=False)
CONFIG_MAPS = Resource("v1", "ConfigMap", "configmaps")
NODES = Resource("v1", "Node", "nodes", namespaced=False)
SERVICES = Resource("v1", "Service", "services")
DEPLOYMENTS = Resource("apps/v1", "Deployment", "deployments")
CLUSTER_ROLES = Resource(
    "rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", namespaced=False
)
ROLES = Resource("rbac.authorization.k8s.io/v1", "Role", "roles")
ROLE_BINDINGS = Resource("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings")
INGRESSES = Resource("networking.k8s.io/v1", "Ingress", "ingresses")
AUTOSCALERS = Resource("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers")
REPLICA_SETS = Resource("apps/v1", "ReplicaSet", "replicasets")
STATEFUL_SETS = Resource("apps/v1", "StatefulSet", "statefulsets")
JOBS = Resource("batch/v1", "Job", "jobs")
CRON_JOBS = Resource("batch/v1", "CronJob", "cronjobs")
PODS = Resource("v1", "Pod", "pods")
POLICIES = Resource(
    "admissionregistration.k8s.io/v1",
    "ValidatingAdmissionPolicy",
    "validatingadmissionpolicies",
    namespaced=False,
)
POLICY_BINDINGS = Resource(
    "admissionregistration.k8s.io/v1",
    "ValidatingAdmissionPolicyBinding",
    "validatingadmissionpolicybindings",
    namespaced=False,
)
RESOURCE_QUOTAS = Resource("v1", "ResourceQuota", "resourcequotas")
LIMIT_RANGES = Resource("v1", "LimitRange", "limitranges")
NETWORK_POLICIES = Resource("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies")
ENDPOINT_SLICES = Resource("discovery.k8s.io/v1", "EndpointSlice", "endpointslices")
SERVICE_ACCOUNTS = Resource("v1", "ServiceAccount", "serviceaccounts")
SECRETS = Resource("v1", "Secret", "secrets")
VOLUME_CLAIMS = Resource("v1", "PersistentVolumeClaim", "persistentvolumeclaims")
STORAGE_CLASSES = Resource("storage.k8s.io/v1", "StorageClass", "storageclasses", namespaced=False)
EVENTS = Resource("v1", "Event", "events")
LEASES = Resource("coordination.k8s.io/v1", "Lease", "leases")

APPLIED = (
    NAMESPACES,
    CLUSTER_ROLES,
    POLICIES,
    POLICY_BINDINGS,
    ROLES,
    ROLE_BINDINGS,
    SERVICE_ACCOUNTS,
    RESOURCE_QUOTAS,
    LIMIT_RANGES,
    NETWORK_POLICIES,
    CONFIG_MAPS,
    SECRETS,
    VOLUME_CLAIMS,
    SERVICES,
    JOBS,
    DEPLOYMENTS,
    AUTOSCALERS,
    CRON_JOBS,
    INGRESSES,
)
"""The kinds that Slipway writes, in the order in which they must come to be."""

_REPEATABLE = ("GET", "PATCH")
"""Methods whose requests may be sent twice: reads, and server-side applies."""

_KNOWN = {(resource.api_version, resource.kind): resource for resource in (*APPLIED, LEASES)}


@dataclass(frozen=True)
class Listing:
    """The objects of one list call and the version of the cluster's state they show."""

    items: list[Object]
    version: str


class Unreachable(SlipwayError):
    """The API did not answer at all."""


class ApiError(SlipwayError):
    """The API answered, and refused; ``status`` is the HTTP status."""

    def __init__(self, where: str, status: int, what: str) -> None:
        super().__init__(Problem(where, what))
        self.status = status


class Busy(ApiError):
    """The API answered that it cannot just now: it starts or ends, or has too much to do.

    It says so by the header ``Retry-After`` (RFC 9110, 10.2.3), which Kubernetes' own clients heed.
    """


class Kube:
    """A client for the cluster that a kubeconfig's current context names.

    Use it as a context manager: certificates and keys are in memory for as long as it is open, and
    never in a file that a run which is killed would leave. It may be shared between threads.

    Every method raises Unreachable when the API does not answer and ApiError when it refuses. An
    API that was there and breaks off is asked again for a while, where asking twice does no harm:
    a busy API server that is started anew does not end a run.
    """

    def __init__(self, kubeconfig: Path) -> None:
        """Read ``kubeconfig``; raises SlipwayError when it is missing or cannot be used."""
        if not kubeconfig.is_file():
            raise SlipwayError(
                Problem(str(kubeconfig), "there is no such kubeconfig", "make up makes one")
            )
        self._held = ExitStack()
        configuration = Configuration()
        configuration.retries = False
        try:
            load_kube_config_from_dict(  # type: ignore[no-untyped-call]
                _in_memory(kubeconfig, self._held),
                client_configuration=configuration,
                persist_config=False,
            )
        except (
            *(AttributeError, ConfigException, KeyError),
            *(OSError, TypeError, ValueError, yaml.YAMLError),
        ) as error:
            self._held.close()
            what = f"this kubeconfig cannot be used: {error}"
            raise SlipwayError(Problem(str(kubeconfig), what)) from error
        self.server: str = configuration.host
        self._api = ApiClient(configuration)
        self._known = dict(_KNOWN)
        self._identity: dict[str, str] = {}
        self._was_there = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._api.close()  # type: ignore[no-untyped-call]
        self._held.close()

    def acting_as(self, user: str, group: str) -> Kube:
        """This client with another identity: the API allows what that one may do.

        It lives as long as this one, whose user has to have the right to impersonate others.
        """
        other = copy(self)
        other._identity = {"Impersonate-User": user, "Impersonate-Group": group}
        return other

    def may(self, verb: str, resource: Resource, namespace: str) -> bool:
        """Whether the API allows this identity something with objects of a kind."""
        group = resource.api_version.rpartition("/")[0]
        asked = {"verb": verb, "group": group, "resource": resource.plural}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {**asked, "namespace": namespace}},
        }
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        body = json.dumps(review).encode()  # what is called JSON, the client would encode once more
        answer = json.loads(
            self._again(lambda: self._ask("POST", path, body=body, body_type="application/yaml"))
        )
        return bool(answer["status"]["allowed"])

    def list(
        self,
        resource: Resource,
        *,
        namespace: str | None = None,
        labels: str = "",
        fields: str = "",
    ) -> Listing:
        """The objects that match the label and field selectors, in all namespaces or in one."""
        query = _given(labelSelector=labels, fieldSelector=fields)
        answer = json.loads(self._ask("GET", resource.path(namespace), query))
        kind = {"apiVersion": resource.api_version, "kind": resource.kind}
        items = [{**kind, **item} for item in answer["items"] or []]
        return Listing(items, answer["metadata"]["resourceVersion"])

    def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object | None:
        """One object, or None when there is none of that name."""
        try:
            found: Object = json.loads(self._ask("GET", resource.path(namespace, name)))
        except ApiError as error:
            if error.status == 404:
                return None
            raise
        return found

    def version(self) -> str:
        """The cluster's version: ``v1.36.3``."""
        return str(json.loads(self._ask("GET", "/version"))["gitVersion"])

    def require_answer(self, error: Exception) -> None:
        """Raise Unreachable if an ``error`` is because the API answers nobody any more.

        A single request may stay without an answer for what it asks, as one that is too large.
        """
        if isinstance(error, Unreachable):
            self.version()

    def resources(self, api_version: str) -> builtins.list[Resource]:
        """The kinds that the API has in ``api_version``; none when it does not know that."""
        try:
            answer = json.loads(self._ask("GET", _root(api_version)))
        except ApiError as error:
            if error.status == 404:
                return []
            raise
        return [
            Resource(api_version, item["kind"], item["name"], item["namespaced"])
            for item in answer["resources"]
            if "/" not in item["name"]
        ]

    def find(self, api_version: str, kind: str) -> Resource | None:
        """Where the API keeps a kind; None as long as it does not know it.

        What it knows of a group is asked once, and again for a kind that was not there yet.
        """
        if (api_version, kind) not in self._known:
            for found in self.resources(api_version):
                self._known[found.api_version, found.kind] = found
        return self._known.get((api_version, kind))

    def apply(
        self,
        obj: Object,
        *,
        dry_run: bool = False,
        part: str = "",
        warned: Callable[[str], object] = lambda _text: None,
    ) -> Object:
        """Make an object what ``obj`` says (server-side apply); returns it as it is then.

        With a ``part``, such as ``approval``, it is what the API takes there.

        Fields that an earlier apply set and this one leaves out are removed. With ``dry_run``
        the API checks, defaults and answers, and stores nothing. ``warned`` gets each warning of
        the API. Raises ApiError, with the status 404 for a kind that the API does not know.
        """
        metadata = obj["metadata"]
        query = _given(fieldManager=FIELD_MANAGER, force="true", dryRun="All" if dry_run else "")
        resource = self.find(obj["apiVersion"], obj["kind"])
        if resource is None:
            title = f"{obj['kind']} {metadata['name']}"
            raise ApiError(title, 404, f"the API does not know {obj['apiVersion']}")
        path = resource.path(metadata.get("namespace"), metadata["name"])
        path += f"/{part}" if part else ""
        # With each letter as \u041b, a full ConfigMap may be more than the API takes of a request.
        body = json.dumps(obj, ensure_ascii=False).encode()
        applied: Object = json.loads(
            self._ask(
                "PATCH",
                path,
                query,
                body=body,
                body_type="application/apply-patch+yaml",
                warned=warned,
            )
        )
        return applied

    def merge(self, resource: Resource, name: str, namespace: str, change: Object) -> Object:
        """Change of an object what ``change`` says, and nothing else; returns it as it is then."""
        merged: Object = json.loads(
            self._ask(
                "PATCH",
                resource.path(namespace, name),
                _given(fieldManager=FIELD_MANAGER),
                body=change,
                body_type="application/merge-patch+json",
            )
        )
        return merged

    def create(self, obj: Object) -> bool:
        """Store an object of a kind that is known; False when there is one of its name."""
        return self._store("POST", obj, None)

    def replace(self, obj: Object) -> bool:
        """Store an object in place of one; False when it is not the version any more that it names.

        Neither is sent twice: what was done by the first time would be taken for somebody else's.
        """
        return self._store("PUT", obj, obj["metadata"]["name"])

    def _store(self, method: str, obj: Object, name: str | None) -> bool:
        path = _KNOWN[obj["apiVersion"], obj["kind"]].path(obj["metadata"].get("namespace"), name)
        body = json.dumps(obj).encode()
        try:
            self._ask(method, path, body=body, body_type="application/yaml")
        except ApiError as error:
            if error.status in (404, 409):
                return False
            raise
        return True

    def delete(self, resource: Resource, name: str, namespace: str | None = None) -> bool:
        """Delete an object, what it owns in the background; False when it was not there."""
        query = _given(propagationPolicy="Background")
        try:
            self._ask("DELETE", resource.path(namespace, name), query)
        except ApiError as error:
            if error.status == 404:
                return False
            raise
        return True

    def watch(
        self, resource: Resource, *, since: str, seconds: int, labels: str = "", fields: str = ""
    ) -> Iterator[Object]:
        """Yield objects as they are added or changed, for ``seconds`` at most.

        ``since`` is the version of the list that this watch follows. A deleted object is not
        yielded but ends the watch, as do a state too old to follow and an API that breaks off: list
        again then.
        """
        query = _given(
            watch="true",
            resourceVersion=since,
            timeoutSeconds=str(seconds),
            labelSelector=labels,
            fieldSelector=fields,
        )
        limit = seconds + allowed(READ_SECONDS)
        response = self._again(
            lambda: self._open("GET", resource.path(), query, read_seconds=limit)
        )
        try:
            for line in _lines(response):
                event = json.loads(line)
                if event["type"] not in ("ADDED", "MODIFIED"):
                    return
                yield event["object"]
        except (urllib3.exceptions.HTTPError, OSError):
            return
        finally:
            response.close()

    def kubelet(self, node: str, path: str) -> str:
        """What the kubelet of a node answers to the API server."""
        return self._ask("GET", f"{NODES.path(name=node)}/proxy{path}").decode(errors="replace")

    def log(self, pod: Object, container: str, *, lines: int, previous: bool = False) -> str:
        """The last ``lines`` lines of a container's log, or of the one that ran before it.

        Empty when there is none or when the node that has it cannot give it.
        """
        metadata = pod["metadata"]
        path = PODS.path(metadata["namespace"], metadata["name"]) + "/log"
        query = _given(
            container=container, tailLines=str(lines), previous="true" if previous else ""
        )
        try:
            return self._ask("GET", path, query).decode(errors="replace")
        except ApiError:
            return ""

    def _ask(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        *,
        body: bytes | Object | None = None,
        body_type: str = "",
        warned: Callable[[str], object] = lambda _text: None,
    ) -> bytes:
        """Send a request and return the whole body of its answer."""

        def answer() -> bytes:
            response = self._open(method, path, query or {}, body=body, body_type=body_type)
            for warning in response.headers.getlist("Warning"):
                warned(_QUOTED.sub(r"\1", warning.partition('"')[2].removesuffix('"')))
            try:
                return response.data
            except (urllib3.exceptions.HTTPError, OSError) as error:
                raise self._unreachable(error) from error

        return self._again(answer) if method in _REPEATABLE else answer()

    def _again(self, request: Callable[[], T]) -> T:
        """Send a request again while an API that was there does not answer it, or cannot."""
        deadline = None
        while True:
            try:
                return request()
            except (Unreachable, Busy) as error:
                now = time.monotonic()
                deadline = deadline or now + allowed(AGAIN_SECONDS)
                self._was_there |= _broke_off(error)
                if not self._was_there or now >= deadline:
                    raise
            time.sleep(AGAIN_PAUSE)

    def _open(
        self,
        method: str,
        path: str,
        query: dict[str, str],
        *,
        body: bytes | Object | None = None,
        body_type: str = "",
        read_seconds: float | None = None,
    ) -> urllib3.BaseHTTPResponse:
        """Send one request and return its answer, its body yet to be read."""
        request = self._api.param_serialize(
            method,
            path,
            query_params=list(query.items()),
            header_params={
                "Accept": "*/*",
                **_given(**{"Content-Type": body_type}),
                **self._identity,
            },
            body=body,
            auth_settings=["BearerToken"],
        )
        try:
            response: urllib3.BaseHTTPResponse = self._api.call_api(
                *request,
                _request_timeout=(
                    allowed(CONNECT_SECONDS),
                    read_seconds or allowed(READ_SECONDS),
                ),
            ).response
            self._was_there = True
            if response.status >= 400:
                refused = Busy if "Retry-After" in response.headers else ApiError
                raise refused(path, response.status, _refusal(response))
        except (ApiException, urllib3.exceptions.HTTPError, OSError) as error:
            raise self._unreachable(error) from error
        return response

    def _unreachable(self, error: Exception) -> Unreachable:
        what = f"the Kubernetes API does not answer: {system_reason(error)}"
        return Unreachable(Problem(self.server, what, "is the cluster up? run make up"))


_FILES = {
    "clusters": ("cluster", ("certificate-authority",)),
    "users": ("user", ("client-certificate", "client-key", "tokenFile")),
}
"""Where a kubeconfig names files, which it may have as data instead."""


def _in_memory(path: Path, held: ExitStack) -> Object:
    """What a kubeconfig says, with all that TLS takes from files in files that are in memory.

    They are there for as long as ``held`` is open (memfd_create(2)).
    """
    document: Object = yaml.safe_load(path.read_text(encoding="utf-8"))
    for section, (part, names) in _FILES.items():
        for entry in document.get(section) or ():
            about = entry[part]
            for name in names:
                data = about.pop(f"{name}-data", None)
                if data:
                    file = held.enter_context(os.fdopen(os.memfd_create(name), "wb", 0))
                    file.write(base64.b64decode(data))
                    about[name] = f"/proc/self/fd/{file.fileno()}"
                elif name in about:
                    about[name] = str(path.parent / about[name])
    return document


def _broke_off(error: BaseException) -> bool:
    """Whether there was a connection, and it ended before the answer did."""
    signs = (urllib3.exceptions.ProtocolError, ssl.SSLEOFError)
    inner = error.__cause__ or error.__context__
    return isinstance(error, signs) or (inner is not None and _broke_off(inner))


def system_reason(error: BaseException) -> str:
    """The innermost reason of a request that failed, without the libraries' wrapping."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    text = error.strerror if isinstance(error, OSError) else None
    return (text or str(error)).lower()


_QUOTED = re.compile(r"\\(.)")
"""A character in the quoted text of a header (RFC 9110, 5.6.4)."""


def _given(**values: str) -> dict[str, str]:
    """The values that are not empty."""
    return {name: value for name, value in values.items() if value}


def _refusal(response: urllib3.BaseHTTPResponse) -> str:
    """Why the API refused: the message of its Status object, or whatever it said."""
    text = response.data.decode(errors="replace")
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return f"{response.status} {response.reason}: {text.strip()}"


def _lines(response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    """The lines of a streamed body, each as soon as it is complete."""
    rest = b""
    for chunk in response.stream(amt=None):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
