"""Filters, called and as templates use them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2
import pytest

from plugins.filter import bundle_file, image_digest, images_for_node
from slipway.oci import ImageConfig, ImageStore, layer_from_tree

REF = "apps.slipway.internal/greeter:main"


def rendered(expression: str, **names: Any) -> Any:
    """The value of an expression."""
    environment = jinja2.Environment(autoescape=False)
    for module in (bundle_file, image_digest, images_for_node):
        environment.filters.update(module.FilterModule().filters())
    return environment.compile_expression(expression)(**names)


def test_files_of_the_bundle_become_entries_for_node_config() -> None:
    assert rendered("['kubeadm'] | map('bundle_file', '/b', 'bin', '/usr/local/bin') | list") == [
        {"path": "/usr/local/bin/kubeadm", "source": "/b/bin/kubeadm", "mode": "0755"}
    ]


def test_an_image_s_digest_is_that_of_its_manifest(tmp_path: Path) -> None:
    store = ImageStore(tmp_path)
    image = store.add_image(REF, [layer_from_tree({"/a": b"a"})], ImageConfig())
    assert image.manifest_digest.startswith("sha256:")
    assert rendered(f"'{REF}' | image_digest(store)", store=str(tmp_path)) == image.manifest_digest


def test_an_image_that_is_not_in_the_store_has_no_digest(tmp_path: Path) -> None:
    assert rendered(f"'{REF}' | image_digest(store)", store=str(tmp_path / "none")) == ""
    assert list(tmp_path.iterdir()) == []


def app(image: str | None, selector: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    """As much of an app record as counts here; without an image it was not built."""
    return {"node_selector": selector or {}, **({"image": image} if image else {}), **more}


APPS = [
    app("b:1"),
    app("a:1", {"disk": "ssd"}),
    app("c:1", {"disk": "ssd", "zone": "1"}),
    app("b:1"),
    app(None),
    app("d:1", failed={"step": "build", "reason": "no"}),
]


@pytest.mark.parametrize(
    ("labels", "images"),
    [
        ({}, ["b:1"]),
        ({"disk": "hdd", "zone": "1"}, ["b:1"]),
        ({"disk": "ssd"}, ["a:1", "b:1"]),
        ({"disk": "ssd", "zone": "1", "more": ""}, ["a:1", "b:1", "c:1"]),
    ],
)
def test_a_node_gets_the_images_that_may_run_there(
    labels: dict[str, str], images: list[str]
) -> None:
    node = {"labels": labels, "schedulable": True}
    assert rendered("apps | images_for_node(node)", apps=APPS, node=node) == images


def test_a_node_that_takes_no_pods_gets_no_images() -> None:
    node = {"labels": {"disk": "ssd"}, "schedulable": False}
    assert rendered("apps | images_for_node(node)", apps=APPS, node=node) == []
