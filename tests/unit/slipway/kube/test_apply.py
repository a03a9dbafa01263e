"""Add-ons: in which order they are applied, what counts as a change, and what a wait says."""

from __future__ import annotations

import copy
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from plugins.action import addon
from slipway.errors import SlipwayError
from slipway.kube import apply as addons
from slipway.kube.apply import Applier, documents, in_order
from slipway.kube.client import (
    CONFIG_MAPS,
    EVENTS,
    PODS,
    SECRETS,
    ApiError,
    Kube,
    Listing,
    Object,
    Resource,
)
from tests.support.fake_ansible import action

KINDS = {
    "v1": ["Namespace", "ConfigMap", "Service"],
    "apps/v1": ["Deployment", "DaemonSet", "StatefulSet"],
    "apiextensions.k8s.io/v1": ["CustomResourceDefinition"],
}

POOL = "metallb.io/v1beta1"


class FakeKube:
    """An API that stores what is applied, and does the bookkeeping that a real one does.

    ``applied`` and ``read`` have the names of what was written and read, dry runs included;
    ``deleted`` those of what was removed.
    """

    def __init__(self) -> None:
        self.kinds = copy.deepcopy(KINDS)
        self.objects: dict[tuple[str, str], Object] = {}
        self.refusals: list[ApiError] = []
        self.unreadable: list[ApiError] = []
        self.applied: list[str] = []
        self.read: list[str] = []
        self.deleted: list[str] = []
        self.on_read: Callable[[], object] = lambda: None
        self.others: dict[Resource, list[Object]] = defaultdict(list)
        self.version = 0
        self.on_ask: Callable[[], object] = lambda: None

    def find(self, api_version: str, kind: str) -> Resource | None:
        """A kind, if it is known; ``on_ask`` is called before."""
        self.on_ask()
        known = kind in self.kinds.get(api_version, [])
        return Resource(api_version, kind, f"{kind.lower()}s") if known else None

    def get(self, resource: Resource, name: str, _namespace: str | None = None) -> Object | None:
        """What is stored."""
        self.read.append(f"{resource.kind}/{name}")
        self.on_read()
        if self.unreadable:
            raise self.unreadable.pop()
        return copy.deepcopy(self.objects.get((resource.kind, name)))

    def apply(self, obj: Object, *, dry_run: bool) -> Object:
        """Refuse as often as was prepared, or a kind that is not known, then store."""
        if self.refusals:
            raise self.refusals.pop(0)
        if self.find(obj["apiVersion"], obj["kind"]) is None:
            title = f"{obj['kind']} {obj['metadata']['name']}"
            raise ApiError(title, 404, f"the API does not know {obj['apiVersion']}")
        key = obj["kind"], obj["metadata"]["name"]
        self.applied.append("/".join(key))
        before = self.objects.get(key, {"metadata": {"generation": 0}})
        self.version += 1
        changed = before.get("spec") != obj.get("spec")
        bookkeeping = {
            "resourceVersion": str(self.version),
            "managedFields": [{"time": f"T{self.version}"}],
            "generation": before["metadata"]["generation"] + changed,
            "uid": "1",
        }
        after = {
            **_canonical(copy.deepcopy(obj)),
            "metadata": {**obj["metadata"], **bookkeeping},
            # Controllers report at any time.
            "status": {
                **before.get("status", {}),
                "conditions": [{"type": f"T{self.version}"}],
            },
        }
        if not dry_run:
            self.objects[key] = after
        return copy.deepcopy(after)

    def delete(self, resource: Resource, name: str, _namespace: str | None = None) -> bool:
        """What is deleted is gone, unless something holds it."""
        self.deleted.append(f"{resource.kind}/{name}")
        held = "finalizers" in self.objects[resource.kind, name]["metadata"]
        return bool(held or self.objects.pop((resource.kind, name)))

    def report(self, kind: str, name: str, **status: Any) -> None:
        """Set an object's status, as controllers do."""
        found = self.objects[kind, name]
        found["status"] = {"observedGeneration": found["metadata"]["generation"], **status}

    def list(
        self, resource: Resource, *, namespace: str, labels: str = "", fields: str = ""
    ) -> Listing:
        """Pods by their labels, events by the name of what they are about, all by their place."""
        wanted = dict(part.split("=") for part in labels.split(",") if part)
        about = dict(part.split("=") for part in fields.split(",") if part)
        return Listing(
            [
                item
                for item in self.others[resource]
                if item["metadata"]["namespace"] == namespace
                and wanted.items() <= item["metadata"].get("labels", {}).items()
                and about.get("involvedObject.name") == item.get("involvedObject", {}).get("name")
            ],
            "1",
        )

    def log(self, pod: Object, container: str, *, lines: int, previous: bool = False) -> str:
        """Every container says its name."""
        return "" if previous else f"{pod['metadata']['name']}/{container} says hello\n"


