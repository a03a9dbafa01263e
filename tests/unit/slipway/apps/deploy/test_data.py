"""Data of apps in the cluster, saved and loaded with the app stopped meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from plugins.action import apps_data
from slipway.apps.deploy.data import Stored, find, load, look, save
from slipway.apps.deploy.deploy import deploy
from slipway.apps.manifests.labels import APP, NAME
from slipway.errors import SlipwayError
from slipway.kube.client import Kube, Object
from tests.support.app_cluster import FakeApi
from tests.support.apps import built
from tests.support.fake_ansible import action
from tests.support.volumes import Volumes, keeper

REPORT = {"command": ["report"], "schedule": "@daily"}
SPACE = "greeter-main"


@pytest.fixture
def volumes(kube: Kube, api: FakeApi, tmp_path: Path) -> Volumes:
    """A cluster with apps that have a volume, or several, or none."""
    made = Volumes(kube, api, tmp_path)
    several = {"volumes": {"data": {"path": "/srv"}, "logs": {"path": "/logs"}}}
    apps = [
        keeper(jobs={"report": REPORT}),
        keeper("several", **several),
        built("none"),
    ]
    settings: dict[str, Any] = {"secrets": {}, "ca_dir": Path("/none"), "seconds": 10}
    assert not any(app.failed for app in deploy(kube, apps, "nginx", say=print, **settings).apps)
    made.replicas.clear()
    return made


def stored(kube: Kube, app: str = "greeter", branch: str = "", volume: str = "") -> Stored:
    return find(kube, app, branch, volume, command="make data-save")


def test_the_app_is_stopped_and_runs_again(
    kube: Kube, api: FakeApi, volumes: Volumes, tmp_path: Path
) -> None:
    suspended: list[bool] = []
    on_apply = api.on_apply

    def noted(api: FakeApi, obj: Object) -> None:
        if obj["kind"] == "CronJob":
            suspended.append(obj["spec"]["suspend"])
        on_apply(api, obj)

    api.on_apply = noted
    volumes.has(SPACE, a="1")
    save(stored(kube), volumes.helper, tmp_path / "a", 5)
    assert (volumes.replicas, suspended) == ([0, 1], [True, False])
    volumes.has(SPACE, a="2", b="3")
    load(stored(kube), volumes.helper, tmp_path / "a", look(tmp_path / "a", print), 5)
    assert volumes.content(SPACE) == {"a": "1"}
    assert (volumes.replicas, suspended) == ([0, 1] * 2, [True, False] * 2)


def test_the_app_runs_again_when_it_could_not_be_done(
    kube: Kube, volumes: Volumes, tmp_path: Path
) -> None:
    volumes.has(SPACE, a="1")
    volumes.broken.touch()
    with pytest.raises(SlipwayError, match="the connection was lost"):
        save(stored(kube), volumes.helper, tmp_path / "a", 5)
    assert volumes.replicas == [0, 1]
    assert not (tmp_path / "a").exists()


def test_what_still_has_the_volume_is_waited_for_and_named(
    kube: Kube, api: FakeApi, volumes: Volumes, tmp_path: Path
) -> None:
    source = {"name": "v", "persistentVolumeClaim": {"claimName": "greeter-data"}}
    meta = {"name": "report-1", "namespace": SPACE}
    api.put("pods", {"metadata": meta, "spec": {"volumes": [source]}, "status": {}})
    with pytest.raises(SlipwayError, match=r"is still in use after 0 s, by Pod report-1\n"):
        save(stored(kube), volumes.helper, tmp_path / "a", 0)
    assert volumes.replicas == [0, 1]
    assert not volumes.pods


def test_a_file_that_is_there_is_refused_before_the_app_is_stopped(
    kube: Kube, volumes: Volumes, tmp_path: Path
) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(SlipwayError, match="is there already"):
        save(stored(kube), volumes.helper, tmp_path / "a", 5)
    assert not volumes.replicas


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("greter",), "did you mean greeter"),
        (("greeter", "min"), "there is main"),
        (("none",), "none (main) has none"),
        (("several",), "several (main) has data, logs"),
        (("several", "", "lgos"), "has no volume of that name; it has data, logs"),
    ],
)
def test_who_is_meant_has_to_be_clear(
    asked: tuple[str, ...], said: str, kube: Kube, volumes: Volumes
) -> None:
    with pytest.raises(SlipwayError) as told:
        stored(kube, *asked)
    assert said in str(told.value)


@pytest.mark.parametrize("labels", [{}, {NAME: "greeter", APP: None}])
def test_a_copy_of_a_claim_is_not_taken_for_it(
    labels: dict[str, str | None], kube: Kube, api: FakeApi, volumes: Volumes
) -> None:
    claim = api.named("persistentvolumeclaims", SPACE, "greeter-data")
    worn = {k: v for k, v in {**claim["metadata"]["labels"], **labels}.items() if v}
    copy = {**claim, "metadata": {**claim["metadata"], "name": "greeter-old", "labels": worn}}
    api.put("persistentvolumeclaims", copy)
    assert stored(kube, volume="data").volume.name == "greeter-data"
    assert stored(kube, volume="greeter-old").volume.name == "greeter-old"


def test_the_volume_of_several_is_named(kube: Kube, volumes: Volumes) -> None:
    assert stored(kube, "several", "main", "logs").volume.name == "several-logs"
    assert stored(kube).title == "greeter (main), volume data"


@pytest.mark.parametrize("check", [False, True])
def test_the_module_saves_and_loads(
    check: bool, volumes: Volumes, kubeconfig: Path, tmp_path: Path
) -> None:
    volumes.has(SPACE, a="1")
    (tmp_path / "bundle/bin").mkdir(parents=True)
    volumes.helper.kubectl.rename(tmp_path / "bundle/bin/kubectl")
    args = {
        "kubeconfig": str(kubeconfig),
        "bundle": str(tmp_path / "bundle"),
        "image": "python:1",
        "app": "greeter",
        "branch": "main",
        "volume": "data",
        "file": str(tmp_path / "a"),
        "timeout": 5,
    }
    result = action(apps_data.ActionModule, {**args, "state": "saved"}, check=check).run()
    assert result["claim"] == f"{SPACE}/greeter-data", result
    assert (tmp_path / "a").exists() is not check
    missing = action(apps_data.ActionModule, {**args, "state": "loaded"}, check=check).run()
    assert missing.get("failed", False) is check
    assert volumes.content(SPACE) == {"a": "1"}
    assert volumes.replicas == ([] if check else [0, 1] * 2)
