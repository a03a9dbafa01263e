"""Claims of apps, and the pods that have them."""

from __future__ import annotations

from typing import Any

from slipway.apps.manifests.labels import KEEP, owner_of
from slipway.apps.manifests.pod import USER_ID
from slipway.apps.manifests.render import render
from slipway.apps.manifests.volumes import awaited, begun, filled, is_kept, refusal, volume_of
from slipway.kube.objects import by_key
from tests.support.apps import built
from tests.support.rendered import container, objects, only, pod

DATA: dict[str, Any] = {"volumes": {"data": {"path": "/var/lib/data", "size": "5Gi"}}}


def test_a_volume_has_a_claim_that_its_app_is_known_by() -> None:
    claim = only("PersistentVolumeClaim", **DATA)
    assert claim["metadata"]["name"] == "greeter-data"
    assert (owner_of(claim), volume_of(claim)) == ("greeter-main/greeter", "data")
    assert claim["spec"] == {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "5Gi"}},
    }
    assert not is_kept(claim)


def test_a_claim_names_its_class_and_that_it_is_to_be_kept() -> None:
    volume = {"path": "/srv", "keep": True, "class": "fast"}
    claim = only("PersistentVolumeClaim", volumes={"data": volume})
    assert claim["spec"]["storageClassName"] == "fast"
    assert claim["metadata"]["annotations"][KEEP] == "true"
    assert is_kept(claim)


def test_the_app_and_its_jobs_have_it_and_its_processes_do_not() -> None:
    parts = {"jobs": {"migrate": {"command": ["a"]}}, "processes": {"work": {"command": ["b"]}}}
    found = objects(**DATA, **parts)
    mount = {"name": "volume-data", "mountPath": "/var/lib/data"}
    source = {"name": "volume-data", "persistentVolumeClaim": {"claimName": "greeter-data"}}
    [app, process], [job] = found["Deployment"], found["Job"]
    for each in (app, job):
        spec = each["spec"]["template"]["spec"]
        assert mount in spec["containers"][0]["volumeMounts"]
        assert source in spec["volumes"]
    spec = process["spec"]["template"]["spec"]
    assert mount not in spec["containers"][0]["volumeMounts"]
    assert source not in spec["volumes"]
    assert "fsGroup" not in spec["securityContext"]


def test_whoever_the_pod_is_it_may_write_to_its_volume() -> None:
    assert pod(**DATA)["securityContext"]["fsGroup"] == USER_ID
    owned = pod(**DATA, security={"run_as_user": 999})["securityContext"]
    assert (owned["fsGroup"], owned["fsGroupChangePolicy"]) == (999, "OnRootMismatch")
    assert "fsGroup" not in pod()["securityContext"]


def test_a_pod_ends_before_the_next_one_has_its_volume() -> None:
    strategies = {
        each["metadata"]["name"]: each["spec"]["strategy"]["type"]
        for each in objects(**DATA, processes={"work": {"command": ["b"]}})["Deployment"]
    }
    assert strategies == {"greeter": "Recreate", "greeter-work": "RollingUpdate"}
    assert only("Deployment")["spec"]["strategy"]["type"] == "RollingUpdate"


def test_claims_come_before_what_has_them() -> None:
    kinds = [obj["kind"] for obj in render(built(**DATA, jobs={"a": {"command": ["a"]}}), "nginx")]
    assert kinds.index("PersistentVolumeClaim") < kinds.index("Job") < kinds.index("Deployment")


def test_an_app_without_volumes_is_as_it_was() -> None:
    assert "PersistentVolumeClaim" not in objects()
    assert [mount["name"] for mount in container()["volumeMounts"]] == ["tmp", "config"]


def test_a_refusal_names_the_volume_and_the_way_out() -> None:
    claim = only("PersistentVolumeClaim", **DATA)
    [problem] = refusal(claim, "field can not be less", is_new=False).problems
    assert problem.where == "volume data"
    assert "make data-save" in problem.fix
    [problem] = refusal(claim, "exceeded quota: slipway-environment", is_new=True).problems
    assert problem.fix == "raise quota in apps.yml, or write a smaller size"


PLAIN: dict[str, Any] = {"volumes": {"data": {"path": "/srv"}}}
FROM_MAIN: dict[str, Any] = {"volumes": {"data": {"path": "/srv", "from": {"branch": "main"}}}}


def test_a_new_volume_awaits_the_data_of_another_branch_and_not_of_its_own() -> None:
    assert awaited(only("PersistentVolumeClaim", branch="next", **FROM_MAIN)) == "main"
    assert not awaited(only("PersistentVolumeClaim", **FROM_MAIN))
    assert not awaited(only("Deployment", branch="next", **FROM_MAIN))


def test_a_volume_that_got_its_data_awaits_none_ever_again() -> None:
    objects = render(built(branch="next", **FROM_MAIN), "nginx")
    [claim] = [obj for obj in objects if awaited(obj)]
    assert begun(objects, {}) == begun(objects, by_key(objects)) == objects
    there = by_key([filled(claim)])
    [again] = [obj for obj in begun(objects, there) if obj["kind"] == claim["kind"]]
    assert again == filled(claim) == only("PersistentVolumeClaim", branch="next", **PLAIN)
