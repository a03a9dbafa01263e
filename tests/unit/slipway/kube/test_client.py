"""The API client against a real HTTP server."""

from __future__ import annotations

import socket
import tempfile
from pathlib import Path
from typing import Any

import pytest

from slipway.errors import SlipwayError
from slipway.kube.client import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    NAMESPACES,
    PODS,
    ApiError,
    Busy,
    Kube,
    Unreachable,
)
from tests.support.app_cluster import FakeApi

NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "here"}}


def config_map(name: str, **labels: str) -> dict[str, object]:
    metadata = {"name": name, "namespace": "here", "labels": labels}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": "1"}}


def test_paths() -> None:
    assert NAMESPACES.path(name="here") == "/api/v1/namespaces/here"
    assert CONFIG_MAPS.path() == "/api/v1/configmaps"
    assert DEPLOYMENTS.path("here", "it") == "/apis/apps/v1/namespaces/here/deployments/it"


def test_apply_list_get_delete(kube: Kube) -> None:
    kube.apply(NAMESPACE)
    kube.apply(config_map("one", team="a"))
    kube.apply(config_map("two", team="b"))

    found = kube.list(CONFIG_MAPS, labels="team=b").items
    assert [(item["kind"], item["metadata"]["name"]) for item in found] == [("ConfigMap", "two")]
    one = kube.get(CONFIG_MAPS, "one", "here")
    assert one is not None
    assert one["data"] == {"a": "1"}
    assert kube.delete(CONFIG_MAPS, "one", "here")
    assert not kube.delete(CONFIG_MAPS, "one", "here")
    assert kube.get(CONFIG_MAPS, "one", "here") is None


