"""Maven projects with Google's Jib plugin, built on any base without a change to the project.

Jib's own settings as system properties (``jib.*``) win over what a pom says. Of a base image that
is at hand Jib only ever sees the config, with no layers: the layers are put below those that Jib
made when it is done. So neither Jib nor its cache reads, compresses or writes a byte of the base,
and its layers stay the very blobs that nodes may have already.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from slipway.apps.app import JibBuild
from slipway.apps.builders.bases import StoredImage
from slipway.apps.builders.logins import registry_of
from slipway.apps.builders.maven import Maven
from slipway.apps.builders.maven_daemon.daemon import Standbys
from slipway.apps.builders.maven_extension.compiled import CLASS_PATH, compiled
from slipway.apps.builders.order import Order
from slipway.apps.builders.registry import REPOSITORY, Registry, serve
from slipway.apps.builders.sandbox import CACHE, IN, REGISTRY, WORK, Place, Sandboxes, give
from slipway.apps.source.project import POM, lacking, poms
from slipway.cache.layout import CacheLayout
from slipway.errors import Problem, SlipwayError
from slipway.oci import ImageStore
from slipway.oci.model import (
    CONFIG,
    INDEX,
    MANIFEST,
    Descriptor,
    Manifest,
    canonical_json,
    diff_ids_of,
    parsed,
)

RECIPE = "jib 3"
"""Changes whenever the same source would be built into another image."""

PLUGIN = "com.google.cloud.tools:jib-maven-plugin"
PLUGIN_VERSION = "3.5.2"
"""Jib for projects whose poms do not name the plugin; others are built with their own version."""

BASE = "base.tar"
"""The file of a base image below ``/in``."""

_NO_IMAGE = (
    "Jib makes none of a project whose packaging is pom, or that jib.containerize does not name: "
    "name the module to run, for example build: {jib: {module: web}}"
)
"""What to do when there is no image."""

_PACKAGED = [(name, "packaged") for name in ("containerizingMode", "jib.containerizingMode")]
"""By which element and text a pom has Jib take the package in place of its classes."""

_LAX = ("-c", "--lax-checksums")
"""By which of Maven's options a user has it take what its repository has no right checksum of."""

_TEST_JAR = [("goal", "test-jar"), ("type", "test-jar"), ("classifier", "tests")]
"""By which of them a project gives its test classes to others, or has those of another one."""


@dataclass(frozen=True)
class Project:
    """What of a Maven project decides how Maven is called."""

    module: str | None
    args: tuple[str, ...]
    has_plugin: bool
    needs_package: bool
    needs_tests: bool
    """Whether a module needs the test classes of another one."""

    @classmethod
    def read(cls, order: Order[JibBuild]) -> Project:
        """The project that is to be built.

        Raises SlipwayError when there is none, or when it has modules and none is named.
        """
        label, module, args = order.label, order.build.module, order.build.args
        all_poms = poms(order.project, order.checkout, label)
        own = all_poms.get(order.project / POM)
        if own is None:
            fix = "build it with buildx, or add its pom.xml"
            raise SlipwayError(lacking(label, order.checkout, order.folder, [POM], fix))
        if (modules := own.modules(args)) and not module:
            raise SlipwayError(
                Problem(
                    label,
                    f"is a project of several modules: {', '.join(modules)}",
                    f"name the one to run, for example build: {{jib: {{module: {modules[-1]}}}}}",
                )
            )

        def any_has(elements: Iterable[tuple[str, str]]) -> bool:
            return any(pom.has(*each) for pom in all_poms.values() for each in elements)

        return cls(
            module=module,
            args=tuple(args),
            has_plugin=any_has([("artifactId", "jib-maven-plugin")]),
            needs_package=bool(module)
            or any(pom.packaging == "war" for pom in all_poms.values())
            or any_has(_PACKAGED),
            needs_tests=bool(module) and any_has(_TEST_JAR),
        )


