"""The *upstream* provider: a bundle of what upstream publishes, and the rest from source.

What upstream publishes is in a lock with its hashes (``bundle/upstream.yml``). Before anything is
made, all of it is asked for. What is not in the lock at this version, or what nobody has, is made
as ``source`` makes it, which is said. The bundle has the same form whatever its parts are from.
"""

from __future__ import annotations

import shutil
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from posixpath import basename, normpath
from typing import TypeVar

from slipway.bundle import upstream_lock
from slipway.bundle.cosign import OFF, REQUIRED, Cosign
from slipway.bundle.download import Broken, Server, asked_of
from slipway.bundle.fetched import Fetched
from slipway.bundle.go import Component
from slipway.bundle.keys import key_of
from slipway.bundle.mirrors import Mirrors
from slipway.bundle.parts import DOWNLOAD, Part
from slipway.bundle.recipes import Recipe
from slipway.bundle.registry import Found, Repository
from slipway.bundle.source import (
    MANIFESTS,
    UNPACKING,
    BesideSource,
    manifest_of,
    places_of,
)
from slipway.bundle.upstream_lock import ALL_OF_IT, Lock, Pinned, PinnedImage, Signer
from slipway.control_node import tools
from slipway.errors import Problem, SlipwayError
from slipway.files import link_or_copy, write_whole
from slipway.oci import ImageStore
from slipway.oci.archives import LAYOUT, LAYOUT_FILE
from slipway.oci.blobs import copy
from slipway.oci.files import UNREADABLE
from slipway.oci.model import INDEX, canonical_json, readable
from slipway.waiting import allowed

Answer = TypeVar("Answer")

RECIPE = 1
"""Raised when what is made of the same files is another thing."""

SECONDS = 3.0
"""How long upstream may take to answer where there is another way."""

TRIES = 3
"""How often in a row it is asked where there is none."""

AT_A_TIME = 16
"""How much is asked for at a time."""

OWN = "bundle.slipway.internal/"
"""What the references of images begin with that nobody else publishes."""


@dataclass(frozen=True)
class Offer:
    """What upstream has of the lock, and why it does not have the rest, by what that is."""

    files: Mapping[str, Sequence[Pinned]]
    images: Mapping[str, Found]
    lacking: Mapping[str, str]

    def __bool__(self) -> bool:
        return any(self.files.values()) or bool(self.images)


