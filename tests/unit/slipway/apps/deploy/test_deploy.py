"""Whole deployments, to an API over HTTP."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from slipway.apps.app import App, Built, Failure
from slipway.apps.deploy.deploy import Outcome, deploy, render_change
from slipway.apps.manifests.environment import contents, rights
from slipway.apps.manifests.labels import ADMITS, APP, ENVIRONMENTS, ROUTES_NAMESPACE
from slipway.kube.client import APPLIED, Kube, Object
from tests.support.app_cluster import FakeApi, rolled_out_at_once
from tests.support.apps import built, sourced
from tests.support.volumes import Volumes

APPS = [built(), built(branch="feature"), built("quote", config_files=[])]

UNCOMPILED = Failure("build", "no compiler")

NO_CA = Path("/nonexistent")

NOTES = ("configmaps", ROUTES_NAMESPACE, ENVIRONMENTS)


def run(kube: Kube, apps: Iterable[App], **options: Any) -> Outcome:
    settings: dict[str, Any] = {"secrets": {}, "ca_dir": NO_CA, "seconds": 10, **options}
    return deploy(kube, apps, "nginx", say=print, **settings)


def failures(outcome: Outcome) -> dict[str, str]:
    """The reasons by app, all of this step."""
    found = {app.id: app.failed for app in outcome.apps if app.failed}
    assert {failed.step for failed in found.values()} <= {"deploy"}
    return {app_id: failed.reason for app_id, failed in found.items()}


@pytest.fixture(autouse=True)
def controllers(api: FakeApi) -> None:
    """Deployments are ready at once, unless a test says otherwise."""
    api.on_apply = rolled_out_at_once


def test_the_second_run_reads_each_kind_once_and_writes_nothing(kube: Kube, api: FakeApi) -> None:
    assert run(kube, APPS).changed
    # namespaces, rights, what is in environments, master, notes, and each app's objects
    inner = len(contents("greeter-main"))
    assert len(api.objects) == 4 + len(rights()) + 3 * inner + 1 + 1 + 4 + 4 + 3
    api.requests.clear()
    outcome = run(kube, APPS)
    assert not outcome.changed
    assert [method for method, _path in api.requests] == ["GET"] * len(APPLIED)


def test_an_app_whose_service_gets_no_address_fails_also_in_the_next_run(
    kube: Kube, api: FakeApi
) -> None:
    def addressed(api: FakeApi, obj: Object) -> None:
        rolled_out_at_once(api, obj)
        if obj["kind"] == "Service" and obj["metadata"]["name"] == "quote":
            obj["status"] = {"loadBalancer": {"ingress": [{"ip": "172.28.1.20"}]}}

    api.on_apply = addressed
    apps = [
        built("quote", service={"type": "LoadBalancer"}),
        built("lost", service={"type": "LoadBalancer", "address": "203.0.113.1"}),
    ]
    for _ in range(2):
        [(failed, why)] = failures(run(kube, apps, seconds=1)).items()
        assert failed == "lost-main/lost"
        assert "Service lost: has no address after" in why


def test_a_config_change_writes_to_that_app_only(kube: Kube, api: FakeApi) -> None:
    run(kube, APPS)
    api.requests.clear()
    files = [{"path": "/config/application.properties", "content": "a=2\n"}]
    assert run(kube, [built(config_files=files), *APPS[1:]]).changed
    assert {path.split("/namespaces/")[1].split("/")[0] for _method, path in api.writes} == {
        "greeter-main"
    }


SCALED: dict[str, Any] = {
    "replicas": {"min": 2, "max": 5},
    "processes": {"worker": {"command": ["work"], "replicas": {"max": 3}}},
}


def pods_of(api: FakeApi) -> dict[str, int]:
    """How many pods each Deployment is to have."""
    found = {name: obj for (plural, _, name), obj in api.objects.items() if plural == "deployments"}
    return {name: obj["spec"]["replicas"] for name, obj in found.items()}


def scale(api: FakeApi, count: int) -> None:
    """Have an autoscaler decide that the app gets so many pods."""
    live = api.named("deployments", "greeter-main", "greeter")
    api.put("deployments", {**live, "spec": {**live["spec"], "replicas": count}})
    rolled_out_at_once(api, api.named("deployments", "greeter-main", "greeter"))


def test_how_many_pods_an_autoscaler_has_chosen_is_left_alone(kube: Kube, api: FakeApi) -> None:
    assert run(kube, [built(**SCALED)]).changed
    assert pods_of(api) == {"greeter": 2, "greeter-worker": 1}
    scale(api, 4)
    assert not run(kube, [built(**SCALED)]).changed
    assert run(kube, [built(**SCALED, port=8081)]).changed
    assert pods_of(api) == {"greeter": 4, "greeter-worker": 1}


def test_an_autoscaler_goes_before_a_number_is_written(kube: Kube, api: FakeApi) -> None:
    run(kube, [built(**SCALED)])
    scale(api, 4)
    api.requests.clear()
    outcome = run(kube, [built(replicas=3, processes=SCALED["processes"])])
    writes = [(method, path.rpartition("greeter-main/")[2]) for method, path in api.writes]
    assert writes == [
        ("DELETE", "horizontalpodautoscalers/greeter"),
        ("PATCH", "deployments/greeter"),
    ]
    assert [intent.would for intent in outcome.intents] == [["update"]]
    assert pods_of(api) == {"greeter": 3, "greeter-worker": 1}
    assert not run(kube, [built(replicas=3, processes=SCALED["processes"])]).changed


def test_an_autoscaler_goes_with_its_process(kube: Kube, api: FakeApi) -> None:
    run(kube, [built(**SCALED)])
    run(kube, [built(replicas=SCALED["replicas"])])
    names = [name for plural, _, name in api.objects if plural == "horizontalpodautoscalers"]
    assert names == ["greeter"]
    assert pods_of(api) == {"greeter": 2}
    run(kube, [])
    assert not [each for each in api.objects if each[0] == "horizontalpodautoscalers"]


def test_a_change_among_many_apps_asks_for_no_more_than_one_among_few(
    kube: Kube, api: FakeApi
) -> None:
    def asked(count: int) -> list[tuple[str, str]]:
        apps = [built(branch=f"branch-{number}") for number in range(count)]
        run(kube, apps)
        api.requests.clear()
        files = [{"path": "/config/application.properties", "content": "a=2\n"}]
        changed = built(branch="branch-0", commit="f" * 40, config_files=files)
        run(kube, [changed, *apps[1:]])
        found = [(method, re.sub(r"-[0-9a-f]{10}$", "", path)) for method, path in api.requests]
        run(kube, [])
        return found

    space = "namespaces/greeter-branch-0"
    lists = {("GET", resource.path()) for resource in APPLIED}
    assert {*asked(2)[: len(lists)]} == lists
    assert asked(2)[len(lists) :] == [
        ("GET", f"/api/v1/{space}/configmaps/greeter"),  # is it somebody else's?
        ("PATCH", f"/api/v1/{space}/configmaps/greeter"),
        ("PATCH", f"/apis/apps/v1/{space}/deployments/greeter"),
        ("GET", f"/apis/apps/v1/{space}/deployments"),
        ("GET", f"/apis/apps/v1/{space}/replicasets"),
        ("DELETE", f"/api/v1/{space}/configmaps/greeter"),
        ("PATCH", f"/api/v1/namespaces/{ROUTES_NAMESPACE}/configmaps/{ENVIRONMENTS}"),
    ]
    assert asked(20) == asked(2)


def test_namespace_and_master_come_before_the_apps(kube: Kube, api: FakeApi) -> None:
    run(kube, APPS)
    kinds = [path.split("/")[-2] for method, path in api.writes if method == "PATCH"]
    assert kinds[0] == "clusterroles"
    first = kinds.index("ingresses")
    assert kinds[:first].count("namespaces") == 4
    assert kinds[:first].count("rolebindings") == 3
    master = f"/apis/networking.k8s.io/v1/namespaces/{ROUTES_NAMESPACE}/ingresses/demo.slipway.test"
    assert next(path for _method, path in api.writes if "ingresses" in path) == master


def test_config_files_come_from_the_apps_own_repository(
    kube: Kube, api: FakeApi, tmp_path: Path
) -> None:
    (tmp_path / "app.properties").write_text("from=repository\n")
    file = {"path": "/config/app.properties", "source": "app.properties"}
    app = built(config_files=[file], checkout=str(tmp_path))
    assert failures(run(kube, [app])) == {}
    [config] = [o for key, o in api.objects.items() if key[0] == "configmaps" and key != NOTES]
    assert list(config["data"].values()) == ["from=repository\n"]


@pytest.mark.parametrize("source", ["missing.properties", "../outside", "link", "."])
def test_a_config_file_that_cannot_be_had_fails_its_app_alone(
    kube: Kube, tmp_path: Path, source: str
) -> None:
    (tmp_path / "outside").write_text("secret")
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    (checkout / "link").symlink_to(tmp_path / "outside")
    file = {"path": "/config/app.properties", "source": source}
    broken = built(config_files=[file], checkout=str(checkout))
    outcome = run(kube, [broken, APPS[2]])
    assert list(failures(outcome)) == [broken.id]
    assert "cannot be read" in failures(outcome)[broken.id]


def test_a_refused_object_fails_its_app_alone(kube: Kube, api: FakeApi) -> None:
    api.refusals["deployments/quote"] = "containerPort: Invalid value"
    outcome = run(kube, APPS)
    [reason] = failures(outcome).values()
    assert "containerPort: Invalid value" in reason
    assert ("deployments", "greeter-main", "greeter") in api.objects
    assert ("ingresses", "quote-main", "quote") not in api.objects


def test_a_refused_master_fails_the_apps_of_its_host(kube: Kube, api: FakeApi) -> None:
    api.refusals["ingresses/demo.slipway.test"] = "host is not allowed"
    elsewhere = built("inner", ingress=None)
    broken = structs.replace(APPS[1], failed=UNCOMPILED)
    outcome = run(kube, [APPS[0], broken, elsewhere])
    assert [app.failed and app.failed.step for app in outcome.apps] == ["deploy", "build", None]
    assert [key for key in api.objects if key[0] == "deployments"] == [
        ("deployments", "inner-main", "inner")
    ]


def test_somebody_elses_object_is_not_taken_over(kube: Kube, api: FakeApi) -> None:
    metadata = {
        "name": "quote-main",
        "labels": {ADMITS: "true", "pod-security.kubernetes.io/enforce": "restricted"},
    }
    api.put("namespaces", {"metadata": metadata, "status": {"phase": "Active"}})
    theirs = {"metadata": {"name": "quote", "namespace": "quote-main"}, "spec": {"theirs": True}}
    api.put("services", theirs)
    outcome = run(kube, APPS)
    assert "Service quote-main/quote: it exists" in failures(outcome)["quote-main/quote"]
    assert api.named("services", "quote-main", "quote") == theirs
    assert ("deployments", "quote-main", "quote") not in api.objects


def test_a_crash_fails_one_app_and_the_others_are_deployed(kube: Kube, api: FakeApi) -> None:
    def crash(api: FakeApi, obj: Object) -> None:
        if obj["kind"] == "Deployment" and obj["metadata"]["namespace"] == "greeter-feature":
            template = obj["spec"]["template"]
            ended = {"exitCode": 3, "reason": "Error"}
            status = {
                "name": "greeter",
                "restartCount": 2,
                "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                "lastState": {"terminated": ended},
            }
            metadata = {**template["metadata"], "name": "p", "namespace": "greeter-feature"}
            pod = {"metadata": metadata, "spec": template["spec"]}
            api.put("pods", {**pod, "status": {"containerStatuses": [status]}})
        else:
            rolled_out_at_once(api, obj)

    api.on_apply = crash
    api.logs["p", False] = "cannot read the greeting\n"
    outcome = run(kube, APPS)
    assert list(failures(outcome)) == ["greeter-feature/greeter"]
    assert "cannot read the greeting" in failures(outcome)["greeter-feature/greeter"]

    # The next run says so again, though it has nothing to apply, and tries anew.
    api.requests.clear()
    again = run(kube, APPS, seconds=0)
    assert list(failures(again)) == ["greeter-feature/greeter"]
    assert api.writes[0] == ("DELETE", "/api/v1/namespaces/greeter-feature/pods/p")
    assert [path.split("/")[-1] for _method, path in api.writes[1:]] == [ENVIRONMENTS]
    assert again.changed


def test_an_app_that_failed_before_keeps_what_serves(kube: Kube, api: FakeApi) -> None:
    run(kube, APPS)
    before = dict(api.objects)
    broken = structs.replace(APPS[0], failed=UNCOMPILED)
    outcome = run(kube, [broken, *APPS[1:]])
    assert not outcome.changed
    assert outcome.apps[0].failed == UNCOMPILED
    assert {key for key in before if before[key] != api.objects[key]} == {NOTES}


def test_an_app_that_was_not_built_is_a_failure(kube: Kube) -> None:
    app = sourced()
    assert "no image" in failures(run(kube, [app]))[app.id]


def test_what_left_is_removed_and_its_empty_namespace_with_it(kube: Kube, api: FakeApi) -> None:
    run(kube, APPS)
    api.put("configmaps", {"metadata": {"name": "kube-root-ca.crt", "namespace": "quote-main"}})
    api.put("secrets", {"metadata": {"name": "mine", "namespace": "greeter-feature"}})
    outcome = run(kube, APPS[:1])
    assert outcome.changed
    spaces = {key[2] for key in api.objects if key[0] == "namespaces"}
    assert spaces == {"greeter-main", "greeter-feature", ROUTES_NAMESPACE}
    assert {key[0] for key in api.objects if key[1] == "greeter-feature"} == {"secrets"}
    assert not run(kube, APPS[:1]).changed


def test_routes_are_removed_before_what_they_lead_to(kube: Kube, api: FakeApi) -> None:
    run(kube, APPS)
    api.requests.clear()
    run(kube, APPS[:2])
    kinds = [path.split("/")[-2] for _method, path in api.writes]
    inner = [f"{obj['kind'].lower()}s" for obj in reversed(contents("quote-main"))]
    assert kinds == [
        "ingresses",
        "deployments",
        "services",
        *inner,
        "namespaces",
        "configmaps",
    ]


def test_what_is_being_deleted_counts_as_gone(kube: Kube, api: FakeApi) -> None:
    run(kube, APPS)
    for kind in ("services", "ingresses", "deployments"):
        leaving = api.named(kind, "quote-main", "quote")
        leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    api.requests.clear()
    outcome = run(kube, APPS[:2], dry_run=True)
    removed = [change.before["kind"] for change in outcome.changes if change.before]
    assert removed == [*(obj["kind"] for obj in reversed(contents("quote-main"))), "Namespace"]
    run(kube, APPS)
    assert [path.split("/")[-2] for _method, path in api.writes] == [
        "services",
        "deployments",
        "ingresses",
    ]


def test_configurations_stay_as_long_as_a_version_has_them(kube: Kube, api: FakeApi) -> None:
    def history(api: FakeApi, obj: Object) -> None:
        """Keep a ReplicaSet of the last two versions, as the Deployment's controller does."""
        rolled_out_at_once(api, obj)
        if obj["kind"] == "Deployment":
            metadata = {**obj["metadata"], "name": f"rs-{api.version}"}
            api.put("replicasets", {"metadata": metadata, "spec": obj["spec"]})
            kept = sorted(key for key in api.objects if key[0] == "replicasets")
            for key in kept[:-2]:
                del api.objects[key]

    api.version = 100
    api.on_apply = history

    def config(text: str) -> Built:
        return built(config_files=[{"path": "/a", "content": text}])

    def texts() -> set[str]:
        return {
            next(iter(obj["data"].values()))
            for key, obj in api.objects.items()
            if key[0] == "configmaps" and key != NOTES
        }

    for text in ("one", "two"):
        run(kube, [config(text)])
    assert texts() == {"one", "two"}
    run(kube, [config("three")])
    assert texts() == {"two", "three"}
    assert not run(kube, [config("three")]).changed


