"""Archives as others make them: they stay as they are, and only what is right gets into a store."""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from slipway.errors import SlipwayError
from slipway.oci import ImageConfig, ImageStore, layer_from_tree
from slipway.oci import archives as reader
from slipway.oci import files as bounds
from slipway.oci.blobs import CHUNK
from tests.support.oci_samples import (
    PACKED,
    SKIPPABLE,
    Layout,
    digest_of,
    docker_archive,
    gzipped,
    named,
    tar_of,
    write,
)

REF = "apps.slipway.internal/greeter:main"
PLATFORM = "linux/amd64"

Change = Callable[[dict[str, bytes]], object]


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    return ImageStore(tmp_path / "store")


def folder(root: Path, files: dict[str, bytes]) -> Path:
    """The files in a folder, each only to be read."""
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
        (root / name).chmod(0o400)
    return root


def layout(**more: Any) -> dict[str, bytes]:
    """The files of an OCI layout of one image."""
    made = Layout()
    return made.finish(made.image(b"base", **more))


def blob_of(digest: str) -> str:
    return f"blobs/sha256/{digest[7:]}"


BASE = blob_of(digest_of(b"base"))


def state(root: Path) -> dict[str, object]:
    """All that the kernel notes of the files of a folder but when they were read."""
    return {
        str(path): (path.lstat()[:7], path.lstat().st_mtime_ns, path.lstat().st_ctime_ns)
        for path in (root, *sorted(root.rglob("*")))
    }


def stored_blobs(store: ImageStore) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (store.root / "blobs/sha256").iterdir()}


def problem(store: ImageStore, path: Path, **more: Any) -> str:
    """What is wrong with an archive; what it left in the store has the names that it ought to."""
    with pytest.raises(SlipwayError) as caught:
        store.add_archive(path, REF, PLATFORM, **more)
    for each in caught.value.problems:
        assert each.where == str(path)
        assert each.fix
    assert all(digest_of(content)[7:] == name for name, content in stored_blobs(store).items())
    assert list((store.root / "tmp").iterdir()) == []
    assert store.images() == {}
    return "\n".join(each.what for each in caught.value.problems)


def test_a_directory_stays_as_it_is_and_can_be_read_again(
    store: ImageStore, tmp_path: Path
) -> None:
    root = folder(tmp_path / "image", layout())
    for path in (root / "blobs/sha256", root / "blobs", root):
        path.chmod(0o555)
    before = state(root)
    image = store.add_archive(root, REF, PLATFORM)
    assert store.verify(REF) == []
    inodes = {path.stat().st_ino for path in root.rglob("*")}
    assert not any(path.stat().st_ino in inodes for path in store.root.rglob("*"))
    assert ImageStore(tmp_path / "other").add_archive(root, REF, PLATFORM) == image
    assert state(root) == before


def test_a_spare_directorys_files_become_the_stores(store: ImageStore, tmp_path: Path) -> None:
    files = layout()
    elsewhere = write(tmp_path / "elsewhere", files.pop(BASE))
    root = folder(tmp_path / "image", files)
    (root / BASE).symlink_to(elsewhere)
    image = store.add_archive(root, REF, PLATFORM, spare=True)
    assert store.verify(REF) == []
    assert (store.root / BASE).samefile(elsewhere)
    assert not (store.root / BASE).is_symlink()
    assert all((store.root / blob_of(each)).samefile(root / blob_of(each)) for each in image.blobs)


