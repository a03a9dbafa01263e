"""What is built and what is not: the builders are doubles, sources and stores are real."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from slipway.apps.app import App, BuildxBuild, Built, JibBuild
from slipway.apps.builders.architectures import Images
from slipway.apps.builders.build import Settings, build_images
from slipway.apps.builders.buildkit import PLUGINS
from slipway.apps.builders.order import Order
from slipway.apps.environments.resolve import Finder, Repositories
from slipway.apps.plan.plan import plan
from slipway.apps.source.fetch import get_sources
from slipway.apps.source.git_auth import Keys
from slipway.architecture import Architecture
from slipway.bundle.download import Login
from slipway.bundle.requested import Requested
from slipway.bundle.source import SourceProvider
from slipway.cache.layout import CacheLayout
from slipway.errors import Problem, SlipwayError
from slipway.oci import ImageConfig, ImageStore, layer_from_tree
from slipway.secrets import Secrets
from tests.support.apps import reason
from tests.support.git_samples import commit

BASE = "bundle.slipway.internal/base:1"

OWN = Architecture.here()
(OTHER,) = {*Architecture} - {OWN}


class Shop:
    """One repository, a bundle with a base image, and builders that note what they are asked."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.repository = root / "web"
        self.said: list[str] = []
        self.calls: list[dict[str, Any]] = []
        self.wait: threading.Barrier | None = None
        self.layer = ""
        self.inode = 0
        self.damage = False
        self.settings = Settings(root / "cache", root / "bundle", {"jib": BASE, "buildx": BASE})
        self.base("one")

    def base(self, text: str, architecture: Architecture = OWN) -> None:
        """Put a base image of this content into the bundle for an architecture."""
        layer = layer_from_tree({"base": text.encode()})
        bundle = self.root / ("bundle" if architecture is OWN else "other-bundle")
        config = ImageConfig(architecture=architecture)
        ImageStore(bundle / "images").add_image(BASE, [layer], config)

    def apps(self, *apps: str, check: bool = False) -> Images:
        """Plan, fetch and build apps, each the inside of a YAML mapping without its git_url."""
        lines = "".join(f"  - {{git_url: web, {app}}}\n" for app in apps)
        (self.root / "apps.yml").write_text(f"version: 1\napps:\n{lines}")
        cache = self.settings.cache
        repositories = Repositories(cache, Keys(), check=check)
        find = Finder(list, repositories.branches, datetime.now(UTC))
        wanted = plan(self.root / "apps.yml", find_branches=find)
        sources = get_sources(wanted, cache, check=check, say=self.said.append)
        return build_images(sources.apps, self.settings, check=check, say=self.said.append)

    def build(self, order: Order[JibBuild | BuildxBuild]) -> Path:
        """A builder: the image holds the file ``content``; ``broken`` there breaks the build."""
        source = order.copy()
        context = order.build.context if isinstance(order.build, BuildxBuild) else "."
        content = (source / context / "content").read_bytes()
        base = order.base.identity if order.base else None
        self.calls.append(
            {
                "label": order.label,
                "base": base,
                "build": order.build,
                "repository": order.repository,
                "images": [image.ref for image in order.images],
                "logins": order.logins,
            }
        )
        (source / "rubbish").touch()
        if self.wait:
            self.wait.wait(10)
        if content == b"broken":
            said = " ".join(["the tool's last words", *order.secrets.values()])
            raise SlipwayError(Problem(order.label, said))
        store = ImageStore(order.scratch / "store")
        layer = layer_from_tree({"content": content})
        config = ImageConfig(architecture=order.platform.removeprefix("linux/"))
        store.add_image("build.slipway.internal/image:1", [layer], config)
        self.layer = store.images().popitem()[1].layers[0].digest
        if self.damage:
            path = store.root / "blobs/sha256" / self.layer[7:]
            path.write_bytes(b"!" + path.read_bytes()[1:])
        self.inode = (store.root / "blobs/sha256" / self.layer[7:]).stat().st_ino
        return store.root


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    made = Shop(tmp_path)
    for builder in ("jib.Jib", "buildx.Buildx"):
        monkeypatch.setattr(
            f"slipway.apps.builders.{builder}.build", lambda self, order: made.build(order)
        )
    commit(made.repository, {"Dockerfile": "", "content": "1", "sub/content": "s"})
    return made


