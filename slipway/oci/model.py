"""What an image consists of, and how it is written down."""

from __future__ import annotations

import hashlib
import json
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, TypeVar

from slipway.architecture import Architecture
from slipway.errors import Problem, SlipwayError

REF_NAME = "org.opencontainers.image.ref.name"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
LAYER_GZIP = LAYER + "+gzip"
LAYER_ZSTD = LAYER + "+zstd"

DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
"""Docker's name for an index; its manifests, configs and layers are used under their own names."""

EPOCH = "1970-01-01T00:00:00Z"

MOST_JSON = 8 << 20
"""Bytes that an index, a manifest or a config may have."""

MOST_LAYERS = 1000
"""How many layers an image may have; what runs it stands far fewer."""

T = TypeVar("T")

_KINDS = {dict: "object", list: "array", str: "text", int: "whole number"}

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_NO_DIGEST = "not sha256: and 64 digits of 0-9a-f"

_MACHINES = {each.machine: each.value for each in Architecture}

_REF = re.compile(
    r"(?:localhost|[a-z0-9-]+(?:\.[a-z0-9-]+)+|[a-z0-9.-]+:\d+)"  # a host, as with a registry
    r"(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)+"
    r"(?::[A-Za-z0-9_][A-Za-z0-9._-]{0,127}|@sha256:[0-9a-f]{64})"
)


def parsed(text: bytes, kind: type[T]) -> T:
    """What JSON says, an object (dict) or an array (list); ValueError when it is something else."""
    if len(text) > MOST_JSON:
        raise ValueError(f"longer than {readable(MOST_JSON)}")
    try:
        return typed(json.loads(text), kind, "it")
    except RecursionError as error:
        raise ValueError("too many brackets in one another") from error


def typed(value: Any, kind: type[T], what: str) -> T:
    """The value, if it is of a kind of JSON's; ValueError, of ``what``, if it is not."""
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ValueError(f"{what} is {'missing' if value is None else f'no {_KINDS[kind]}'}")
    return value


def platform_of(value: Any) -> str:
    """``linux/amd64`` from a platform or a config; ValueError says what is wrong with it."""
    entry = typed(value, dict, "the platform")
    system, machine = (typed(entry.get(key), str, key) for key in ("os", "architecture"))
    return f"{system}/{architecture_of(machine)}"


def diff_ids_of(config: Mapping[str, Any], count: int) -> list[str]:
    """The digests of the ``count`` layers as they are unpacked; ValueError if they are not said."""
    rootfs = typed(config.get("rootfs"), dict, "rootfs")
    diff_ids = typed(rootfs.get("diff_ids") or [], list, "rootfs.diff_ids")
    for each in diff_ids:
        if not _DIGEST.fullmatch(typed(each, str, "an entry of rootfs.diff_ids")):
            raise ValueError(f"rootfs.diff_ids has {each!r}, which is {_NO_DIGEST}")
    if len(diff_ids) != count:
        raise ValueError(f"rootfs.diff_ids names {len(diff_ids)} layers, and there are {count}")
    return diff_ids


def architecture_of(machine: str) -> str:
    """The image architecture (``amd64``) of a machine name as ``uname -m`` gives it (``x86_64``).

    A name that is not in the table is its own architecture (``riscv64``, ``s390x``).
    """
    return _MACHINES.get(machine.lower(), machine.lower())


def machine_platform() -> str:
    """The platform of images that run on this machine, as ``linux/amd64``."""
    return f"linux/{architecture_of(platform.machine())}"


def check_ref(ref: str) -> None:
    """Raise SlipwayError unless ``ref`` is a full reference: ``host.name/path:tag``.

    containerd takes a name from an archive as it stands, and the kubelet asks for names with a
    host; a short name would be loaded and never be found.
    """
    if not _REF.fullmatch(ref):
        raise SlipwayError(
            Problem(
                ref or "image reference",
                "is not a full image reference",
                "write it with a host and a tag, for example apps.slipway.internal/name:tag "
                "or docker.io/library/name:tag",
            )
        )


def chain_id(diff_ids: Sequence[str]) -> str:
    """Chain ID of layers, bottom one first: identifies what they make, applied in this order."""

    def on_top(chain: str, diff_id: str) -> str:
        return f"sha256:{hashlib.sha256(f'{chain} {diff_id}'.encode()).hexdigest()}"

    return reduce(on_top, diff_ids)


def readable(size: int) -> str:
    """A number of bytes for people to read."""
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.1f} kB"