def _canonical(value: Any) -> Any:
    """How the API writes what it is given: durations in their longest form, and no nulls."""
    if isinstance(value, dict):
        return {name: _canonical(part) for name, part in value.items() if part is not None}
    return "1m0s" if value == "60s" else value


@pytest.fixture
def kube() -> FakeKube:
    return FakeKube()


@pytest.fixture
def sleeps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """No pause between two looks; gives those that there would have been."""
    made: list[float] = []
    monkeypatch.setattr(time, "sleep", made.append)
    return made


def applier(kube: FakeKube, timeout: float = 30.0) -> Applier:
    return Applier(cast(Kube, kube), timeout)


def thing(kind: str, name: str = "a", **content: Any) -> Object:
    """An object; its version is the one that has its kind."""
    version = next((each for each, kinds in KINDS.items() if kind in kinds), POOL)
    metadata = {"name": name, "namespace": "metallb"}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **content}


def workload(kind: str, name: str = "a") -> Object:
    """A Deployment or StatefulSet of two pods, or a DaemonSet."""
    spec = {"selector": {"matchLabels": {"app": name}}}
    return thing(kind, name, spec=spec | ({} if kind == "DaemonSet" else {"replicas": 2}))


def pod(name: str, state: dict[str, Any], *, ready: bool = False) -> Object:
    """A pod of the workload ``a`` with one container in a state."""
    status = {"name": "main", "ready": ready, "restartCount": 4, "state": state}
    return {
        "metadata": {"name": name, "namespace": "metallb", "labels": {"app": "a"}},
        "spec": {"containers": [{"name": "main"}]},
        "status": {"containerStatuses": [status]},
    }


def event(about: str, message: str) -> Object:
    """A warning about an object."""
    return {
        "metadata": {"namespace": "metallb"},
        "involvedObject": {"name": about},
        "reason": "Failed",
        "message": message,
    }


@contextmanager
def refused(*lines: str) -> Iterator[None]:
    """A SlipwayError is to be raised that says exactly this."""
    with pytest.raises(SlipwayError) as caught:
        yield
    assert str(caught.value).splitlines() == list(lines)


def test_documents_that_are_empty_are_none() -> None:
    assert documents("---\n# nothing\n---\nkind: A\n---\n---\nkind: B\n") == [
        {"kind": "A"},
        {"kind": "B"},
    ]


def test_what_others_need_comes_first_and_webhooks_last() -> None:
    kinds = [
        "ValidatingWebhookConfiguration",
        "Deployment",
        "CustomResourceDefinition",
        "IPAddressPool",
        "MutatingWebhookConfiguration",
        "Namespace",
        "Service",
    ]
    assert [obj["kind"] for obj in in_order({"kind": kind} for kind in kinds)] == [
        "Namespace",
        "CustomResourceDefinition",
        "Deployment",
        "IPAddressPool",
        "Service",
        "ValidatingWebhookConfiguration",
        "MutatingWebhookConfiguration",
    ]


def test_only_what_was_not_so_already_is_a_change(kube: FakeKube) -> None:
    objects = [thing("ConfigMap", "a", data={"x": "1"}), thing("ConfigMap", "b", data={})]
    assert applier(kube).apply(objects) == ["ConfigMap/a", "ConfigMap/b"]
    assert applier(kube).apply(objects) == []
    objects[0]["data"] = {"x": "2"}
    assert applier(kube).apply(objects) == ["ConfigMap/a"]
    assert kube.objects["ConfigMap", "a"]["data"] == {"x": "2"}


