"""Images for nodes of several processors: one reference, and what cannot be had for some."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from slipway.apps.app import App, Built, advanced
from slipway.apps.builders.architectures import Images, Kinds
from slipway.apps.placement import ARCHITECTURE
from slipway.architecture import Architecture
from slipway.oci import ImageConfig, ImageStore, layer_from_tree
from tests.support.apps import planned, reason, sourced

AMD64, ARM64 = Architecture.AMD64, Architecture.ARM64
NODES = {"big": AMD64, "small": ARM64, "tiny": ARM64}


class Builds:
    """Builds of each kind, by the words that apps have in ``env``: what is not to work."""

    def __init__(self, root: Path, nodes: dict[str, Architecture]) -> None:
        kinds = sorted({*nodes.values()})
        self.root = root
        self.nodes = nodes
        self.stores = {kind: ImageStore(root / kind, kind.platform) for kind in kinds}
        self.said: list[str] = []
        self.asked: list[tuple[str, Architecture]] = []
        self.fails: dict[Architecture, list[str]] = {}
        self.known: set[Architecture] = set()
        """For which kinds nothing has to be built, as it was before."""
        self.alike = False
        """Whether an image is the same for all kinds, as far as its tag says."""
        self.waits: Callable[[Architecture], bool] = lambda _kind: False
        """Whether a check has still to build for a kind."""

    def images(self, *apps: App, check: bool = False) -> Images:
        """What a run gets."""
        kinds = Kinds(self.nodes, self.stores, self._build, self.said.append, check)
        return kinds.images(apps)

    def _build(self, kind: Architecture, apps: list[App]) -> Images:
        images = [self._made(kind, app) for app in apps]
        pending = [app.id for app in images if not app.failed and not isinstance(app, Built)]
        found = [app.image for app in images if isinstance(app, Built)]
        built = [] if kind in self.known else found
        return Images(images, built, pending)

    def _made(self, kind: Architecture, app: App) -> App:
        self.asked.append((app.name, kind))
        if app.failed or self.waits(kind):
            return app
        if app.name in self.fails.get(kind, []):
            app.fail("build", "has no image for it")
            return app
        ref = f"apps.slipway.internal/{app.name}:main-{'all' if self.alike else kind}"
        layers = [layer_from_tree({"/app": kind.encode()})]
        self.stores[kind].add_image(ref, layers, ImageConfig(architecture=kind))
        return advanced(app, Built, image=ref)


@pytest.fixture
def builds(tmp_path: Path) -> Builds:
    return Builds(tmp_path, NODES)


def only(images: Images) -> Built:
    [app] = images.apps
    assert isinstance(app, Built), app
    return app


def test_each_kind_of_node_has_its_image_under_the_same_reference(builds: Builds) -> None:
    images = builds.images(sourced("web"))
    app = only(images)
    stored = [store.get(app.image) for store in builds.stores.values()]
    assert [image.platform for image in stored if image] == ["linux/amd64", "linux/arm64"]
    assert all([*store.images()] == [app.image] for store in builds.stores.values())
    assert (images.built, images.pending, app.node_selector) == ([app.image], [], {})
    assert builds.said == []


def test_what_is_built_again_has_the_same_reference_and_other_content_another(
    builds: Builds,
) -> None:
    first = only(builds.images(sourced("web"))).image
    assert only(builds.images(sourced("web"))).image == first
    builds.alike = True
    assert only(builds.images(sourced("web"))).image != first


@pytest.mark.parametrize("kind", [AMD64, ARM64])
def test_what_is_built_for_one_kind_alone_is_a_built_image(
    builds: Builds, kind: Architecture
) -> None:
    builds.known = {*builds.stores} - {kind}
    images = builds.images(sourced("web"))
    assert images.built == [only(images).image]
    builds.known = {*builds.stores}
    assert builds.images(sourced("web")).built == []


def test_what_another_cluster_has_of_one_kind_keeps_its_reference(builds: Builds) -> None:
    """The cache is one for all, and its nodes are of that kind alone."""
    alone = Builds(builds.root, {"big": AMD64})
    its = only(alone.images(sourced("web"))).image
    ours = only(builds.images(sourced("web"))).image
    assert {*builds.stores[AMD64].images()} == {its, ours}
    assert {*builds.stores[ARM64].images()} == {ours}


def test_apps_with_the_same_image_have_the_same_reference(builds: Builds) -> None:
    one, other = builds.images(sourced("web"), sourced("web", id="other")).apps
    assert isinstance(one, Built)
    assert isinstance(other, Built)
    assert one.image == other.image


def test_a_reference_that_all_kinds_have_is_left_as_it_is(builds: Builds) -> None:
    builds.alike = True
    assert only(builds.images(sourced("web"))).image == "apps.slipway.internal/web:main-all"


def test_one_kind_of_node_has_what_its_build_says(tmp_path: Path) -> None:
    builds = Builds(tmp_path, {"small": ARM64})
    app = only(builds.images(sourced("web")))
    assert (app.image, app.node_selector) == ("apps.slipway.internal/web:main-arm64", {})


def test_what_cannot_be_built_for_a_kind_runs_on_the_other_nodes_and_that_is_said(
    builds: Builds,
) -> None:
    builds.fails = {ARM64: ["web"]}
    app = only(builds.images(sourced("web", node_selector={"disk": "ssd"})))
    assert not app.failed
    assert app.image == "apps.slipway.internal/web:main-amd64"
    assert app.node_selector == {"disk": "ssd", ARCHITECTURE: "amd64"}
    assert builds.said == [
        "web (main): has no image for arm64, so it does not run on small, tiny: has no image for it"
    ]


def test_what_cannot_be_built_for_any_kind_fails(builds: Builds) -> None:
    builds.fails = {AMD64: ["web"], ARM64: ["web"]}
    images = builds.images(sourced("web"), sourced("shop"))
    assert reason(images.apps[0]) == "has no image for it"
    assert isinstance(images.apps[1], Built)
    assert images.built == [images.apps[1].image]
    assert builds.said == []


def test_what_is_for_one_kind_is_built_for_that_alone(builds: Builds) -> None:
    app = only(builds.images(sourced("web", node_selector={ARCHITECTURE: "arm64"})))
    assert builds.asked == [("web", ARM64)]
    assert app.image == "apps.slipway.internal/web:main-arm64"


def test_what_is_for_a_kind_that_no_node_has_is_built_nevertheless(builds: Builds) -> None:
    assert only(builds.images(sourced("web", node_selector={ARCHITECTURE: "s390x"})))
    assert len(builds.asked) == 2


def test_an_app_that_failed_before_stays_as_it_is(builds: Builds) -> None:
    failed = planned("web")
    failed.fail("source", "has no such branch")
    images = builds.images(failed)
    assert (reason(images.apps[0]), images.built) == ("has no such branch", [])


def test_a_check_waits_for_what_is_still_to_be_built_for_one_kind(builds: Builds) -> None:
    builds.waits = lambda kind: kind is ARM64
    images = builds.images(sourced("web"), check=True)
    assert images.pending == ["web-main/web"]
    assert not isinstance(images.apps[0], Built)


def test_a_check_foresees_the_reference_and_names_nothing(builds: Builds) -> None:
    foreseen = only(builds.images(sourced("web"), check=True)).image
    assert all(store.get(foreseen) is None for store in builds.stores.values())
    assert only(builds.images(sourced("web"))).image == foreseen
