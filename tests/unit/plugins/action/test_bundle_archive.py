"""Writing the bundle as one file: what goes into it, and what is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from plugins.action import bundle_archive
from slipway.apps import provisions
from slipway.apps.app import App, save
from slipway.apps.builders.build import Settings
from slipway.bundle import environment, licences, signature
from slipway.bundle.keys import key_of
from slipway.bundle.source import SourceProvider
from slipway.nodes import containers, image
from tests.support.apps import sourced
from tests.support.bundles import FILES, KEY, VERSIONS, bundle, contents_of
from tests.support.fake_ansible import action

MACHINE = "bundle.slipway.internal/node:trixie"


@pytest.fixture(autouse=True)
def parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is gathered, without the programs that are asked for it."""

    def collect(_source: object, _bundle: object, beside: Path, _say: object) -> None:
        (beside / "licences").mkdir()
        (beside / "licences" / "LICENSE").write_text("free")

    def carry(engine: str, of: Path, machine: str, _say: object, refs: Any, beside: Path) -> None:
        (beside / "node").mkdir()
        (beside / "node" / "image").write_text(f"{engine} {of.name} {machine} {refs}")

    def packages(project: Path, _bundle: object, kind: str, beside: Path, _say: object) -> None:
        (beside / "python").mkdir()
        (beside / "python" / "x.whl").write_text(f"{project} {kind}")

    def artifacts(apps: list[App], settings: Settings, beside: Path, _say: object) -> None:
        (beside / "maven").mkdir()
        names = [app.name for app in apps]
        (beside / "maven" / "x.pom").write_text(f"{names} {settings.bases} {settings.maven}")

    monkeypatch.setattr(SourceProvider, "key", KEY)
    monkeypatch.setattr(licences, "collect", collect)
    monkeypatch.setattr(environment, "collect", packages)
    monkeypatch.setattr(provisions, "collect", artifacts)
    monkeypatch.setattr(containers, "connect", lambda: "engine")
    monkeypatch.setattr(image, "carry", carry)
    monkeypatch.setattr(signature, "sign", lambda text, key: f"by {key}".encode())


def result(tmp_path: Path, check: bool = False, **changes: Any) -> dict[str, Any]:
    """What the task returns."""
    made = tmp_path / "bundle"
    args = {
        "path": f"{tmp_path}/out/x.tar.zst",
        "architecture": "amd64",
        "bundle": str(made if made.exists() else bundle(made)),
        "project": "/srv/slipway",
        "versions": VERSIONS,
        "cache": f"{tmp_path}/cache",
    }
    return action(bundle_archive.ActionModule, {**args, **changes}, check=check).run()


BESIDE = {"licences/LICENSE", "python/x.whl"}


def test_it_has_the_bundle_licences_and_what_slipway_runs_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = result(tmp_path)
    out = tmp_path / "out" / "x.tar.zst"
    assert (found["changed"], found["path"]) == (True, str(out))
    contents = contents_of(out)
    assert contents.key == KEY
    assert set(contents.files) == {*FILES, *BESIDE}
    assert contents.signature == b""
    assert capsys.readouterr().out.strip().startswith(f"{out}: ")
    assert [*(tmp_path / "cache" / "work").iterdir()] == []


def test_it_has_the_node_image_where_nodes_are_containers(tmp_path: Path) -> None:
    result(tmp_path, image=MACHINE, images=["a", "b"])
    contents = contents_of(tmp_path / "out" / "x.tar.zst")
    assert set(contents.files) == {*FILES, *BESIDE, "node/image"}
    assert contents.files["python/x.whl"].size == len("/srv/slipway amd64")


def test_it_has_what_maven_needs_of_the_apps_that_are_named(tmp_path: Path) -> None:
    records = save([sourced("greeter", build={"tool": "jib"})], tmp_path)
    result(tmp_path, apps=records, base_image="jre:21", maven_images={"21": "maven:21"})
    contents = contents_of(tmp_path / "out" / "x.tar.zst")
    assert set(contents.files) == {*FILES, *BESIDE, "maven/x.pom"}
    told = "['greeter'] {'jib': 'jre:21'} {21: 'maven:21'}"
    assert contents.files["maven/x.pom"].size == len(told)


def test_a_key_signs_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result(tmp_path, key="/root/.ssh/id_ed25519")
    contents = contents_of(tmp_path / "out" / "x.tar.zst")
    assert contents.signature == b"by /root/.ssh/id_ed25519"
    assert capsys.readouterr().out.strip().endswith("signed with /root/.ssh/id_ed25519")


@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
def test_it_has_the_key_of_the_lock_for_its_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, architecture: str
) -> None:
    monkeypatch.setattr(
        SourceProvider, "key", property(lambda self: key_of(self.architecture.value))
    )
    result(tmp_path, architecture=architecture)
    assert contents_of(tmp_path / "out" / "x.tar.zst").key == key_of(architecture)


def test_a_check_writes_nothing(tmp_path: Path) -> None:
    assert result(tmp_path, check=True)["changed"]
    assert not (tmp_path / "out").exists()
