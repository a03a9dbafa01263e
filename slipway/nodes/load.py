"""Bring images to a node by sending only the blobs that its containerd lacks.

A node is asked once what it has; what is missing of all images goes to it as one partial OCI
archive. An image is there when its name stands for the right manifest, containerd lists all its
blobs and their files are there, and it is unpacked. The import proves the name and the unpacking,
and the blobs are asked for after it. When the node turns out not to have what it was thought to
have (a blob's file is of no use, a stream was cut), it is asked for everything, and the images that
are not there are sent once more, whole. Images that the node need not keep go on the same trip,
after the new ones are complete.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import IO, Protocol

from slipway.errors import Problem, SlipwayError
from slipway.nodes.containerd import (
    ID,
    Answer,
    Containerd,
    NodeImage,
    NodeState,
    Removal,
    Retention,
    plan_removals,
    read_images,
    read_probe,
    read_removed,
)
from slipway.oci import Image, ImageStore
from slipway.oci.model import LAYER, Descriptor, readable
from slipway.run import last_lines

COMPRESSION = 3
"""How many times larger than its blob a compressed layer is taken to be when unpacked."""

COMPLETE = "=== complete"
"""What a node says when the images that it got are whole."""

NOTHING = NodeState()
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
class ConnectedNode:
    """A node, with the ways in which commands get there."""

    name: str
    run: Callable[[str], Answer]
    feed: Callable[[str, Callable[[IO[bytes]], None]], Answer]


@dataclass(frozen=True)
class Delivery:
    """Images that a node needs.

    The blobs in ``without`` need not be sent; those in ``anew`` the node must forget first.
    """

    images: tuple[Image, ...]
    without: Set[str] = frozenset()
    anew: Set[str] = frozenset()

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
        return Delivery(self.images, anew=self.blobs.keys())


def plan(
    images: Iterable[Image], state: NodeState, chain_id: Callable[[Image], str | None]
) -> Delivery:
    """What to send so that the node has ``images``; no images when it has them.

    ``chain_id`` says which snapshot an image unpacks to. Manifests and configs are always sent:
    they are small, and the import reads them.
    """
    missing = tuple(
        image for image in images if not (state.has(image) and chain_id(image) in state.snapshots)
    )
    read = {digest for each in missing for digest in (each.manifest_digest, each.config_digest)}
    return Delivery(missing, without=state.blobs - read)


@dataclass(frozen=True)
class Outcome:
    """What was loaded onto a node and removed from it, or would be: names and bytes.

    ``before`` and ``after`` list the images asked for, and those removed, as text by name; they
    are whole only if the loader was to list them.
    """

    loaded: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    bytes_sent: int = 0
    before: dict[str, str] = field(default_factory=dict)
    after: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Loader:
    """Brings images from ``store`` to ``node``; ``say`` shows a line of progress.

    What ``retention`` does not keep is removed. ``listing`` asks the node once more, for what the
    outcome lists.
    """

    store: ImageStore
    node: Node
    say: Callable[[str], None]
    pinned: bool = True
    containerd: Containerd = field(default_factory=Containerd)
    retention: Retention = field(default_factory=Retention)
    listing: bool = False

    def preview(self, refs: Sequence[str]) -> Outcome:
        """What :meth:`load` would do, also before the node or the images are there.

        A node whose containerd does not answer has nothing; an image that is not stored yet will
        be loaded, with a size that is not known.
        """
        stored = self.store.images()
        images = [stored[ref] for ref in refs if ref in stored]
        there = self._listed(refs)
        state = read_probe(self._probe(images)) or NOTHING
        delivery = plan(images, state, self.store.chain_id)
        loaded = [ref for ref in refs if ref not in stored or ref in delivery.refs]
        removals = self._removals(state, images, refs)
        gone = self._remove(removals, really=False)
        return self._outcome(there, images, loaded, delivery.size, _removed(removals, gone))

    def load(self, refs: Sequence[str]) -> Outcome:
        """Make the node have the images named ``refs``, and send nothing that it has.

        Raises SlipwayError when an image is not stored or is for another architecture, when the
        node does not answer or has no room (nothing has been sent then), and when the images are
        not complete on it in the end; nothing has been removed then. What cannot be removed is
        left for the next time.
        """
        images = self.store.require(refs)
        there = self._listed(refs)
        answer = self._probe(images)
        state = read_probe(answer)
        if state is None:
            raise self._error("cannot say which images it has", answer)
        delivery = plan(images, state, self.store.chain_id)
        removals = self._removals(state, images, refs)
        if delivery.images:
            self._check(delivery, state)
            size, gone = self._deliver(delivery, removals)
        else:
            size, gone = 0, self._remove(removals)
        return self._outcome(there, images, delivery.refs, size, _removed(removals, gone))

    def _listed(self, refs: Sequence[str]) -> dict[str, NodeImage]:
        """What the node has under the names, if it is to be listed."""
        return read_images(self.node.run(self.containerd.images(refs))) if self.listing else {}

    def _probe(self, images: Sequence[Image]) -> Answer:
        return self.node.run(
            self.containerd.probe(images, self.pinned, every_name=bool(self.retention))
        )

    def _removals(
        self, state: NodeState, images: Sequence[Image], refs: Sequence[str]
    ) -> list[Removal]:
        """What is to be removed, as far as containers leave it."""
        old = self.retention.superfluous(state.names, refs)
        if not old:
            return []
        there = read_images(self.node.run(self.containerd.aliases(old)))
        return plan_removals(there, old, {image.manifest_digest for image in images})

    def _remove(self, removals: Sequence[Removal], really: bool = True) -> set[str]:
        """Remove images now, and say which names went; or only say which would."""
        if not removals:
            return set()
        return read_removed(self.node.run(self.containerd.remove(removals, really)))

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
        load = self.containerd.load(delivery.images, delivery.anew, self.pinned)
        complete = f"[ $code -eq 0 ] && {self.containerd.have_blobs(delivery.images)}"
        remove = f"{self.containerd.remove(removals)}; " if removals else ""
        probe = self.containerd.probe(delivery.images, self.pinned)
        answer = self.node.feed(
            f"{load}; code=$?; "
            f"if {complete}; then {remove}echo {COMPLETE}; else {probe}; fi; exit $code",
            lambda out: self.store.write_archive(delivery.refs, out, delivery.without),
        )
        if COMPLETE in answer.out.splitlines():
            return Delivery(()), answer
        state = read_probe(answer)
        left = plan(delivery.images, state, self.store.chain_id) if state else delivery
        return left.whole(), answer

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
        there: Mapping[str, NodeImage],
        images: Sequence[Image],
        loaded: list[str],
        size: int,
        removed: dict[str, str],
    ) -> Outcome:
        digests = {image.ref: image.manifest_digest for image in images}
        new = {
            ref: str(NodeImage(digests[ref], self.pinned)) if ref in digests else "not known yet"
            for ref in loaded
        }
        old = {ref: str(image) for ref, image in there.items()}
        broken = {ref: f"{old[ref]} incomplete" for ref in loaded if old.get(ref) == new[ref]}
        before = {**old, **broken, **removed}
        return Outcome(loaded, sorted(removed), size, before, after={**old, **new})

    def _error(self, what: str, answer: Answer) -> SlipwayError:
        said = (line for line in answer.err.splitlines() if "level=warning" not in line)
        words = "\n".join(dict.fromkeys(said))
        return SlipwayError(
            Problem(self.node.name, f"{what}; it said\n{last_lines(words or answer.out)}")
        )


def _removed(removals: Sequence[Removal], gone: Set[str]) -> dict[str, str]:
    """The digests by the names that people know; an image's id goes with the last of them."""
    return {
        name: each.digest
        for each in removals
        for name in each.names
        if name in gone and not name.startswith(ID)
    }