class Asked(Requested):
    """Images that are asked for, and are there, but for that of one version of Java."""

    def __init__(self, bundle: Path, lacking: str = "") -> None:
        source = SourceProvider(bundle, {}, CacheLayout(bundle), Architecture.here())
        super().__init__(source, bundle)
        object.__setattr__(self, "lacking", lacking)
        object.__setattr__(self, "refs", [])

    lacking: str
    refs: list[str]

    def have(self, ref: str, say: Callable[[str], None]) -> Path:
        """As Requested."""
        self.refs.append(ref)
        if ref == self.lacking:
            raise SlipwayError(Problem(ref, "no archive answers"))
        return self.bundle / ref.replace(":", "-")


MAVEN = {java: f"maven:{java}" for java in (17, 21, 25)}


def with_images(apps: Iterable[App]) -> list[Built]:
    """The apps, all of which have their image."""
    found = list(apps)
    built = [app for app in found if isinstance(app, Built) and not app.failed]
    assert len(built) == len(found), found
    return built


def image_of(images: Images) -> str:
    [app] = with_images(images.apps)
    return app.image


def test_image_is_stored_under_its_content(shop: Shop) -> None:
    ref = image_of(shop.apps("name: web"))
    image = ImageStore(shop.root / "cache" / "images").get(ref)
    assert image is not None
    assert ref == f"apps.slipway.internal/web:main-{image.config_digest[7:19]}"
    assert list(ImageStore(shop.root / "cache" / "images").images()) == [ref]
    assert list((shop.root / "cache" / "work").iterdir()) == []


def test_known_image_is_not_built_again(shop: Shop) -> None:
    first = shop.apps("name: web")
    again = shop.apps("name: web")
    assert again.apps == first.apps
    assert (len(shop.calls), first.built, again.built) == (1, [image_of(first)], [])


def test_lost_image_is_built_again(shop: Shop) -> None:
    first = image_of(shop.apps("name: web"))
    ImageStore(shop.root / "cache" / "images").remove(first)
    assert image_of(shop.apps("name: web")) == first
    assert len(shop.calls) == 2


def test_damaged_image_of_a_builder_gets_into_no_store(shop: Shop) -> None:
    shop.damage = True
    [app] = shop.apps("name: web").apps
    assert f"is damaged: {shop.layer}" in reason(app)
    assert not list((shop.root / "cache/images/blobs/sha256").glob(shop.layer[7:]))
    shop.damage = False
    ref = image_of(shop.apps("name: web"))
    assert ImageStore(shop.root / "cache" / "images").verify(ref) == []


@pytest.mark.parametrize(("target", "built"), [("sub", "s"), ("../elsewhere", "")])
def test_context_that_is_a_link(shop: Shop, target: str, built: str) -> None:
    (shop.root / "elsewhere").mkdir()
    (shop.repository / "link").symlink_to(target)
    commit(shop.repository, {})
    images = shop.apps("name: web, build: {buildx: {context: link}}")
    if built:
        before = image_of(images)
        commit(shop.repository, {"sub/content": "other"})
        assert image_of(shop.apps("name: web, build: {buildx: {context: link}}")) != before
    else:
        why = "web (main): link cannot be read: it leads out of the repository"
        assert reason(images.apps[0]).splitlines()[0] == why
        assert shop.calls == []


@pytest.mark.parametrize("damaged", ["{", "[]", "{}", '{"digest": 1, "config": null}'])
def test_damaged_note_is_made_again(shop: Shop, damaged: str) -> None:
    first = image_of(shop.apps("name: web"))
    [note] = (shop.root / "cache" / "builds").iterdir()
    note.write_text(damaged)
    assert image_of(shop.apps("name: web")) == first
    assert len(shop.calls) == 2