@pytest.mark.parametrize("letter", ["x", "\u041b", "\u4e2d", "\U0001f6a2"])
def test_a_config_map_may_be_full_of_any_letter(kube: Kube, letter: str) -> None:
    kube.apply(NAMESPACE)
    text = letter * ((1 << 20) // len(letter.encode()))
    kube.apply({**config_map("full"), "data": {"a": text}})
    found = kube.get(CONFIG_MAPS, "full", "here")
    assert found
    assert found["data"] == {"a": text}


def test_dry_run_stores_nothing(kube: Kube, api: FakeApi) -> None:
    assert kube.apply(NAMESPACE, dry_run=True)["metadata"]["name"] == "here"
    assert api.objects == {}
    assert api.writes == []


def test_a_merge_changes_what_it_says_and_nothing_else(kube: Kube, api: FakeApi) -> None:
    metadata = {"name": "it", "namespace": "here", "generation": 1}
    api.put("deployments", {"metadata": metadata, "spec": {"replicas": 2, "paused": True}})
    after = kube.merge(DEPLOYMENTS, "it", "here", {"spec": {"replicas": 0}})
    assert after["spec"] == {"replicas": 0, "paused": True}
    with pytest.raises(ApiError, match="not found"):
        kube.merge(DEPLOYMENTS, "none", "here", {"spec": {"replicas": 0}})


def test_refusal_tells_the_apis_reason(kube: Kube, api: FakeApi) -> None:
    api.refusals["namespaces/here"] = "not on a Sunday"
    with pytest.raises(ApiError, match=r"/api/v1/namespaces/here: not on a Sunday") as caught:
        kube.apply(NAMESPACE)
    assert caught.value.status == 422


def test_a_kind_that_the_api_does_not_know_is_not_written(kube: Kube) -> None:
    pool = {"apiVersion": "metallb.io/v1beta1", "kind": "IPAddressPool", "metadata": {"name": "a"}}
    with pytest.raises(ApiError, match=r"IPAddressPool a: .* does not know"):
        kube.apply(pool)


def test_watch_follows_a_list(kube: Kube, api: FakeApi) -> None:
    kube.apply(NAMESPACE)
    version = kube.list(CONFIG_MAPS).version
    assert list(kube.watch(CONFIG_MAPS, since=version, seconds=0)) == []
    kube.apply(config_map("new"))
    seen = [obj["metadata"]["name"] for obj in kube.watch(CONFIG_MAPS, since=version, seconds=5)]
    assert seen == ["new"]


def test_log_of_either_run(kube: Kube, api: FakeApi) -> None:
    pod = {"metadata": {"name": "p", "namespace": "here"}}
    api.logs["p", True] = "before\n"
    assert kube.log(pod, "c", lines=5) == ""
    assert kube.log(pod, "c", lines=5, previous=True) == "before\n"


def test_an_api_that_is_not_there_is_named_with_the_reason(kubeconfig: Path, server: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        gone = f"http://127.0.0.1:{free.getsockname()[1]}"
    kubeconfig.write_text(kubeconfig.read_text().replace(server, gone))
    with Kube(kubeconfig) as kube, pytest.raises(Unreachable) as caught:
        kube.list(PODS)
    [problem] = caught.value.problems
    assert problem.where == gone
    assert problem.what.endswith("connection refused")
    assert "make up" in problem.fix


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the API asked again at once, and for a moment only."""
    monkeypatch.setattr("slipway.kube.client.AGAIN_PAUSE", 0.01)
    monkeypatch.setattr("slipway.kube.client.AGAIN_SECONDS", 0.2)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("breaks", [1, 2, 3])
def test_an_api_that_breaks_off_is_read_and_written_again(
    kube: Kube, api: FakeApi, breaks: int
) -> None:
    api.breaks = breaks
    kube.apply(NAMESPACE)
    assert len(api.writes) == breaks + 1
    api.breaks = breaks
    assert [obj["metadata"]["name"] for obj in kube.list(NAMESPACES).items] == ["here"]


@pytest.mark.usefixtures("impatient")
def test_an_api_that_cannot_just_now_is_asked_again(kube: Kube, api: FakeApi) -> None:
    api.busy = 2
    kube.apply(NAMESPACE)
    assert [obj["metadata"]["name"] for obj in kube.list(NAMESPACES).items] == ["here"]
    api.busy = 1000
    with pytest.raises(Busy) as caught:
        kube.list(NAMESPACES)
    assert caught.value.status == 503


@pytest.mark.usefixtures("impatient")
def test_what_is_deleted_is_not_deleted_twice(kube: Kube, api: FakeApi) -> None:
    kube.apply(NAMESPACE)
    api.breaks = 1
    with pytest.raises(Unreachable):
        kube.delete(NAMESPACES, "here")
    assert [method for method, _path in api.writes] == ["PATCH", "DELETE"]


@pytest.mark.usefixtures("impatient")
def test_an_api_that_breaks_off_for_long_is_given_up(kube: Kube, api: FakeApi) -> None:
    api.breaks = 1_000_000
    with pytest.raises(Unreachable, match="does not answer"):
        kube.list(PODS)
    assert len(api.requests) > 3


@pytest.mark.usefixtures("impatient")
def test_a_watch_that_breaks_off_ends(kube: Kube, api: FakeApi) -> None:
    version = kube.list(NAMESPACES).version
    kube.apply(NAMESPACE)
    api.breaks = 2
    assert list(kube.watch(NAMESPACES, since=version, seconds=5)) == []


def test_an_api_that_was_there_is_waited_for(
    kube: Kube, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    kube.apply(NAMESPACE)
    opened = kube._open
    refusals = iter([kube._unreachable(ConnectionRefusedError("refused"))] * 3)

    def refuse(*arguments: Any, **options: Any) -> Any:
        for refusal in refusals:
            raise refusal
        return opened(*arguments, **options)

    monkeypatch.setattr(kube, "_open", refuse)
    monkeypatch.setattr("slipway.kube.client.AGAIN_PAUSE", 0.01)
    assert kube.get(NAMESPACES, "here")


def test_a_kubeconfig_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SlipwayError, match="there is no such kubeconfig"):
        Kube(tmp_path / "missing")


@pytest.mark.parametrize("text", ["", "clusters: 3", "current-context: gone\ncontexts: []", "{"])
def test_a_kubeconfig_that_cannot_be_used(tmp_path: Path, text: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(text)
    with pytest.raises(SlipwayError, match="cannot be used"):
        Kube(path)


def test_no_key_is_left_behind(
    kubeconfig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "tmp"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    kubeconfig.write_text(kubeconfig.read_text().replace("http:", "https:"))
    with Kube(kubeconfig) as kube:
        assert list(place.iterdir()) == []
        assert Path(kube._api.configuration.key_file).read_bytes() == b"key"
        assert Path(kube._api.configuration.cert_file).read_bytes() == b"cert"
    assert not Path(kube._api.configuration.key_file).exists()


def test_a_part_of_an_object_is_applied_where_the_api_takes_it(kube: Kube, api: FakeApi) -> None:
    kind, plural, version = "Widget", "widgets", "example.org/v1"
    api.kinds[version] = [(kind, plural, False)]
    kube.apply({"apiVersion": version, "kind": kind, "metadata": {"name": "a"}}, part="approval")
    assert api.writes == [("PATCH", f"/apis/{version}/{plural}/a/approval")]


def test_a_kubelet_is_asked_by_way_of_the_api_server(kube: Kube, api: FakeApi) -> None:
    api.put("nodes", {"metadata": {"name": "worker"}})
    assert kube.kubelet("worker", "/healthz")
    assert api.requests == [("GET", "/api/v1/nodes/worker/proxy/healthz")]


def test_files_that_a_kubeconfig_names_are_found_beside_it(
    tmp_path: Path, kubeconfig: Path
) -> None:
    (tmp_path / "admin.key").write_bytes(b"of a file")
    text = kubeconfig.read_text().replace('"client-key-data": "a2V5"', '"client-key": "admin.key"')
    kubeconfig.write_text(text.replace("http:", "https:"))
    with Kube(kubeconfig) as kube:
        assert Path(kube._api.configuration.key_file).read_bytes() == b"of a file"
