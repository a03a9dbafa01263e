"""Python's packages come out of an archive before there is anything to read it with."""

from __future__ import annotations

import http.client
import io
import json
import os
import platform
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from bin import carried_packages, install_collections
from slipway.bundle import environment
from tests.support.bundles import FILES, Maker
from tests.support.upstreams import upstream

PLATFORM = carried_packages.PLATFORMS[platform.machine()]
WHEELS = {"python/x.whl": os.urandom(300_000), "python/collections.zip": b"collections"}
OTHERS = {"licences/LICENSE": b"free"}


@pytest.fixture
def made(tmp_path: Path) -> Maker:
    return Maker(tmp_path / "made")


def taken(folder: Path) -> dict[str, bytes]:
    """What was taken, by the names in an archive."""
    return {f"python/{path.name}": path.read_bytes() for path in folder.iterdir()}


def test_all_of_them_are_taken_and_nothing_else(made: Maker, tmp_path: Path) -> None:
    archive = made(beside={**WHEELS, **OTHERS})
    assert carried_packages.main(str(archive), tmp_path / "out") is None
    assert taken(tmp_path / "out") == WHEELS


def test_no_more_is_read_than_has_them(made: Maker, tmp_path: Path) -> None:
    random = {f"bin/{name}": os.urandom(1 << 20) for name in "abcd"}
    archive = made(files={**FILES, **random}, beside=WHEELS)
    os.truncate(archive, archive.stat().st_size // 2)
    assert carried_packages.main(str(archive), tmp_path / "out") is None
    assert taken(tmp_path / "out") == WHEELS


def test_of_several_archives_that_for_this_machine_is_taken(made: Maker, tmp_path: Path) -> None:
    foreign = made(beside={"python/x.whl": b"another"}, platform="linux/s390x")
    places = f"{foreign}, {made(beside=WHEELS)}"
    assert carried_packages.main(places, tmp_path / "out") is None
    assert taken(tmp_path / "out") == WHEELS


def cut(archive: Path) -> None:
    os.truncate(archive, archive.stat().st_size // 2)


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (Path.unlink, "No such file"),
        (lambda path: path.write_bytes(b"text"), "it cannot be decompressed"),
        (cut, ""),
        (lambda path: os.truncate(path, 0), ""),
    ],
)
def test_an_archive_that_does_not_have_them_is_told_and_leaves_nothing(
    made: Maker, tmp_path: Path, harm: Callable[[Path], None], why: str
) -> None:
    archive = made(beside=WHEELS)
    harm(archive)
    said = carried_packages.main(str(archive), tmp_path / "out")
    assert said and said.startswith(f"no packages of Python's are taken out of {archive}: ")
    assert why in said
    assert not (tmp_path / "out").exists()


def test_an_archive_that_was_written_without_them_is_told(made: Maker, tmp_path: Path) -> None:
    said = carried_packages.main(str(made(beside=OTHERS)), tmp_path / "out")
    assert said and said.endswith("it was written without them")


@pytest.mark.parametrize(
    "manifest",
    [
        [],
        {"about": None},
        {"about": {"platform": []}, "beside": {}},
        {"about": {"platform": PLATFORM}, "beside": []},
        {"about": {"platform": PLATFORM}, "beside": {"python/x.whl": {"sha256": 1}}},
        {"about": {"platform": PLATFORM}, "beside": {"python/x.whl": "sum"}},
    ],
)
def test_after_an_archive_with_a_manifest_that_is_none_the_next_is_tried(
    made: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, manifest: object
) -> None:
    text = json.dumps(manifest).encode()
    bad = tmp_path / "bad"
    with tarfile.open(bad, "w") as tar:
        info = tarfile.TarInfo("manifest.json")
        info.size = len(text)
        tar.addfile(info, io.BytesIO(text))
    opened = carried_packages.opened
    monkeypatch.setattr(
        carried_packages,
        "opened",
        lambda place: tarfile.TarFile(bad) if place == str(bad) else opened(place),
    )
    said = carried_packages.main(str(bad), tmp_path / "out")
    assert said and said.startswith(f"no packages of Python's are taken out of {bad}: it")
    assert len(said.splitlines()) == 1
    assert carried_packages.main(f"{bad},{made(beside=WHEELS)}", tmp_path / "out") is None
    assert taken(tmp_path / "out") == WHEELS


def test_after_an_answer_that_ends_early_the_next_archive_is_tried(
    made: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ends(_stream: object, _target: object) -> int:
        raise http.client.IncompleteRead(b"", 5)

    archive = made(beside=WHEELS)
    with upstream() as served:
        served.files["/a"] = archive.read_bytes()
        address = f"{served.url}/a"
        with monkeypatch.context() as patched:
            patched.setattr(carried_packages.Decompressed, "readinto", ends)
            said = carried_packages.main(f"{address}?signature=key", tmp_path / "out")
        assert said == (
            f"no packages of Python's are taken out of {address}: "
            "IncompleteRead(0 bytes read, 5 more expected)"
        )
        assert carried_packages.main(address, tmp_path / "out") is None


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://me:secret@files.test/a", "https://files.test/a"),
        ("https://files.test/a b?signature=secret", "https://files.test/a b"),
        ("https://[secret/a", "https://..."),
        ("http://127.0.0.1:1/a?signature=secret", "http://127.0.0.1:1/a"),
    ],
)
def test_what_is_said_of_an_address_does_not_have_what_opens_it(
    made: Maker, tmp_path: Path, address: str, shown: str
) -> None:
    said = carried_packages.main(address, tmp_path / "out")
    assert said and len(said.splitlines()) == 1
    assert said.startswith(f"no packages of Python's are taken out of {shown}")
    assert "secret" not in said
    assert carried_packages.main(f"{address},{made(beside=WHEELS)}", tmp_path / "out") is None


def test_it_looks_where_archives_have_them() -> None:
    assert environment.is_of(f"{carried_packages.FOLDER}x.whl")
    assert install_collections.CARRIED.name == environment.COLLECTIONS
