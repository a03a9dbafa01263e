"""What manifests and charts name as images, fetched by a builder that is a double."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from slipway.apps.app import App, BuildxBuild, Built, CarriedImage, images_of
from slipway.apps.builders.architectures import Images
from slipway.apps.builders.build import Settings
from slipway.apps.builders.order import Order
from slipway.apps.carried import Finder, build_all
from slipway.apps.deploy.content import complete
from slipway.apps.deploy.helm import Helm
from slipway.architecture import Architecture
from slipway.bundle.download import Login
from slipway.cache.layout import CacheLayout
from slipway.errors import Problem, SlipwayError
from slipway.oci import ImageConfig, ImageStore, layer_from_tree
from slipway.secrets import Secrets
from tests.support.apps import reason, sourced
from tests.support.contents import NO_HELM, fake_helm

REDIS = "docker.io/library/redis:8"
DIGEST = f"r.test/team/tool@sha256:{'ab' * 32}"
OWN = "r.test/own:1"
OWN_KIND = Architecture.here()
(OTHER_KIND,) = {*Architecture} - {OWN_KIND}


def deployment(*images: str, name: str = "cache", **pod: Any) -> str:
    """A manifest with a Deployment."""
    containers = [{"name": f"c{at}", "image": image} for at, image in enumerate(images)]
    obj = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {"selector": {}, "template": {"spec": {"containers": containers, **pod}}},
    }
    return json.dumps(obj)


class Shelf:
    """A cache, and registries of which some refuse some images."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.helm = NO_HELM
        self.said: list[str] = []
        self.asked: list[str] = []
        """What registries were asked for, but for images of apps."""
        self.logins: dict[str, Mapping[str, Login]] = {}
        self.lacking: set[tuple[str, str]] = set()
        """What registries do not have, each with a platform."""
        (root / "bundle").mkdir()
        self.settings = Settings(root / "cache", root / "bundle", {})

    def app(self, *manifests: str | dict[str, Any], name: str = "greeter", **more: Any) -> App:
        """An app of an image alone, with manifests."""
        entries = [each if isinstance(each, dict) else {"content": each} for each in manifests]
        build = {"tool": "image", "ref": OWN}
        checkout = {"checkout": str(self.root), "build": build, "git_url": ""}
        return sourced(name, manifests=entries, **{**checkout, **more})

    def build(self, *apps: App, check: bool = False) -> Images:
        """What the step gives."""
        finder = Finder(CacheLayout(self.settings.cache), self.helm, check)
        return build_all(apps, self.settings, finder, check=check, say=self.said.append)

    def fetch(self, order: Order[BuildxBuild]) -> Path:
        """A builder of Dockerfiles that gives an image for what is after FROM."""
        ref = (order.checkout / "Dockerfile").read_text().removeprefix("FROM ").rstrip("\n")
        if ref != OWN:
            self.asked.append(ref)
            self.logins[ref] = order.logins
        user = ",".join(login.user for login in order.logins.values())
        if {(ref, order.platform), (ref, ""), (f"{user}@{ref}", "")} & self.lacking:
            raise SlipwayError(Problem(order.label, "401 Unauthorized"))
        store = ImageStore(order.scratch / "store")
        config = ImageConfig(architecture=order.platform.removeprefix("linux/"))
        store.add_image("build.test/image:1", [layer_from_tree({"ref": ref.encode()})], config)
        return store.root


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    made = Shelf(tmp_path)
    monkeypatch.setattr(
        "slipway.apps.builders.buildx.Buildx.build", lambda _self, order: made.fetch(order)
    )
    monkeypatch.setattr("slipway.apps.builders.reference.check", lambda *_: None)
    return made


def carried(app: App) -> list[CarriedImage]:
    """The images of an app that did not fail."""
    assert isinstance(app, Built), app
    assert not app.failed, reason(app)
    return app.carried


def test_what_manifests_and_charts_name_is_stored_and_asked_for_once(
    shelf: Shelf, tmp_path: Path
) -> None:
    (tmp_path / "chart").mkdir()
    (tmp_path / "chart" / "Chart.yaml").write_text("name: tool\n")
    shelf.helm = fake_helm(tmp_path, f"# Source: tool/a.yaml\n{deployment(DIGEST)}\n")
    chart = {"release": "tool", "source": "chart"}
    images = shelf.build(shelf.app(deployment("redis:8", "{{ image }}"), helm=[chart]))
    [redis, tool] = carried(images.apps[0])
    assert (redis.named, tool.named) == ("redis:8", DIGEST)
    assert redis.image.startswith("apps.slipway.internal/docker.io/library/redis:8-")
    assert tool.image.startswith(f"apps.slipway.internal/r.test/team/tool:{'ab' * 6}-")
    assert sorted(shelf.asked) == sorted([REDIS, DIGEST])
    store = ImageStore(tmp_path / "cache" / "images")
    assert {*store.images()} == images_of(images.apps) == {*images.built}
    assert len(images.built) == 3
    for stale in ("noted", "chart"):
        (tmp_path / stale).rename(tmp_path / f"{stale} before")
    again = shelf.build(shelf.app(deployment("redis:8", "{{ image }}"), helm=[chart]))
    assert (again.apps, again.built) == (images.apps, [])
    assert len(shelf.asked) == 2
    assert not (tmp_path / "noted").exists()  # no chart was rendered


