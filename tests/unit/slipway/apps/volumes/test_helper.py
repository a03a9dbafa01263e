"""The pod beside a volume: who it is, where, how long, and what it moves."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from slipway.apps.manifests.pod import identity
from slipway.apps.volumes import helper as helpers
from slipway.apps.volumes.archive import contents, copied, written
from slipway.apps.volumes.helper import Volume
from slipway.errors import SlipwayError
from slipway.kube.client import PODS, Kube, Object
from tests.support.app_cluster import FakeApi, Hook
from tests.support.volumes import Volumes, keeper


@pytest.fixture
def volumes(kube: Kube, api: FakeApi, tmp_path: Path) -> Volumes:
    for name in ("one", "two"):
        api.put("namespaces", {"metadata": {"name": name}})
    return Volumes(kube, api, tmp_path)


def volume(namespace: str, **security: Any) -> Volume:
    claim = {
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "greeter-data", "namespace": namespace},
    }
    return Volume(claim, {**identity(keeper()), **security}, {"disk": "ssd"})


def test_what_is_in_one_volume_is_in_the_other(volumes: Volumes, api: FakeApi) -> None:
    volumes.has("one", a="1", b="2")
    volumes.has("two", c="3")
    volumes.helper.copy(volume("one"), volume("two"))
    assert volumes.content("two") == {"a": "1", "b": "2"}
    assert [each["metadata"]["namespace"] for each in volumes.pods] == ["one", "two"]
    assert not [key for key in api.objects if key[0] == "pods"]


def test_a_volume_comes_back_from_a_file(volumes: Volumes, tmp_path: Path) -> None:
    folder = volumes.has("one", a="1")
    path = tmp_path / "data.tar.zst"
    with written(path) as target:
        volumes.helper.save(volume("one"), target)
    (folder / "a").write_text("2")
    volumes.helper.load(volume("one"), path, contents(path))
    assert volumes.content("one") == {"a": "1"}
    assert not volumes.said
    calls = [json.loads(line) for line in volumes.log.read_text().splitlines()]
    assert ["--stdin" in call for call in calls] == [False, True]


def test_what_is_left_out_is_told(volumes: Volumes) -> None:
    (volumes.has("one") / "out").symlink_to("/etc")
    volumes.helper.save(volume("one"), io.BytesIO())
    [line] = volumes.said
    assert line.startswith("one/greeter-data: left out 1, as no file, folder or link")
    assert "'data/out'" in line


def test_the_pod_may_no_more_than_the_app_s_own(volumes: Volumes) -> None:
    volumes.has("one")
    volumes.helper.save(volume("one"), io.BytesIO())
    [pod] = volumes.pods
    spec = pod["spec"]
    assert spec["securityContext"] == identity(keeper())
    assert spec["nodeSelector"] == {"disk": "ssd"}
    assert spec["automountServiceAccountToken"] is False
    assert (spec["restartPolicy"], spec["activeDeadlineSeconds"]) == ("Never", 24 * 3600)
    [container] = spec["containers"]
    assert container["image"] == "python:1"
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    compile(container["env"][0]["value"], "program", "exec")


def test_root_s_pod_keeps_owners(volumes: Volumes) -> None:
    volumes.has("one")
    volumes.helper.save(volume("one", runAsUser=0), io.BytesIO())
    [container] = volumes.pods[0]["spec"]["containers"]
    assert container["securityContext"]["capabilities"]["add"] == [
        *("CHOWN", "DAC_OVERRIDE", "FOWNER")
    ]


def test_it_is_where_the_volume_is_in_use(volumes: Volumes, api: FakeApi) -> None:
    volumes.has("one")
    source = {"name": "v", "persistentVolumeClaim": {"claimName": "greeter-data"}}
    for name, phase, node in (("a", "Succeeded", "old"), ("b", "Running", "here")):
        spec = {"nodeName": node, "volumes": [{"name": "t", "emptyDir": {}}, source]}
        meta = {"name": name, "namespace": "one"}
        api.put("pods", {"metadata": meta, "spec": spec, "status": {"phase": phase}})
    volumes.helper.save(volume("one"), io.BytesIO())
    spec = volumes.pods[0]["spec"]
    assert spec["nodeName"] == "here"
    assert "nodeSelector" not in spec


def test_why_it_broke_off_is_told_and_no_pod_is_left(volumes: Volumes, api: FakeApi) -> None:
    volumes.has("one", a="1")
    volumes.has("two", c="3")
    volumes.broken.touch()
    with pytest.raises(SlipwayError, match="the connection was lost"):
        volumes.helper.save(volume("one"), io.BytesIO())
    with pytest.raises(SlipwayError, match="the connection was lost"):
        volumes.helper.copy(volume("one"), volume("two"))
    assert volumes.content("two") == {"c": "3"}
    assert not [key for key in api.objects if key[0] == "pods"]


def test_what_cannot_be_loaded_leaves_the_volume_as_it_was(
    volumes: Volumes, tmp_path: Path
) -> None:
    volumes.has("one", a="1")
    path = tmp_path / "data.tar.zst"
    with written(path) as target:
        volumes.helper.save(volume("one"), target)
    found = contents(path)
    path.unlink()
    with written(path) as target:
        target.write(b"something else by now")
    volumes.has("one", a="2")
    with pytest.raises(SlipwayError, match=r"it last said\n.*it is no"):
        volumes.helper.load(volume("one"), path, found)
    assert volumes.content("one") == {"a": "2"}


def with_status(status: dict[str, str]) -> Hook:
    """What has each pod be in a state at once."""

    def hook(api: FakeApi, obj: Object) -> None:
        api.put("pods", {**obj, "status": status})

    return hook


def test_a_pod_that_does_not_start_says_why(
    volumes: Volumes, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(helpers, "START_SECONDS", 0.3)
    failed = {"phase": "Failed", "reason": "Evicted", "message": "the node has no room"}
    api.on_apply = with_status(failed)
    with pytest.raises(SlipwayError, match="Evicted: the node has no room"):
        volumes.helper.save(volume("one"), io.BytesIO())
    claim = volume("one").claim
    api.put("persistentvolumeclaims", {**claim, "spec": {}, "status": {"phase": "Pending"}})
    api.on_apply = with_status({})
    with pytest.raises(SlipwayError, match="does not run after 0 s; claim greeter-data is not"):
        volumes.helper.save(volume("one"), io.BytesIO())


def test_a_pod_that_a_killed_run_left_is_made_anew(
    volumes: Volumes, kube: Kube, api: FakeApi
) -> None:
    volumes.has("one")
    volumes.helper.save(volume("one"), io.BytesIO())
    left = {**volumes.pods[0], "status": {}}
    left["spec"] = {**left["spec"], "restartPolicy": "Always"}
    kube.apply(left)
    api.requests.clear()
    volumes.helper.save(volume("one"), io.BytesIO())
    assert [method for method, _path in api.writes] == ["DELETE", "PATCH", "DELETE"]
    assert volumes.pods[-1]["spec"]["restartPolicy"] == "Never"
    assert not kube.list(PODS).items


def test_copied_says_what_it_was(tmp_path: Path) -> None:
    with pytest.raises(SlipwayError, match="the data: it is not whole"):
        copied(io.BytesIO(b"x" * 100), io.BytesIO())