def test_changed_source_is_built(shop: Shop) -> None:
    first = image_of(shop.apps("name: web"))
    commit(shop.repository, {"content": "2"})
    assert image_of(shop.apps("name: web")) != first
    commit(shop.repository, {"content": "1"})
    assert image_of(shop.apps("name: web")) == first
    assert len(shop.calls) == 2


def test_of_a_pattern_only_branches_whose_commit_changed_are_built(shop: Shop) -> None:
    for branch in ("feature/a", "feature/b"):
        commit(shop.repository, {"content": branch}, branch)
    first = shop.apps("name: web, git_branch: feature/*")
    assert len(first.built) == 2
    assert shop.apps("name: web, git_branch: feature/*").built == []
    commit(shop.repository, {"content": "new"}, "feature/b")
    commit(shop.repository, {"content": "one more"}, "feature/c")
    again = shop.apps("name: web, git_branch: feature/*")
    labels = sorted(call["label"] for call in shop.calls[2:])
    assert labels == ["web (feature/b)", "web (feature/c)"]
    assert with_images(again.apps)[0].image == with_images(first.apps)[0].image


@pytest.mark.parametrize(
    "other",
    [
        "build: jib",
        "build: {buildx: {target: x}}",
        "build: {buildx: {args: {A: '1'}}}",
        "base_image: other.test/base:1",
    ],
)
def test_whatever_makes_another_image_is_built(shop: Shop, other: str) -> None:
    shop.apps("name: web")
    shop.apps(f"name: web, {other}")
    assert len(shop.calls) == 2


@pytest.mark.parametrize("other", ["port: 99", "env: {A: b}", "replicas: 3"])
def test_what_is_no_part_of_an_image_does_not_build_it(shop: Shop, other: str) -> None:
    shop.apps("name: web")
    shop.apps(f"name: web, {other}")
    assert len(shop.calls) == 1


def test_changed_base_is_built_on(shop: Shop) -> None:
    shop.apps("name: web")
    shop.base("two")
    shop.apps("name: web")
    assert len({call["base"] for call in shop.calls}) == 2


def test_changed_base_archive_is_built_on(shop: Shop) -> None:
    archive = shop.root / "base.tar"
    for text in ("one", "another"):
        archive.write_text(text)
        shop.apps(f"name: web, base_image: 'tar://{archive}'")
    assert len({call["base"] for call in shop.calls}) == 2


def test_same_content_is_built_once_for_all_its_names(shop: Shop) -> None:
    commit(shop.repository, {}, "feature/x")
    images = shop.apps("name: web", "name: web, git_branch: feature/x", "name: api")
    later = shop.apps("name: late")
    refs = [app.image for app in with_images(images.apps)]
    tag = refs[0].rsplit("-", 1)[-1]
    assert refs == [
        f"apps.slipway.internal/web:main-{tag}",
        f"apps.slipway.internal/web:feature-x-{tag}",
        f"apps.slipway.internal/api:main-{tag}",
    ]
    assert image_of(later) == f"apps.slipway.internal/late:main-{tag}"
    assert len(shop.calls) == 1


def test_only_the_context_counts(shop: Shop) -> None:
    app = "name: web, build: {buildx: {context: sub}}"
    shop.apps(app)
    commit(shop.repository, {"content": "2"})
    shop.apps(app)
    assert len(shop.calls) == 1
    commit(shop.repository, {"sub/content": "t"})
    shop.apps(app)
    assert len(shop.calls) == 2


