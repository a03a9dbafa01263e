"""Where base images come from, and that a registry is asked once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from slipway.apps.builders.bases import Base, Bases
from slipway.apps.builders.logins import Logins
from slipway.architecture import Architecture
from slipway.bundle.download import Login
from slipway.cache.layout import CacheLayout
from slipway.errors import Problem, SlipwayError
from slipway.oci import ImageConfig, ImageStore, layer_from_tree

REF = "registry.test/java:21"


class Registry:
    """Gives what is ``there``, and notes what it was asked for."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.architecture = Architecture.here()
        self.there = {REF: "one"}
        self.asked: list[str] = []
        self.logins: list[Logins] = []

    def pull(self, ref: str, into: Path, logins: Logins) -> None:
        """As Bases wants it."""
        self.asked.append(ref)
        self.logins.append(logins)
        if ref not in self.there:
            raise SlipwayError(Problem(ref, "no such image"))
        layer = layer_from_tree({"file": self.there[ref].encode()})
        config = ImageConfig(architecture=self.architecture)
        ImageStore(into).add_image("pulled.test/image:1", [layer], config)

    def find(self, ref: str, *, pull: bool = True) -> Base:
        """The base, as a new run finds it."""
        base = self.run(pull=pull).find("jib", ref)
        assert base is not None
        return base

    def run(self, *, pull: bool = True) -> Bases:
        """A new run."""
        cache = CacheLayout(self.root)
        apps = ImageStore(cache.images_of(self.architecture), self.architecture.platform)
        return Bases(apps, ImageStore(self.root / "bundle"), {}, self.pull if pull else None, cache)


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "cache")


def test_registry_is_asked_once(registry: Registry) -> None:
    first = registry.find(REF)
    registry.there[REF] = "another"
    again = registry.find(REF)
    assert (again.identity, again.ref) == (first.identity, first.ref)
    assert again.fetch is not None
    assert again.fetch().image.manifest_digest == first.identity
    assert registry.asked == [REF]
    assert json.loads((registry.root / "bases.json").read_text()) == {REF: first.identity}
    assert list((registry.root / "work").iterdir()) == []


def test_registry_is_asked_once_for_each_kind_of_node(registry: Registry) -> None:
    own = registry.find(REF)
    (registry.architecture,) = {*Architecture} - {Architecture.here()}
    other = registry.find(REF)
    assert other.identity != own.identity
    assert registry.find(REF).identity == other.identity
    registry.architecture = Architecture.here()
    assert registry.find(REF).identity == own.identity
    assert len(registry.asked) == 2


def test_registry_is_asked_again_when_the_note_is_gone(registry: Registry) -> None:
    first = registry.find(REF)
    registry.there[REF] = "another"
    (registry.root / "bases.json").unlink()
    assert registry.find(REF).identity != first.identity
    assert len(registry.asked) == 2


def test_registry_is_asked_again_when_the_image_is_gone(registry: Registry) -> None:
    first = registry.find(REF)
    ImageStore(registry.root / "images").remove(first.ref)
    assert registry.find(REF).identity == first.identity
    assert len(registry.asked) == 2


def test_run_that_may_not_fetch(registry: Registry) -> None:
    unknown = registry.find(REF, pull=False)
    assert (unknown.ref, unknown.identity, unknown.fetch) == (REF, REF, None)
    fetched = registry.find(REF)
    assert registry.find(REF, pull=False).identity == fetched.identity


def test_registry_without_the_image_is_asked_once_in_a_run(registry: Registry) -> None:
    run = registry.run()
    for _ in range(2):
        with pytest.raises(SlipwayError, match="no such image"):
            run.find("jib", "registry.test/gone:1")
    assert registry.asked == ["registry.test/gone:1"]


def test_what_was_fetched_with_a_login_is_not_for_those_without(registry: Registry) -> None:
    logins = {"registry.test": Login("builds", "secret"), "other.test": Login("me", "x")}
    private = registry.run().find("jib", REF, logins)
    registry.there[REF] = "another"
    assert private is not None
    assert registry.run().find("jib", REF, logins) is not None
    assert registry.asked == [REF]
    assert registry.find(REF).identity != private.identity
    assert registry.logins == [logins, {}]
    assert "secret" not in (registry.root / "bases.json").read_text()
