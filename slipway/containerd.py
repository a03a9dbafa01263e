"""A node's containerd: what is asked of it, as shell commands, and what its answers mean.

All of it goes through ``ctr``, which every containerd brings; 1.7 and 2.x answer alike.
"""

from __future__ import annotations

import re
import shlex
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass, field

from slipway.errors import Problem, SlipwayError
from slipway.oci import Image
from slipway.oci.model import architecture_of

PINNED = "io.cri-containerd.pinned"
"""Label that keeps an image from the kubelet's garbage collection."""

MOST_REMOVALS = 100
"""Images that are removed at a time: a command has an end. What is left goes the next time."""

ID = "sha256:"
"""How the names begin that the kubelet's side of containerd gives to images by itself."""

_CHECK = re.compile(
    r"(?P<ref>\S+) +\S+ +(?P<digest>sha256:[0-9a-f]{64}) +"
    r"(?P<status>\w+) \([^)]*\).* (?P<unpacked>true|false) *"
)
_LISTED = re.compile(r"(?P<name>\S+) +\S+ +(?P<digest>sha256:[0-9a-f]{64}) .*")
_DISK = re.compile(r" (?P<available>\d+) +\d+% ")
_REPOSITORIES = re.compile(r"[a-z0-9-]+[.:][a-z0-9.:-]+/([a-z0-9._-]+/)*")
_SECTION = re.compile(r"^=== (\w+)$", re.MULTILINE)


