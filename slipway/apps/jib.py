"""Maven projects with Google's Jib plugin, built on any base without a change to the project.

Jib's own settings as system properties (``jib.*``) win over what a pom says. Of a base image that
is at hand Jib only ever sees the config, with no layers: the layers are put below those that Jib
made when it is done. So neither Jib nor its cache reads, compresses or writes a byte of the base,
and its layers stay the very blobs that nodes may have already.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from slipway.apps.bases import Base, StoredImage
from slipway.apps.registry import Blobs, Registry
from slipway.errors import Problem, SlipwayError
from slipway.oci import machine_platform
from slipway.oci.model import CONFIG, INDEX, MANIFEST, Descriptor, Manifest, canonical_json
from slipway.run import run

RECIPE = "jib 1"
"""Changes whenever the same source would be built into another image."""

PLUGIN = "com.google.cloud.tools:jib-maven-plugin"
PLUGIN_VERSION = "3.5.2"
"""Jib for projects whose poms do not name the plugin; others are built with their own version."""

BUILD_SECONDS = 3600.0

_PACKAGED = re.compile(
    r"<packaging>\s*war\s*</packaging>|<containerizingMode>\s*packaged\s*</containerizingMode>"
)
_MODULE = re.compile(r"<module>\s*([^<\s]+)\s*</module>")


@dataclass(frozen=True)
class Project:
    """What of a Maven project decides how Maven is called."""

    module: str | None
    args: tuple[str, ...]
    has_plugin: bool
    needs_package: bool

    @classmethod
    def read(cls, root: Path, options: Mapping[str, Any], label: str) -> Project:
        """The project at ``root``, built with the ``options`` of apps.yml.

        Raises SlipwayError when there is none, or when it has modules and none is named.
        """
        poms = {path: path.read_text(errors="replace") for path in sorted(root.rglob("pom.xml"))}
        own = poms.get(root / "pom.xml")
        module = options.get("module")
        if own is None:
            raise SlipwayError(Problem(label, "has no pom.xml at the top of its repository"))
        if (modules := _MODULE.findall(own)) and not module:
            raise SlipwayError(
                Problem(
                    label,
                    f"is a project of several modules: {', '.join(modules)}",
                    f"name the one to run, for example build: {{jib: {{module: {modules[-1]}}}}}",
                )
            )
        return cls(
            module=module,
            args=tuple(options.get("args", ())),
            has_plugin=any("jib-maven-plugin" in pom for pom in poms.values()),
            needs_package=bool(module) or any(map(_PACKAGED.search, poms.values())),
        )


def command(project: Project, properties: Mapping[str, str]) -> list[str]:
    """The call of Maven that compiles the project and lets Jib build the image.

    Classes are enough for Jib; it wants packages of modules that depend on one another and of
    web archives.
    """
    version = "" if project.has_plugin else f":{PLUGIN_VERSION}"
    modules = ["-pl", project.module, "-am"] if project.module else []
    scope = {"jib.containerize": project.module} if project.module else {}
    return [
        "mvn",
        "--batch-mode",
        "--quiet",
        *modules,
        "package" if project.needs_package else "process-classes",
        f"{PLUGIN}{version}:build",
        *(f"-D{name}={value}" for name, value in {**properties, **scope}.items()),
        *project.args,
    ]


def properties(
    target: str, digest_file: Path, cache: Path, base: str | None, *, local_base: bool
) -> dict[str, str]:
    """Jib's settings: push to ``target``, build on the reference ``base`` (None: the pom's own).

    Names and passwords are given, though the target asks for none, because Jib would otherwise
    call the credential helpers that a pom names for its usual registries.
    """
    chosen = {"jib.from.image": base, "jib.from.platforms": machine_platform()} if base else {}
    return {
        "style.color": "never",
        "maven.test.skip": "true",
        "jib.skip": "false",
        "jib.console": "plain",
        "jib.disableUpdateChecks": "true",
        "jib.allowInsecureRegistries": "true",
        "jib.container.format": "OCI",
        "jib.to.image": target,
        "jib.to.auth.username": "slipway",
        "jib.to.auth.password": "slipway",
        **chosen,
        **(
            {"jib.from.auth.username": "slipway", "jib.from.auth.password": "slipway"}
            if local_base
            else {}
        ),
        "jib.outputPaths.digest": str(digest_file),
        "jib.baseImageCache": str(cache / "base"),
        "jib.applicationCache": str(cache / "application"),
    }


def stand_in(base: Mapping[str, Any]) -> dict[str, Any]:
    """The config of a base image without its layers."""
    return {**base, "rootfs": {"type": "layers", "diff_ids": []}, "history": []}


def on_base(
    base_layers: Sequence[Descriptor], base: Mapping[str, Any], manifest: Manifest, built: Any
) -> tuple[tuple[Descriptor, ...], dict[str, Any]]:
    """Layers and config of an image, built on a stand-in, with the base's layers below its own."""
    diff_ids = [*base["rootfs"]["diff_ids"], *built["rootfs"]["diff_ids"]]
    history = [*base.get("history", ()), *built.get("history", ())]
    config = {**built, "rootfs": {"type": "layers", "diff_ids": diff_ids}, "history": history}
    return (*base_layers, *manifest.layers), config