def test_pods_get_what_is_stored(shelf: Shelf) -> None:
    [app] = shelf.build(shelf.app(deployment("redis:8", "{{ image }}"))).apps
    [redis] = carried(app)
    content = complete(app, {}, NO_HELM)
    assert content.faults == []
    assert isinstance(app, Built)
    containers = content.extras[0].obj["spec"]["template"]["spec"]["containers"]
    assert [each["image"] for each in containers] == [redis.image, app.image]


def test_what_is_refused_fails_the_apps_that_name_it_and_says_where(shelf: Shelf) -> None:
    shelf.lacking = {(REDIS, "")}
    (shelf.root / "deploy.yaml").write_text(
        f"# a cache\n---\n{deployment('redis:8', DIGEST, 'redis:8')}\n"
    )
    images = shelf.build(
        shelf.app({"source": "deploy.yaml"}),
        shelf.app(deployment(DIGEST), name="other"),
        shelf.app(deployment(REDIS), name="third"),
    )
    [greeter, other, third] = images.apps
    assert reason(greeter) == (
        "deploy.yaml:3: Deployment cache: container c0 (and 1 more): names redis:8, which cannot "
        "be fetched: 401 Unauthorized\n    fix: correct it, have registry_auth of the app say who "
        "asks docker.io, or leave it to the nodes (pull: nodes)"
    )
    assert greeter.failed
    assert greeter.failed.step == "build"
    assert [each.named for each in carried(other)] == [DIGEST]
    assert "manifests[0]:1: Deployment cache: container c0: names" in reason(third)


def test_all_that_is_refused_is_said_at_once(shelf: Shelf) -> None:
    shelf.lacking = {(REDIS, ""), (DIGEST, "")}
    [app] = shelf.build(shelf.app(deployment(REDIS, DIGEST))).apps
    assert reason(app).count("cannot be fetched") == 2


def test_who_has_a_login_shares_nothing_with_who_has_none(shelf: Shelf) -> None:
    shelf.settings = replace(shelf.settings, secrets=Secrets({"pull": "hidden-1234", "b": "x"}))
    ref = "r.test/private:1"
    shelf.lacking = {(f"@{ref}", ""), (f"guest@{ref}", "")}

    def app(name: str, **login: str) -> App:
        auth = {"r.test": login, "other.test": login} if login else {}
        return shelf.app(deployment(ref), name=name, registry_auth=auth)

    good = {"user": "me", "password": "pull"}
    images = shelf.build(
        app("one", **good),
        app("two", **good),
        app("three"),
        app("four", user="guest", password="b"),
    )
    assert [bool(each.failed) for each in images.apps] == [False, False, True, True]
    assert carried(images.apps[0]) == carried(images.apps[1])
    assert len(shelf.asked) == 3
    assert all("hidden-1234" not in path.read_text() for path in _notes(shelf))


def test_a_login_goes_to_its_registry_alone(shelf: Shelf) -> None:
    shelf.settings = replace(shelf.settings, secrets=Secrets({"pull": "hidden-1234"}))
    auth = {"r.test": {"user": "me", "password": "pull"}}
    [app] = shelf.build(shelf.app(deployment(REDIS, DIGEST), registry_auth=auth)).apps
    assert len(carried(app)) == 2
    assert shelf.logins == {REDIS: {}, DIGEST: {"r.test": Login("me", "hidden-1234")}}


def _notes(shelf: Shelf) -> list[Path]:
    return [*CacheLayout(shelf.settings.cache).named_images.iterdir()]


@pytest.mark.parametrize("named", ["Redis:8", "redis:8 AS x\nRUN true", "<no value>", "https://a"])
def test_what_is_no_reference_is_asked_of_nobody(shelf: Shelf, named: str) -> None:
    [app, other] = shelf.build(shelf.app(deployment(named)), shelf.app(name="other")).apps
    assert "container c0: names" in reason(app)
    assert "which is no reference of an image\n    fix: write it with its tag" in reason(app)
    assert (shelf.asked, carried(other)) == ([], [])


