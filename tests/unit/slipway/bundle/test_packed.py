"""Archives: what is in one comes out as it was, and nothing else does."""

from __future__ import annotations

import hashlib
import io
import json
import os
import sys
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from slipway.bundle import manifest, packed
from slipway.bundle.packed import BLOBS, MANIFEST, SIGNATURE, Contents, Damaged
from slipway.bundle.progress import Progress
from slipway.errors import SlipwayError
from tests.support.bundles import FILES, KEY, Maker, bundle, contents_of, silent

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


@pytest.fixture
def made(tmp_path: Path) -> Maker:
    return Maker(tmp_path / "made")


def unpacked(
    archive: Path | io.BytesIO, into: Path, found: Callable[[str], Path | None] = lambda _: None
) -> Path:
    """The folder that an archive was unpacked to."""
    stream = archive.open("rb") if isinstance(archive, Path) else archive
    with stream as file, packed.opened(file) as plain:
        contents = packed.read_contents(plain)
        into.mkdir()
        packed.unpack(plain, contents, into, found, Progress("unpacked", 0, silent))
    return into


def tree(folder: Path) -> dict[str, bytes]:
    """The files below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_what_went_in_comes_out(made: Maker, tmp_path: Path) -> None:
    folder = unpacked(made(beside={"licences/go/x/LICENSE": b"free"}), tmp_path / "out")
    assert tree(folder) == {**FILES, "licences/go/x/LICENSE": b"free"}
    programs = {name for name in FILES if os.access(folder / name, os.X_OK)}
    assert {"bin/kubelet", "tools/buildkitd"} <= programs
    assert "images/index.json" not in programs


def test_the_same_content_is_there_once_and_locks_are_apart(made: Maker, tmp_path: Path) -> None:
    archive = made()
    with (
        archive.open("rb") as file,
        packed.opened(file) as plain,
        tarfile.open(fileobj=plain, mode="r|") as tar,
    ):
        names = [member.name for member in tar]
    digests = {hashlib.sha256(content).hexdigest() for content in FILES.values()}
    assert names[:2] == [MANIFEST, SIGNATURE]
    assert sorted(names[2:]) == sorted(BLOBS + each for each in digests)
    folder = unpacked(archive, tmp_path / "out")
    assert (folder / "bin/kubelet").samefile(folder / "images/blobs/sha256/a")
    assert not (folder / "images/index.lock").samefile(folder / "images/blobs.lock")


def test_what_makes_an_environment_comes_before_all_else(made: Maker) -> None:
    wheel = b"a wheel"
    archive = made(beside={"licences/LICENSE": b"free", "python/x.whl": wheel})
    with (
        archive.open("rb") as file,
        packed.opened(file) as plain,
        tarfile.open(fileobj=plain, mode="r|") as tar,
    ):
        names = [member.name for member in tar]
    assert names[2] == BLOBS + hashlib.sha256(wheel).hexdigest()


def test_it_says_what_it_is_at_once(made: Maker) -> None:
    random = {f"bin/{name}": os.urandom(1 << 20) for name in "abc"}
    archive = made(random)
    start = io.BytesIO(archive.read_bytes()[: 64 << 10])
    with packed.opened(start) as plain:
        contents = packed.read_contents(plain)
    assert contents.key == KEY
    assert contents.versions == {"kubernetes": "1.36.3", "etcd": "3.6.8"}
    assert set(contents.bundle) == set(random)
    assert contents.about["parts"] == ["kubernetes-0123"]


def test_the_same_content_makes_the_same_file(made: Maker) -> None:
    assert made().read_bytes() == made().read_bytes()


def test_what_else_is_in_the_bundle_s_folder_goes_along(tmp_path: Path) -> None:
    folder = bundle(tmp_path / "bundle")
    (folder / "sbom.json").write_text("{}")
    (tmp_path / "beside").mkdir()
    out = tmp_path / "x.tar.zst"
    packed.write(out, folder, tmp_path / "beside", KEY, None, silent)
    contents = contents_of(out)
    assert "sbom.json" not in contents.bundle
    assert set(contents.files) == {*FILES, "sbom.json"}
    assert contents.is_in((manifest.read(folder) or {})["sha256"])


def test_a_bundle_that_came_in_an_archive_is_packed_as_it_came(made: Maker, tmp_path: Path) -> None:
    archive = made(beside={"licences/LICENSE": b"free"})
    folder, out = unpacked(archive, tmp_path / "out"), tmp_path / "x.tar.zst"
    manifest.write(folder, dict(contents_of(archive).about))
    packed.write(out, folder, tmp_path / "beside", KEY, None, silent)
    assert out.read_bytes() == archive.read_bytes()


def test_a_bundle_is_known_by_its_files_alone(made: Maker) -> None:
    one, same = contents_of(made()), contents_of(made(beside={"sbom.json": b"{}"}))
    other = contents_of(made({**FILES, "bin/kubelet": b"a newer one"}))
    sums = {name: file.sha256 for name, file in one.files.items()}
    assert same.is_in(sums)
    assert not other.is_in(sums)
    assert len({one.content, same.content, other.content}) == 3


def test_it_is_signed_as_it_says(made: Maker) -> None:
    contents = contents_of(made(sign=lambda text: b"signed " + text[:5]))
    assert contents.signature == b"signed " + contents.text[:5]
    assert contents_of(made()).signature == b""


def test_a_file_that_is_not_what_it_was_is_not_packed(tmp_path: Path) -> None:
    folder, out = bundle(tmp_path / "bundle"), tmp_path / "x.tar.zst"
    (folder / "tools/buildkitd").write_bytes(b"Another")
    out.write_bytes(b"from before")
    with pytest.raises(SlipwayError, match="is damaged, or was changed"):
        packed.write(out, folder, tmp_path / "beside", KEY, None, silent)
    assert out.read_bytes() == b"from before"
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["x.tar.zst"]


def test_where_it_cannot_be_written_is_told(tmp_path: Path) -> None:
    folder = bundle(tmp_path / "bundle")
    out = folder / "bin" / "kubelet" / "x.tar.zst"
    with pytest.raises(SlipwayError, match=r"cannot be written: .*; nothing is left of it"):
        packed.write(out, folder, tmp_path / "beside", KEY, None, silent)


def test_what_is_there_already_gets_one_more_name(made: Maker, tmp_path: Path) -> None:
    there = bundle(tmp_path / "there")
    sums = {hashlib.sha256(content).hexdigest(): name for name, content in FILES.items()}
    files: dict[str, Path] = {digest: there / name for digest, name in sums.items()}
    (there / "images/blobs/sha256/a").chmod(0o755)
    folder = unpacked(made(), tmp_path / "out", files.get)
    assert tree(folder) == FILES
    assert (folder / "tools/buildkitd").samefile(there / "tools/buildkitd")
    assert (folder / "bin/kubelet").samefile(there / "images/blobs/sha256/a")
    locks = [path for top in (folder, there) for path in (top / "images").glob("*.lock")]
    assert len({path.stat().st_ino for path in locks}) == len(locks) == 4


def test_a_file_that_cannot_be_run_is_no_program_by_a_link(made: Maker, tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.write_bytes(b"another")
    digest = hashlib.sha256(b"another").hexdigest()
    folder = unpacked(made(), tmp_path / "out", {digest: there}.get)
    assert os.access(folder / "tools/buildkitd", os.X_OK)
    assert not os.access(there, os.X_OK)


class Forged:
    """An archive that somebody made by hand."""

    def __init__(self, **changes: Any) -> None:
        digest = hashlib.sha256(b"content").hexdigest()
        self.digest = digest
        self.document: dict[str, Any] = {
            "format": packed.FORMAT,
            "key": KEY,
            "about": {"platform": "linux/amd64", "versions": {}, "parts": []},
            "bundle": {"bin/a": {"sha256": digest, "size": 7}},
            "beside": {},
            **changes,
        }
        self.entries: list[tuple[str, bytes, bytes]] = [(BLOBS + digest, b"content", b"0")]

    def archive(self, text: bytes | None = None) -> io.BytesIO:
        """All of it."""
        document = json.dumps(self.document).encode() if text is None else text
        head = [(MANIFEST, document, b"0"), (SIGNATURE, b"", b"0")]
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
            for name, content, kind in [*head, *self.entries]:
                info = tarfile.TarInfo(name)
                info.type = kind
                info.size = len(content)
                info.linkname = "/etc/passwd" if kind != b"0" else ""
                tar.addfile(info, io.BytesIO(content))
        return io.BytesIO(zstd.compress(out.getvalue()))


def refused(archive: io.BytesIO, tmp_path: Path) -> str:
    """Why an archive is not unpacked."""
    with pytest.raises(Damaged) as caught:
        unpacked(archive, tmp_path / "out")
    outside = [path for path in tmp_path.rglob("*") if (tmp_path / "out") not in path.parents]
    assert [path for path in outside if path.is_file()] == []
    return str(caught.value)


def test_one_made_by_hand_may_be_sound(tmp_path: Path) -> None:
    assert tree(unpacked(Forged().archive(), tmp_path / "out")) == {"bin/a": b"content"}


@pytest.mark.parametrize(
    "name",
    [
        *("../a", "/etc/a", "a/../../b", "..", ".", "", "a//b", "./a", "a/", "a/./b"),
        *("manifest.json", "a\nb", "a\0b"),
    ],
)
def test_no_name_leads_out_of_the_folder(name: str, tmp_path: Path) -> None:
    forged = Forged()
    forged.document["bundle"] = {name: forged.document["bundle"]["bin/a"]}
    assert "which may not be" in refused(forged.archive(), tmp_path)


def test_no_file_is_below_another(tmp_path: Path) -> None:
    forged = Forged()
    forged.document["beside"] = {"bin/a/b": forged.document["bundle"]["bin/a"]}
    assert "'bin/a/b', which may not be" in refused(forged.archive(), tmp_path)


@pytest.mark.parametrize("kind", [*b"1234567xgLKSVAD"])
def test_there_are_no_links_devices_and_the_like(kind: int, tmp_path: Path) -> None:
    forged = Forged()
    forged.entries.append(("bin/b", b"", bytes([kind])))
    assert "is no file" in refused(forged.archive(), tmp_path)


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([], "lacks bin/a"),
        ([(BLOBS, b"content")], "another content of a (sha256 "),
        ([(BLOBS, b"contents")], "8 bytes of a"),
        ([(BLOBS, b"content")] * 2, "has it twice"),
        ([("bin/", b"content")], "does not name"),
        ([("", b"content")], "does not name"),
    ],
)
def test_there_is_what_the_manifest_says_and_nothing_else(
    entries: list[tuple[str, bytes]], words: str, tmp_path: Path
) -> None:
    forged = Forged()
    if words.startswith("another"):
        entries = [(BLOBS, b"Content")]
    forged.entries = [(place + forged.digest, content, b"0") for place, content in entries]
    assert words in refused(forged.archive(), tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "slipway-bundle/2"},
        {"key": "../../etc"},
        {"key": KEY + "\n"},
        {"about": {"platform": "linux/amd64"}},
        {"about": {"platform": "linux/amd64", "versions": {}, "parts": 5}},
        {"bundle": {"a": {"sha256": KEY, "size": -1}}},
        {"bundle": {"a": {"sha256": "abc", "size": 1}}},
        {"bundle": {"a": {"sha256": KEY, "size": 1, "link": "b"}}},
        {"beside": None},
    ],
)
def test_a_manifest_of_another_kind_is_not_read(changes: Mapping[str, Any], tmp_path: Path) -> None:
    assert refused(Forged(**changes).archive(), tmp_path)


def test_a_content_has_one_size(tmp_path: Path) -> None:
    sizes = {name: {"sha256": KEY, "size": size} for name, size in (("a", 1), ("b", 2))}
    assert "two sizes" in refused(Forged(bundle=sizes).archive(), tmp_path)


@pytest.mark.parametrize("text", [b"", b"[]", b"{", b"\xff\xfe", b"[" * 100_000])
def test_nor_is_one_that_is_none(text: bytes, tmp_path: Path) -> None:
    assert "no manifest that can be read" in refused(Forged().archive(text), tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>Please log in to the network</html>",
        zstd.compress(b""),
        zstd.compress(b"x" * 5000),
        zstd.compress(tarfile.TarInfo("bin/a").tobuf() + bytes(1024)),
    ],
)
def test_what_is_no_archive_of_a_bundle_is_told(content: bytes, tmp_path: Path) -> None:
    assert refused(io.BytesIO(content), tmp_path)


def test_a_manifest_that_is_too_long_is_not_read(tmp_path: Path) -> None:
    info = tarfile.TarInfo(MANIFEST)
    info.size = 1 << 40
    content = zstd.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 20))
    assert "does not begin with its manifest.json" in refused(io.BytesIO(content), tmp_path)


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.999])
def test_one_that_ends_early_is_told(part: float, made: Maker, tmp_path: Path) -> None:
    content = made({"bin/a": os.urandom(1 << 20)}).read_bytes()
    assert refused_in(io.BytesIO(content[: int(len(content) * part)]), tmp_path) == "ends early"


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_so_is_one_that_was_changed(part: float, made: Maker, tmp_path: Path) -> None:
    content = bytearray(made({"bin/a": os.urandom(1 << 20)}).read_bytes())
    content[int(len(content) * part)] ^= 1
    assert refused_in(io.BytesIO(bytes(content)), tmp_path)


def refused_in(archive: io.BytesIO, tmp_path: Path) -> str:
    """Why an archive is not unpacked, beside that which it was made of."""
    with pytest.raises(Damaged) as caught:
        unpacked(archive, tmp_path / "out")
    return str(caught.value)


def test_contents_are_what_was_signed() -> None:
    assert Contents(b"{}", b"s").written == (b"{}", b"s")