def test_a_spare_file_that_cannot_be_linked_is_copied(
    store: ImageStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = folder(tmp_path / "image", layout())

    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr("os.link", refuse)
    store.add_archive(root, REF, PLATFORM, spare=True)
    assert store.verify(REF) == []
    assert not (store.root / BASE).samefile(root / BASE)


@pytest.mark.parametrize("kind", ["directory", "spare", "tar"])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"bose", "the content does not match the digest"),
        (b"bas", "the content has 3 bytes, not 4"),
        (b"based", "the content has more bytes, not 4"),
        (b"", "the content has 0 bytes, not 4"),
    ],
)
def test_a_damaged_blob_gets_into_no_store(
    store: ImageStore, tmp_path: Path, kind: str, content: bytes, words: str
) -> None:
    files = {**layout(), BASE: content}
    if kind == "tar":
        path = write(tmp_path / "x.tar", tar_of(files))
    else:
        path = folder(tmp_path / "image", files)
    found = problem(store, path, spare=kind == "spare")
    assert found == f"is damaged: {digest_of(b'base')}: {words}"
    assert Path(BASE).name not in stored_blobs(store)


def test_all_damaged_and_missing_blobs_are_told_at_once(store: ImageStore, tmp_path: Path) -> None:
    files = layout()
    del files[BASE]
    top = blob_of(digest_of(gzipped(tar_of({"top": b"base"}))))
    files[top] += b"!"
    told = problem(store, folder(tmp_path / "image", files)).splitlines()
    assert [line.split(" sha256:")[0] for line in told] == ["lacks", "is damaged:"]


def test_an_adopted_image_is_read(store: ImageStore, tmp_path: Path) -> None:
    other = ImageStore(tmp_path / "other")
    image = other.add_image(REF, [layer_from_tree({"/a": b"1"})], ImageConfig())
    layer = other.root / blob_of(image.layers[0].digest)
    layer.write_bytes(b"!" + layer.read_bytes()[1:])
    with pytest.raises(SlipwayError, match=f"{REF} is damaged: {image.layers[0].digest}"):
        store.adopt(other)
    assert store.images() == {}
    assert layer.name not in stored_blobs(store)


def test_what_is_stored_is_not_read_again(store: ImageStore, tmp_path: Path) -> None:
    files = layout()
    store.add_archive(folder(tmp_path / "image", files), REF, PLATFORM)
    again = folder(tmp_path / "again", {**files, BASE: b"bose"})
    assert store.add_archive(again, "a.b/c:1", PLATFORM).size == store.images()[REF].size
    assert store.verify("a.b/c:1") == []


def test_a_blob_is_on_the_disk_before_it_has_its_name(
    store: ImageStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed = set()
    monkeypatch.setattr("os.fsync", lambda file: flushed.add(os.fstat(file).st_ino))
    spare = folder(tmp_path / "image", layout())
    store.add_archive(spare, REF, PLATFORM, spare=True)
    store.add_image("a.b/c:1", [layer_from_tree({"/a": b"1"})], ImageConfig())
    files = [path for path in store.root.rglob("*") if path.is_file() and path.suffix != ".lock"]
    assert {path.stat().st_ino for path in files} <= flushed


def test_a_config_that_was_damaged_in_the_store_is_stored_anew(
    store: ImageStore, tmp_path: Path
) -> None:
    root = folder(tmp_path / "image", layout())
    image = store.add_archive(root, REF, PLATFORM)
    config = store.root / blob_of(image.config_digest)
    config.write_bytes(b"!" * image.config.size)
    assert store.add_archive(root, REF, PLATFORM) == image
    assert store.verify(REF) == []


def outward(files: dict[str, bytes], target: str, root: Path) -> Path:
    """A folder in which a blob is a link to the target."""
    files = {**files}
    content = files.pop(BASE)
    made = folder(root / "image", files)
    write(root / "outside", content)
    os.mkfifo(root / "image" / "pipe")
    (made / BASE).symlink_to(target)
    return made


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("../../../outside", "it leads out of the directory"),
        ("/etc/passwd", "it leads out of the directory"),
        ("/dev/zero", "it leads out of the directory"),
        ("../../pipe", "it is neither a file nor a folder"),
        ("../../none", "No such file or directory"),
    ],
)
def test_a_blob_that_leads_out_of_a_directory_is_not_read(
    store: ImageStore, tmp_path: Path, target: str, reason: str
) -> None:
    root = outward(layout(), target, tmp_path)
    assert f"{BASE} cannot be read: {reason}" in problem(store, root)


