"""The action that keeps house, over a cluster and a cache."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from plugins.action.apps_prune import ActionModule
from slipway.apps.app import save
from slipway.cache.claims import Claimant
from slipway.cache.layout import CacheLayout
from slipway.oci import ImageConfig, ImageStore, layer_from_tree
from tests.support.app_cluster import FakeApi
from tests.support.apps import built
from tests.support.fake_ansible import action
from tests.support.workloads import deployment, ref, replica_set


@pytest.fixture
def arguments(tmp_path: Path, kubeconfig: Path, api: FakeApi) -> dict[str, Any]:
    """A cluster that runs version 2, once ran version 1, and is to get version 3."""
    store = ImageStore(tmp_path / "cache/images")
    for version in (1, 2, 3):
        layers = [layer_from_tree({"/app": bytes(version * 1000)})]
        store.add_image(ref(version), layers, ImageConfig())
    api.put("deployments", deployment(2))
    for obj in (replica_set(1, 1), replica_set(2, 2, replicas=1)):
        api.put("replicasets", obj)
    return {
        "cache": str(tmp_path / "cache"),
        "cluster": "one",
        "kubeconfig": str(kubeconfig),
        "bundles": {"amd64": str(tmp_path / "cache/bundle/0123")},
        "apps": save([built(image=ref(3))], tmp_path),
    }


def run(arguments: dict[str, Any], **mode: bool) -> dict[str, Any]:
    result: dict[str, Any] = action(ActionModule, arguments, **mode).run()
    return result


def test_what_the_cluster_gave_up_goes_and_nodes_are_told(arguments: dict[str, Any]) -> None:
    cache = Path(arguments["cache"])
    cluster = Claimant(CacheLayout(cache), arguments["cluster"])
    cluster.claim([ref(1), ref(2)], [], [*map(Path, arguments["bundles"].values())])
    size = sum(
        (cache / "images/blobs/sha256").joinpath(name).stat().st_size for name in _own(cache)
    )
    foreseen = run(arguments, check=True, diff=True)
    assert (foreseen["removed"], foreseen["bytes_freed"]) == ([ref(1)], size)
    assert foreseen["diff"]["before"] == f"{ref(1)}\n"
    assert ref(1) in ImageStore(cache / "images").images()
    result = run(arguments)
    assert (result["changed"], result["removed"], result["bytes_freed"]) == (True, [ref(1)], size)
    assert (result["keep"], result["prune_prefix"]) == ([ref(2), ref(3)], "apps.slipway.internal/")
    assert sorted(ImageStore(cache / "images").images()) == [ref(2), ref(3)]
    again = run(arguments)
    assert (again["changed"], again["removed"], again["bytes_freed"]) == (False, [], 0)


def _own(cache: Path) -> list[str]:
    """The blobs that version 1 alone has."""
    images = ImageStore(cache / "images").images()
    others = {digest for name in (ref(2), ref(3)) for digest in images[name].blobs}
    return [digest[7:] for digest in images[ref(1)].blobs if digest not in others]


def test_a_check_without_a_cluster_foresees_nothing(
    arguments: dict[str, Any], tmp_path: Path
) -> None:
    for lacking in ({"cache": str(tmp_path / "none")}, {"kubeconfig": str(tmp_path / "none")}):
        assert run({**arguments, **lacking}, check=True)["changed"] is False
    assert not (tmp_path / "none").exists()


def test_a_check_claims_nothing(arguments: dict[str, Any]) -> None:
    claims = Path(arguments["cache"], "clusters/one.json")
    run(arguments, check=True)
    assert not claims.parent.exists()
    run(arguments)
    assert json.loads(claims.read_text())["images"] == [ref(2), ref(3)]
