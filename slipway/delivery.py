"""Bring images to a node by sending only the blobs that its containerd lacks.

A node is asked once what it has; what is missing of all images goes to it as one partial OCI
archive; then it is asked again. ``ctr images check`` has the last word: an image is there when its
manifest has the right digest, all its blobs are there and it is unpacked. When the node turns out
not to have what it was thought to have (a blob is listed but gone, a stream was cut), the images
are sent once more, whole. Images that the node need not keep go on the same trip, after the new
ones are complete.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import IO, Protocol

from slipway.containerd import (
    ID,
    Answer,
    Containerd,
    NodeImage,
    NodeState,
    Removal,
    Retention,
    read_probe,
    read_removed,
    superfluous,
)
from slipway.errors import Problem, SlipwayError
from slipway.oci import Image, ImageStore
from slipway.oci.model import LAYER, Descriptor, readable
from slipway.run import last_lines

COMPRESSION = 3
"""How many times larger than its blob a compressed layer is taken to be when unpacked."""

COMPLETE = "=== complete"
"""What a node says when the images that it got are whole."""

NOTHING = NodeState({}, frozenset(), frozenset(), "", 0)
"""A node that has nothing, or does not answer yet."""


class Node(Protocol):
    """A machine with containerd, and a way to run shell commands on it as root."""

    @property
    def name(self) -> str:
        """What people call it."""

    def run(self, command: str) -> Answer:
        """Run a shell command."""

    def feed(self, command: str, write: Callable[[IO[bytes]], None]) -> Answer:
        """Run a shell command whose standard input is what ``write`` puts into the stream."""


@dataclass(frozen=True)
class Delivery:
    """Images that a node needs.

    The blobs in ``without`` need not be sent. Those in ``anew`` the node must forget first, for
    containerd does not store again what it believes to have.
    """

    images: tuple[Image, ...]
    without: Set[str]
    anew: Set[str]

    @property
    def refs(self) -> list[str]:
        """The images' references."""
        return [image.ref for image in self.images]

    @property
    def blobs(self) -> dict[str, int]:
        """All blobs of the images, digest to size in bytes."""
        return {digest: size for image in self.images for digest, size in image.blobs.items()}

    @property
    def size(self) -> int:
        """Bytes to send."""
        return sum(size for digest, size in self.blobs.items() if digest not in self.without)

    @property
    def room(self) -> int:
        """Bytes it takes on the node: what is sent, and about what is unpacked there."""
        unpacked = {layer for image in self.images for layer in self._unpacked(image)}
        return self.size + sum(
            layer.size * (1 if layer.media_type == LAYER else COMPRESSION) for layer in unpacked
        )

    def _unpacked(self, image: Image) -> tuple[Descriptor, ...]:
        """The layers that the node unpacks: the lowest that it gets and all that lie on it."""
        for at, layer in enumerate(image.layers):
            if layer.digest not in self.without:
                return image.layers[at:]
        return ()

    def whole(self) -> Delivery:
        """The same images with every blob sent and stored again."""
        return Delivery(self.images, without=frozenset(), anew=self.blobs.keys())


def plan(images: Iterable[Image], state: NodeState, pinned: bool) -> Delivery:
    """What to send so that the node has ``images``; no images when it has them.

    Manifests and configs are always sent: they are small, and the import reads them.
    """
    missing = tuple(image for image in images if not state.has(image, pinned))
    read = {digest for each in missing for digest in (each.manifest_digest, each.config_digest)}
    return Delivery(missing, without=state.blobs - read, anew=state.lost)