def test_an_index_that_leads_out_of_a_directory_is_not_read(
    store: ImageStore, tmp_path: Path
) -> None:
    files = layout()
    outside = write(tmp_path / "index.json", files.pop("index.json"))
    root = folder(tmp_path / "image", files)
    (root / "index.json").symlink_to(outside)
    words = "index.json cannot be read: it leads out of the directory"
    assert words in problem(store, root)


def test_links_within_a_directory_are_followed(store: ImageStore, tmp_path: Path) -> None:
    files = layout()
    files["shared/base"] = files.pop(BASE)
    root = folder(tmp_path / "image", files)
    (root / BASE).symlink_to("../../shared/base")
    assert store.add_archive(root, REF, PLATFORM).layers[0].digest == digest_of(b"base")


def test_an_archive_that_is_a_pipe_is_not_opened(store: ImageStore, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "it is neither a file nor a folder" in problem(store, tmp_path / "pipe")


def index_entry(**changes: Any) -> Change:
    """Change the one entry of the index; None takes a key away."""

    def change(files: dict[str, bytes]) -> None:
        [entry] = json.loads(files["index.json"])["manifests"]
        entry = {key: value for key, value in {**entry, **changes}.items() if value is not None}
        files["index.json"] = json.dumps({"manifests": [entry]}).encode()

    return change


def manifest(change: Callable[[dict[str, Any]], object]) -> Change:
    """Change the manifest, and the index as well."""

    def apply(files: dict[str, bytes]) -> None:
        [entry] = json.loads(files["index.json"])["manifests"]
        value = json.loads(files[blob_of(entry["digest"])])
        changed = change(value)
        content = json.dumps(value if changed is None else changed).encode()
        files[blob_of(digest_of(content))] = content
        index_entry(digest=digest_of(content), size=len(content))(files)

    return apply


def config(content: bytes) -> Change:
    """Put another config in its place, and change manifest and index as well."""

    def apply(files: dict[str, bytes]) -> None:
        files[blob_of(digest_of(content))] = content
        new = {"mediaType": "x", "digest": digest_of(content), "size": len(content)}
        manifest(lambda value: value.update(config=new))(files)

    return apply


def config_of(**changes: Any) -> Change:
    right = {"os": "linux", "architecture": "amd64"}
    diff_ids = [digest_of(b"base"), digest_of(b"top")]
    value = {**right, "rootfs": {"type": "layers", "diff_ids": diff_ids}, **changes}
    return config(json.dumps(value).encode())


def file(name: str, content: bytes) -> Change:
    return lambda files: files.update({name: content})


DEEP = b"[" * 200_000

SOUND = json.dumps({"manifests": []})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (file("index.json", b"[]"), "index.json: it is no object"),
        (file("index.json", b'"x"'), "index.json: it is no object"),
        (file("index.json", b"{"), "index.json: "),
        (file("index.json", b"\xff\xff\xff"), "index.json: "),
        (file("index.json", DEEP), "index.json: too many brackets in one another"),
        (file("index.json", b" " * (9 << 20)), "index.json: longer than 8.4 MB"),
        (file("index.json", b'{"manifests": {}}'), "index.json: manifests is no array"),
        (file("index.json", b'{"manifests": [7]}'), "an entry of manifests is no object"),
        (file("index.json", SOUND.encode()), "has no image for linux/amd64; it has nothing"),
        (index_entry(digest=f"sha512:{'a' * 128}"), "index.json: the digest 'sha512:aaaa"),
        (index_entry(digest=f"sha256:{'A' * 64}"), "is not sha256: and 64 digits of 0-9a-f"),
        (index_entry(digest="sha256:../../x"), "the digest 'sha256:../../x' is not sha256:"),
        (index_entry(digest=f"sha256:{'a' * 64}\n"), "is not sha256: and 64 digits of 0-9a-f"),
        (index_entry(digest=None), "index.json: digest is missing"),
        (index_entry(digest=7), "index.json: digest is no text"),
        (index_entry(size="5"), "is no whole number"),
        (index_entry(size=True), "is no whole number"),
        (index_entry(size=5.5), "is no whole number"),
        (index_entry(size=-1), "is -1"),
        (index_entry(size=1), "the content has more bytes, not 1"),
        (index_entry(size=1 << 40), "longer than 8.4 MB"),
        (index_entry(mediaType=None), "mediaType of sha256:"),
        (index_entry(platform="linux"), "index.json: the platform is no object"),
        (index_entry(platform={"os": "linux"}), "index.json: architecture is missing"),
        (index_entry(annotations=["x"]), "index.json: annotations is no object"),
        (index_entry(annotations=named(7)), "is no text"),  # type: ignore[arg-type]
        (manifest(lambda _: []), "manifest sha256:"),
        (manifest(lambda _: "text"), "not an image manifest: it is no object"),
        (manifest(lambda value: value.pop("layers") and None), "and there are 0"),
        (manifest(lambda value: {**value, "layers": "abc"}), "layers is no array"),
        (manifest(lambda value: {**value, "layers": [[]]}), "a descriptor is no object"),
        (manifest(lambda value: {**value, "config": 7}), "a descriptor is no object"),
        (manifest(lambda value: {**value, "layers": value["layers"] * 501}), "1002 layers are"),
        (config(b"[]"), "config sha256:"),
        (config(b"{}"), "os is missing"),
        (config_of(os=["linux"]), "os is no text"),
        (config_of(architecture=7), "architecture is no text"),
        (config_of(architecture="arm64"), "has no image for linux/amd64; it has linux/arm64"),
        (config_of(rootfs=None), "rootfs is missing"),
        (config_of(rootfs=[]), "rootfs is no object"),
        (config_of(rootfs={"diff_ids": "x"}), "rootfs.diff_ids is no array"),
        (config_of(rootfs={"diff_ids": ["x", "y"]}), "rootfs.diff_ids has 'x', which is not"),
        (config_of(rootfs={"diff_ids": None}), "names 0 layers, and there are 2"),
    ],
)
@pytest.mark.parametrize("kind", ["directory", "tar"])
def test_what_is_malformed_is_told_with_its_place(
    store: ImageStore, tmp_path: Path, kind: str, change: Change, words: str
) -> None:
    files = layout()
    change(files)
    if kind == "tar":
        path = write(tmp_path / "x.tar", tar_of(files))
    else:
        path = folder(tmp_path / "image", files)
    assert words in problem(store, path)