def canonical_json(value: Mapping[str, Any]) -> bytes:
    """``value`` as JSON that is the same, byte for byte, whenever the value is the same."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


@dataclass(frozen=True)
class Descriptor:
    """A pointer to a blob: what it is, its digest (``sha256:<hex>``) and its size in bytes."""

    media_type: str
    digest: str
    size: int

    @classmethod
    def of(cls, value: Any) -> Descriptor:
        """From its JSON form; ValueError says in words what is wrong with it."""
        entry = typed(value, dict, "a descriptor")
        digest = typed(entry.get("digest"), str, "digest")
        if not _DIGEST.fullmatch(digest):
            raise ValueError(f"the digest {digest!r} is {_NO_DIGEST}")
        size = typed(entry.get("size"), int, f"size of {digest}")
        if size < 0:
            raise ValueError(f"size of {digest} is {size}")
        return cls(typed(entry.get("mediaType"), str, f"mediaType of {digest}"), digest, size)

    def as_json(self, **more: Any) -> dict[str, Any]:
        """Its JSON form, with other fields (``annotations``, ``platform``) added."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size, **more}


@dataclass(frozen=True)
class Manifest:
    """The config and the layers, bottom one first, of an image for one platform."""

    config: Descriptor
    layers: tuple[Descriptor, ...]

    @classmethod
    def of(cls, text: bytes) -> Manifest:
        """From a manifest blob; ValueError says in words what is wrong with it."""
        try:
            value = parsed(text, dict)
            layers = typed(value.get("layers") or [], list, "layers")
            if len(layers) > MOST_LAYERS:
                raise ValueError(f"{len(layers)} layers are more than {MOST_LAYERS}")
            return cls(Descriptor.of(value.get("config")), tuple(map(Descriptor.of, layers)))
        except ValueError as error:
            raise ValueError(f"not an image manifest: {error}") from error

    def as_blob(self) -> bytes:
        """The manifest blob; the same manifest gives the same bytes."""
        return canonical_json(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": self.config.as_json(),
                "layers": [layer.as_json() for layer in self.layers],
            }
        )


@dataclass(frozen=True)
class Image:
    """A stored image for one platform (``linux/amd64``) under its full reference."""

    ref: str
    platform: str
    manifest: Descriptor
    config: Descriptor
    layers: tuple[Descriptor, ...]

    @property
    def repository(self) -> str:
        """The reference without its tag."""
        return self.ref.rsplit(":", 1)[0]

    @property
    def manifest_digest(self) -> str:
        """Digest of the manifest: what containerd shows as the image's digest."""
        return self.manifest.digest

    @property
    def config_digest(self) -> str:
        """Digest of the config: what the kubelet shows as the image's id."""
        return self.config.digest

    @property
    def blobs(self) -> dict[str, int]:
        """Every blob of the image once, digest to size in bytes: manifest, config, layers."""
        return {each.digest: each.size for each in (self.manifest, self.config, *self.layers)}

    @property
    def size(self) -> int:
        """Bytes of all its blobs."""
        return sum(self.blobs.values())


@dataclass(frozen=True)
class ImageConfig:
    """How a container of an image runs, in the terms of a Dockerfile.

    ``ports`` are ``8080`` or ``53/udp``; ``user`` is ``uid[:gid]`` (a number lets Kubernetes see
    that it is not root).
    """

    entrypoint: Sequence[str] = ()
    cmd: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    workdir: str = ""
    ports: Sequence[int | str] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    architecture: str = field(default_factory=lambda: machine_platform().removeprefix("linux/"))

    def as_blob(self, diff_ids: Sequence[str]) -> bytes:
        """The config blob of an image of layers with these ``diff_ids``, bottom one first."""
        ports = [str(port) for port in self.ports]
        config = {
            "Entrypoint": list(self.entrypoint),
            "Cmd": list(self.cmd),
            "Env": [f"{name}={value}" for name, value in sorted(self.env.items())],
            "User": self.user,
            "WorkingDir": self.workdir,
            "ExposedPorts": {port if "/" in port else f"{port}/tcp": {} for port in ports},
            "Labels": dict(self.labels),
        }
        return canonical_json(
            {
                "architecture": self.architecture,
                "os": "linux",
                "created": EPOCH,
                "config": {name: value for name, value in config.items() if value},
                "rootfs": {"type": "layers", "diff_ids": list(diff_ids)},
                "history": [{"created": EPOCH, "created_by": "slipway"} for _ in diff_ids],
            }
        )