@dataclass(frozen=True)
class Outcome:
    """What was loaded onto a node and removed from it, or would be: names and bytes.

    ``before`` and ``after`` list the images asked for, and those removed, as text by name.
    """

    loaded: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    bytes_sent: int = 0
    before: dict[str, str] = field(default_factory=dict)
    after: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Loader:
    """Brings images from ``store`` to ``node``; ``say`` shows a line of progress.

    What ``retention`` does not keep is removed.
    """

    store: ImageStore
    node: Node
    say: Callable[[str], None]
    pinned: bool = True
    containerd: Containerd = field(default_factory=Containerd)
    retention: Retention = field(default_factory=Retention)

    def preview(self, refs: Sequence[str]) -> Outcome:
        """What :meth:`load` would do, also before the node or the images are there.

        A node whose containerd does not answer has nothing; an image that is not stored yet will
        be loaded, with a size that is not known.
        """
        stored = self.store.images()
        state = read_probe(self.node.run(self._probe(refs))) or NOTHING
        delivery = plan((stored[ref] for ref in refs if ref in stored), state, self.pinned)
        loaded = [ref for ref in refs if ref not in stored or ref in delivery.refs]
        removals = superfluous(state, self.retention, refs)
        return self._outcome(state, stored, loaded, delivery.size, _names(removals))

    def load(self, refs: Sequence[str]) -> Outcome:
        """Make the node have the images named ``refs``, and send nothing that it has.

        Raises SlipwayError when an image is not stored or is for another architecture, when the
        node does not answer or has no room (nothing has been sent then), and when the images are
        not complete on it in the end; nothing has been removed then. What cannot be removed is
        left for the next time.
        """
        images = self.store.require(refs)
        answer = self.node.run(self._probe(refs))
        before = read_probe(answer)
        if before is None:
            raise self._error("cannot say which images it has", answer)
        delivery = plan(images, before, self.pinned)
        removals = superfluous(before, self.retention, refs)
        size, gone = 0, set[str]()
        if delivery.images:
            self._check(delivery, before)
            size, gone = self._deliver(delivery, removals)
        elif removals:
            gone = read_removed(self.node.run(self.containerd.remove(removals)))
        removed = [name for name in _names(removals) if name in gone]
        return self._outcome(
            before, {image.ref: image for image in images}, delivery.refs, size, removed
        )

    def _deliver(self, delivery: Delivery, removals: Sequence[Removal]) -> tuple[int, set[str]]:
        """Send, if need be a second time, until the images are there; bytes, and what went."""
        count = len(delivery.images)
        self.say(
            f"{self.node.name}: {count} image{'' if count == 1 else 's'}, "
            f"{readable(delivery.size)} of {readable(delivery.whole().size)} to send"
        )
        size = delivery.size
        left, answer = self._send(delivery, removals)
        gone = read_removed(answer)
        if left.images:
            self.say(f"{self.node.name}: incomplete, {readable(left.size)} again in full")
            size += left.size
            left, answer = self._send(left, removals)
            if left.images:
                names = ", ".join(left.refs)
                raise self._error(f"has no complete {names} after the import", answer)
            gone |= read_removed(answer)
        return size, gone

    def _send(self, delivery: Delivery, removals: Sequence[Removal]) -> tuple[Delivery, Answer]:
        """Send, import and remove; what the node lacks after all, and its answer.

        It is asked for all that it has only if the images are not complete.
        """
        anew = delivery.anew & delivery.blobs.keys()
        load = self.containerd.load(delivery.images, anew, self.pinned)
        complete = f"[ $code -eq 0 ] && {self.containerd.are_complete(delivery.images)}"
        remove = f"{self.containerd.remove(removals)}; " if removals else ""
        probe = self.containerd.probe(delivery.refs)
        answer = self.node.feed(
            f"{load}; code=$?; "
            f"if {complete}; then {remove}echo {COMPLETE}; else {probe}; fi; exit $code",
            lambda out: self.store.write_archive(delivery.refs, out, delivery.without),
        )
        if COMPLETE in answer.out.splitlines():
            return Delivery((), without=frozenset(), anew=frozenset()), answer
        state = read_probe(answer)
        left = plan(delivery.images, state, self.pinned) if state else delivery
        return left.whole(), answer

    def _probe(self, refs: Sequence[str]) -> str:
        return self.containerd.probe(refs, every_image=bool(self.retention))

    def _check(self, delivery: Delivery, state: NodeState) -> None:
        """Raise SlipwayError if the node cannot use the images or has no room for them."""
        platform = f"linux/{state.architecture}"
        problems = [
            Problem(self.node.name, f"is {platform}, but {image.ref} is for {image.platform}")
            for image in delivery.images
            if image.platform != platform
        ]
        if state.free < delivery.room:
            problems.append(
                Problem(
                    self.node.name,
                    f"{self.containerd.root} has {readable(state.free)} free, and the images "
                    f"take about {readable(delivery.room)}; nothing was sent",
                    "make room on that file system",
                )
            )
        if problems:
            raise SlipwayError(problems)

    def _outcome(
        self,
        state: NodeState,
        stored: Mapping[str, Image],
        loaded: list[str],
        size: int,
        removed: list[str],
    ) -> Outcome:
        old = {name: state.names[name] for name in removed}
        there = {ref: str(image) for ref, image in sorted(state.images.items())}
        new = {
            ref: str(NodeImage(stored[ref].manifest_digest, ready=True, pinned=self.pinned))
            if ref in stored
            else "not known yet"
            for ref in loaded
        }
        return Outcome(loaded, removed, size, {**there, **old}, {**there, **new})

    def _error(self, what: str, answer: Answer) -> SlipwayError:
        said = (line for line in answer.err.splitlines() if "level=warning" not in line)
        words = "\n".join(dict.fromkeys(said))
        return SlipwayError(
            Problem(self.node.name, f"{what}; it said\n{last_lines(words or answer.out)}")
        )


def _names(removals: Sequence[Removal]) -> list[str]:
    """The names that people know; an image's id goes with the last of them."""
    return sorted(name for each in removals for name in each.names if not name.startswith(ID))