def test_a_config_of_another_platform_than_its_index_says_is_refused(
    store: ImageStore, tmp_path: Path
) -> None:
    files = layout(architecture="arm64", platform={"os": "linux", "architecture": "amd64"})
    told = problem(store, folder(tmp_path / "image", files))
    assert told == "has no image for linux/amd64; it has linux/arm64"


@pytest.mark.parametrize("kind", ["oci", "docker"])
def test_an_image_without_layers_may_have_null_for_them(
    store: ImageStore, tmp_path: Path, kind: str
) -> None:
    files = layout()
    config_of(rootfs={"type": "layers", "diff_ids": None})(files)
    manifest(lambda value: value.update(layers=None))(files)
    if kind == "docker":
        files = docker_archive({}, [])
        docker(lambda entry: entry.update(Layers=None))(files)
    assert store.add_archive(folder(tmp_path / "image", files), REF, PLATFORM).layers == ()


def nested(depth: int) -> dict[str, bytes]:
    """An image below indexes in one another."""
    made = Layout()
    entry = made.image(b"base")
    for _ in range(depth - 1):
        entry = made.blob("index.v1+json", made.index(entry))
    return made.finish(entry)


def test_indexes_may_be_in_one_another_but_not_without_end(
    store: ImageStore, tmp_path: Path
) -> None:
    for depth in (5, 50):
        path = folder(tmp_path / str(depth), nested(depth))
        assert "more than 4 indexes in one another" in problem(store, path)
    assert store.add_archive(folder(tmp_path / "image", nested(4)), REF, PLATFORM).layers