def test_what_is_so_already_is_read_once_and_not_written(kube: FakeKube) -> None:
    objects = [thing("ConfigMap", name, data={"x": name}) for name in ("a", "b", "c")]
    applier(kube).apply(objects)
    kube.applied.clear()
    kube.read.clear()
    assert applier(kube).apply(objects) == []
    assert applier(kube).apply(objects, dry_run=True) == []
    assert kube.applied == []
    assert sorted(kube.read) == sorted([f"ConfigMap/{name}" for name in ("a", "b", "c")] * 2)


def test_only_what_differs_is_written(kube: FakeKube) -> None:
    objects = [thing("ConfigMap", name, data={"x": "1"}) for name in ("a", "b", "c")]
    applier(kube).apply(objects)
    kube.applied.clear()
    kube.objects["ConfigMap", "b"]["data"] = {"x": "by hand"}
    assert applier(kube).apply(objects) == ["ConfigMap/b"]
    assert kube.applied == ["ConfigMap/b"]
    assert kube.objects["ConfigMap", "b"]["data"] == {"x": "1"}


def test_a_field_that_left_the_manifest_is_noticed(kube: FakeKube) -> None:
    applier(kube).apply([thing("ConfigMap", data={"x": "1", "y": "2"})])
    assert applier(kube).apply([thing("ConfigMap", data={"x": "1"})]) == ["ConfigMap/a"]
    assert kube.objects["ConfigMap", "a"]["data"] == {"x": "1"}


def test_what_somebody_added_stays(kube: FakeKube) -> None:
    obj = thing("ConfigMap", data={"x": "1"})
    applier(kube).apply([obj])
    kube.applied.clear()
    found = kube.objects["ConfigMap", "a"]
    found["data"]["y"] = "2"
    found["metadata"]["labels"] = {"team": "a"}
    assert applier(kube).apply([obj]) == []
    assert kube.applied == []


def test_what_an_earlier_slipway_did_not_mark_is_written_once(kube: FakeKube) -> None:
    obj = thing("ConfigMap", data={"x": "1"})
    applier(kube).apply([obj])
    del kube.objects["ConfigMap", "a"]["metadata"]["annotations"]
    assert applier(kube).apply([obj]) == ["ConfigMap/a"]
    assert applier(kube).apply([obj]) == []


def test_nulls_and_the_status_of_a_manifest_say_nothing(kube: FakeKube) -> None:
    obj = thing("Deployment", spec={"paused": None, "replicas": 1}, status={"conditions": []})
    obj["metadata"]["creationTimestamp"] = None
    applier(kube).apply([obj])
    kube.objects["Deployment", "a"]["metadata"]["creationTimestamp"] = "2030-01-01T00:00:00Z"
    kube.applied.clear()
    assert applier(kube).apply([obj]) == []
    assert kube.applied == []


def test_what_the_api_writes_in_another_way_is_no_change(kube: FakeKube) -> None:
    objects = [workload("Deployment")]
    objects[0]["spec"]["period"] = "60s"
    applier(kube).apply(objects)
    kube.report("Deployment", "a", replicas=2)
    kube.applied.clear()
    assert applier(kube).apply(objects) == []
    assert kube.applied == ["Deployment/a"]


def test_objects_are_read_at_the_same_time(kube: FakeKube) -> None:
    objects = [thing("ConfigMap", str(number)) for number in range(addons.READERS)]
    # Nobody gets past it before all have come.
    kube.on_read = threading.Barrier(addons.READERS, timeout=10).wait
    applier(kube).apply(objects)
    assert len(kube.read) == addons.READERS


@pytest.mark.parametrize("dry_run", [False, True])
def test_what_cannot_be_read_yet_is_applied(kube: FakeKube, dry_run: bool) -> None:
    kube.unreadable = [ApiError("/api/x", 500, "conversion webhook failed")]
    assert applier(kube).apply([thing("ConfigMap")], dry_run=dry_run) == ["ConfigMap/a"]
    kube.unreadable = [ApiError("/api/x", 403, "not allowed")]
    with refused("/api/x: not allowed"):
        applier(kube).apply([thing("ConfigMap")], dry_run=dry_run)


