"""Archives of images, in the repository and elsewhere, built for real."""

from __future__ import annotations

import os
import shutil
import tarfile
from pathlib import Path

import pytest

from slipway.apps.app import Built
from slipway.apps.builders.architectures import Images
from slipway.apps.builders.build import Settings, build_images
from slipway.apps.source.git import Mirror
from slipway.architecture import Architecture
from slipway.cache.layout import CacheLayout
from slipway.oci import Image, ImageConfig, ImageStore, layer_from_tree
from tests.support.apps import reason, sourced
from tests.support.git_samples import commit, git

OWN = Architecture.here()
(OTHER,) = {*Architecture} - {OWN}


class Depot:
    """Archives, a repository and a cache."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.repository = root / "web"
        self.cache = root / "cache"
        self.said: list[str] = []
        self.nodes: dict[str, Architecture] = {}

    def archive(self, path: Path, text: str, *, docker: bool = False) -> Image:
        """Write an image that holds ``text`` to an archive."""
        store = ImageStore(self.root / "made")
        layer = layer_from_tree({"content": text.encode()})
        image = store.add_image("made.test/image:1", [layer], ImageConfig())
        if docker:
            store.write_docker_archive(image.ref, path)
        else:
            with path.open("wb") as out:
                store.write_archive([image.ref], out)
        return image

    def archive_for(self, path: Path, *kinds: Architecture) -> None:
        """Write an archive with an image for each of several processors."""
        store = ImageStore(self.root / "made")
        for kind in kinds:
            config = ImageConfig(architecture=kind)
            store.add_image(f"made.test/image:{kind}", [layer_from_tree({"/a": b"1"})], config)
        with path.open("wb") as out:
            store.write_archive([f"made.test/image:{kind}" for kind in kinds], out)

    def folder(self, path: Path, text: str) -> Image:
        """Unpack an OCI archive of an image that holds ``text`` into a folder."""
        image = self.archive(self.root / "packed.tar", text)
        with tarfile.open(self.root / "packed.tar") as tar:
            tar.extractall(path, filter="data")
        return image

    def take(self, archive: str, folder: str = ".", *, check: bool = False) -> Images:
        """Have the image of an archive."""
        head = git(self.repository, "rev-parse", "HEAD")
        mirror = Mirror(str(self.repository), self.cache)
        mirror.fetch(["main"])
        app = sourced(
            "web",
            git_url=str(self.repository),
            commit=head,
            tree=git(self.repository, "rev-parse", f"HEAD:{folder.removeprefix('.')}"),
            checkout=str(mirror.lay_out(head)),
            project=folder,
            whole=folder == ".",
            build={"tool": "prebuilt", "archive": archive},
        )
        (self.root / "bundle").mkdir(exist_ok=True)
        bundles = {OTHER: self.root / "other-bundle"}
        settings = Settings(self.cache, self.root / "bundle", {}, nodes=self.nodes, bundles=bundles)
        return build_images([app], settings, check=check, say=self.said.append)

    def image(self, images: Images) -> Image:
        """The stored image of the app."""
        [app] = images.apps
        assert isinstance(app, Built), app.failed
        assert not app.failed
        image = ImageStore(self.cache / "images").get(app.image)
        assert image is not None
        return image


@pytest.fixture
def depot(tmp_path: Path) -> Depot:
    made = Depot(tmp_path)
    commit(made.repository, {"other": "1"})
    return made


@pytest.mark.parametrize("docker", [True, False])
def test_archive_elsewhere(depot: Depot, docker: bool) -> None:
    archive = depot.root / "image.tar"
    made = depot.archive(archive, "one", docker=docker)
    images = depot.take(str(archive))
    assert depot.image(images).config_digest == made.config_digest
    assert images.built == [f"apps.slipway.internal/web:main-{made.config_digest[7:19]}"]
    assert depot.take(str(archive)).built == []

    changed = depot.archive(archive, "two", docker=docker)
    assert depot.take(str(archive), check=True).pending == ["web-main/web"]
    assert depot.image(depot.take(str(archive))).config_digest == changed.config_digest


def test_of_an_archive_for_several_processors_each_kind_of_node_has_its_own(depot: Depot) -> None:
    depot.nodes = {"a": OWN, "b": OTHER}
    archive = depot.root / "image.tar"
    depot.archive_for(archive, OWN, OTHER)
    [app] = depot.take(str(archive)).apps
    assert isinstance(app, Built), app.failed
    layout = CacheLayout(depot.cache)
    images = [ImageStore(layout.images_of(kind)).get(app.image) for kind in (OWN, OTHER)]
    assert [image.platform for image in images if image] == [OWN.platform, OTHER.platform]
    assert app.node_selector == {}
    assert depot.take(str(archive)).built == []


@pytest.mark.parametrize(
    ("kind", "lacking", "where"), [(OWN, OTHER, "b, c"), (OTHER, OWN, "a")], ids=["own", "other"]
)
def test_an_archive_for_one_processor_leaves_the_other_nodes_out_and_says_so(
    depot: Depot, kind: Architecture, lacking: Architecture, where: str
) -> None:
    depot.nodes = {"a": OWN, "b": OTHER, "c": OTHER}
    archive = depot.root / "image.tar"
    depot.archive_for(archive, kind)
    [app] = depot.take(str(archive)).apps
    assert isinstance(app, Built), app.failed
    assert app.node_selector == {"kubernetes.io/arch": kind.value}
    told = f"web (main): has no image for {lacking}, so it does not run on {where}: "
    assert depot.said[-1].startswith(told)
    why = f"no image for {lacking.platform}; it has {kind.platform}"
    assert why in depot.said[-1]


def test_an_archive_for_a_processor_that_no_node_has_is_of_no_use(depot: Depot) -> None:
    depot.nodes = {"b": OTHER}
    archive = depot.root / "image.tar"
    depot.archive_for(archive, OWN)
    [app] = depot.take(str(archive)).apps
    assert f"no image for {OTHER.platform}; it has {OWN.platform}" in reason(app)


def test_archive_in_the_repository(depot: Depot) -> None:
    (depot.repository / "images").mkdir()
    made = depot.archive(depot.repository / "images" / "web.tar", "one")
    commit(depot.repository, {})
    assert depot.image(depot.take("images/web.tar")).manifest_digest == made.manifest_digest

    commit(depot.repository, {"other": "2"})
    assert depot.take("images/web.tar").built == []

    changed = depot.archive(depot.repository / "images" / "web.tar", "two")
    commit(depot.repository, {})
    assert depot.image(depot.take("images/web.tar")).manifest_digest == changed.manifest_digest


def test_archive_in_a_folder_of_the_repository(depot: Depot) -> None:
    (depot.repository / "images").mkdir()
    made = depot.archive(depot.repository / "images" / "web.tar", "one")
    commit(depot.repository, {})
    image = depot.image(depot.take("web.tar", "images"))
    assert image.manifest_digest == made.manifest_digest
    [lost] = depot.take("images/web.tar", "images").apps
    assert reason(lost) == "web (main): has no file images/web.tar in images"


def states(folder: Path) -> dict[Path, tuple[bytes | None, tuple[int, ...], int, int]]:
    """All files of a folder, and what the kernel notes of them but when they were read."""
    return {
        path: (
            path.read_bytes() if path.is_file() else None,
            tuple(path.lstat()[:7]),
            path.lstat().st_mtime_ns,
            path.lstat().st_ctime_ns,
        )
        for path in (folder, *folder.rglob("*"))
    }


def test_folder_stays_as_it_is_and_is_taken_again(depot: Depot) -> None:
    folder = depot.root / "image"
    made = depot.folder(folder, "one")
    before = states(folder)
    image = depot.image(depot.take(str(folder)))
    assert image.manifest_digest == made.manifest_digest
    assert depot.take(str(folder)).built == []
    assert states(folder) == before

    shutil.rmtree(depot.cache)
    assert depot.image(depot.take(str(folder))) == image
    assert states(folder) == before

    changed = depot.folder(folder, "two")
    assert depot.image(depot.take(str(folder))).manifest_digest == changed.manifest_digest


def test_folder_in_the_repository_stays_as_it_is(depot: Depot) -> None:
    made = depot.folder(depot.repository / "image", "one")
    commit(depot.repository, {})
    for _ in range(2):
        image = depot.image(depot.take("image"))
        assert image.manifest_digest == made.manifest_digest
        (depot.cache / "images" / "index.json").unlink()
    checkout = next((depot.cache / "source").glob("web-*/*"))
    assert len(list((checkout / "image/blobs/sha256").iterdir())) == len(image.blobs)


def test_damaged_folder_gets_into_no_store(depot: Depot) -> None:
    folder = depot.root / "image"
    layer = depot.folder(folder, "one").layers[0].digest
    path = folder / "blobs" / "sha256" / layer.removeprefix("sha256:")
    right = path.read_bytes()
    path.write_bytes(b"!" + right[1:])
    [app] = depot.take(str(folder)).apps
    damaged = f"{folder}: is damaged: {layer}: the content does not match the digest"
    assert reason(app).startswith(damaged)
    assert not (depot.cache / "images/blobs/sha256" / path.name).exists()

    path.write_bytes(right)
    image = depot.image(depot.take(str(folder)))
    assert ImageStore(depot.cache / "images").verify(image.ref) == []


@pytest.mark.parametrize("name", ["link.tar", "folder/image.tar"])
def test_archive_that_leads_out_of_the_repository(depot: Depot, name: str) -> None:
    depot.archive(depot.root / "image.tar", "one")
    (depot.repository / "link.tar").symlink_to(depot.root / "image.tar")
    (depot.repository / "folder").symlink_to(depot.root)
    commit(depot.repository, {})
    [app] = depot.take(name).apps
    why = f"web (main): {name} cannot be read: it leads out of the repository"
    assert reason(app).splitlines()[0] == why


def test_link_to_an_archive_in_the_repository(depot: Depot) -> None:
    made = depot.archive(depot.repository / "one.tar", "one")
    (depot.repository / "newest.tar").symlink_to("one.tar")
    commit(depot.repository, {})
    assert depot.image(depot.take("newest.tar")).manifest_digest == made.manifest_digest

    changed = depot.archive(depot.repository / "one.tar", "two")
    commit(depot.repository, {})
    assert depot.image(depot.take("newest.tar")).manifest_digest == changed.manifest_digest


def test_pipe_in_place_of_an_archive(depot: Depot) -> None:
    os.mkfifo(depot.root / "pipe")
    [app] = depot.take(str(depot.root / "pipe")).apps
    why = f"web (main): {depot.root}/pipe cannot be read: it is neither a file nor a folder"
    assert reason(app) == why


def test_archive_that_is_not_there(depot: Depot) -> None:
    inside, outside = (reason(depot.take(archive).apps[0]) for archive in ("no.tar", "/no/no.tar"))
    assert inside == "web (main): has no file no.tar in its repository"
    assert outside == "web (main): /no/no.tar cannot be read: No such file or directory"


def test_something_else_than_an_archive(depot: Depot) -> None:
    [app] = depot.take("other").apps
    assert "cannot be read as an image archive" in reason(app)