def test_images_without_number_are_refused(
    store: ImageStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "MOST_MANIFESTS", 3)
    made = Layout()
    entries = [made.image(str(number).encode()) for number in range(4)]
    path = folder(tmp_path / "image", made.finish(*entries))
    assert "has more than 3 manifests" in problem(store, path)


def docker(change: Callable[[dict[str, Any]], object]) -> Change:
    """Change the one entry of a docker archive's manifest."""

    def apply(files: dict[str, bytes]) -> None:
        [entry] = json.loads(files["manifest.json"])
        changed = change(entry)
        files["manifest.json"] = json.dumps([entry if changed is None else changed]).encode()

    return apply


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (file("manifest.json", b"{}"), "manifest.json: it is no array"),
        (file("manifest.json", b"[]"), "holds several images and none is"),
        (file("manifest.json", b"[7]"), "manifest.json: an image is no object"),
        (docker(lambda entry: entry.update(RepoTags="x")), "RepoTags is no array"),
        (docker(lambda entry: entry.update(RepoTags=[7])), "an entry of RepoTags is no text"),
        (docker(lambda entry: entry.update(Config=None)), "manifest.json: Config is missing"),
        (docker(lambda entry: entry.update(Layers=None)), "and there are 0"),
        (docker(lambda entry: entry.update(Layers="l.tar")), "manifest.json: Layers is no array"),
        (docker(lambda entry: entry.update(Layers=["l.tar"] * 1001)), "1001 layers are more"),
        (docker(lambda entry: entry.update(Layers=[])), "names 1 layers, and there are 0"),
        (docker(lambda entry: entry.update(Layers=["none"])), "it lacks none"),
        (file("config.json", b"[]"), "config config.json: it is no object"),
        (file("l.tar", b"\x28\xb5\x2f\xfd" + b"x" * 99), "cannot be read as an image archive"),
        (file("l.tar", gzipped(tar_of({"a": b"1"}))[:-9]), "cannot be read as an image archive"),
        (file("l.tar", b"\x1f\x8b\x08" + b"\xff" * 99), "cannot be read as an image archive"),
    ],
)
@pytest.mark.parametrize("kind", ["directory", "tar", "tar.gz"])
def test_what_is_malformed_in_a_docker_archive_is_told(
    store: ImageStore, tmp_path: Path, kind: str, change: Change, words: str
) -> None:
    files = docker_archive({"l.tar": tar_of({"a": b"1"})}, [])
    change(files)
    if kind == "directory":
        path = folder(tmp_path / "image", files)
    else:
        content = tar_of(files)
        path = write(tmp_path / f"x.{kind}", content if kind == "tar" else gzipped(content))
    assert words in problem(store, path)


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname", "a/../../outside"])
def test_a_docker_archives_names_do_not_lead_out_of_a_directory(
    store: ImageStore, tmp_path: Path, name: str
) -> None:
    files = docker_archive({"l.tar": tar_of({"a": b"1"})}, [])
    docker(lambda entry: entry.update(Config=name))(files)
    files["a/b"] = b""
    write(tmp_path / "outside", files["config.json"])
    root = folder(tmp_path / "image", files)
    assert f"{name} cannot be read: it leads out of the directory" in problem(store, root)


