"""Image archives for the tests, written without the code under test."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import json
import lzma
import sys
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

OCI = "application/vnd.oci.image"


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def tar_of(files: dict[str, bytes]) -> bytes:
    """A tar with these files; a name that ends in ``@`` is a link to what its content says."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name.rstrip("@"))
            if name.endswith("@"):
                member.type, member.linkname = tarfile.SYMTYPE, content.decode()
                tar.addfile(member)
            else:
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


def gzipped(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


SKIPPABLE = bytes.fromhex("502a4d1804000000") + b"1234"
"""A frame that zstd skips, with four bytes (RFC 8878, 3.1.2)."""

PACKED: Mapping[str, tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]] = {
    "plain": (bytes, bytes),
    "gzip": (gzipped, gzip.decompress),
    "zstd": (zstd.compress, zstd.decompress),
    "pzstd": (lambda content: SKIPPABLE + zstd.compress(content), zstd.decompress),
    "bzip2": (bz2.compress, bz2.decompress),
    "xz": (lzma.compress, lzma.decompress),
}
"""How archives and their layers may be packed and unpacked."""


def names_in(archive: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return tar.getnames()


def file_in(archive: bytes, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        stream = tar.extractfile(name)
        assert stream is not None
        return stream.read()


class Layout:
    """An OCI image layout in the making: file names to contents."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}

    def blob(self, kind: str, content: bytes, **more: Any) -> dict[str, Any]:
        digest = digest_of(content)
        self.files[f"blobs/sha256/{digest[7:]}"] = content
        return {"mediaType": f"{OCI}.{kind}", "digest": digest, "size": len(content), **more}

    def image(self, layer: bytes, architecture: str = "amd64", **more: Any) -> dict[str, Any]:
        """A manifest's descriptor: an image of one plain layer and one gzip layer over it."""
        top = tar_of({"top": layer})
        config = {
            "architecture": architecture,
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [digest_of(layer), digest_of(top)]},
        }
        manifest = {
            "schemaVersion": 2,
            "config": self.blob("config.v1+json", json.dumps(config).encode()),
            "layers": [
                self.blob("layer.v1.tar", layer),
                self.blob("layer.v1.tar+gzip", gzipped(top)),
            ],
        }
        return self.blob("manifest.v1+json", json.dumps(manifest).encode(), **more)

    def index(self, *manifests: dict[str, Any]) -> bytes:
        return json.dumps({"schemaVersion": 2, "manifests": list(manifests)}).encode()

    def finish(self, *manifests: dict[str, Any]) -> dict[str, bytes]:
        """All files; the index comes last, as several tools write it."""
        return {**self.files, "index.json": self.index(*manifests)}


def named(ref: str) -> dict[str, str]:
    return {"org.opencontainers.image.ref.name": ref}


def docker_archive(
    layers: dict[str, bytes], refs: list[str], architecture: str = "amd64"
) -> dict[str, bytes]:
    """Files of a ``docker save`` tar; a layer's name ending in ``@`` is a link."""
    plain = [
        gzip.decompress(layer) if layer[:2] == b"\x1f\x8b" else layer
        for layer in (
            layers[layer.decode().removeprefix("../")] if name.endswith("@") else layer
            for name, layer in layers.items()
        )
    ]
    config = json.dumps(
        {
            "architecture": architecture,
            "os": "linux",
            "config": {"Cmd": ["/x"]},
            "rootfs": {"type": "layers", "diff_ids": [digest_of(layer) for layer in plain]},
        }
    ).encode()
    manifest = {
        "Config": "config.json",
        "RepoTags": refs,
        "Layers": [name.rstrip("@") for name in layers],
    }
    return {"config.json": config, **layers, "manifest.json": json.dumps([manifest]).encode()}


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path
