"""A node's containerd: what is asked of it, as shell commands, and what its answers mean.

All of it goes through ``ctr``, which every containerd brings; 1.7 and 2.x answer alike. Each start
of it takes the node longer than most questions, so one call asks about all images.
"""

from __future__ import annotations

import re
import shlex
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

from slipway.errors import Problem, SlipwayError
from slipway.oci import Image
from slipway.oci.model import architecture_of

PINNED = "io.cri-containerd.pinned"
"""Label that keeps an image from the kubelet's garbage collection."""

ID = "sha256:"
"""How the names begin that the kubelet's side of containerd gives to images by itself."""

_LISTED = re.compile(r"(?P<name>\S+) +\S+ +(?P<digest>sha256:[0-9a-f]{64}) (?P<rest>.*)")
_COMMITTED = re.compile(r"(?P<chain_id>sha256:[0-9a-f]{64}) .*\bCommitted *")
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
    """What a name on a node stands for."""

    digest: str
    pinned: bool

    def __str__(self) -> str:
        return f"{self.digest} pinned" if self.pinned else self.digest


@dataclass(frozen=True)
class NodeState:
    """What a node said: its images among those asked for, its blobs, itself.

    ``architecture`` is as in image platforms (``amd64``), ``free`` is in bytes. ``found`` are the
    names that stand for the right image, and are pinned if they are to be. ``blobs`` are listed by
    containerd and have their files, ``snapshots`` are the chain IDs of what is unpacked; a node
    that found nothing says only which files there are. ``names`` are those of all its images, if
    they were asked for.
    """

    architecture: str = ""
    free: int = 0
    found: frozenset[str] = frozenset()
    blobs: frozenset[str] = frozenset()
    snapshots: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()

    def has(self, image: Image) -> bool:
        """Whether it has ``image`` as it is to be, with every blob; unpacked or not."""
        return image.ref in self.found and image.blobs.keys() <= self.blobs


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

    def superfluous(self, names: Iterable[str], wanted: Collection[str]) -> list[str]:
        """The names that need not stay on a node that is to have ``wanted``."""
        if not self:
            return []
        kept = {*self.keep, *wanted}
        return sorted(each for each in names if each.startswith(self.prefix) and each not in kept)


@dataclass(frozen=True)
class Removal:
    """One image to remove: the ``names`` that go, and all that it has, those that stay too."""

    digest: str
    names: tuple[str, ...]
    aliases: tuple[str, ...]


def plan_removals(
    images: Mapping[str, NodeImage], old: Collection[str], staying: Collection[str]
) -> list[Removal]:
    """How the names ``old`` go, of ``images`` with all their names.

    The name that the kubelet's side gave an image goes with the last of its other names, for it
    keeps the blobs; but not where the image's digest is among those ``staying``.
    """
    by_digest: dict[str, list[str]] = defaultdict(list)
    for name, image in sorted(images.items()):
        by_digest[image.digest].append(name)
    removals = []
    for digest, names in by_digest.items():
        going = [name for name in names if name in old]
        ids = [name for name in names if name.startswith(ID)]
        is_last = len(going) + len(ids) == len(names) and digest not in staying
        if going:
            removals.append(Removal(digest, (*going, *(ids if is_last else [])), tuple(names)))
    return removals


def read_probe(answer: Answer) -> NodeState | None:
    """The state that the answer to :meth:`Containerd.probe` tells; None when it is not whole."""
    parts = sections(answer)
    disk = _DISK.search("\n".join(parts.get("machine", [])))
    if disk is None:
        return None
    files = frozenset(f"sha256:{name}" for name in parts["files"])
    listed = frozenset(parts.get("content", files))
    snapshots = map(_COMMITTED.fullmatch, parts.get("snapshots", []))
    return NodeState(
        architecture=architecture_of(parts["machine"][0]),
        free=int(disk["available"]) * 1024,
        found=frozenset(parts.get("found", [])),
        blobs=listed & files,
        snapshots=frozenset(each["chain_id"] for each in snapshots if each),
        names=frozenset(parts.get("names", [])),
    )


def read_images(answer: Answer) -> dict[str, NodeImage]:
    """The images, by name, that an answer lists; none when the node did not list all."""
    if answer.code:
        return {}
    lines = filter(None, map(_LISTED.fullmatch, answer.out.splitlines()))
    return {
        line["name"]: NodeImage(line["digest"], pinned=f"{PINNED}=pinned" in line["rest"])
        for line in lines
    }


def read_removed(answer: Answer) -> set[str]:
    """The names that went, by the answer to :meth:`Containerd.remove`."""
    return set(sections(answer).get("removed", []))