@dataclass(frozen=True)
class UpstreamProvider(BesideSource):
    """Downloads what the lock has, and makes the rest as ``source`` does.

    Upstream is asked at ``mirrors`` where there are some. If it is ``hurried`` there is another way
    to the bundle: whatever does not answer soon, or as it should, counts as lacking. ``signatures``
    says whether those of what comes are checked, if upstream signs it.
    """

    mirrors: Mirrors = field(default_factory=Mirrors)
    hurried: bool = False
    say: Callable[[str], None] = field(default=print, compare=False)
    signatures: str = OFF

    @property
    def tools(self) -> tuple[str, ...]:
        """What this machine has to have for what is made here."""
        lanes = {part.lane for part in self.to_make()}
        if "compile" in lanes:
            return self.source.tools
        return UNPACKING if "packages" in lanes else ()

    def to_make(self) -> list[Part]:
        """The parts of the bundle that are not there."""
        return self.source.missing(self.parts)

    @cached_property
    def key(self) -> str:
        """Covers all that may go in, whoever has it at the time."""
        files = {name: [_record(each) for each in found] for name, found in self._files.items()}
        images = {ref: [each.repository, each.digest] for ref, each in self._images.items()}
        signed = [*self._lock.signers] if self.signatures == REQUIRED else []
        return key_of(RECIPE, self.source.key, files, images, *map(_record_of, signed))

    def fill(self, into: Path, say: Callable[[str], None]) -> Mapping[str, object]:
        """Have what upstream has, make the rest, and lay the bundle out."""
        for line in self.told():
            say(line)
        tools.have(self.tools, say)
        if any(map(self._lock.signer_of, self._offered)):
            self._cosign.check_tool()
        about = self.source.put_together(self.parts, into, say)
        if came := list(self._came()):
            size = sum(path.stat().st_size for path in came)
            say(f"of upstream's {readable(size)}, downloaded in {self._fetched.seconds:.0f} s")
        for path in came:
            shutil.rmtree(path.parent)
        return {"provider": "upstream", **about}

    def told(self) -> Iterator[str]:
        """What of the bundle is made here, and why it is not upstream's."""
        compiled, _fetched = self._shared_out
        if compiled:
            yield f"not upstream's but compiled here: {', '.join(map(self._told_of, compiled))}"
        names: dict[str, list[str]] = {}
        for name, why in self.offer.lacking.items():
            names.setdefault(why, []).append(name)
        for why, of in names.items():
            yield f"without upstream's {', '.join(of)}: {why}"

    def ask(self) -> Future[Offer]:
        """Begin to ask upstream what it has, if that was not begun; the answer that is to come."""
        return self._asking

    @property
    def offer(self) -> Offer:
        """What upstream has; it is asked once.

        Unless another way is left, SlipwayError says whose answer was none.
        """
        return self.ask().result()

    @cached_property
    def _asking(self) -> Future[Offer]:
        """The answer to come; a property that is cached is had by one provider after the other."""
        pool = ThreadPoolExecutor(1)
        try:
            return pool.submit(self._asked)
        finally:
            pool.shutdown(wait=False)

    def _asked(self) -> Offer:
        asks: dict[str, Callable[[], object]] = {}
        for files in self._files.values():
            asks |= {each.url: partial(self._ask_file, each) for each in files}
        asks |= {ref: partial(self._ask_image, each) for ref, each in self._images.items()}
        answers = dict(zip(asks, self._asked_for(list(asks.values())), strict=True))
        broken = {name: each for name, each in answers.items() if isinstance(each, Broken)}
        refused = {what: each for what, each in broken.items() if not each.lacking}
        if refused and not self.hurried:
            raise SlipwayError(
                Problem(what, str(each), each.fix or "run again") for what, each in refused.items()
            )
        lacking = {
            basename(what) if "://" in what else what: str(each) for what, each in broken.items()
        }
        return Offer(
            {
                name: [each for each in files if each.url not in broken]
                for name, files in self._files.items()
            },
            {ref: found for ref, found in answers.items() if isinstance(found, Found)},
            {**lacking, **dict(self._unknown())},
        )

    @cached_property
    def parts(self) -> list[Part]:
        """What the bundle is put together from."""
        pulled = [
            self._image_part(recipe, self.offer.images[recipe.ref])
            for recipe in (*self.source.recipes, *self.source.published)
            if recipe.ref in self.offer.images
        ]
        compiled, fetched = self._shared_out
        return [*pulled, *self.source.parts_of(compiled, self._packed, fetched)]

    @property
    def _packed(self) -> list[Recipe]:
        """The images that are made here."""
        return [each for each in self.source.recipes if each.ref not in self.offer.images]

    @cached_property
    def _shared_out(self) -> tuple[list[Component], dict[str, Part]]:
        """What is compiled of components, and the parts that have the rest, by its places."""
        wanted = {f"image/{name}" for recipe in self._packed for name in recipe.binaries}
        compiled: list[Component] = []
        fetched: dict[str, Part] = {}
        for component in self.source.components:
            places = {
                place
                for place in places_of(component)
                if not place.startswith("image/") or place in wanted
            }
            files = self.offer.files.get(component.name, [])
            missing = places - {place for each in files for place in each.places}
            if missing:
                compiled.append(_only(component, missing))
                missing.add(manifest_of(component.name))
            for each in files:
                if used := (places & each.places.keys()) - missing:
                    part = self._file_part(component.name, each, used)
                    fetched |= dict.fromkeys(used, part)
        return compiled, fetched

    def _told_of(self, component: Component) -> str:
        """A component, with its programs where not all are compiled."""
        [whole] = [each for each in self.source.components if each.name == component.name]
        if len(component.binaries) == len(whole.binaries):
            return component.name
        return f"{component.name} ({', '.join(map(basename, component.binaries))})"

    @cached_property
    def _lock(self) -> Lock:
        path = self.source.project / "bundle" / "upstream.yml"
        places = {each.name: places_of(each) for each in self.source.components}
        return upstream_lock.read(path, places, self.source.versions)

    @cached_property
    def _files(self) -> Mapping[str, Sequence[Pinned]]:
        """The files of the lock at the versions of components."""
        architecture = self.source.architecture
        return {
            each.name: self._lock.files_of(each.name, each.version, architecture.value)
            for each in self.source.components
        }

    @cached_property
    def _images(self) -> Mapping[str, PinnedImage]:
        """The images of the lock that bundles may have, and that nothing is laid over."""
        wanted = (*self.source.recipes, *self.source.published)
        refs = {recipe.ref for recipe in wanted} - self._under
        return {ref: image for ref, image in self._lock.images.items() if ref in refs}

    @cached_property
    def _under(self) -> set[str]:
        """The images that others are laid over, which is done with layers that are made here."""
        names = {recipe.over for recipe in self.source.requested}
        return {recipe.ref for recipe in self.source.recipes if recipe.name in names}

    def _unknown(self) -> Iterator[tuple[str, str]]:
        """What upstream may have, and why it is not asked for that."""
        for component in self.source.components:
            if component.name in self._lock.files and not self._files[component.name]:
                yield f"{component.name} {component.version}", "bundle/upstream.yml has no sums"
        locked = self._lock.images.keys()
        for recipe in self.source.recipes:
            if recipe.ref and not recipe.ref.startswith(OWN) and recipe.ref not in locked:
                yield recipe.ref, "bundle/upstream.yml has no digest"
        for ref in sorted(locked & self._under):
            yield ref, "other images are laid over it"

    def _asked_for(self, asks: Sequence[Callable[[], object]]) -> list[object]:
        """The answers to all, of which a Broken is one; nobody waits for those that take too long.

        A name server may have more patience than the one who asks.
        """
        pool = ThreadPoolExecutor(AT_A_TIME)
        seconds = 2 * allowed(SECONDS)
        try:
            futures = [pool.submit(_answer, ask) for ask in asks]
            ends = time.monotonic() + seconds
            found: list[object] = []
            for future in futures:
                left = max(0.0, ends - time.monotonic()) if self.hurried else None
                try:
                    found.append(future.result(left))
                except TimeoutError:
                    found.append(Broken(f"no answer within {seconds:.0f} s"))
            return found
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _ask_file(self, file: Pinned) -> None:
        """Have the first byte of a file, as some servers answer nothing else."""
        server = replace(self._server(file), seconds=self._seconds)

        def ask() -> None:
            with server.asked({"Range": "bytes=0-0"}):
                pass

        self._answer_of(server, ask)

    def _ask_image(self, image: PinnedImage) -> Found:
        server = replace(self._server_of(image), seconds=self._seconds)
        repository = Repository(server)
        return self._answer_of(server, lambda: repository.find(image.digest, self._platform))

    def _answer_of(self, server: Server, ask: Callable[[], Answer]) -> Answer:
        return asked_of(server, ask, self.say, tries=1 if self.hurried else TRIES)

    @property
    def _platform(self) -> str:
        return self.source.architecture.platform

    @property
    def _seconds(self) -> float | None:
        return allowed(SECONDS) if self.hurried else None

    def _server(self, file: Pinned) -> Server:
        return self.mirrors.of_file(file.url).server()

    def _server_of(self, image: PinnedImage) -> Server:
        return self.mirrors.of_repository(image.repository).server()

    @property
    def _offered(self) -> Iterator[str]:
        """The addresses of what upstream has."""
        for files in self.offer.files.values():
            yield from (each.url for each in files)
        yield from (self._images[ref].repository for ref in self.offer.images)

    @property
    def _cosign(self) -> Cosign:
        return Cosign(self.signatures, self.say)

    def _demanded(self, address: str) -> list[object]:
        """What a part is known by as well that is to be signed: what nobody checked is another."""
        signer = self._lock.signer_of(address) if self.signatures == REQUIRED else None
        return [_record_of(signer)] if signer else []

    @cached_property
    def _fetched(self) -> Fetched:
        return Fetched(self.cache.downloads, self.say)

    def _came(self) -> Iterator[Path]:
        """What was downloaded for the bundle and is in its parts now."""
        sums = [each.sha256 for files in self.offer.files.values() for each in files]
        for image in self.offer.images.values():
            sums += [blob.digest.removeprefix("sha256:") for blob in image.blobs]
        for sha256 in dict.fromkeys(sums):
            path = self.cache.downloads / sha256 / "part"
            if path.exists():
                yield path

    def _file_part(self, component: str, file: Pinned, used: set[str]) -> Part:
        """What goes to some places out of a file."""
        return Part(
            name=f"download-{component}-{file.sha256[:8]}",
            key=key_of(RECIPE, _record(file), sorted(used), *self._demanded(file.url)),
            lane=DOWNLOAD,
            make=partial(self._take, file, sorted(used)),
        )

    def _take(self, file: Pinned, used: Sequence[str], into: Path) -> Mapping[str, object]:
        server = self._server(file)
        path = self._fetched.have(server, file.sha256)
        if signer := self._lock.signer_of(file.url):
            self._cosign.check_file(path, server, signer)
        for place in used:
            (into / place).parent.mkdir(exist_ok=True)
        if [*file.places.values()] == [ALL_OF_IT]:
            shutil.copyfile(path, into / used[0])
        else:
            _extract(path, file.url, {place: file.places[place] for place in used}, into)
        for place in used:
            (into / place).chmod(0o644 if place.startswith("manifests/") else 0o755)
        return {"url": file.url, "sha256": file.sha256}

    def _image_part(self, recipe: Recipe, found: Found) -> Part:
        """An image of upstream's under the reference of a recipe."""
        image = self._images[recipe.ref]
        return Part(
            name=f"image-{recipe.name}",
            key=key_of(
                RECIPE,
                recipe.ref,
                image.digest,
                self._platform,
                *self._demanded(image.repository),
            ),
            lane=DOWNLOAD,
            make=partial(self._pull, recipe.ref, image, found),
        )

    def _pull(self, ref: str, image: PinnedImage, found: Found, into: Path) -> Mapping[str, object]:
        repository = Repository(self._server_of(image))
        if signer := self._lock.signer_of(image.repository):
            self._cosign.check_image(repository.server, image.digest, signer)
        layout = into / "layout"
        blobs = layout / "blobs" / "sha256"
        blobs.mkdir(parents=True)
        for blob in found.blobs:
            sha256 = blob.digest.removeprefix("sha256:")
            link_or_copy(self._fetched.have(repository.blob(blob.digest), sha256), blobs / sha256)
        manifest = blobs / found.descriptor.digest.removeprefix("sha256:")
        manifest.write_bytes(found.text)
        index = {
            "schemaVersion": 2,
            "mediaType": INDEX,
            "manifests": [found.descriptor.as_json()],
        }
        write_whole(layout / "index.json", canonical_json(index).decode())
        write_whole(layout / LAYOUT_FILE, LAYOUT.decode())
        try:
            ImageStore(into / "images").add_archive(layout, ref, self._platform, spare=True)
        except SlipwayError as error:
            where = f"{image.repository}@{image.digest}"
            raise SlipwayError(
                Problem(where, each.what, "have the lock or the registry corrected")
                for each in error.problems
            ) from error
        shutil.rmtree(layout)
        return {"image": ref, "from": f"{image.repository}@{image.digest}"}


