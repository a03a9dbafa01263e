"""Claims that have no volume: which will never have one, and what is said of them."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.errors import SlipwayError
from slipway.kube.apply import Applier
from slipway.kube.claims import DEFAULT, unbound
from slipway.kube.client import Kube, Object
from tests.support.app_cluster import FakeApi

PLACE = {"namespace": "db-main"}


def pod(*claims: str) -> Object:
    """A pod of the StatefulSet ``db`` that no node has yet, and that has these claims."""
    volumes = [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in claims]
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "pod has unbound immediate PersistentVolumeClaims",
    }
    return {
        "metadata": {"name": "db-0", "labels": {"app": "db"}, **PLACE},
        "spec": {"containers": [{"name": "db"}], "volumes": [{"emptyDir": {}}, *volumes]},
        "status": {"phase": "Pending", "conditions": [condition]},
    }


def claim(api: FakeApi, name: str, phase: str = "Pending", **spec: Any) -> None:
    metadata = {"name": name, **PLACE}
    api.put(
        "persistentvolumeclaims",
        {"kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}
        | {"status": {"phase": phase}},
    )


def storage_class(api: FakeApi, name: str, *, default: bool = False) -> None:
    annotations = {DEFAULT: "true"} if default else {}
    api.put("storageclasses", {"metadata": {"name": name, "annotations": annotations}})


def said(kube: Kube, *claims: str) -> list[tuple[str, bool]]:
    """What is wrong with each of a pod's claims, and whether that is final."""
    return [(trouble.reason, trouble.final) for trouble in unbound(kube, pod(*claims))]


def test_a_claim_of_no_class_is_never_bound_without_a_default(kube: Kube, api: FakeApi) -> None:
    claim(api, "data")
    why = "claim data is not bound: it names no StorageClass, none is the default, and no volume"
    assert said(kube, "data") == [(f"{why} fits; the cluster has none", True)]
    storage_class(api, "slow")
    assert said(kube, "data") == [(f"{why} fits; the cluster has slow", True)]
    storage_class(api, "fast", default=True)
    assert said(kube, "data") == [("claim data is not bound", False)]
    claim(api, "static", storageClassName="")
    [(_, final)] = said(kube, "static")
    assert final


def test_a_claim_of_a_class_that_is_not_there_is_never_bound(kube: Kube, api: FakeApi) -> None:
    storage_class(api, "fast", default=True)
    claim(api, "data", storageClassName="quick")
    claim(api, "more", storageClassName="fast")
    metadata = {"name": "e", **PLACE}
    about = {"involvedObject": {"name": "more"}, "type": "Warning", "reason": "ProvisioningFailed"}
    api.put("events", {"metadata": metadata, **about, "message": "the disk is full"})
    lacks = "there is no StorageClass quick, and no volume of it; the cluster has fast"
    assert said(kube, "data", "more") == [
        (f"claim data is not bound: {lacks}", True),
        ("claim more is not bound: ProvisioningFailed: the disk is full", False),
    ]


def test_a_claim_that_is_refused_again_and_again_is_never_bound(kube: Kube, api: FakeApi) -> None:
    storage_class(api, "fast", default=True)
    claim(api, "data")
    metadata = {"name": "e", **PLACE}
    event = {"metadata": metadata, "type": "Warning", "involvedObject": {"name": "data"}}
    event |= {"reason": "ProvisioningFailed", "message": "NodePath only supports ReadWriteOnce"}
    for count, final in ((1, False), (2, True)):
        api.put("events", {**event, "count": count})
        why = "claim data is not bound: ProvisioningFailed: NodePath only supports ReadWriteOnce"
        assert said(kube, "data") == [(why, final)]
    api.put("events", {**event, "reason": "Other", "count": 9})
    [(_, final)] = said(kube, "data")
    assert not final


def test_claims_that_are_bound_lost_or_not_there(kube: Kube, api: FakeApi) -> None:
    claim(api, "bound", "Bound")
    claim(api, "lost", "Lost")
    assert said(kube, "bound", "lost", "none") == [
        ("claim lost is not bound: its volume is gone", True),
        ("there is no claim none: bring it among the manifests", True),
    ]


@pytest.fixture
def stateful_set(kube: Kube, api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> Object:
    """A StatefulSet whose only pod waits for a claim ``data``; a volume has no time to come."""
    monkeypatch.setattr("slipway.kube.apply.VOLUME_SECONDS", 0.1)
    api.put("namespaces", {"metadata": {"name": "db-main"}})
    api.put("pods", pod("data"))
    obj = {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "db", **PLACE},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "db"}}},
    }
    kube.apply(obj)
    return obj


def test_a_wait_ends_soon_for_what_will_never_have_a_volume(
    kube: Kube, api: FakeApi, stateful_set: Object
) -> None:
    claim(api, "data", storageClassName="quick")
    with pytest.raises(
        SlipwayError, match=r"StatefulSet db: does not run after 0 s: pod db-0"
    ) as told:
        Applier(kube, 30).wait([stateful_set])
    assert "Unschedulable: pod has unbound immediate" in str(told.value)
    assert "claim data is not bound: there is no StorageClass quick" in str(told.value)


def test_a_wait_goes_on_for_a_volume_that_may_yet_come(
    kube: Kube, api: FakeApi, stateful_set: Object
) -> None:
    storage_class(api, "quick")
    claim(api, "data", storageClassName="quick")
    with pytest.raises(SlipwayError, match=r"does not run after 1 s: .*claim data is not bound"):
        Applier(kube, 1).wait([stateful_set])