def test_what_somebody_labelled_otherwise_is_a_change(kube: FakeKube) -> None:
    obj = thing("ConfigMap")
    obj["metadata"]["labels"] = {"a": "1"}
    applier(kube).apply([obj])
    kube.objects["ConfigMap", "a"]["metadata"]["labels"] = {"a": "2"}
    assert applier(kube).apply([obj]) == ["ConfigMap/a"]


def test_a_dry_run_stores_nothing(kube: FakeKube) -> None:
    objects = [thing("ConfigMap", data={"x": "1"})]
    assert applier(kube).apply(objects, dry_run=True) == ["ConfigMap/a"]
    assert kube.objects == {}
    applier(kube).apply(objects)
    assert applier(kube).apply(objects, dry_run=True) == []


def test_a_dry_run_does_not_wait_for_what_does_not_exist(
    kube: FakeKube, sleeps: list[float]
) -> None:
    kube.refusals = [ApiError("/api", 404, 'namespaces "metallb" not found')]
    objects = [thing("ConfigMap"), thing("IPAddressPool")]
    assert applier(kube).apply(objects, dry_run=True) == ["ConfigMap/a", "IPAddressPool/a"]
    assert sleeps == []


def test_a_kind_that_has_just_been_defined_is_waited_for(
    kube: FakeKube, sleeps: list[float]
) -> None:
    defined = {POOL: ["IPAddressPool"]}
    kube.on_ask = lambda: kube.kinds.update(defined if len(sleeps) == 2 else {})
    assert applier(kube).apply([thing("IPAddressPool")]) == ["IPAddressPool/a"]
    assert sleeps == [addons.POLL_SECONDS] * 2


def test_a_kind_that_never_appears_is_told(kube: FakeKube) -> None:
    with refused(f"IPAddressPool a: the API does not know {POOL}"):
        applier(kube, timeout=-1).apply([thing("IPAddressPool")])


@pytest.mark.parametrize(
    ("status", "what"),
    [
        (500, 'failed calling webhook "pools.metallb.io": connection refused'),
        (404, 'namespaces "metallb" not found'),
    ],
)
def test_a_refusal_that_passes_is_waited_for(
    kube: FakeKube, sleeps: list[float], status: int, what: str
) -> None:
    kube.refusals = [ApiError("/api", status, what)] * 3
    assert applier(kube).apply([thing("ConfigMap")]) == ["ConfigMap/a"]
    assert len(sleeps) == 3


@pytest.mark.parametrize(
    ("status", "what"),
    [(500, "etcd has no space left"), (422, "spec.addresses: invalid"), (403, "not allowed")],
)
def test_other_refusals_are_told_at_once(
    kube: FakeKube, sleeps: list[float], status: int, what: str
) -> None:
    kube.refusals = [ApiError("/api/x", status, what)]
    with refused(f"/api/x: {what}"):
        applier(kube).apply([thing("ConfigMap")])
    assert sleeps == []


def test_a_webhook_that_never_answers_is_told(kube: FakeKube) -> None:
    kube.refusals = [ApiError("/api/x", 500, "failed calling webhook")]
    with refused("/api/x: failed calling webhook"):
        applier(kube, timeout=-1).apply([thing("ConfigMap")])


READY: dict[str, dict[str, Any]] = {
    "Deployment": {"updatedReplicas": 2, "replicas": 2, "availableReplicas": 2},
    "DaemonSet": {
        "desiredNumberScheduled": 3,
        "updatedNumberScheduled": 3,
        "numberAvailable": 3,
    },
    "Service": {"loadBalancer": {"ingress": [{"ip": "192.0.2.200"}]}},
}
READY["StatefulSet"] = READY["Deployment"]


def waited_for(kind: str) -> Object:
    """An object of a kind that is waited for."""
    if kind == "Service":
        return thing("Service", spec={"type": "LoadBalancer"})
    return workload(kind)


@pytest.mark.parametrize("kind", READY)
def test_the_wait_ends_when_it_is_as_wanted(kube: FakeKube, kind: str) -> None:
    objects = [waited_for(kind), thing("ConfigMap"), thing("Service", "b", spec={})]
    applier(kube).apply(objects)
    kube.report(kind, "a", **READY[kind])
    applier(kube, timeout=-1).wait(objects)


