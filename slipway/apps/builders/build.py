"""From the sources to images: each app's image in the store, built only when nothing like it is.

What an image is made of (the source's git tree, the builder and its options, the base) has a key;
a small file for each key tells which image came of it. An app whose key is known costs no more
than reading that file.
"""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
import re
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from slipway.apps.app import (
    JAVA,
    App,
    Build,
    BuildxBuild,
    Built,
    ImageBuild,
    JibBuild,
    PrebuiltBuild,
    Sourced,
    advanced,
)
from slipway.apps.boundary import Boundary, failing
from slipway.apps.builders import buildkit, jib, prebuilt, reference
from slipway.apps.builders.architectures import Images, Kinds
from slipway.apps.builders.bases import Base, Bases
from slipway.apps.builders.buildkit import BuildKit, Daemon, Programs
from slipway.apps.builders.buildx import Buildx
from slipway.apps.builders.carried import artifacts
from slipway.apps.builders.jib import Jib
from slipway.apps.builders.logins import Logins
from slipway.apps.builders.maven_daemon.daemon import MOST, Standbys
from slipway.apps.builders.order import Builder, Order
from slipway.apps.builders.prebuilt import Prebuilt
from slipway.apps.builders.reference import Referenced
from slipway.apps.builders.sandbox import Sandboxes
from slipway.apps.names import BUNDLE_HOST, image_repository
from slipway.apps.source.git import Mirror
from slipway.apps.source.project import DETECTED, folder_in, found, lacking
from slipway.architecture import Architecture
from slipway.bundle.download import Login
from slipway.bundle.requested import Requested
from slipway.cache.layout import CacheLayout
from slipway.control_node import emulation
from slipway.dev_session import Session
from slipway.errors import Problem, SlipwayError
from slipway.files import write_whole
from slipway.kube.objects import grouped
from slipway.oci import Image, ImageStore
from slipway.oci.model import INDEX
from slipway.secrets import Secrets

STEP = "build"
"""What a failure of this step is noted under."""

PROGRESS_SECONDS = 10.0
"""How often a running build says that it still runs."""

_RECIPES = {
    "jib": jib.RECIPE,
    "buildx": buildkit.RECIPE,
    "prebuilt": prebuilt.RECIPE,
    "image": reference.RECIPE,
}


@dataclass(frozen=True)
class Settings:
    """Where things are and how to build: the arguments of a run.

    ``bundle`` is the bundle's directory, ``bases`` the default base image of each builder,
    ``maven`` the image in which Maven builds for each version of Java, of which ``requested`` makes
    those that the bundle has not, ``secrets`` what builds may ask for by name. ``buildkit`` is
    false where Docker's engine is to build Dockerfiles, though a BuildKit daemon could be run.
    ``repositories`` have artifacts of Maven that need not be downloaded, ``session`` is the one
    that this run belongs to, if any. ``nodes`` has the architecture of each node by its name,
    ``bundles`` the bundles of those that are not as this machine; ``architecture`` is the one to
    build for.
    """

    cache: Path
    bundle: Path
    bases: Mapping[str, str]
    maven: Mapping[int, str] = field(default_factory=dict)
    requested: Requested | None = None
    buildkit: bool = True
    repositories: Sequence[Path] = ()
    secrets: Secrets = field(default_factory=lambda: Secrets({}))
    session: Session | None = None
    nodes: Mapping[str, Architecture] = field(default_factory=dict)
    bundles: Mapping[Architecture, Path] = field(default_factory=dict)
    architecture: Architecture = field(default_factory=Architecture.here)

    @property
    def is_foreign(self) -> bool:
        """Whether images are for another architecture than this machine's."""
        return self.architecture is not Architecture.here()

    @property
    def store(self) -> ImageStore:
        """The store of the images that are built."""
        place = CacheLayout(self.cache).images_of(self.architecture)
        return ImageStore(place, self.architecture.platform)

    @property
    def base_bundle(self) -> Path:
        """The bundle whose images apps are built on: that of the nodes that they are for."""
        return self.bundles[self.architecture] if self.is_foreign else self.bundle

    @property
    def base_store(self) -> ImageStore:
        """The store of those images."""
        return ImageStore(self.base_bundle / "images", self.architecture.platform)


@dataclass
class _Work:
    """One build, wanted by one app or by several; ``started`` is a time of the monotonic clock.

    ``secrets`` are the values by the id under which the build asks for them, ``logins`` who it is
    to registries.
    """

    key: str
    build: Build
    base: Base | None
    secrets: Mapping[str, str]
    logins: Logins
    apps: list[Sourced] = field(default_factory=list)
    started: float | None = None

    @property
    def label(self) -> str:
        """How messages name it."""
        return self.apps[0].label

    @property
    def made_by(self) -> _MadeBy:
        """Which builder it is for."""
        build = self.build
        return build.tool, build.java if isinstance(build, JibBuild) else 0