def command(project: Project, properties: Mapping[str, str], goal: str) -> list[str]:
    """The call of Maven that compiles the project and has Jib do a ``goal``.

    Classes are enough for Jib; it wants packages of modules that depend on one another and of
    web archives. What is downloaded has to be as its checksum says, unless the user's arguments
    are lax; what a branch says in ``.mvn/maven.config`` does not change that.
    """
    version = "" if project.has_plugin else f":{PLUGIN_VERSION}"
    modules = ["-pl", project.module, "-am"] if project.module else []
    scope = {"jib.containerize": project.module} if project.module else {}
    checksums = [] if {*_LAX} & {*project.args} else ["--strict-checksums"]
    return [
        "mvn",
        "--batch-mode",
        "--quiet",
        *checksums,
        *modules,
        "package" if project.needs_package else "process-classes",
        f"{PLUGIN}{version}:{goal}",
        *(f"-D{name}={value}" for name, value in {**properties, **scope}.items()),
        *project.args,
    ]


def properties(project: Project, name: str, base: str | None, platform: str) -> dict[str, str]:
    """Jib's settings: push an image for ``platform`` with the tag ``name``, and write its digest to
    a file of that name; build on ``base`` (None: the pom's own).

    No test is run, and none is compiled where nobody needs it.

    ``base`` is a reference or ``tar://`` and a path. A name and a password are given, though the
    target asks for none, because Jib would otherwise call the credential helper that a pom names
    for its usual registry.
    """
    return {
        "style.color": "never",
        "maven.test.skip": "false" if project.needs_tests else "true",
        "skipTests": "true",
        "jib.skip": "false",
        "jib.console": "plain",
        "jib.disableUpdateChecks": "true",
        # Of the one that takes the image; where Jib asks no other one, it needs no certificate.
        "jib.allowInsecureRegistries": str(is_at_hand(base)).lower(),
        "jib.container.format": "OCI",
        "jib.to.image": f"{REGISTRY}/{REPOSITORY}:{name}",
        "jib.to.auth.username": "slipway",
        "jib.to.auth.password": "slipway",
        **({"jib.from.image": base} if base else {}),
        "jib.from.platforms": platform,
        "jib.outputPaths.digest": f"{WORK}/{name}",
        "jib.outputPaths.tar": f"{WORK}/{name}.tar",
        "jib.baseImageCache": f"{CACHE}/base",
        "jib.applicationCache": f"{CACHE}/application",
    }


def is_at_hand(base: str | None) -> bool:
    """Whether Jib gets a base as a file, and asks no registry for it."""
    return bool(base and base.startswith("tar://"))


def stand_in(base: Mapping[str, Any]) -> dict[str, Any]:
    """The config of a base image without its layers."""
    return {**base, "rootfs": {"type": "layers", "diff_ids": []}, "history": []}


def on_base(
    base_layers: Sequence[Descriptor], base: Mapping[str, Any], manifest: Manifest, built: Any
) -> tuple[tuple[Descriptor, ...], dict[str, Any]]:
    """Layers and config of an image, built on a stand-in, with the base's layers below its own."""
    configs = (base, built)  # of an image without layers they may have null there
    diff_ids = [digest for each in configs for digest in each["rootfs"]["diff_ids"] or ()]
    history = [step for each in configs for step in each.get("history") or ()]
    config = {**built, "rootfs": {"type": "layers", "diff_ids": diff_ids}, "history": history}
    return (*base_layers, *manifest.layers), config