class Jib:
    """Builds Maven projects; several at the same time share the caches below ``cache``."""

    doing = "maven"

    def __init__(self, cache: Path, registry: Registry) -> None:
        self._cache = cache
        self._registry = registry
        self._downloading = threading.Lock()

    def build(
        self, source: Path, options: Mapping[str, Any], base: Base | None, label: str, scratch: Path
    ) -> Path:
        """Build what is in ``source``, a folder to be built in, and return an image archive.

        The archive is an OCI layout directory in ``scratch``. Raises SlipwayError with Maven's
        last lines.
        """
        if not shutil.which("mvn"):
            fix = "install Maven and a JDK, on Debian the packages maven and default-jdk-headless"
            raise SlipwayError(Problem(label, "is built with Maven, which is not here", fix))
        project = Project.read(source, options, label)
        stored = base.fetch() if base and base.fetch else None
        registry = self._registry
        base_ref = base.ref if base else None
        if stored:
            base_ref = f"{registry.address}/base@{_offer(stored, registry.blobs)}"
        digest_file = scratch / "digest"
        settings = properties(
            f"{registry.address}/app:{scratch.name.lower()}",
            digest_file,
            self._cache / "jib",
            base_ref,
            local_base=stored is not None,
        )
        self._run(source, command(project, settings), label)
        return _result(digest_file.read_text().strip(), stored, registry.blobs, scratch / "image")

    def _run(self, source: Path, argv: Sequence[str], label: str) -> None:
        """Run Maven; alone as long as it may have to download what this project needs.

        Maven's local repository is not made for two that fill it at the same time.
        """
        poms = sha256()
        for pom in sorted(source.rglob("pom.xml")):
            poms.update(pom.read_bytes())
        complete = self._cache / "jib" / "resolved" / poms.hexdigest()
        if not complete.exists():
            with self._downloading:
                if not complete.exists():
                    self._maven(source, argv, label)
                    complete.parent.mkdir(parents=True, exist_ok=True)
                    complete.touch()
                    return
        self._maven(source, argv, label)

    def _maven(self, source: Path, argv: Sequence[str], label: str) -> None:
        run(
            argv,
            what=label,
            cwd=source,
            timeout=BUILD_SECONDS,
            # A build is over before the JVM's second compiler has paid for itself.
            env={
                "MAVEN_OPTS": "-XX:+UseSerialGC -XX:TieredStopAtLevel=1 "
                + os.environ.get("MAVEN_OPTS", "")
            },
        )


def _offer(base: StoredImage, blobs: Blobs) -> str:
    """Put the stand-in of a base where Jib finds it, and return its manifest's digest."""
    config = canonical_json(stand_in(base.config()))
    descriptor = Descriptor(CONFIG, blobs.add(config), len(config))
    return blobs.add(Manifest(descriptor, ()).as_blob())


def _result(digest: str, base: StoredImage | None, blobs: Blobs, place: Path) -> Path:
    """The pushed image as an OCI layout directory whose blobs are links."""
    manifest = Manifest.of(blobs.read(digest))
    layers, config = manifest.layers, json.loads(blobs.read(manifest.config.digest))
    if base:
        layers, config = on_base(base.image.layers, base.config(), manifest, config)
    config_blob = canonical_json(config)
    config_descriptor = Descriptor(CONFIG, blobs.add(config_blob), len(config_blob))
    manifest_blob = Manifest(config_descriptor, layers).as_blob()
    descriptor = Descriptor(MANIFEST, blobs.add(manifest_blob), len(manifest_blob))
    files = place / "blobs" / "sha256"
    files.mkdir(parents=True)
    for blob in (descriptor, config_descriptor, *layers):
        of_base = base is not None and blob in base.image.layers
        source = base.blob(blob.digest) if base and of_base else blobs.path(blob.digest)
        link = files / blob.digest.removeprefix("sha256:")
        if source and not link.exists():
            link.symlink_to(source)
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [descriptor.as_json()]}
    (place / "index.json").write_text(json.dumps(index))
    return place