def test_a_namespace_that_is_being_deleted_is_waited_for(
    kube: Kube, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(kube, APPS[:1])
    leaving = api.named("namespaces", "", "greeter-main")
    leaving["status"] = {"phase": "Terminating"}

    def gone(_seconds: float) -> None:
        for key in [key for key in api.objects if "greeter-main" in key]:
            del api.objects[key]

    monkeypatch.setattr("slipway.waiting.time.sleep", gone)
    assert failures(run(kube, APPS[:1])) == {}
    assert api.named("namespaces", "", "greeter-main")["status"] == {"phase": "Active"}
    assert ("deployments", "greeter-main", "greeter") in api.objects


def test_a_namespace_that_will_not_go_fails_its_apps(
    kube: Kube, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slipway.apps.deploy.deploy.TERMINATION_SECONDS", -1.0)
    run(kube, APPS[:1])
    api.named("namespaces", "", "greeter-main")["status"] = {"phase": "Terminating"}
    outcome = run(kube, APPS)
    assert "its deletion takes longer" in failures(outcome)["greeter-main/greeter"]
    assert list(failures(outcome)) == ["greeter-main/greeter"]


def test_a_dry_run_tells_all_and_stores_nothing(kube: Kube, api: FakeApi) -> None:
    outcome = run(kube, APPS, dry_run=True)
    assert outcome.changed
    assert len(outcome.changes) == 16 + len(rights()) + 3 * len(contents("greeter-main"))
    assert api.objects == {}
    assert api.writes == []


def test_a_dry_run_of_what_is_there_finds_nothing(kube: Kube) -> None:
    run(kube, APPS)
    assert not run(kube, APPS, dry_run=True).changed


def test_a_dry_run_has_the_api_check_what_it_can(kube: Kube, api: FakeApi) -> None:
    run(kube, APPS)
    api.refusals["deployments/quote"] = "containerPort: Invalid value"
    outcome = run(kube, [*APPS[:2], structs.replace(APPS[2], port=0)], dry_run=True)
    assert "containerPort" in failures(outcome)["quote-main/quote"]


def test_a_dry_run_before_the_first_build_counts_as_a_change(kube: Kube) -> None:
    app = sourced()
    outcome = run(kube, [app], dry_run=True)
    assert outcome.changed
    assert failures(outcome) == {}


def test_a_dry_run_tells_what_it_would_remove(kube: Kube, api: FakeApi) -> None:
    run(kube, APPS)
    before = dict(api.objects)
    outcome = run(kube, APPS[:2], dry_run=True)
    removed = {render_change(change)["before_header"] for change in outcome.changes}
    assert removed == {
        "Service quote-main quote",
        "Deployment quote-main quote",
        "Ingress quote-main quote",
        "Namespace quote-main",
        *(f"{obj['kind']} quote-main {obj['metadata']['name']}" for obj in contents("quote-main")),
    }
    assert api.objects == before


def test_a_difference_shows_the_setting_and_not_the_bookkeeping(kube: Kube) -> None:
    run(kube, APPS[:1])
    [change] = run(kube, [structs.replace(APPS[0], replicas=2)]).changes
    shown = render_change(change)
    assert shown["before_header"] == "Deployment greeter-main greeter"
    assert "replicas: 1" in shown["before"]
    assert "replicas: 2" in shown["after"]
    assert "resourceVersion" not in shown["before"] + shown["after"]
    assert "status" not in shown["after"]


DATA: dict[str, Any] = {"volumes": {"data": {"path": "/srv"}}}


def test_a_volume_that_cannot_be_as_it_is_wanted_fails_its_app_before_it_is_rolled(
    kube: Kube, api: FakeApi
) -> None:
    run(kube, [built(**DATA), built("quote")])
    before = api.named("deployments", "greeter-main", "greeter")
    api.refusals["persistentvolumeclaims/greeter-data"] = "only volumes of a class that lets them"
    grown = built(volumes={"data": {"path": "/srv", "size": "9Gi"}}, command=["other"])
    [(failed, why)] = failures(run(kube, [grown, built("quote")])).items()
    assert failed == "greeter-main/greeter"
    assert why.startswith("volume data: only volumes of a class that lets them")
    assert "make data-load" in why
    assert api.named("deployments", "greeter-main", "greeter") == before


def test_it_is_said_which_volumes_stay_and_what_removes_them(
    kube: Kube, api: FakeApi, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = built("quote", volumes={"data": {"path": "/srv", "keep": True}})
    run(kube, [built(**DATA), kept])
    capsys.readouterr()
    for _ in range(2):  # it is told again as long as it is so
        run(kube, [built(), kept])
        assert (
            "greeter (main): volume data is not in apps.yml any more, and stays while the app "
            "does; "
            "kubectl delete pvc --namespace greeter-main greeter-data removes it with its data"
        ) in capsys.readouterr().out
    run(kube, [])
    assert "quote-main/quote: volume data is kept; kubectl delete pvc" in capsys.readouterr().out
    claims = {key for key in api.objects if key[0] == "persistentvolumeclaims"}
    assert claims == {("persistentvolumeclaims", "quote-main", "quote-data")}
    assert ("namespaces", "", "quote-main") in api.objects
    run(kube, [])
    assert "is kept" not in capsys.readouterr().out


@pytest.mark.parametrize("stays", [True, False])
def test_a_volume_does_not_become_another_app_s(kube: Kube, api: FakeApi, stays: bool) -> None:
    """The claim of the volume b-c of the app a has the name of that of c of a-b."""
    volume = {"path": "/srv", "keep": not stays}
    first = built("a", namespace="shop", volumes={"b-c": volume})
    run(kube, [first])
    left = [built("a", namespace="shop")] if stays else []
    second = built("a-b", namespace="shop", volumes={"c": {"path": "/srv"}})
    why = failures(run(kube, [*left, second]))
    assert why == {
        "shop/a-b": "volume c: there is one already, with data of shop/a: its b-c\n"
        "    fix: give it another name; or kubectl delete pvc --namespace shop a-b-c removes it "
        "with its data"
    }
    claim = api.named("persistentvolumeclaims", "shop", "a-b-c")
    assert claim["metadata"]["labels"][APP] == "a"
    api.objects.pop(("persistentvolumeclaims", "shop", "a-b-c"))
    assert not failures(run(kube, [*left, second]))


FROM_MAIN: dict[str, Any] = {"volumes": {"data": {"path": "/srv", "from": {"branch": "main"}}}}


def test_a_new_environment_begins_with_the_data_of_another_branch_once(
    kube: Kube, api: FakeApi, tmp_path: Path
) -> None:
    volumes = Volumes(kube, api, tmp_path)
    main, new = built(**FROM_MAIN), built(branch="next", **FROM_MAIN)
    run(kube, [main], helper=volumes.helper)
    assert not volumes.pods  # the branch itself begins empty
    volumes.has("greeter-main", a="1")
    volumes.has("greeter-next")
    assert not failures(run(kube, [main, new], helper=volumes.helper))
    assert volumes.content("greeter-next") == {"a": "1"}
    kinds = [path.split("/")[-2] for method, path in api.writes if "greeter-next" in path]
    assert kinds.index("pods") < kinds.index("deployments")
    volumes.has("greeter-main", a="2")
    api.requests.clear()
    assert not run(kube, [main, new], helper=volumes.helper).changed
    assert volumes.content("greeter-next") == {"a": "1"}
    assert not api.writes


def test_a_copy_that_broke_off_is_made_again_before_the_app_starts(
    kube: Kube, api: FakeApi, tmp_path: Path
) -> None:
    volumes = Volumes(kube, api, tmp_path)
    main, new = built(**DATA), built(branch="next", **FROM_MAIN)
    run(kube, [main], helper=volumes.helper)
    volumes.has("greeter-main", a="1")
    volumes.has("greeter-next")
    volumes.broken.touch()
    [(failed, why)] = failures(run(kube, [main, new], helper=volumes.helper)).items()
    assert failed == "greeter-next/greeter"
    assert "the connection was lost" in why
    assert ("deployments", "greeter-next", "greeter") not in api.objects
    volumes.broken.unlink()
    assert not failures(run(kube, [main, new], helper=volumes.helper))
    assert volumes.content("greeter-next") == {"a": "1"}
    assert ("deployments", "greeter-next", "greeter") in api.objects


def test_without_data_to_begin_with_a_volume_is_empty_and_that_is_said(
    kube: Kube, api: FakeApi, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    volumes = Volumes(kube, api, tmp_path)
    new = built(branch="next", **FROM_MAIN)
    assert not failures(run(kube, [built(), new], helper=volumes.helper))
    said = capsys.readouterr().out
    assert "greeter (next): volume data begins empty: greeter (main) has none of that name" in said
    assert not volumes.pods
    run(kube, [built(**DATA), new], helper=volumes.helper)
    assert not volumes.pods  # what it has by now is its own


def test_without_a_helper_a_volume_stays_to_be_filled(
    kube: Kube, api: FakeApi, tmp_path: Path
) -> None:
    volumes = Volumes(kube, api, tmp_path)
    main, new = built(**DATA), built(branch="next", **FROM_MAIN)
    run(kube, [main])
    [why] = failures(run(kube, [main, new])).values()
    assert "volume data: is to have the data of greeter (main)" in why
    volumes.has("greeter-main", a="1")
    volumes.has("greeter-next")
    assert not failures(run(kube, [main, new], helper=volumes.helper))
    assert volumes.content("greeter-next") == {"a": "1"}


def test_a_check_copies_nothing(kube: Kube, api: FakeApi, tmp_path: Path) -> None:
    volumes = Volumes(kube, api, tmp_path)
    main, new = built(**DATA), built(branch="next", **FROM_MAIN)
    run(kube, [main], helper=volumes.helper)
    api.requests.clear()
    run(kube, [main, new], helper=volumes.helper, dry_run=True)
    assert not api.writes


def test_what_is_yet_to_get_its_own_data_is_waited_for(
    kube: Kube, api: FakeApi, tmp_path: Path
) -> None:
    volumes = Volumes(kube, api, tmp_path)
    old, main = built(branch="old", **DATA), built()
    run(kube, [old, main], helper=volumes.helper)
    volumes.has("greeter-old", a="1")
    volumes.has("greeter-main")
    volumes.has("greeter-next")
    volumes.broken.touch()
    from_old: dict[str, Any] = {"volumes": {"data": {"path": "/srv", "from": {"branch": "old"}}}}
    main = built(**from_old)
    run(kube, [old, main], helper=volumes.helper)
    new = built(branch="next", **FROM_MAIN)
    failed = failures(run(kube, [old, main, new], helper=volumes.helper))
    assert "that of greeter (main) is yet to get its own data" in failed["greeter-next/greeter"]
    volumes.broken.unlink()
    for _ in range(2):
        outcome = run(kube, [old, main, new], helper=volumes.helper)
    assert not failures(outcome)
    assert volumes.content("greeter-next") == {"a": "1"}