def test_a_folder_is_built_when_it_has_changed(shop: Shop) -> None:
    app = "name: web, git_path: sub"
    commit(shop.repository, {"sub/Dockerfile": ""})
    first = shop.apps(app)
    commit(shop.repository, {"content": "2", "Dockerfile": "FROM x"})
    again = shop.apps(app)
    assert (again.built, image_of(again)) == ([], image_of(first))
    commits = [app.commit for images in (first, again) for app in with_images(images.apps)]
    assert commits[0] == commits[1]
    commit(shop.repository, {"sub/content": "t"})
    assert image_of(shop.apps(app)) != image_of(first)
    assert len(shop.calls) == 2


def test_folders_share_an_image_only_if_they_are_the_same(shop: Shop) -> None:
    same = {"Dockerfile": "", "content": "x"}
    files = {f"{folder}/{name}": text for folder in "ab" for name, text in same.items()}
    commit(shop.repository, {**files, "c/Dockerfile": "", "c/content": "y"})
    images = shop.apps(*(f"name: {name}, git_path: {name}" for name in "abc"))
    tags = [app.image.split(":")[-1] for app in with_images(images.apps)]
    assert len(tags) == 3
    assert tags[0] == tags[1] != tags[2]
    assert sorted(call["label"] for call in shop.calls) == ["a (main)", "c (main)"]


def test_folders_that_need_the_repository_are_built_each_for_itself(shop: Shop) -> None:
    parent = "<parent><artifactId>all</artifactId></parent>"
    poms = {f"{folder}/pom.xml": f"<project>{parent}</project>" for folder in "ab"}
    contents = {f"{folder}/content": folder for folder in "ab"}
    top = "<project><artifactId>all</artifactId>{}</project>"
    commit(shop.repository, {"pom.xml": top.format(""), **poms, **contents})
    apps = [f"name: {name}, git_path: {name}" for name in "ab"]
    refs = [app.image for app in with_images(shop.apps(*apps).apps)]
    assert len({ref.split(":")[-1] for ref in refs}) == 2
    assert len(shop.calls) == 2
    commit(shop.repository, {"pom.xml": top.format("<version>2</version>")})
    again = shop.apps(*apps)
    assert len(shop.calls) == 4
    assert [app.image for app in with_images(again.apps)] == refs


def test_a_context_is_seen_from_the_folder(shop: Shop) -> None:
    app = "name: web, git_path: a, build: {buildx: {context: sub}}"
    commit(shop.repository, {"a/sub/content": "1", "a/other": "1"})
    first = image_of(shop.apps(app))
    commit(shop.repository, {"a/other": "2", "sub/content": "2"})
    assert image_of(shop.apps(app)) == first
    assert len(shop.calls) == 1


def test_a_context_does_not_lead_out_of_the_folder(shop: Shop) -> None:
    (shop.repository / "a").mkdir()
    (shop.repository / "a" / "link").symlink_to("../sub")
    commit(shop.repository, {})
    [app] = shop.apps("name: web, git_path: a, build: {buildx: {context: link}}").apps
    assert reason(app) == "web (main): has no folder link"


def test_builder_is_detected_in_the_folder(shop: Shop) -> None:
    commit(shop.repository, {"sub/pom.xml": ""})
    [app] = shop.apps("name: web, git_path: sub").apps
    assert app.build == JibBuild()


def test_builds_run_side_by_side(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {0, 1, 2})
    shop.wait = threading.Barrier(3)
    images = shop.apps("name: a", "name: b, build: jib", "name: c, build: {buildx: {context: sub}}")
    assert [app.failed for app in images.apps] == [None] * 3


