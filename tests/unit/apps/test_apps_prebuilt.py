"""Archives of images, in the repository and elsewhere, built for real out of the record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from slipway.apps.build import Images, Settings, build_images
from slipway.apps.source.git import Mirror
from slipway.oci import Image, ImageConfig, ImageStore, layer_from_tree
from tests.unit.apps.git_samples import commit, git


class Depot:
    """Archives, a repository and a cache."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.repository = root / "web"
        self.cache = root / "cache"
        self.said: list[str] = []

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

    def take(self, archive: str, folder: str = ".", *, check: bool = False) -> Images:
        """Have the image of an archive."""
        head = git(self.repository, "rev-parse", "HEAD")
        mirror = Mirror(str(self.repository), self.cache)
        mirror.fetch(["main"])
        record: dict[str, Any] = {
            "id": "web-main/web",
            "name": "web",
            "git_url": str(self.repository),
            "git_branch": "main",
            "branch_slug": "main",
            "commit": head,
            "tree": git(self.repository, "rev-parse", f"HEAD:{folder.removeprefix('.')}"),
            "checkout": str(mirror.lay_out(head)),
            "project": folder,
            "whole": folder == ".",
            "build": {"tool": "prebuilt", "archive": archive},
            "base_image": {},
        }
        (self.root / "bundle").mkdir(exist_ok=True)
        settings = Settings(self.cache, self.root / "bundle", {})
        return build_images([record], settings, check=check, say=self.said.append)

    def image(self, images: Images) -> Image:
        """The stored image of the record."""
        [record] = images.records
        assert "failed" not in record, record["failed"]
        image = ImageStore(self.cache / "images").get(record["image"])
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
    [lost] = depot.take("images/web.tar", "images").records
    assert lost["failed"]["reason"] == "web (main): has no file images/web.tar in images"


def test_archive_that_is_not_there(depot: Depot) -> None:
    inside, outside = (
        depot.take(archive).records[0]["failed"]["reason"] for archive in ("no.tar", "/no/no.tar")
    )
    assert inside == "web (main): has no file no.tar in its repository"
    assert outside == "web (main): /no/no.tar cannot be read: No such file or directory"


def test_something_else_than_an_archive(depot: Depot) -> None:
    [record] = depot.take("other").records
    assert "cannot be read as an image archive" in record["failed"]["reason"]