def _answer(ask: Callable[[], object]) -> object:
    try:
        return ask()
    except Broken as broken:
        return broken


def _only(component: Component, missing: set[str]) -> Component:
    """A component of which not all is compiled; what brings a manifest as well is."""
    binaries = {place: each for place, each in component.binaries.items() if place in missing}
    whole = not binaries or component.name in MANIFESTS
    return component if whole else replace(component, binaries=binaries)


def _record(file: Pinned) -> list[object]:
    return [file.sha256, dict(file.places)]


def _record_of(signer: Signer) -> list[object]:
    return [list(signer.of), signer.identity, signer.issuer]


def _extract(archive: Path, url: str, members: Mapping[str, str], into: Path) -> None:
    """Take members of an archive to their places; SlipwayError when one is none of its files."""
    left = {normpath(member): place for place, member in members.items()}
    try:
        with tarfile.open(archive) as tar:
            for each in tar:
                place = left.get(normpath(each.name))
                content = tar.extractfile(each) if place and each.isreg() else None
                if place and content:
                    with (into / place).open("wb") as target:
                        copy(content, target)
                    del left[normpath(each.name)]
    except UNREADABLE as error:
        raise SlipwayError(Problem(url, f"cannot be unpacked: {error}", _LOCKED)) from error
    if left:
        raise SlipwayError(Problem(url, f"has no {', '.join(sorted(left))} in it", _LOCKED))


_LOCKED = "correct bundle/upstream.yml"
