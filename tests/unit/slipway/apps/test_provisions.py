"""What Maven downloads for some apps goes along with a bundle, and builds look there first."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from slipway.apps import provisions
from slipway.apps.app import App
from slipway.apps.builders.architectures import Images
from slipway.apps.builders.build import Settings
from slipway.apps.source.git import mirror_key
from slipway.cache.layout import CacheLayout, MavenCache
from tests.support.apps import sourced
from tests.support.maven_samples import write

URL = "https://git.company.example"

DOWNLOADED = {
    "org/x/1/x-1.jar": "classes",
    "org/x/1/x-1.pom": "what x needs",
    "org/x/1/_remote.repositories": "x-1.jar>central=",
    "org/x/1/x-2.pom.lastUpdated": "not there",
    "org/resolver-status.properties": "",
}

BESIDE = ("org/x/a-file", "org/x/a-folder", "org/x/a-pipe")
"""What a build may leave there that Maven never does."""


class Builds:
    """Stands for the builds of apps, of which each downloads the same, or fails."""

    def __init__(self) -> None:
        self.failing = ""
        self.asked: list[str] = []
        self.settings: list[Settings] = []
        self.leave: Callable[[Path], None] = lambda _: None

    def __call__(self, apps: Iterable[App], settings: Settings, *, check: bool, say: Any) -> Images:
        self.settings.append(settings)
        built = [*apps]
        for app in built:
            self.asked.append(app.name)
            if app.name == self.failing:
                app.fail("build", "no way to Maven Central")
            else:
                kept = MavenCache(CacheLayout(settings.cache).maven / mirror_key(app.git_url))
                write(kept.own / "repository", DOWNLOADED)
                self.leave(kept.own / "repository")
        return Images(built, [], [])


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> Builds:
    made = Builds()
    monkeypatch.setattr(provisions, "build_images", made)
    return made


def collected(root: Path, *names: str) -> tuple[set[str], list[str]]:
    """The files that are put beside a bundle, and what is said."""
    beside, said = root / "work" / "beside", list[str]()
    beside.mkdir(parents=True)
    (root / "bundle").mkdir(exist_ok=True)
    apps = [sourced(name, build={"tool": "jib"}, git_url=f"{URL}/{name}.git") for name in names]
    apps.append(sourced("quotes", build={"tool": "buildx"}))
    settings = Settings(root / "cache", root / "bundle", {}, repositories=[root / "m2"])
    provisions.collect(apps, settings, beside, said.append)
    assert [*(root / "work").iterdir()] == [beside]
    return {
        path.relative_to(beside).as_posix() for path in beside.rglob("*") if path.is_file()
    }, said


def carried(name: str) -> set[str]:
    """What an archive has for builds of a repository, and for no others."""
    folder = f"maven/{mirror_key(f'{URL}/{name}.git')}"
    return {f"{folder}/org/x/1/x-1.jar", f"{folder}/org/x/1/x-1.pom"}


def test_artifacts_go_along_without_where_they_came_from(tmp_path: Path, builds: Builds) -> None:
    files, _ = collected(tmp_path, "greeter", "other")
    assert files == {*carried("greeter"), *carried("other")}
    assert builds.asked == ["greeter", "other"]


def test_nothing_that_this_machine_has_is_taken_for_downloaded(
    tmp_path: Path, builds: Builds
) -> None:
    collected(tmp_path, "greeter")
    [settings] = builds.settings
    assert settings.cache != tmp_path / "cache"
    assert settings.repositories == ()


def test_nothing_goes_along_that_a_build_has_made_a_link_to(tmp_path: Path, builds: Builds) -> None:
    write(tmp_path / "home", {"id_ed25519": "the operator's"})

    def leave(repository: Path) -> None:
        a_file, a_folder, a_pipe = (repository / name for name in BESIDE)
        a_file.symlink_to(tmp_path / "home" / "id_ed25519")
        a_folder.symlink_to(tmp_path / "home")
        os.mkfifo(a_pipe)

    builds.leave = leave
    files, _ = collected(tmp_path, "greeter")
    assert files == carried("greeter")


def test_a_local_repository_that_is_a_link_is_not_followed(tmp_path: Path, builds: Builds) -> None:
    write(tmp_path / "home", {"id_ed25519": "the operator's"})

    def leave(repository: Path) -> None:
        repository.rename(repository.with_name("real"))
        repository.symlink_to(tmp_path / "home")

    builds.leave = leave
    assert collected(tmp_path, "greeter")[0] == set()


def test_an_app_that_fails_is_told_of_and_the_others_go_along(
    tmp_path: Path, builds: Builds
) -> None:
    builds.failing = "greeter"
    files, said = collected(tmp_path, "greeter", "other")
    assert files == carried("other")
    assert said[-1] == "without the artifacts of greeter (main): no way to Maven Central"


def test_a_bundle_that_came_with_them_keeps_its_own(tmp_path: Path, builds: Builds) -> None:
    write(tmp_path / "bundle" / "maven", {"a.jar": ""})
    assert collected(tmp_path, "greeter") == (set(), [])
    assert builds.asked == []
