"""Images taken out of archives of every kind, and archives made of images."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import pytest

from slipway.errors import SlipwayError
from slipway.oci import ImageConfig, ImageStore, layer_from_tree
from slipway.oci.model import LAYER, LAYER_GZIP, LAYER_ZSTD
from tests.support.oci_samples import (
    OCI,
    PACKED,
    Layout,
    digest_of,
    docker_archive,
    file_in,
    gzipped,
    named,
    names_in,
    tar_of,
    write,
)

REF = "apps.slipway.internal/greeter:main"
PLATFORM = "linux/amd64"


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    return ImageStore(tmp_path / "store")


@pytest.mark.parametrize("kind", [*PACKED, "directory"])
def test_an_oci_layout_keeps_its_digests(store: ImageStore, tmp_path: Path, kind: str) -> None:
    layout = Layout()
    manifest = layout.image(b"base")
    files = layout.finish({**manifest, "annotations": named("some/other:name")})
    path = tmp_path / f"image.{kind}"
    if kind == "directory":
        for name, content in files.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(content)
    else:
        path.write_bytes(PACKED[kind][0](tar_of(files)))
    image = store.add_archive(path, REF, PLATFORM)
    assert image.manifest_digest == manifest["digest"]
    assert {digest[7:] for digest in image.blobs} == {
        name.rpartition("/")[2] for name in files if name.startswith("blobs/")
    }
    assert [layer.media_type for layer in image.layers] == [LAYER, LAYER_GZIP]
    assert store.get(REF) == image
    assert store.verify(REF) == []


def test_one_platform_is_taken_out_of_an_index(store: ImageStore, tmp_path: Path) -> None:
    layout = Layout()
    arm = layout.image(b"arm", "arm64", platform={"os": "linux", "architecture": "arm64"})
    amd = layout.image(b"amd", "amd64", platform={"os": "linux", "architecture": "amd64"})
    absent = {
        **arm,
        "digest": digest_of(b"absent"),
        "platform": {"os": "linux", "architecture": "s390x"},
    }
    attestation = layout.image(
        b"about amd",
        platform={"os": "unknown", "architecture": "unknown"},
        annotations={"vnd.docker.reference.type": "attestation-manifest"},
    )
    index = layout.blob("index.v1+json", layout.index(arm, absent, attestation, amd))
    path = write(tmp_path / "x.tar", tar_of(layout.finish(index)))
    assert store.add_archive(path, REF, PLATFORM).manifest_digest == amd["digest"]
    assert store.add_archive(path, REF, "linux/arm64").manifest_digest == arm["digest"]
    with pytest.raises(SlipwayError, match="no image for linux/s390x; it has linux/amd64, linux/a"):
        store.add_archive(path, REF, "linux/s390x")


def test_the_platform_of_an_unmarked_manifest_is_its_configs(
    store: ImageStore, tmp_path: Path
) -> None:
    layout = Layout()
    path = write(tmp_path / "x.tar", tar_of(layout.finish(layout.image(b"arm", "arm64"))))
    with pytest.raises(SlipwayError, match="no image for linux/amd64; it has linux/arm64"):
        store.add_archive(path, REF, PLATFORM)


def test_of_several_images_the_named_one_is_taken(store: ImageStore, tmp_path: Path) -> None:
    layout = Layout()
    one = layout.image(b"one", annotations=named("nginx:1"))
    two = layout.image(b"two", annotations=named("quay.io/a/b:2"))
    path = write(tmp_path / "x.tar", tar_of(layout.finish(one, two)))
    image = store.add_archive(path, "docker.io/library/nginx:1", PLATFORM)
    assert image.manifest_digest == one["digest"]
    with pytest.raises(SlipwayError, match=r"several images .*: nginx:1, quay.io/a/b:2"):
        store.add_archive(path, REF, PLATFORM)


def test_blobs_that_are_stored_may_be_missing_in_the_archive(
    store: ImageStore, tmp_path: Path
) -> None:
    layout = Layout()
    files = layout.finish(layout.image(b"base"))
    layer = f"blobs/sha256/{digest_of(b'base')[7:]}"
    partial = write(
        tmp_path / "partial.tar", tar_of({n: c for n, c in files.items() if n != layer})
    )
    with pytest.raises(SlipwayError, match=f"lacks {digest_of(b'base')} of {REF}"):
        store.add_archive(partial, REF, PLATFORM)
    assert store.get(REF) is None
    store.add_archive(write(tmp_path / "full.tar", tar_of(files)), "a.b/c:1", PLATFORM)
    assert store.add_archive(partial, REF, PLATFORM).layers[0].digest == digest_of(b"base")


def test_a_docker_archive_keeps_config_and_layers(store: ImageStore, tmp_path: Path) -> None:
    base, top = tar_of({"a": b"1"}), tar_of({"b": b"2"})
    files = docker_archive(
        {"1/layer.tar": base, "2/layer.tar": gzipped(top), "3/layer.tar@": b"../1/layer.tar"},
        ["greeter:main"],
    )
    image = store.add_archive(write(tmp_path / "x.tar", tar_of(files)), REF, PLATFORM)
    assert image.config_digest == digest_of(files["config.json"])
    assert [(layer.media_type, layer.digest) for layer in image.layers] == [
        (LAYER, digest_of(base)),
        (LAYER_GZIP, digest_of(gzipped(top))),
        (LAYER, digest_of(base)),
    ]
    assert store.verify(REF) == []


@pytest.mark.parametrize(
    ("kind", "media_type"),
    [("gzip", LAYER_GZIP), ("zstd", LAYER_ZSTD), ("pzstd", LAYER_ZSTD)]
    + [(kind, LAYER) for kind in ("plain", "bzip2", "xz")],
)
def test_a_layer_is_stored_as_nodes_can_unpack_it(
    store: ImageStore, tmp_path: Path, kind: str, media_type: str
) -> None:
    plain = tar_of({"a": b"1" * 9999})
    files = docker_archive({"l.tar": plain}, [])
    files["l.tar"] = PACKED[kind][0](plain)
    image = store.add_archive(write(tmp_path / "x.tar", tar_of(files)), REF, PLATFORM)
    stored = plain if media_type == LAYER else files["l.tar"]
    [layer] = image.layers
    assert (layer.media_type, layer.digest) == (media_type, digest_of(stored))
    assert store.verify(REF) == []


def test_a_zstd_layer_of_an_oci_layout_stays_as_it_is(store: ImageStore, tmp_path: Path) -> None:
    plain = tar_of({"a": b"1"})
    layout = Layout()
    config = {"os": "linux", "architecture": "amd64", "rootfs": {"diff_ids": [digest_of(plain)]}}
    packed = layout.blob("layer.v1.tar+zstd", PACKED["zstd"][0](plain))
    config_blob = layout.blob("config.v1+json", json.dumps(config).encode())
    parts = {"schemaVersion": 2, "config": config_blob, "layers": [packed]}
    manifest = layout.blob("manifest.v1+json", json.dumps(parts).encode())
    image = store.add_archive(
        write(tmp_path / "x.tar", tar_of(layout.finish(manifest))), REF, PLATFORM
    )
    assert image.manifest_digest == manifest["digest"]
    assert [layer.as_json() for layer in image.layers] == [packed]


@pytest.mark.parametrize("kind", PACKED)
def test_a_changed_layer_of_a_docker_archive_is_noticed(
    store: ImageStore, tmp_path: Path, kind: str
) -> None:
    files = docker_archive({"l.tar": tar_of({"a": b"1"})}, [])
    files["l.tar"] = PACKED[kind][0](tar_of({"a": b"2"}))
    with pytest.raises(SlipwayError, match=r"x\.tar: is damaged"):
        store.add_archive(write(tmp_path / "x.tar", tar_of(files)), REF, PLATFORM)
    assert store.get(REF) is None


def test_a_changed_blob_of_an_oci_archive_is_noticed(store: ImageStore, tmp_path: Path) -> None:
    layout = Layout()
    files = layout.finish(layout.image(b"base"))
    files[f"blobs/sha256/{digest_of(b'base')[7:]}"] = b"bose"
    with pytest.raises(SlipwayError, match=f"is damaged: {digest_of(b'base')}"):
        store.add_archive(write(tmp_path / "x.tar", tar_of(files)), REF, PLATFORM)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"not a tar at all", "cannot be read as an image archive"),
        (gzipped(b"x" * 9999)[:-9], "cannot be read as an image archive"),
        (tar_of({"readme": b"hello"}), "is no image archive: it lacks manifest.json"),
        (tar_of({"index.json": b"{}"}), "cannot be read as an image archive"),
        (
            tar_of({"manifest.json": b'[{"Config": "c.json", "Layers": []}]'}),
            "is no image archive: it lacks c.json",
        ),
    ],
)
def test_what_is_no_image_archive_is_said_so(
    store: ImageStore, tmp_path: Path, content: bytes, words: str
) -> None:
    with pytest.raises(SlipwayError, match=words):
        store.add_archive(write(tmp_path / "x.tar", content), REF, PLATFORM)


def test_a_missing_archive_is_said_so(store: ImageStore, tmp_path: Path) -> None:
    with pytest.raises(SlipwayError, match="No such file"):
        store.add_archive(tmp_path / "none.tar", REF, PLATFORM)


def test_an_oci_archive_leaves_out_what_the_receiver_has(store: ImageStore) -> None:
    base, top = layer_from_tree({"/a": b"base"}), layer_from_tree({"/b": b"top"})
    image = store.add_image(REF, [base, top], ImageConfig(cmd=["/b"], architecture="amd64"))
    other = store.add_image("a.b/c:1", [base], ImageConfig(architecture="amd64"))
    out = io.BytesIO()
    store.write_archive([REF, other.ref], out, without={image.layers[0].digest})
    archive = out.getvalue()
    kept = {*image.blobs, *other.blobs} - {image.layers[0].digest}
    assert names_in(archive)[:2] == ["oci-layout", "index.json"]
    assert sorted(names_in(archive)[2:]) == sorted(f"blobs/sha256/{d[7:]}" for d in kept)
    index = json.loads(file_in(archive, "index.json"))
    assert index["manifests"] == [
        {
            "mediaType": f"{OCI}.manifest.v1+json",
            "digest": each.manifest_digest,
            "size": each.manifest.size,
            "annotations": named(each.ref),
        }
        for each in (image, other)
    ]
    name = f"blobs/sha256/{image.layers[1].digest[7:]}"
    assert digest_of(file_in(archive, name)) == image.layers[1].digest


@pytest.mark.parametrize(
    ("layers", "stays_packed"),
    [
        (["plain", "plain"], False),
        (["gzip", "gzip"], True),
        (["plain", "gzip"], False),
        (["zstd", "zstd"], False),
        (["gzip", "zstd", "plain"], False),
    ],
)
def test_a_docker_archive_has_all_layers_packed_or_none(
    store: ImageStore, tmp_path: Path, layers: list[str], stays_packed: bool
) -> None:
    plain = [tar_of({str(number): b"x" * number}) for number in range(len(layers))]
    files = docker_archive({f"{number}.tar": layer for number, layer in enumerate(plain)}, [])
    for number, kind in enumerate(layers):
        files[f"{number}.tar"] = PACKED[kind][0](plain[number])
    image = store.add_archive(write(tmp_path / "in.tar", tar_of(files)), REF, PLATFORM)
    store.write_docker_archive(REF, tmp_path / "out.tar")
    written = (tmp_path / "out.tar").read_bytes()
    [manifest] = json.loads(file_in(written, "manifest.json"))
    contents = [file_in(written, name) for name in manifest["Layers"]]
    assert manifest["RepoTags"] == [REF]
    assert file_in(written, manifest["Config"]) == files["config.json"]
    assert [content[:2] == b"\x1f\x8b" for content in contents] == [stays_packed] * len(layers)
    unpacked = [gzip.decompress(content) if stays_packed else content for content in contents]
    assert unpacked == plain
    again = ImageStore(tmp_path / "other").add_archive(tmp_path / "out.tar", REF, PLATFORM)
    assert again.config_digest == image.config_digest