def sections(answer: Answer) -> dict[str, list[str]]:
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

    ctr: str = "/usr/local/bin/ctr -n k8s.io"
    root: str = "/var/lib/containerd"

    @property
    def _blobs(self) -> str:
        """The folder of blobs, for a shell."""
        return shlex.quote(f"{self.root}/io.containerd.content.v1.content/blobs/sha256")

    def probe(self, images: Sequence[Image], pinned: bool, every_name: bool = False) -> str:
        """A command that says all that :func:`read_probe` reads, the machine last of all.

        Blobs and snapshots are asked for only where one of ``images`` may turn out to be ready.
        ``every_name`` asks for the names of all images: a pattern would cost containerd more. The
        output starts on a new line, whatever was written before.
        """
        label = f',labels."{PINNED}"==pinned' if pinned else ""
        # An image whose manifest has no file need not be asked for, and one that was just built
        # has none.
        wanted = "; ".join(
            f'[ ! -e {self._blobs}/{image.manifest_digest.removeprefix(ID)} ] || set -- "$@" '
            + shlex.quote(f'name=="{image.ref}",target.digest=={image.manifest_digest}{label}')
            for image in images
        )
        ls = f"{self.ctr} images ls -q"
        names = f"echo === names && {ls} && " if every_name else ""
        # Without a filter it would find every image that there is.
        found = (
            f"{{ set --; {wanted}; echo === found; }} && {{ [ $# -eq 0 ] || {{ "
            f'found=$({ls} "$@") && echo "$found" && '
            f'{{ [ -z "$found" ] || {{ echo === content && {self.ctr} content ls -q && '
            f"echo === snapshots && {self.ctr} snapshots ls; }}; }}; }}; }} && "
        )
        return (
            f"echo; {names}{found if images else ''}"
            f"{{ echo === files; ls {self._blobs} 2>/dev/null; "
            f"echo === machine; uname -m; df -Pk {shlex.quote(self.root)}; }}"
        )

    def load(self, images: Sequence[Image], anew: Collection[str], pinned: bool) -> str:
        """A command that imports the archive on its standard input and succeeds if all went well.

        Success says that every image has its name and label and is unpacked. The blobs ``anew``
        are forgotten first, for containerd keeps a file that is there, whatever is in it. The
        import is ``ctr``'s own (``--local``) and not containerd's transfer service: with
        containerd 1.7 only the former tells the kubelet's side about the image, and with 2.x it
        takes about half the time.
        """
        forget = f"{self.ctr} content rm {' '.join(sorted(anew))} >/dev/null 2>&1; " if anew else ""
        bring = f"{self.ctr} images import --local --platform {images[0].platform}"
        if not pinned:
            return f"{forget}{bring} -"
        label = f"{PINNED}=pinned"
        labels = (f"{self.ctr} images label {shlex.quote(image.ref)} {label}" for image in images)
        # 1.7 cannot label on import, and says so before it reads its input.
        return (
            f"{forget}said=$({bring} --label {label} - 2>&1 >/dev/null); code=$?; "
            'case "$said" in *"flag provided but not defined: -label"*) '
            f"{' && '.join([f'{bring} -', *labels])} ;; "
            "*) printf '%s\\n' \"$said\" >&2; (exit $code) ;; esac"
        )

    def have_blobs(self, images: Sequence[Image]) -> str:
        """A command that succeeds if every blob of the images is listed and its file is there.

        An import finds out neither: it does not look at the layers of what is unpacked already.
        """
        blobs = sorted({digest for image in images for digest in image.blobs})
        listed = " ".join(f"digest=={digest}" for digest in blobs)
        files = " ".join(digest.removeprefix("sha256:") for digest in blobs)
        return (
            f'[ "$({self.ctr} content ls -q {listed} | wc -l)" -eq {len(blobs)} ] && '
            f"(cd {self._blobs} && ls {files}) >/dev/null"
        )

    def images(self, names: Collection[str]) -> str:
        """A command that lists the images with these names, for :func:`read_images`."""
        # Without a filter it would list every image that there is.
        return f"{self.ctr} images ls {_named(names)}" if names else ":"

    def aliases(self, names: Collection[str]) -> str:
        """A command that lists the images with these names under all names that they have."""
        digests = "awk 'NR > 1 { print \"target.digest==\" $3 }' | sort -u"
        return f"{self.images(names)} | {digests} | xargs -r {self.ctr} images ls"

    def remove(self, removals: Sequence[Removal], really: bool = True) -> str:
        """A command that removes images, but those that a container has, and names them.

        An image of a container stays whole, also when that has ended. The kubelet makes a
        container's record before it starts it, and containerd keeps a record's unpacked image in
        any case; asked just before, next to nothing can come between. Unless ``really``, it only
        names what it would remove.
        """
        steps = []
        for removal in removals:
            used = "|".join(f"*{shlex.quote(f' {name} ')}*" for name in removal.aliases)
            names = " ".join(map(shlex.quote, removal.names))
            steps.append(f'case "$used" in {used}) ;; *) set -- "$@" {names} ;; esac')
        rm = f"{self.ctr} images rm" if really else r"printf '%s\n'"
        return (
            f"{{ echo; echo === removed; set --; used=$({self.ctr} containers ls) && "
            f'{{ {"; ".join(steps)}; [ $# -eq 0 ] || {rm} "$@"; }}; }}'
        )


def _named(names: Iterable[str]) -> str:
    """The images as ``ctr``'s filters."""
    return " ".join(shlex.quote(f'name=="{name}"') for name in names)