@dataclass(frozen=True)
class Answer:
    """How a command on a node ended: exit code, standard output, standard error."""

    code: int
    out: str
    err: str


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
    ``architecture`` is as in image platforms (``amd64``), ``free`` is in bytes. ``names`` are all
    its images, name to digest, and ``used`` the names that containers have; both are empty when
    they were not asked for.
    """

    images: Mapping[str, NodeImage]
    blobs: frozenset[str]
    lost: frozenset[str]
    architecture: str
    free: int
    names: Mapping[str, str] = field(default_factory=dict)
    used: frozenset[str] = frozenset()

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
class Retention:
    """Which images a node keeps: of those whose names begin with ``prefix``, only ``keep``.

    The prefix is a host and maybe more, up to a slash; without one everything is kept. Raises
    SlipwayError when it is something else.
    """

    prefix: str = ""
    keep: Set[str] = frozenset()

    def __post_init__(self) -> None:
        if self.prefix and not _REPOSITORIES.fullmatch(self.prefix):
            fix = "write a host and a slash, for example apps.slipway.internal/"
            raise SlipwayError(Problem(self.prefix, "is no beginning of image names", fix))

    def __bool__(self) -> bool:
        return bool(self.prefix)


@dataclass(frozen=True)
class Removal:
    """One image to remove: the ``names`` that go, and all that it has, those that stay too."""

    names: tuple[str, ...]
    aliases: tuple[str, ...]


def superfluous(state: NodeState, retention: Retention, wanted: Collection[str]) -> list[Removal]:
    """What is to be removed from a node that is to have ``wanted``.

    An image that a container has, also one that has ended, stays whole. The name that the
    kubelet's side gave an image goes with the last of its other names, for it keeps the blobs.
    """
    if not retention:
        return []
    by_digest: dict[str, list[str]] = defaultdict(list)
    for name, digest in sorted(state.names.items()):
        by_digest[digest].append(name)
    removals = []
    for names in by_digest.values():
        old = [
            name
            for name in names
            if name.startswith(retention.prefix)
            and name not in retention.keep
            and name not in wanted
        ]
        if old and state.used.isdisjoint(names):
            ids = [name for name in names if name.startswith(ID)]
            is_last = len(old) + len(ids) == len(names)
            removals.append(Removal((*old, *(ids if is_last else [])), tuple(names)))
    return removals


def read_probe(answer: Answer) -> NodeState | None:
    """The state that the answer to :meth:`Containerd.probe` tells; None when it is not whole."""
    sections = _sections(answer)
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
    names = filter(None, map(_LISTED.fullmatch, sections.get("names", [])))
    return NodeState(
        images=images,
        blobs=listed & files,
        lost=listed - files,
        architecture=architecture_of(sections["machine"][0]),
        free=int(disk["available"]) * 1024,
        names={found["name"]: found["digest"] for found in names},
        used=frozenset(line.split()[1] for line in sections.get("used", [])),
    )


def read_removed(answer: Answer) -> set[str]:
    """The names that went, by the answer to :meth:`Containerd.remove`."""
    return set(_sections(answer).get("removed", []))


def _sections(answer: Answer) -> dict[str, list[str]]:
    """The lines of each part of an answer; what comes before the first part is left out."""
    _, *parts = _SECTION.split(answer.out)
    return {
        name: [line for line in body.split("\n") if line]
        for name, body in zip(parts[::2], parts[1::2], strict=True)
    }


@dataclass(frozen=True)
class Containerd:
    """Shell commands for a node's containerd.

    ``ctr`` is its client with the namespace that the kubelet uses, ``root`` the directory that
    holds its blobs and unpacked images.
    """

    ctr: str = "ctr -n k8s.io"
    root: str = "/var/lib/containerd"

    @property
    def _blobs(self) -> str:
        """The folder of blobs, for a shell."""
        return shlex.quote(f"{self.root}/io.containerd.content.v1.content/blobs/sha256")

    def probe(self, refs: Sequence[str], every_image: bool = False) -> str:
        """A command that says all that :func:`read_probe` reads, the machine last of all.

        ``every_image`` asks for all names and their use as well. ``images check`` may end with an
        error because of a broken image; that one is then simply not ready. The output starts on a
        new line, whatever was written before.
        """
        pinned = shlex.quote(f'labels."{PINNED}"==pinned')
        every = (
            f"echo === names && {self.ctr} images ls && "
            f"echo === used && {self.ctr} containers ls && "
        )
        # Without a filter it would check every image that there is.
        check = f"{self.ctr} images check {_named(refs)}; " if refs else ""
        return (
            f"echo; echo === check; {check}"
            f"echo === pinned && {self.ctr} images ls -q {pinned} && "
            f"{every if every_image else ''}"
            f"echo === content && {self.ctr} content ls -q && "
            f"{{ echo === files; ls {self._blobs} 2>/dev/null; "
            f"echo === machine; uname -m; df -Pk {shlex.quote(self.root)}; }}"
        )

    def load(self, images: Sequence[Image], anew: Collection[str], pinned: bool) -> str:
        """A command that imports the archive on its standard input.

        The blobs ``anew`` are forgotten first, for containerd does not store again what it
        believes to have. The import is ``ctr``'s own (``--local``) and not containerd's transfer
        service: with containerd 1.7 only the former tells the kubelet's side about the image, and
        with 2.x it takes about half the time. Labels are set afterwards, since ``ctr`` 1.7 cannot
        set them on import.
        """
        steps = [f"{self.ctr} images import --local --platform {images[0].platform} -"]
        if pinned:
            steps += [
                f"{self.ctr} images label {shlex.quote(image.ref)} {PINNED}=pinned"
                for image in images
            ]
        forget = f"{self.ctr} content rm {' '.join(sorted(anew))} >/dev/null 2>&1; " if anew else ""
        return forget + " && ".join(steps)

    def are_complete(self, images: Sequence[Image]) -> str:
        """A command that succeeds if the images are unpacked and the files of their blobs there.

        ``images check`` asks containerd's database alone, which does not know of a lost file.
        """
        refs = [image.ref for image in images]
        names = {digest.removeprefix("sha256:") for image in images for digest in image.blobs}
        return (
            f'[ "$({self.ctr} images check -q {_named(refs)} | wc -l)" -eq {len(refs)} ] && '
            f"(cd {self._blobs} && ls {' '.join(sorted(names))}) >/dev/null"
        )

    def remove(self, removals: Sequence[Removal]) -> str:
        """A command that removes images, but those that a container has by now, and names them.

        The kubelet makes a container's record before it starts it, and containerd keeps a
        record's unpacked image in any case; asked just before, next to nothing can come between.
        """
        steps = []
        for removal in removals[:MOST_REMOVALS]:
            used = "|".join(f"*{shlex.quote(f' {name} ')}*" for name in removal.aliases)
            names = " ".join(map(shlex.quote, removal.names))
            steps.append(f'case "$used" in {used}) ;; *) {self.ctr} images rm {names} ;; esac')
        used = f"used=$({self.ctr} containers ls)"
        return f"{{ echo; echo === removed; {used} && {{ {'; '.join(steps)}; }}; }}"


def _named(refs: Sequence[str]) -> str:
    """The images as ``ctr``'s filters."""
    return " ".join(shlex.quote(f'name=="{ref}"') for ref in refs)