def test_progress_is_shown(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slipway.apps.builders.build.PROGRESS_SECONDS", 0.02)
    shop.wait = threading.Barrier(2)
    threading.Timer(0.3, shop.wait.wait, [10]).start()
    shop.apps("name: web")
    assert "web (main): buildx: 0 s" in shop.said
    assert any(line.startswith("web (main): buildx: built in 0.") for line in shop.said)


def test_builder_is_detected_and_said(shop: Shop) -> None:
    shop.apps("name: web")
    assert "web (main): Dockerfile found, so buildx" in shop.said
    commit(shop.repository, {"pom.xml": ""})
    [app] = shop.apps("name: web").apps
    assert app.build == JibBuild()


def test_failures_leave_the_others_alone(shop: Shop) -> None:
    commit(shop.repository, {"content": "broken"}, "broken")
    commit(shop.repository, {"Dockerfile": "x"}, "main")
    images = shop.apps(
        "name: web",
        "name: web, git_branch: broken",
        "name: web, git_branch: nowhere",
        "name: far, build: {buildx: {context: nowhere}}",
        "name: old, base_image: 'bundle.slipway.internal/gone:1'",
        f"name: tar, base_image: 'tar://{shop.root}/nowhere.tar'",
    )
    steps = [app.failed.step if app.failed else "" for app in images.apps]
    assert steps == ["", "build", "source", "build", "build", "build"]
    reasons = [reason(app) for app in images.apps]
    assert reasons[1] == "web (broken): the tool's last words"
    assert reasons[3] == "far (main): has no folder nowhere"
    assert "is not in the bundle" in reasons[4]
    assert "/nowhere.tar cannot be read: No such file" in reasons[5]


def test_apps_of_one_build_that_fails_are_told_each_in_its_name(shop: Shop) -> None:
    commit(shop.repository, {"content": "broken"})
    commit(shop.repository, {}, "feature/x")
    images = shop.apps("name: web", "name: api", "name: api, git_branch: feature/x")
    assert [reason(app) for app in images.apps] == [
        "web (main): the tool's last words",
        "api (main): the tool's last words",
        "api (feature/x): the tool's last words",
    ]
    assert len(shop.calls) == 1


def test_apps_of_one_build_in_other_folders_are_told_of_their_own(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(order: Order[BuildxBuild]) -> Path:
        said = f"is broken\n    | {order.label}: in {order.folder}"
        raise SlipwayError([Problem(order.label, said), Problem("base", "is lost")])

    monkeypatch.setattr(shop, "build", build)
    commit(shop.repository, {f"{folder}/Dockerfile": "" for folder in "ab"})
    apps = ["name: a, git_path: a", "name: b, git_path: b", "name: c, git_path: b"]
    a, b, c = (reason(app) for app in shop.apps(*apps).apps)
    lost = "\nbase: is lost"
    assert a == f"a (main): is broken\n    | a (main): in a{lost}"
    assert b == f"b (main): is broken\n    | b (main): in b{lost}"
    assert c == f"c (main): is broken\n    | b (main): in b{lost}"


def test_nothing_detected(shop: Shop) -> None:
    (shop.repository / "Dockerfile").unlink()
    commit(shop.repository, {})
    [app] = shop.apps("name: web").apps
    assert reason(app).startswith(
        "web (main): has neither pom.xml nor Dockerfile at the top of its repository\n"
        "    fix: say in apps.yml how it is built"
    )


def test_what_is_detected_in_other_folders_is_named(shop: Shop) -> None:
    (shop.repository / "Dockerfile").unlink()
    commit(shop.repository, {"services/a/pom.xml": "", "services/b/Dockerfile": ""})
    top, sub = shop.apps("name: web", "name: sub, git_path: sub").apps
    others = "there are some in services/a, services/b\n    fix: write git_path: services/a"
    missing = "has neither pom.xml nor Dockerfile"
    assert reason(top) == f"web (main): {missing} at the top of its repository; {others}"
    assert reason(sub) == f"sub (main): {missing} in sub; {others}"


@pytest.fixture
def two_kinds(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """Nodes with two kinds of processors, whose programs all run here."""
    monkeypatch.setattr("slipway.control_node.emulation.have", lambda *_: None)
    bundles = {OTHER: shop.root / "other-bundle"}
    shop.settings = replace(shop.settings, nodes={"a": OWN, "b": OTHER}, bundles=bundles)
    shop.base("one", OTHER)
    return shop


def test_each_kind_of_node_has_an_image_on_its_own_base_built_once(two_kinds: Shop) -> None:
    first = two_kinds.apps("name: web")
    ref, layout = image_of(first), CacheLayout(two_kinds.root / "cache")
    for kind in (OWN, OTHER):
        image = ImageStore(layout.images_of(kind)).get(ref)
        assert image is not None
        assert image.platform == kind.platform
    assert len({call["base"] for call in two_kinds.calls}) == 2
    again, foreseen = two_kinds.apps("name: web"), two_kinds.apps("name: web", check=True)
    assert again.apps == first.apps == foreseen.apps
    assert (len(two_kinds.calls), again.built, foreseen.pending) == (2, [], [])


def test_a_check_builds_on_a_bundle_that_is_still_to_be_made(two_kinds: Shop) -> None:
    shutil.rmtree(two_kinds.root / "other-bundle")
    foreseen = two_kinds.apps("name: web", check=True)
    assert foreseen.pending == ["web-main/web"]
    assert [app.failed for app in foreseen.apps] == [None]
    assert not any("has no image" in line for line in two_kinds.said)


def test_where_steps_of_other_processors_do_not_run_their_nodes_are_left_out(
    two_kinds: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def have(architecture: Architecture, _say: object) -> None:
        if architecture is OTHER:
            raise SlipwayError(Problem("programs", "do not run here"))

    monkeypatch.setattr("slipway.control_node.emulation.have", have)
    [app] = with_images(two_kinds.apps("name: web").apps)
    assert app.node_selector == {"kubernetes.io/arch": OWN.value}
    assert f"web (main): has no image for {OTHER}, so it does not run on b: " in two_kinds.said[-1]
    assert "do not run here" in two_kinds.said[-1]


def test_check_tells_what_would_be_built(shop: Shop) -> None:
    everything_new = shop.apps("name: web", check=True)
    assert (everything_new.pending, shop.calls) == (["web-main/web"], [])
    assert not shop.settings.cache.exists()

    image = image_of(shop.apps("name: web"))
    known = shop.apps("name: web", check=True)
    assert (image_of(known), known.pending) == (image, [])

    shop.apps("name: web, build: {buildx: {context: sub}}")
    changed = shop.apps("name: web, build: {buildx: {target: x}}", check=True)
    assert changed.pending == ["web-main/web"]
    assert len(shop.calls) == 2

    shop.settings = replace(shop.settings, bundle=shop.root / "no-bundle-yet")
    assert shop.apps("name: web", check=True).pending == ["web-main/web"]


def test_layers_are_linked_into_the_store(shop: Shop) -> None:
    shop.apps("name: web")
    stored = shop.root / "cache" / "images" / "blobs" / "sha256" / shop.layer[7:]
    assert stored.stat().st_ino == shop.inode


SECRET_APP = "name: web, build: {buildx: {secrets: {npm: npm_token}}}"


def test_secret_is_no_part_of_what_is_noted_or_said(shop: Shop) -> None:
    shop.settings = replace(shop.settings, secrets=Secrets({"npm_token": "hidden-1234"}))
    image = image_of(shop.apps(SECRET_APP))
    shop.settings = replace(shop.settings, secrets=Secrets({"npm_token": "changed-5678"}))
    assert image_of(shop.apps(SECRET_APP)) == image
    assert len(shop.calls) == 1

    commit(shop.repository, {"content": "broken"})
    [app] = shop.apps(SECRET_APP).apps
    assert reason(app) == "web (main): the tool's last words ***"
    kept = [path for path in shop.settings.cache.rglob("*") if path.is_file()]
    for value in (b"hidden-1234", b"changed-5678"):
        assert not any(value in path.read_bytes() for path in kept)
        assert value.decode() not in "".join([*shop.said, str(app)])


LOGIN_APP = "name: web, registry_auth: {r.test: {user: me, password: npm_token}}"


def test_builds_are_to_registries_who_the_app_says_and_another_password_makes_no_other_image(
    shop: Shop,
) -> None:
    shop.settings = replace(shop.settings, secrets=Secrets({"npm_token": "hidden-1234\n"}))
    image = image_of(shop.apps(LOGIN_APP))
    assert shop.calls[0]["logins"] == {"r.test": Login("me", "hidden-1234")}
    shop.settings = replace(shop.settings, secrets=Secrets({"npm_token": "changed-5678"}))
    assert image_of(shop.apps(LOGIN_APP)) == image
    assert len(shop.calls) == 1
    kept = [path for path in shop.settings.cache.rglob("*") if path.is_file()]
    assert not any(b"hidden-1234" in path.read_bytes() for path in kept)


def of_image(shop: Shop, *apps: str) -> Images:
    """Plan and build apps of images, each the inside of a YAML mapping."""
    lines = "".join(f"  - {{{app}}}\n" for app in apps)
    (shop.root / "apps.yml").write_text(f"version: 1\napps:\n{lines}")
    cache = shop.settings.cache
    apps_of = get_sources(plan(shop.root / "apps.yml"), cache, check=False, say=shop.said.append)
    return build_images(apps_of.apps, shop.settings, check=False, say=shop.said.append)


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch, shop: Shop) -> list[str]:
    """What is asked of registries."""
    found: list[str] = []

    def fetch(_: object, order: Order[BuildxBuild]) -> Path:
        found.append((order.checkout / "Dockerfile").read_text())
        (order.checkout / "content").write_text(found[-1])
        return shop.build(order)

    monkeypatch.setattr("slipway.apps.builders.buildx.Buildx.build", fetch)
    monkeypatch.setattr("slipway.apps.builders.reference.check", lambda *_: None)
    return found


def test_an_image_by_its_reference_is_fetched_once_for_all_who_name_it(
    shop: Shop, fetched: list[str]
) -> None:
    apps = "name: one, image: 'r.test/db:1'", "name: two, image: 'r.test/db:1'"
    one, two = with_images(of_image(shop, *apps).apps)
    assert fetched == ["FROM r.test/db:1\n"]
    assert one.image.rpartition(":")[2] == two.image.rpartition(":")[2]
    assert [one, two] == of_image(shop, *apps).apps
    assert len(fetched) == 1
    of_image(shop, "name: one, image: 'r.test/db:2'")
    assert fetched[1:] == ["FROM r.test/db:2\n"]


def test_what_was_fetched_with_a_login_is_for_those_who_have_it(
    shop: Shop, fetched: list[str]
) -> None:
    shop.settings = replace(shop.settings, secrets=Secrets({"pull": "hidden-1234"}))
    login = "registry_auth: {r.test: {user: me, password: pull}}"
    of_image(shop, f"name: one, image: 'r.test/db:1', {login}")
    assert shop.calls[0]["logins"] == {"r.test": Login("me", "hidden-1234")}
    of_image(shop, "name: two, image: 'r.test/db:1'")
    assert len(fetched) == 2
    assert shop.calls[1]["logins"] == {}


@pytest.mark.parametrize("settings", [SECRET_APP, LOGIN_APP])
def test_secret_that_is_not_there(shop: Shop, settings: str) -> None:
    [app] = shop.apps(settings).apps
    assert "needs the secret npm_token for its build" in reason(app)
    assert shop.calls == []


@pytest.mark.parametrize("buildkit", [True, False])
def test_dockers_engine_builds_where_it_is_chosen(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, buildkit: bool
) -> None:
    plugins = [f"cni/{name}" for name in PLUGINS]
    for program in ("tools/buildkitd", "tools/buildctl", "bin/runc", *plugins):
        (shop.root / "bundle" / program).parent.mkdir(exist_ok=True)
        (shop.root / "bundle" / program).touch()
    by_buildkit: list[str] = []

    def build(self: object, order: Order[BuildxBuild]) -> Path:
        by_buildkit.append(order.label)
        return shop.build(order)

    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("slipway.apps.builders.buildkit.BuildKit.build", build)
    shop.settings = replace(shop.settings, buildkit=buildkit)
    image_of(shop.apps("name: web"))
    assert by_buildkit == (["web (main)"] if buildkit else [])


def test_images_of_the_same_app_alone_are_known_to_its_next_build(shop: Shop) -> None:
    other, web = shop.apps("name: other, build: jib", "name: web").apps
    assert isinstance(web, Built)
    assert isinstance(other, Built)
    commit(shop.repository, {"content": "2"})
    shop.apps("name: web")
    assert shop.calls[-1]["images"] == [web.image]


def test_builds_are_known_by_their_repository(shop: Shop) -> None:
    shop.apps("name: a", "name: b, build: jib")
    [repository] = {call["repository"] for call in shop.calls}
    assert repository.startswith("web-")


def test_an_exception_that_nobody_foresaw_fails_its_app_alone(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = shop.build

    def build(order: Order[JibBuild | BuildxBuild]) -> Path:
        if order.label == "odd (main)":
            raise AttributeError("'list' object has no attribute 'get'")
        return plain(order)

    monkeypatch.setattr(shop, "build", build)
    args = "build: {buildx: {args: {ONE: '1'}}}"
    odd, web = shop.apps(f"name: odd, {args}", "name: web").apps
    assert odd.failed
    assert odd.failed.step == "build"
    why = odd.failed.reason
    assert "unexpected AttributeError: 'list' object has no attribute 'get'" in why
    assert "-vvv" in why
    assert isinstance(web, Built)


def test_each_app_is_built_where_the_jdk_is_that_it_asks_for(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[str, str]] = []
    monkeypatch.setattr(
        "slipway.apps.builders.build.Sandboxes",
        lambda bundle, ref, say: made.append((bundle.name, ref)),
    )
    asked = Asked(shop.root / "bundle")
    shop.settings = replace(shop.settings, maven=MAVEN, requested=asked)
    jib = "git_path: sub, build: {jib: {args: [-D%s]%s}}"
    apps = [
        f"name: {name}, {jib % (name, java)}"
        for name, java in (
            ("old", ", java: 17"),
            ("other", ", java: 17"),
            ("usual", ""),
            ("same", ", java: 21"),
        )
    ]
    with_images(shop.apps(*apps).apps)
    assert made == [("maven-17", "maven:17"), ("bundle", "maven:21")]
    assert asked.refs == ["maven:17"]
    java = {call["label"]: call["build"].java for call in shop.calls}
    assert java == {"old (main)": 17, "other (main)": 17, "usual (main)": 21, "same (main)": 21}


def test_an_app_whose_jdk_cannot_be_had_fails_alone(shop: Shop) -> None:
    asked = Asked(shop.root / "bundle", lacking="maven:17")
    shop.settings = replace(shop.settings, maven=MAVEN, requested=asked)
    old, usual = shop.apps(
        "name: old, build: {jib: {java: 17}}", "name: usual, build: {jib: {args: [-Dx]}}"
    ).apps
    assert reason(old) == "maven:17: no archive answers"
    assert isinstance(usual, Built)


@pytest.mark.parametrize("check", [True, False])
def test_another_jdk_is_another_build_and_a_newer_one_than_the_base_s_java_is_told(
    shop: Shop, check: bool
) -> None:
    shop.settings = replace(shop.settings, maven=MAVEN, requested=Asked(shop.root / "bundle"))
    image_of(shop.apps("name: web, build: jib"))
    assert image_of(shop.apps("name: web, build: {jib: {java: 21}}"))
    assert len(shop.calls) == 1
    shop.apps("name: web, build: {jib: {java: 25}}", check=check)
    assert len(shop.calls) == 1 + (not check)
    [told] = [line for line in shop.said if "Java 25" in line]
    assert told == (
        f"web (main): is built with Java 25, and its base image {BASE} runs classes up to Java 21: "
        "name a base_image with Java 25, or have the pom's maven.compiler.release be 21"
    )