def test_a_layer_that_is_stored_is_not_read_again(store: ImageStore, tmp_path: Path) -> None:
    layer = tar_of({"a": b"1"})
    files = docker_archive({"l.tar": layer}, [])
    first = store.add_archive(write(tmp_path / "a.tar", tar_of(files)), "a.b/c:1", PLATFORM)
    files["l.tar"] = b"!" * len(layer)
    again = store.add_archive(write(tmp_path / "b.tar", tar_of(files)), REF, PLATFORM)
    assert again.layers == first.layers
    assert store.verify(REF) == []


Entry = tuple[str, bytes, str]
"""The name of an entry of a tar, its type, and where it links to."""


def odd_tar(*entries: Entry, without: str = "") -> bytes:
    """A layout in a tar, with odd entries before it."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, kind, target in entries:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, target
            tar.addfile(member)
        for name, content in layout().items():
            if name != without:
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (("../../etc/cron.d/x", tarfile.REGTYPE, ""), "which leads out of it"),
        (("a/../../x", tarfile.REGTYPE, ""), "which leads out of it"),
        (("/etc/passwd", tarfile.REGTYPE, ""), "which leads out of it"),
        (("index.json", tarfile.REGTYPE, ""), "has index.json twice"),
        (("./index.json", tarfile.SYMTYPE, "x"), "has index.json twice"),
        (("index.json", tarfile.DIRTYPE, ""), "has index.json twice"),
    ],
)
def test_odd_entries_of_a_tar_are_refused(
    store: ImageStore, tmp_path: Path, entry: Entry, words: str
) -> None:
    assert words in problem(store, write(tmp_path / "x.tar", odd_tar(entry)))


@pytest.mark.parametrize(
    ("kind", "target", "words"),
    [
        (tarfile.SYMTYPE, "/etc/passwd", "is a link out of it, to /etc/passwd"),
        (tarfile.SYMTYPE, "../../../etc/passwd", "is a link out of it"),
        (tarfile.LNKTYPE, "/etc/passwd", "is a link out of it, to /etc/passwd"),
        (tarfile.LNKTYPE, "../passwd", "is a link out of it, to ../passwd"),
        (tarfile.SYMTYPE, Path(BASE).name, "is no file"),
        (tarfile.SYMTYPE, "none", f"lacks {digest_of(b'base')}"),
        (tarfile.FIFOTYPE, "", "is no file"),
        (tarfile.CHRTYPE, "", "is no file"),
        (tarfile.DIRTYPE, "", "is no file"),
    ],
)
def test_a_blob_of_a_tar_is_a_file(
    store: ImageStore, tmp_path: Path, kind: bytes, target: str, words: str
) -> None:
    content = odd_tar((BASE, kind, target), without=BASE)
    assert words in problem(store, write(tmp_path / "x.tar", content))


@pytest.mark.parametrize(
    ("kind", "target"), [(tarfile.SYMTYPE, "../../base"), (tarfile.LNKTYPE, "./base")]
)
def test_links_within_a_tar_are_followed(
    store: ImageStore, tmp_path: Path, kind: bytes, target: str
) -> None:
    files = layout()
    out = io.BytesIO()
    files["base"] = files.pop(BASE)
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        for folders in ("blobs", "blobs/sha256", "blobs/sha256"):
            member = tarfile.TarInfo(folders)
            member.type = tarfile.DIRTYPE
            tar.addfile(member)
        member = tarfile.TarInfo(BASE)
        member.type, member.linkname = kind, target
        tar.addfile(member)
    path = write(tmp_path / "x.tar", out.getvalue())
    assert store.add_archive(path, REF, PLATFORM).layers[0].digest == digest_of(b"base")


def test_entries_without_number_are_refused(
    store: ImageStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "MOST_MEMBERS", 3)
    path = write(tmp_path / "x.tar", tar_of(layout()))
    assert "has more than 3 entries" in problem(store, path)


def test_a_header_without_end_is_not_read(store: ImageStore, tmp_path: Path) -> None:
    member = tarfile.TarInfo("header")
    member.type, member.size = tarfile.XHDTYPE, 1 << 29
    path = tmp_path / "x.tar"
    with path.open("wb") as out:
        out.write(member.tobuf(tarfile.GNU_FORMAT))
        out.truncate(1 << 30)
    assert "has a header of more than 16 MB" in problem(store, path)


def test_a_header_that_is_read_in_pieces_is_as_long() -> None:
    pieces = range(0, bounds.MOST_READ, CHUNK)
    stream = bounds.Bounded(io.BytesIO(bytes(bounds.MOST_READ + CHUNK)))
    for place in pieces:  # files are read after a seek each time
        stream.seek(place)
        assert len(stream.read(CHUNK)) == CHUNK
    stream.seek(0)
    assert sum(len(stream.read(CHUNK)) for _ in pieces) == bounds.MOST_READ
    with pytest.raises(bounds.Unusable, match="has a header of more than 16 MB"):
        stream.read(1)


@pytest.mark.parametrize("packed", ["archive", "layer"])
def test_what_is_compressed_beyond_measure_is_not_unpacked(
    store: ImageStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packed: str
) -> None:
    layer = tar_of({"zeros": bytes(4 << 20)})
    files = docker_archive({"l.tar": gzip.compress(layer) if packed == "layer" else layer}, [])
    content = tar_of(files)
    path = write(tmp_path / "x", content if packed == "layer" else gzip.compress(content))
    monkeypatch.setattr(bounds, "FREE_SIZE", 2 << 20)
    assert "is compressed more than 100 to 1" in problem(store, path)
    monkeypatch.setattr(bounds, "FREE_SIZE", 8 << 20)
    assert store.add_archive(path, REF, PLATFORM).layers


def test_a_layer_whose_first_file_is_named_as_compression_begins_is_plain(
    store: ImageStore, tmp_path: Path
) -> None:
    files = docker_archive({"l.tar": tar_of({"BZh9": b"1"})}, [])
    image = store.add_archive(write(tmp_path / "x.tar", tar_of(files)), REF, PLATFORM)
    assert image.layers[0].digest == digest_of(files["l.tar"])


def test_a_layer_of_docker_s_need_not_say_how_it_is_compressed(
    store: ImageStore, tmp_path: Path
) -> None:
    files = layout()
    of_docker = {"mediaType": "application/vnd.docker.image.rootfs.diff.tar"}
    manifest(lambda value: value["layers"][1].update(of_docker))(files)
    store.add_archive(folder(tmp_path / "image", files), REF, PLATFORM)
    assert store.verify(REF) == []


def test_zstd_that_takes_too_much_memory_is_told(store: ImageStore, tmp_path: Path) -> None:
    # A frame whose header asks for a window of 2 GB, as zstd --long=31 makes it.
    path = write(tmp_path / "x.tar.zst", bytes.fromhex("28b52ffd00a8") + bytes(99))
    assert "Frame requires too much memory" in problem(store, path)


@pytest.mark.parametrize("kind", ["gzip", "zstd", "pzstd"])
def test_a_layer_that_does_not_say_that_it_is_compressed_is_told(
    store: ImageStore, tmp_path: Path, kind: str
) -> None:
    files = layout()
    packed = PACKED[kind][0](b"base")
    files[blob_of(digest_of(packed))] = packed
    layer = {"digest": digest_of(packed), "size": len(packed)}
    manifest(lambda value: value["layers"][0].update(layer))(files)
    told = problem(store, folder(tmp_path / "image", files))
    assert f"layer {digest_of(packed)}: it is compressed, and its mediaType is" in told


@pytest.mark.parametrize(
    "content", [b"", b"\x1f\x8b", b"BZh9", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", SKIPPABLE, bytes(99)]
)
def test_an_archive_that_is_cut_off_is_told(
    store: ImageStore, tmp_path: Path, content: bytes
) -> None:
    words = problem(store, write(tmp_path / "x", content))
    assert "image archive: " in words
