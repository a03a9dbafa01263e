"""The action that has the images of apps, and of what their manifests name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from plugins.action.apps_build import ActionModule
from slipway.apps.app import BuildxBuild, Built, images_of, load, save
from slipway.apps.builders.order import Order
from slipway.oci import ImageConfig, ImageStore, layer_from_tree
from tests.support.apps import sourced
from tests.support.fake_ansible import action

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "cache"},
    "spec": {"containers": [{"name": "redis", "image": "redis:8"}]},
}


@pytest.fixture
def arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """An app of an image, with a manifest that names another, and a registry that has all."""

    def fetch(_self: object, order: Order[BuildxBuild]) -> Path:
        store = ImageStore(order.scratch / "store")
        text = (order.checkout / "Dockerfile").read_bytes()
        store.add_image("build.test/image:1", [layer_from_tree({"from": text})], ImageConfig())
        return store.root

    monkeypatch.setattr("slipway.apps.builders.buildx.Buildx.build", fetch)
    monkeypatch.setattr("slipway.apps.builders.reference.check", lambda *_: None)
    build = {"tool": "image", "ref": "r.test/web:1"}
    app = sourced("web", git_url="", build=build, manifests=[{"content": json.dumps(POD)}])
    return {
        "apps": save([app], tmp_path),
        "cache": str(tmp_path / "cache"),
        "cluster": "one",
        "bundle": str(tmp_path),
        "bundles": {},
        "maven_images": {"21": "bundle.slipway.internal/maven:21"},
        "helm_image": "bundle.slipway.internal/python:3.13",
        "project": str(tmp_path),
        "versions": {"kubernetes": "1.36.3"},
    }


def test_the_cluster_claims_what_manifests_name(arguments: dict[str, Any]) -> None:
    result = action(ActionModule, arguments).run()
    apps = load(result["apps"])
    [app] = apps
    assert isinstance(app, Built)
    assert [each.named for each in app.carried] == ["redis:8"]
    claimed = json.loads(Path(arguments["cache"], "clusters/one.json").read_text())["images"]
    assert claimed == sorted(images_of(apps)) == result["built"]
    assert len(claimed) == 2
    again = action(ActionModule, arguments).run()
    assert (again["changed"], load(again["apps"])) == (False, apps)


def test_a_check_says_which_apps_wait_for_an_image_of_their_manifests(
    arguments: dict[str, Any], tmp_path: Path
) -> None:
    [app] = load(arguments["apps"])
    action(ActionModule, {**arguments, "apps": save([_without(app)], tmp_path)}).run()
    (tmp_path / "images").mkdir()
    foreseen = action(ActionModule, arguments, check=True).run()
    assert (foreseen["changed"], foreseen["pending"]) == (True, [app.id])
    [waiting] = load(foreseen["apps"])
    assert isinstance(waiting, Built)
    assert [each.image for each in waiting.carried] == [""]
    assert not Path(arguments["cache"], "named-images").exists()


def _without(app: Any) -> Any:
    """The app without its manifests."""
    app.manifests = []
    return app
