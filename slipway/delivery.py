"""Bring images to a node by sending only the blobs that its containerd lacks.

A node is asked once what it has; what is missing of all images goes to it as one partial OCI
archive; then it is asked again. ``ctr images check`` has the last word: an image is there when its
manifest has the right digest, all its blobs are there and it is unpacked. When the node turns out
not to have what it was thought to have (a blob is listed but gone, a stream was cut), the images
are sent once more, whole.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import IO, Protocol

from slipway.errors import Problem, SlipwayError
from slipway.oci import Image, ImageStore
from slipway.oci.model import LAYER, architecture_of
from slipway.run import last_lines

PINNED = "io.cri-containerd.pinned"
"""Label that keeps an image from the kubelet's garbage collection."""

COMPRESSION = 3
"""How many times larger than its blob a compressed layer is taken to be when unpacked."""

_CHECK = re.compile(
    r"(?P<ref>\S+) +\S+ +(?P<digest>sha256:[0-9a-f]{64}) +"
    r"(?P<status>\w+) \([^)]*\).* (?P<unpacked>true|false) *"
)
_DISK = re.compile(r" (?P<available>\d+) +\d+% ")
_SECTION = re.compile(r"^=== (\w+)$", re.MULTILINE)


@dataclass(frozen=True)
class Answer:
    """How a command on a node ended: exit code, standard output, standard error."""

    code: int
    out: str
    err: str


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
class NodeImage:
    """An image on a node; ``ready`` means complete and unpacked."""

    digest: str
    ready: bool
    pinned: bool

    def __str__(self) -> str:
        marks = [*([] if self.ready else ["incomplete"]), *(["pinned"] if self.pinned else [])]
        return " ".join([self.digest, *marks])


@dataclass(frozen=True)
class NodeState:
    """What a node said: its images among those asked for, its blobs, itself.

    ``blobs`` are there; ``lost`` are listed by containerd, but their files are gone.
    ``architecture`` is as in image platforms (``amd64``), ``free`` is in bytes.
    """

    images: Mapping[str, NodeImage]
    blobs: frozenset[str]
    lost: frozenset[str]
    architecture: str
    free: int

    def has(self, image: Image, pinned: bool) -> bool:
        """Whether pods on the node can use ``image`` as it is."""
        found = self.images.get(image.ref)
        return (
            found is not None
            and found.digest == image.manifest_digest
            and found.ready
            and not self.lost & image.blobs.keys()
            and (found.pinned or not pinned)
        )


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
        """Bytes it takes on the node: what is sent, and about what that unpacks to."""
        layers = {layer for image in self.images for layer in image.layers}
        return self.size + sum(
            layer.size * (1 if layer.media_type == LAYER else COMPRESSION)
            for layer in layers
            if layer.digest not in self.without
        )

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


def read_probe(answer: Answer) -> NodeState | None:
    """The state that the answer to :meth:`Containerd.probe` tells; None when it is not whole."""
    _, *parts = _SECTION.split(answer.out)
    sections = {
        name: [line for line in body.split("\n") if line]
        for name, body in zip(parts[::2], parts[1::2], strict=True)
    }
    disk = _DISK.search("\n".join(sections.get("machine", [])))
    if disk is None:
        return None
    images = {
        found["ref"]: NodeImage(
            digest=found["digest"],
            ready=found["status"] == "complete" and found["unpacked"] == "true",
            pinned=found["ref"] in sections["pinned"],
        )
        for found in map(_CHECK.fullmatch, sections["check"])
        if found
    }
    listed = frozenset(sections["content"])
    files = {f"sha256:{name}" for name in sections["files"]}
    return NodeState(
        images=images,
        blobs=listed & files,
        lost=listed - files,
        architecture=architecture_of(sections["machine"][0]),
        free=int(disk["available"]) * 1024,
    )


@dataclass(frozen=True)
class Containerd:
    """Shell commands for a node's containerd.

    ``ctr`` is its client with the namespace that the kubelet uses, ``root`` the directory that
    holds its blobs and unpacked images.
    """

    ctr: str = "ctr -n k8s.io"
    root: str = "/var/lib/containerd"

    def probe(self, refs: Sequence[str]) -> str:
        """A command that says all that :func:`read_probe` reads, the machine last of all.

        ``images check`` may end with an error because of a broken image; that one is then simply
        not ready. The output starts on a new line, whatever was written before.
        """
        named = " ".join(shlex.quote(f'name=="{ref}"') for ref in refs)
        pinned = shlex.quote(f'labels."{PINNED}"==pinned')
        files = shlex.quote(f"{self.root}/io.containerd.content.v1.content/blobs/sha256")
        return (
            f"echo; echo === check; {self.ctr} images check {named}; "
            f"echo === pinned && {self.ctr} images ls -q {pinned} && "
            f"echo === content && {self.ctr} content ls -q && "
            f"{{ echo === files; ls {files} 2>/dev/null; "
            f"echo === machine; uname -m; df -Pk {shlex.quote(self.root)}; }}"
        )

    def load(self, delivery: Delivery, pinned: bool) -> str:
        """A command that imports the archive on its standard input.

        The import is ``ctr``'s own (``--local``) and not containerd's transfer service: with
        containerd 1.7 only the former tells the kubelet's side about the image, and with 2.x it
        takes about half the time. Labels are set afterwards, since ``ctr`` 1.7 cannot set them on
        import.
        """
        steps = [f"{self.ctr} images import --local --platform {delivery.images[0].platform} -"]
        if pinned:
            steps += [
                f"{self.ctr} images label {shlex.quote(ref)} {PINNED}=pinned"
                for ref in delivery.refs
            ]
        anew = sorted(delivery.anew & delivery.blobs.keys())
        forget = f"{self.ctr} content rm {' '.join(anew)} >/dev/null 2>&1; " if anew else ""
        return forget + " && ".join(steps)