def test_an_app_names_no_more_images_than_it_may(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slipway.apps.carried.MOST", 2)
    names = [f"r.test/a:{number}" for number in range(3)]
    [app] = shelf.build(shelf.app(deployment(*names))).apps
    assert "greeter (main): names 3 images in its manifests and charts, and may name 2" in (
        reason(app)
    )
    assert shelf.asked == []
    assert len(carried(shelf.build(shelf.app(deployment(*names[1:]))).apps[0])) == 2


def test_what_nodes_pull_themselves_is_left_to_them(shelf: Shelf) -> None:
    entry = {"content": deployment(REDIS), "pull": "nodes"}
    [app] = shelf.build(shelf.app(entry, deployment(DIGEST, name="other"))).apps
    assert [each.named for each in carried(app)] == [DIGEST]
    images = [
        extra.obj["spec"]["template"]["spec"]["containers"][0]["image"]
        for extra in complete(app, {}, NO_HELM).extras
    ]
    assert images == [REDIS, carried(app)[0].image]


@pytest.mark.parametrize("text", ["a: [", "{{ bramch }}", "apiVersion: v1"])
def test_what_cannot_be_read_is_left_to_the_deployment(shelf: Shelf, text: str) -> None:
    [app] = shelf.build(shelf.app(text, deployment(REDIS))).apps
    assert (carried(app), shelf.asked) == ([], [])
    assert len(complete(app, {}, NO_HELM).faults) == 1


def test_what_the_build_did_not_find_is_not_deployed(shelf: Shelf) -> None:
    [app] = shelf.build(shelf.app(deployment(REDIS))).apps
    app.manifests[0].content = deployment("redis:9")
    [fault] = complete(app, {}, NO_HELM).faults
    assert "container c0 names redis:9, which the build did not find there" in fault


def test_a_check_asks_nobody_and_notes_nothing(shelf: Shelf) -> None:
    shelf.build(shelf.app())
    images = shelf.build(shelf.app(deployment(REDIS)), shelf.app(name="other"), check=True)
    assert images.pending == ["greeter-main/greeter"]
    [waiting] = carried(images.apps[0])
    assert waiting.image == ""
    assert "" not in images_of(images.apps)
    content = complete(images.apps[0], {}, NO_HELM)
    assert content.faults == []
    assert f"'{REDIS}'" in str(content.extras[0].obj)
    assert "docker.io/library/redis (8): would be fetched" in shelf.said
    assert shelf.asked == []
    assert not CacheLayout(shelf.settings.cache).named_images.exists()
    shelf.build(shelf.app(deployment(REDIS)))
    again = shelf.build(shelf.app(deployment(REDIS)), check=True)
    assert (again.pending, len(carried(again.apps[0]))) == ([], 1)


def test_whatever_may_change_what_is_named_is_looked_at_again(shelf: Shelf) -> None:
    place = shelf.root / "own.yaml"
    text = deployment("r.test/{{ commit }}/{{ name }}:1")
    variants = [
        shelf.app(text),
        shelf.app(text, name="other"),
        shelf.app(text, commit="f" * 40),
        shelf.app({"content": text, "template": False}),
        shelf.app({"file": str(place)}),
        shelf.app({"source": "own.yaml"}),
        shelf.app({"source": "own.yaml"}, project="sub"),
    ]
    place.write_text(text)
    keys = set()
    for app in variants:
        shelf.build(app)
        keys |= {path.name for path in _notes(shelf)}
    assert len(keys) == len(variants) - 1  # the last has no such file
    place.write_text(deployment("redis:9"))
    [app] = shelf.build(shelf.app({"file": str(place)})).apps
    assert [each.named for each in carried(app)] == ["redis:9"]


@pytest.mark.parametrize("damaged", ["{", "{}", '[{"where": 1}]'])
def test_a_damaged_note_is_made_again(shelf: Shelf, damaged: str) -> None:
    shelf.build(shelf.app(deployment(REDIS)))
    [note] = _notes(shelf)
    note.write_text(damaged)
    assert len(carried(shelf.build(shelf.app(deployment(REDIS))).apps[0])) == 1
    assert note.read_text() != damaged


def test_an_app_that_failed_before_is_not_looked_at(shelf: Shelf) -> None:
    failed = shelf.app(deployment(REDIS), failed={"step": "source", "reason": "gone"})
    [app] = shelf.build(failed).apps
    assert (reason(app), shelf.asked) == ("gone", [])


def test_where_pods_may_be_goes_with_the_image(shelf: Shelf) -> None:
    ssd = {"disk": "ssd"}
    text = "\n---\n".join(
        (
            deployment(REDIS, nodeSelector=ssd),
            deployment(REDIS, name="b", tolerations=[{"key": "a"}]),
            deployment(REDIS, REDIS, name="c", nodeSelector=ssd),
        )
    )
    found = carried(shelf.build(shelf.app(text)).apps[0])
    assert [(each.node_selector, each.tolerant) for each in found] == [(ssd, False), ({}, True)]
    assert len({each.image for each in found}) == 1


class TestOnNodesOfTwoKinds:
    """Images for each kind of node, or for one alone."""

    @pytest.fixture(autouse=True)
    def nodes(self, shelf: Shelf) -> None:
        """One node of each kind."""
        shelf.settings = replace(
            shelf.settings,
            nodes={"a": OWN_KIND, "b": OTHER_KIND},
            bundles={OWN_KIND: shelf.root / "bundle", OTHER_KIND: shelf.root / "other"},
        )

    def test_each_kind_gets_its_image_under_one_reference(self, shelf: Shelf) -> None:
        [redis] = carried(shelf.build(shelf.app(deployment(REDIS))).apps[0])
        cache = CacheLayout(shelf.settings.cache)
        for kind in (OWN_KIND, OTHER_KIND):
            image = ImageStore(cache.images_of(kind), kind.platform).get(redis.image)
            assert image
            assert image.platform == kind.platform
        assert redis.architecture == ""

    def test_pods_go_where_there_is_one(self, shelf: Shelf) -> None:
        shelf.lacking = {(REDIS, OTHER_KIND.platform)}
        [app] = shelf.build(shelf.app(deployment(REDIS))).apps
        [redis] = carried(app)
        assert redis.architecture == OWN_KIND
        assert redis.node_selector == {"kubernetes.io/arch": OWN_KIND.value}
        [extra] = complete(app, {}, NO_HELM).extras
        pod = extra.obj["spec"]["template"]["spec"]
        assert pod["nodeSelector"] == {"kubernetes.io/arch": OWN_KIND.value}
        assert any("docker.io/library/redis (8): has no image for" in line for line in shelf.said)

    def test_what_is_wanted_for_one_kind_is_fetched_for_that_alone(self, shelf: Shelf) -> None:
        selector = {"kubernetes.io/arch": OTHER_KIND.value}
        [redis] = carried(shelf.build(shelf.app(deployment(REDIS, nodeSelector=selector))).apps[0])
        assert shelf.asked == [REDIS]
        assert (redis.node_selector, redis.architecture) == (selector, "")

    def test_what_is_wanted_where_there_is_none_is_told(self, shelf: Shelf) -> None:
        shelf.lacking = {(REDIS, OTHER_KIND.platform)}
        text = "\n---\n".join(
            deployment(REDIS, name=kind, nodeSelector={"kubernetes.io/arch": kind.value})
            for kind in (OWN_KIND, OTHER_KIND)
        )
        [app] = shelf.build(shelf.app(text)).apps
        assert f"Deployment {OTHER_KIND}: container c0: names {REDIS}, which there is for" in (
            reason(app)
        )


def test_a_chart_is_looked_at_again_with_another_helm_or_cluster(
    shelf: Shelf, tmp_path: Path
) -> None:
    (tmp_path / "chart").mkdir()
    (tmp_path / "chart" / "Chart.yaml").write_text("name: tool\n")
    app = shelf.app(helm=[{"release": "tool", "file": str(tmp_path / "chart")}])
    helm = fake_helm(tmp_path, deployment(REDIS))
    others = [helm, replace(helm, kube_version="v1.99.0")]
    for each in others:
        shelf.helm = each
        assert len(carried(shelf.build(app).apps[0])) == 1
    assert len(_notes(shelf)) == 2
    (tmp_path / "rendered").write_text(deployment(DIGEST))
    (tmp_path / "chart" / "values.yaml").write_text("more: true\n")
    assert [each.named for each in carried(shelf.build(app).apps[0])] == [DIGEST]


def test_helm_is_none_of_an_app_s_business_that_has_no_chart(shelf: Shelf) -> None:
    shelf.helm = Helm(Path("/nonexistent"), NO_HELM.sandboxes, "v1")
    shelf.build(shelf.app(deployment(REDIS)))
    shelf.helm = Helm(Path("/other"), NO_HELM.sandboxes, "v2")
    shelf.build(shelf.app(deployment(REDIS)))
    assert len(_notes(shelf)) == 1