_MadeBy = tuple[str, int]
"""A builder: its tool, and the version of Java that it builds with, if it does."""


def build_images(
    apps: Iterable[App], settings: Settings, *, check: bool, say: Callable[[str], None]
) -> Images:
    """The apps with their images, of which those are built that are not in the app store yet.

    An app that cannot be built gets ``failed``; the others go on. With ``check`` nothing is built:
    an app whose image is not there stays as it is.
    """
    layout = CacheLayout(settings.cache)
    kinds = sorted({*settings.nodes.values()}) or [settings.architecture]
    by_kind = {kind: replace(settings, architecture=kind) for kind in kinds}
    with Daemon(Programs.of(settings.bundle), layout.buildkit) as daemon:
        return Kinds(
            nodes=settings.nodes,
            stores={kind: own.store for kind, own in by_kind.items()},
            build=lambda kind, some: _Run(by_kind[kind], daemon, check, say).images(some),
            say=say,
            check=check,
        ).images([*apps])


class _Run:
    """One run over all apps."""

    def __init__(
        self, settings: Settings, daemon: Daemon, check: bool, say: Callable[[str], None]
    ) -> None:
        self._settings = settings
        self._cache = CacheLayout(settings.cache)
        self._check = check
        self._tell = say
        self._boundary = failing(STEP, settings.secrets.redact)
        self._store = settings.store
        own = settings.buildkit and daemon.programs.can_run()
        self._buildkit = BuildKit(daemon, self._store) if own else None
        self._bases = Bases(
            self._store,
            settings.base_store,
            settings.bases,
            self._buildkit.pull if self._buildkit and not check else None,
            self._cache,
        )
        self._images: dict[str, str] = {}
        """By app, the image that it has."""

    def images(self, apps: list[App]) -> Images:
        """The apps with their images."""
        works: dict[str, _Work] = {}
        pending: list[App] = []
        lacks_bases = self._check and not self._settings.base_bundle.exists()
        for app in apps:
            if app.failed:
                continue
            if not isinstance(app, Sourced) or lacks_bases:
                pending.append(app)
                continue
            work = self._boundary.run([app], self._open_work, app)
            if work:
                works.setdefault(work.key, work).apps.append(app)
        unbuilt = [app for work in works.values() for app in work.apps]
        if self._check:
            pending += unbuilt
            for app in pending:
                done = "fetched" if isinstance(app.build, ImageBuild) else "built"
                self._say(f"{app.label}: would be {done}")
            return Images(self._advanced(apps), [], [app.id for app in pending])
        if works:
            self._build_all(list(works.values()))
        built = {self._images[app.id] for app in unbuilt if app.id in self._images}
        return Images(self._advanced(apps), sorted(built), [])

    def _advanced(self, apps: Iterable[App]) -> list[App]:
        """The apps, those that have an image with it."""
        return [
            advanced(app, Built, image=self._images[app.id])
            if not app.failed and app.id in self._images
            else app
            for app in apps
        ]

    def _open_work(self, app: Sourced) -> _Work | None:
        """What has to be done for an app; None, and its image noted, when that is known."""
        work = self._work(app)
        if ref := self._known(work.key, app):
            self._images[app.id] = ref
            return None
        if newer := _newer_java(work):
            self._say(f"{app.label}: {newer}")
        return work

    def _work(self, app: Sourced) -> _Work:
        """What would have to be done for an app."""
        app.build = build = app.build or self._detect(app)
        logins = self._logins(app)
        base = self._bases.find(build.tool, app.base_image.get(build.tool), logins)
        secrets = self._secrets(app, build)
        made_of = {
            "source": self._source(app, build, logins),
            "build": msgspec.to_builtins(build),
            "base": base.identity if base else None,
            "recipe": _RECIPES[build.tool],
            **({"platform": self._store.platform} if self._settings.is_foreign else {}),
        }
        key = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()
        return _Work(key, build, base, secrets, logins)

    def _secrets(self, app: Sourced, build: Build) -> Mapping[str, str]:
        """The values of an app's build secrets by their ids."""
        self._require(app, build.secrets.values())
        return {name: self._settings.secrets[secret] for name, secret in build.secrets.items()}

    def _logins(self, app: Sourced) -> Logins:
        """Who an app's builds are to registries."""
        self._require(app, [login.password for login in app.registry_auth.values()])
        return {
            host: Login(login.user, self._settings.secrets[login.password].strip())
            for host, login in app.registry_auth.items()
        }

    def _require(self, app: Sourced, names: Iterable[str]) -> None:
        """Raise SlipwayError for secrets that are not there."""
        if lacking := sorted({*names} - {*self._settings.secrets}):
            what = f"needs the secret {', '.join(lacking)} for its build"
            raise SlipwayError(Problem(app.label, what, "put it into slipway_secrets"))

    def _detect(self, app: Sourced) -> Build:
        """The builder that an app's files call for."""
        for name, made_by in DETECTED.items():
            if Path(app.checkout, app.project, name).is_file():
                build: Build = made_by()
                self._say(f"{app.label}: {name} found, so {build.tool}")
                return build
        fix = "say in apps.yml how it is built, for example build: {buildx: {context: folder}}"
        raise SlipwayError(lacking(app.label, Path(app.checkout), app.project, [*DETECTED], fix))

    def _source(self, app: Sourced, build: Build, logins: Logins) -> str:
        """What names all that goes into the image: a git hash, for example."""
        if isinstance(build, ImageBuild):
            return reference.identity(build, logins)
        mirror = Mirror(app.git_url, self._settings.cache)
        if isinstance(build, PrebuiltBuild):
            return prebuilt.identity(app, build, mirror)
        context = posixpath.normpath(build.context if isinstance(build, BuildxBuild) else ".")
        if context == ".":
            return f"{app.tree}:{app.project}" if app.whole and app.project != "." else app.tree
        checkout = Path(app.checkout)
        found(checkout, posixpath.normpath(posixpath.join(app.project, context)), app.label)
        place = folder_in(checkout / app.project, context)
        if place is None:
            raise SlipwayError(Problem(app.label, f"has no folder {context}"))
        name = f"{app.tree}:{place}"
        return mirror.trees([name])[0] or name  # that of a submodule is not in the mirror

    @cached_property
    def _stored(self) -> Mapping[str, Image]:
        """The images that the run began with, by their references."""
        return self._store.images()

    def _known(self, key: str, app: App) -> str | None:
        """The image that came of a key, under the app's own name; None if it is not stored."""
        try:
            note = json.loads(self._cache.build_note(key).read_bytes())
            digest, ref = note["digest"], _ref(app, note["config"])
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return None
        if ref in self._stored and self._stored[ref].manifest_digest == digest:
            return ref
        if all(image.manifest_digest != digest for image in self._stored.values()):
            return None
        if not self._check:
            self._name(ref, note)
        return ref

    def _name(self, ref: str, note: Mapping[str, Any]) -> Image:
        """Enter a stored image under one more name."""
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [note]}
        with self._scratch() as scratch:
            (scratch / "index.json").write_text(json.dumps(index))
            return self._store.add_archive(scratch, ref)

    def _build_all(self, works: list[_Work]) -> None:
        """Build side by side, as many as there are cores, and tell how it goes."""
        builders: dict[_MadeBy, Builder[Any]] = {}
        for made_by in sorted({work.made_by for work in works}):
            own = [work for work in works if work.made_by == made_by]
            waiting = [app for work in own for app in work.apps]
            if builder := self._boundary.run(waiting, self._builder, made_by, own):
                builders[made_by] = builder
        works = [work for work in works if work.made_by in builders]
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            running = {
                pool.submit(self._build, work, builders[work.made_by]): work
                for work in _taking_turns(works)
            }
            left: set[Future[None]] = set(running)
            while left:
                done, left = wait(left, PROGRESS_SECONDS, FIRST_COMPLETED)
                for future in done:
                    future.result()
                for future in () if done else left:
                    work = running[future]
                    if work.started is not None:
                        seconds = time.monotonic() - work.started
                        self._say(f"{work.label}: {builders[work.made_by].doing}: {seconds:.0f} s")

    def _builder(self, made_by: _MadeBy, works: Sequence[_Work]) -> Builder[Any]:
        """The builder of some works."""
        tool, java = made_by
        if tool == "jib":
            program = self._settings.bundle / "tools" / "docker-registry"
            sandboxes = self._sandboxes(java)
            standbys = self._standbys(len(works), sandboxes)
            found = self._settings.repositories
            return Jib(self._cache, program, self._store, sandboxes, standbys, found, self._say)
        if tool == "prebuilt":
            return Prebuilt()
        program = self._settings.bundle / "tools" / "docker-buildx"
        dockerfiles = self._buildkit or Buildx(self._cache, program)
        if tool == "image":
            return Referenced(dockerfiles)
        emulation.have(self._settings.architecture, self._say)  # of the steps of Dockerfiles
        return dockerfiles

    def _sandboxes(self, java: int) -> Sandboxes:
        """Those with the JDK of a version of Java, which is made first if it is none of the bundle.

        Raises SlipwayError when it cannot be.
        """
        bundle, ref = self._settings.bundle, self._settings.maven.get(java, "")
        if self._settings.requested and java != JAVA:
            bundle = self._settings.requested.have(ref, self._say)
        return Sandboxes(bundle, ref, self._say)

    def _standbys(self, builds: int, sandboxes: Sandboxes) -> Standbys | None:
        """Those of the session; a first run that builds many would only start and end them."""
        session = self._settings.session
        if session is None or builds > MOST:
            return None
        return Standbys(session, sandboxes, self._cache.maven_extensions)

    def _build(self, work: _Work, builder: Builder[Any]) -> None:
        """Build one image and enter it under the name of each app that wants it.

        What fails for one folder may have other words for another one, where the same is.
        """
        work.started = time.monotonic()
        alike = grouped(work.apps, lambda app: app.project).values()
        is_built = any(self._is_made(work, builder, apps) for apps in alike)
        seconds = time.monotonic() - work.started
        end = f"built in {seconds:.1f} s" if is_built else "failed"
        self._say(f"{work.label}: {builder.doing}: {end}")

    def _is_made(self, work: _Work, builder: Builder[Any], apps: Sequence[Sourced]) -> bool:
        """Whether an image is made as the first of some apps has it; each is told in its name."""
        first = re.compile(rf"^{re.escape(apps[0].label)}(?=: )", re.MULTILINE)

        def note(app: App, reason: str) -> None:
            own = first.sub(lambda _: app.label, reason)
            app.fail(STEP, self._settings.secrets.redact(own))

        return bool(Boundary(note).run(apps, self._make, work, builder, apps[0]))

    def _make(self, work: _Work, builder: Builder[Any], app: Sourced) -> bool:
        """Build one image and enter it; returns True."""
        name = image_repository(app.name)
        with self._scratch() as scratch:
            order = Order(
                label=app.label,
                repository=Mirror(app.git_url, self._settings.cache).path.stem,
                checkout=Path(app.checkout),
                build=work.build,
                base=work.base,
                secrets=work.secrets,
                scratch=scratch,
                folder=app.project,
                whole=app.whole,
                images=[each for each in self._stored.values() if each.repository == name],
                platform=self._store.platform,
                logins=work.logins,
                artifacts=artifacts(self._settings.bundle, app.git_url),
            )
            self._enter(work, builder.build(order), scratch)
        return True

    def _say(self, text: str) -> None:
        self._tell(self._settings.secrets.redact(text))

    def _enter(self, work: _Work, archive: Path, scratch: Path) -> None:
        """Store a built image under names made of its content, and note what it was made of."""
        passing = f"{image_repository('new')}:{work.key[:12]}"
        spare = archive.is_dir() and archive.is_relative_to(scratch)
        image = self._store.add_archive(archive, passing, spare=spare)
        note = {
            "mediaType": image.manifest.media_type,
            "digest": image.manifest_digest,
            "size": image.manifest.size,
            "config": image.config_digest,
        }
        for app in work.apps:
            self._images[app.id] = self._name(_ref(app, image.config_digest), note).ref
        self._store.remove(passing)
        path = self._cache.build_note(work.key)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(note))

    def _work_folder(self) -> Path:
        self._cache.work.mkdir(parents=True, exist_ok=True)
        return self._cache.work

    @contextmanager
    def _scratch(self) -> Iterator[Path]:
        """A folder for as long as it is needed."""
        with tempfile.TemporaryDirectory(dir=self._work_folder()) as folder:
            yield Path(folder)


def _newer_java(work: _Work) -> str:
    """What has to be known of a JDK that is newer than the Java of the bundle's base image."""
    build, base = work.build, work.base
    if not isinstance(build, JibBuild) or build.java <= JAVA:
        return ""
    if base is None or not base.ref.startswith(BUNDLE_HOST):
        return ""
    return (
        f"is built with Java {build.java}, and its base image {base.ref} runs classes up to Java "
        f"{JAVA}: name a base_image with Java {build.java}, or have the pom's "
        f"maven.compiler.release be {JAVA}"
    )


def _taking_turns(works: Iterable[_Work]) -> list[_Work]:
    """The builds with their tools by turns: each tool has waits that the other can fill."""
    nth: dict[str, int] = defaultdict(int)
    turns = []
    for work in works:
        nth[work.build.tool] += 1
        turns.append((nth[work.build.tool], work))
    return [work for _, work in sorted(turns, key=lambda turn: turn[0])]


def _ref(app: App, config_digest: str) -> str:
    """An app's image reference: another content, another tag."""
    content = config_digest.removeprefix("sha256:")[:12]
    return f"{image_repository(app.name)}:{app.branch_slug}-{content}"