def readable(size: int) -> str:
    """A number of bytes for people to read."""
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.1f} kB"


@dataclass(frozen=True)
class Outcome:
    """What was loaded onto a node, or would be: references and bytes.

    ``before`` and ``after`` list the images asked for as text, by reference.
    """

    loaded: list[str] = field(default_factory=list)
    bytes_sent: int = 0
    before: dict[str, str] = field(default_factory=dict)
    after: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Loader:
    """Brings images from ``store`` to ``node``; ``say`` shows a line of progress."""

    store: ImageStore
    node: Node
    say: Callable[[str], None]
    pinned: bool = True
    containerd: Containerd = field(default_factory=Containerd)

    def preview(self, refs: Sequence[str]) -> Outcome:
        """What :meth:`load` would do, also before the node or the images are there.

        A node whose containerd does not answer has nothing; an image that is not stored yet will
        be loaded, with a size that is not known.
        """
        stored = self.store.images()
        answer = self.node.run(self.containerd.probe(refs))
        state = read_probe(answer) or NodeState({}, frozenset(), frozenset(), "", 0)
        delivery = plan((stored[ref] for ref in refs if ref in stored), state, self.pinned)
        loaded = [ref for ref in refs if ref not in stored or ref in delivery.refs]
        return self._outcome(state, loaded, delivery.size)

    def load(self, refs: Sequence[str]) -> Outcome:
        """Make the node have the images named ``refs``, and send nothing that it has.

        Raises SlipwayError when an image is not stored or is for another architecture, when the
        node does not answer or has no room (nothing has been sent then), and when the images are
        not complete on it in the end.
        """
        images = self.store.require(refs)
        answer = self.node.run(self.containerd.probe(refs))
        before = read_probe(answer)
        if before is None:
            raise self._error("cannot say which images it has", answer)
        delivery = plan(images, before, self.pinned)
        if not delivery.images:
            return self._outcome(before, [], 0)
        self._check(delivery, before)
        count = len(delivery.images)
        self.say(
            f"{self.node.name}: {count} image{'' if count == 1 else 's'}, "
            f"{readable(delivery.size)} of {readable(delivery.whole().size)} to send"
        )
        left, _ = self._send(delivery)
        if left.images:
            self.say(f"{self.node.name}: incomplete, {readable(left.size)} again in full")
            still, answer = self._send(left)
            if still.images:
                names = ", ".join(still.refs)
                raise self._error(f"has no complete {names} after the import", answer)
        return self._outcome(before, delivery.refs, delivery.size + left.size)

    def _send(self, delivery: Delivery) -> tuple[Delivery, Answer]:
        """Send, import, and ask the node again; what it lacks after all, and its answer."""
        load = self.containerd.load(delivery, self.pinned)
        answer = self.node.feed(
            f"{load}; code=$?; {self.containerd.probe(delivery.refs)}; exit $code",
            lambda out: self.store.write_archive(delivery.refs, out, delivery.without),
        )
        state = read_probe(answer)
        left = plan(delivery.images, state, self.pinned) if state else delivery
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

    def _outcome(self, state: NodeState, loaded: list[str], size: int) -> Outcome:
        before = {ref: str(image) for ref, image in sorted(state.images.items())}
        stored = self.store.images()
        after = {
            ref: str(NodeImage(stored[ref].manifest_digest, ready=True, pinned=self.pinned))
            if ref in stored
            else "not known yet"
            for ref in loaded
        }
        return Outcome(loaded, size, before, {**before, **after})

    def _error(self, what: str, answer: Answer) -> SlipwayError:
        said = (line for line in answer.err.splitlines() if "level=warning" not in line)
        words = "\n".join(dict.fromkeys(said))
        return SlipwayError(
            Problem(self.node.name, f"{what}; it said\n{last_lines(words or answer.out)}")
        )