def test_the_wait_goes_on_until_all_are_as_wanted(
    kube: FakeKube, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects = [waited_for("Deployment"), waited_for("DaemonSet")]
    applier(kube).apply(objects)
    left = ["DaemonSet", "Deployment"]

    def one_more_is_ready(_seconds: float) -> None:
        kind = left.pop()
        kube.report(kind, "a", **READY[kind])

    monkeypatch.setattr(time, "sleep", one_more_is_ready)
    applier(kube).wait(objects)
    assert left == []


@pytest.mark.parametrize(
    ("kind", "lacking"),
    [
        ("Deployment", {"updatedReplicas": 1}),
        ("Deployment", {"replicas": 3}),
        ("Deployment", {"availableReplicas": 1}),
        ("Deployment", {"observedGeneration": 0}),
        ("StatefulSet", {"updatedReplicas": 1}),
        ("DaemonSet", {"updatedNumberScheduled": 2}),
        ("DaemonSet", {"numberAvailable": 2}),
        ("DaemonSet", {"observedGeneration": 0}),
        ("Service", {"loadBalancer": {}}),
    ],
)
def test_what_is_not_wholly_there_is_waited_for(
    kube: FakeKube, kind: str, lacking: dict[str, Any]
) -> None:
    obj = waited_for(kind)
    applier(kube).apply([obj])
    kube.report(kind, "a", **{**READY[kind], **lacking})
    with pytest.raises(SlipwayError, match=rf"{kind} a: (does not run|has no address) after"):
        applier(kube, timeout=-1).wait([obj])


def test_pods_that_crash_are_the_reason_with_their_last_words(kube: FakeKube) -> None:
    obj = workload("Deployment")
    applier(kube).apply([obj])
    kube.others[PODS] = [
        pod("a-1", {"running": {}}, ready=True),
        pod("a-2", {"running": {}}),
        pod("a-3", {"waiting": {"reason": "CrashLoopBackOff"}}),
    ]
    kube.others[EVENTS] = [event("a-3", "Back-off restarting"), event("a-1", "was slow")]
    with refused(
        "Deployment a: does not run after 0 s: pod a-3: CrashLoopBackOff: exit code None, 5 times",
        "its last lines:",
        "    | a-3/main says hello",
        "its last events:",
        "    | Failed: Back-off restarting",
    ):
        applier(kube, timeout=0).wait([obj])


def test_pods_that_are_not_ready_say_what_they_do(kube: FakeKube) -> None:
    obj = workload("DaemonSet")
    applier(kube).apply([obj])
    kube.others[PODS] = [
        pod("a-1", {"running": {}}, ready=True),
        pod("a-2", {"waiting": {"reason": "ContainerCreating"}}),
    ]
    with refused(
        "DaemonSet a: does not run after 0 s: pod a-2: waiting (ContainerCreating)",
        "its last lines:",
        "    | a-2/main says hello",
    ):
        applier(kube, timeout=0).wait([obj])


def test_a_workload_without_pods_says_why_it_gets_none(kube: FakeKube) -> None:
    obj = workload("DaemonSet")
    applier(kube).apply([obj])
    kube.others[EVENTS] = [event("a", "exceeded quota"), event("b", "something else")]
    with refused("DaemonSet a: does not run after 0 s: Failed: exceeded quota"):
        applier(kube, timeout=0).wait([obj])


def test_pods_that_are_refused_are_not_waited_for(
    kube: FakeKube, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slipway.kube.apply.VOLUME_SECONDS", 0)
    obj = workload("DaemonSet")
    applier(kube).apply([obj])
    words = 'pods "a-1" is forbidden: exceeded quota: slipway-environment, requested: pods=1'
    kube.others[EVENTS] = [event("a", words)]
    began = time.monotonic()
    with refused(f"DaemonSet a: does not run after 0 s: Failed: {words}"):
        applier(kube, timeout=60).wait([obj])
    assert time.monotonic() - began < 20


def test_everything_that_is_not_as_wanted_is_told(kube: FakeKube) -> None:
    objects = [waited_for("Service"), workload("Deployment"), workload("DaemonSet", "b")]
    applier(kube).apply(objects)
    kube.report("DaemonSet", "b", **READY["DaemonSet"])
    kube.others[EVENTS] = [event("a", "no addresses left")]
    with refused(
        "Service a: has no address after 0 s: Failed: no addresses left",
        "    fix: give metallb_pool addresses that nothing else uses",
        "Deployment a: does not run after 0 s: Failed: no addresses left",
    ):
        applier(kube, timeout=0).wait(objects)


ADD_ON = [
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "metallb"}},
    thing("ConfigMap", "settings"),
    workload("Deployment"),
]
NAMES = ["Deployment/a", "ConfigMap/settings", "Namespace/metallb"]