class Jib:
    """Builds Maven projects, each with a registry of its own: the ``program``.

    What ``store`` has of an app's earlier images is not pushed again; ``repositories`` are those
    of the machine in which Maven looks first.
    """

    doing = "maven"

    def __init__(
        self,
        cache: CacheLayout,
        program: Path,
        store: ImageStore,
        sandboxes: Sandboxes,
        standbys: Standbys | None = None,
        repositories: Sequence[Path] = (),
        say: Callable[[str], None] = print,
    ) -> None:
        self._cache = cache
        self._program = program
        self._store = store
        self._sandboxes = sandboxes
        self._maven = Maven(cache, sandboxes, standbys, repositories, say)

    def build(self, order: Order[JibBuild]) -> Path:
        """As Builder; the failure has Maven's last lines."""
        project = Project.read(order)
        _refuse_to_hand_over(order)
        stored = order.base.fetch() if order.base and order.base.fetch else None
        base = f"tar://{IN}/{BASE}" if stored else order.base.ref if order.base else None
        registries: list[Registry] = []
        name, archive = order.scratch.name.lower(), order.scratch / "image.tar"

        @contextmanager
        def receive(place: Place) -> Iterator[None]:
            if stored:
                write_stand_in(stored, place.given / BASE)
                give(place.given / BASE)
            files = order.scratch / f"registry-{len(registries)}"
            with serve(self._program, files, place.registry, self._store, order.images) as registry:
                registries.append(registry)
                yield
            place.take(f"{name}.tar", archive)

        # From a registry that is asked for its base, an image comes back as a file.
        goal = "build" if stored else "buildTar"
        extension = compiled("JibSettings", self._sandboxes, self._cache.maven_extensions)
        settings = {**properties(project, name, base, order.platform), CLASS_PATH: extension}
        digest = self._maven.build(
            order, lambda given: command(project, given, goal), settings, receive, name
        )
        if not digest:
            what = "Maven has built it, and Jib has made no image of it"
            raise SlipwayError(Problem(order.label, what, _NO_IMAGE))
        if not stored:
            return archive
        try:
            return _result(digest.strip(), stored, registries[-1], order.scratch / "image")
        except (ValueError, TypeError, KeyError) as error:
            what = f"its build pushed no image that can be read: {error}"
            raise SlipwayError(Problem(order.label, what)) from error


def _refuse_to_hand_over(order: Order[JibBuild]) -> None:
    """Raise SlipwayError where Jib would ask a registry with a login, which the build would see."""
    base = order.base
    if base and base.fetch is None and registry_of(base.ref) in order.logins:
        what = f"its base image {base.ref} is fetched by Maven, whose code would see the login"
        fix = "run as root, who fetches it before, or name it as an archive: tar:///path"
        raise SlipwayError(Problem(order.label, what, fix))


def write_stand_in(base: StoredImage, archive: Path) -> None:
    """Write the stand-in of a base image as ``docker save`` would, for Jib to read."""
    config = canonical_json(stand_in(base.config()))
    manifest = [{"Config": "config.json", "RepoTags": [base.image.ref], "Layers": []}]
    with tarfile.open(archive, "w") as tar:
        for name, content in (
            ("manifest.json", json.dumps(manifest).encode()),
            ("config.json", config),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def _result(digest: str, base: StoredImage | None, registry: Registry, place: Path) -> Path:
    """The pushed image as an OCI layout directory whose layers are links."""
    files = place / "blobs" / "sha256"
    files.mkdir(parents=True)

    def put(media_type: str, content: bytes) -> Descriptor:
        descriptor = Descriptor(media_type, f"sha256:{sha256(content).hexdigest()}", len(content))
        (files / sha256(content).hexdigest()).write_bytes(content)
        return descriptor

    manifest = Manifest.of(registry.read(digest))
    layers, config = manifest.layers, parsed(registry.read(manifest.config.digest), dict)
    diff_ids_of(config, len(layers))
    paths = {layer.digest: registry.path(layer.digest) for layer in layers}
    if base:
        layers, config = on_base(base.image.layers, base.config(), manifest, config)
        paths |= {layer.digest: base.blob(layer.digest) for layer in base.image.layers}
    for layer, path in paths.items():
        (files / layer.removeprefix("sha256:")).symlink_to(path.resolve())
    made = Manifest(put(CONFIG, canonical_json(config)), layers)
    index = {
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [put(MANIFEST, made.as_blob()).as_json()],
    }
    (place / "index.json").write_text(json.dumps(index))
    return place