def remove(kube: FakeKube, **how: Any) -> tuple[list[str], list[str]]:
    """Remove the add-on; what was, and what was said."""
    said: list[str] = []
    return applier(kube).remove(ADD_ON, said.append, **how), said


def put(kube: FakeKube, resource: Resource, name: str, *owners: tuple[str, str]) -> None:
    """Have something in the add-on's namespace."""
    references = [{"kind": kind, "name": owner} for kind, owner in owners]
    metadata = {"name": name, "namespace": "metallb", "ownerReferences": references}
    kube.others[resource].append({"kind": resource.kind, "metadata": metadata})


def test_what_was_applied_is_removed_in_the_opposite_order(kube: FakeKube) -> None:
    applier(kube).apply(ADD_ON)
    assert remove(kube, dry_run=True) == (NAMES, [])
    assert kube.deleted == []
    assert remove(kube) == (NAMES, [])
    assert kube.deleted == NAMES
    assert kube.objects == {}
    assert remove(kube) == ([], [])


def test_what_somebody_else_made_is_not_removed(kube: FakeKube) -> None:
    applier(kube).apply(ADD_ON)
    kube.objects["ConfigMap", "settings"]["metadata"]["annotations"] = {"theirs": "true"}
    assert remove(kube)[0] == ["Deployment/a", "Namespace/metallb"]
    assert [*kube.objects] == [("ConfigMap", "settings")]


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_namespace_with_something_else_in_it_stays(kube: FakeKube, dry_run: bool) -> None:
    applier(kube).apply(ADD_ON)
    put(kube, SECRETS, "theirs")
    put(kube, PODS, "b-1-2", ("ReplicaSet", "b-1"))
    told = "namespace metallb stays, it still has Pod b-1-2, Secret theirs"
    assert remove(kube, dry_run=dry_run) == (NAMES[:2], [told])
    if not dry_run:
        assert remove(kube) == ([], [told])


@pytest.mark.parametrize("dry_run", [False, True])
def test_what_goes_with_an_add_on_keeps_no_namespace(kube: FakeKube, dry_run: bool) -> None:
    applier(kube).apply(ADD_ON)
    put(kube, PODS, "a-1-2", ("ReplicaSet", "a-1"))
    put(kube, CONFIG_MAPS, "settings")
    put(kube, CONFIG_MAPS, "kube-root-ca.crt")
    assert remove(kube, dry_run=dry_run) == (NAMES, [])


def test_the_end_of_what_is_removed_is_waited_for(
    kube: FakeKube, monkeypatch: pytest.MonkeyPatch
) -> None:
    applier(kube).apply(ADD_ON)
    going = kube.objects["Namespace", "metallb"]
    going["metadata"]["finalizers"] = ["kubernetes"]
    with refused("Namespace metallb: has not gone after 0 s"):
        applier(kube, timeout=0).remove(ADD_ON, print)

    monkeypatch.setattr(time, "sleep", lambda _seconds: kube.objects.clear())
    assert remove(kube)[0] == ["Namespace/metallb"]
    assert kube.objects == {}


def test_what_is_going_already_is_not_removed_again(kube: FakeKube) -> None:
    applier(kube).apply(ADD_ON)
    for obj in kube.objects.values():
        obj["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert remove(kube) == ([], [])


def test_before_there_is_a_cluster_there_is_nothing_to_remove(tmp_path: Path) -> None:
    manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: metallb}\n"
    args = {"kubeconfig": str(tmp_path / "none"), "manifests": [manifest], "state": "absent"}
    result = action(addon.ActionModule, args, check=True).run()
    assert (result["changed"], result["removed"]) == (False, [])
