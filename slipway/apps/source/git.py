"""Git as a source of apps: asked about branches, mirrored, laid out at a commit.

One bare mirror is kept for each URL and one folder with a detached work tree for each commit, both
shared by all apps of that URL.

A mirror of another machine's repository is partial where its server can leave files out: it has
the whole history, but of files only those of the commits that were laid out. Git knows that of it
while it fetches, and at no other time: so it never goes after a file by itself.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from slipway.apps.source import lfs
from slipway.apps.source.commands import FETCH_SECONDS, SOUND, git, git_bytes, local_path
from slipway.apps.source.git_auth import OPEN, Access
from slipway.apps.source.submodules import Granted, lay_out
from slipway.cache.layout import CacheLayout
from slipway.errors import SlipwayError
from slipway.files import Refused, settle

ANSWER_SECONDS = 30.0
"""How long a git server may take to list its branches."""

_PARTIAL = "slipway-partial"
"""The file in a mirror that says that it may lack files."""

_REMOTE = "slipway"
_NO_FILES = "blob:none"
"""The name by which git knows the server of such a mirror, and what it is asked to leave out."""

_PACK = ("pack", "rev", "promisor", "idx")
"""The files of a pack by their endings; git knows of one as soon as the last is there."""

_WITHHELD = ("not our ref", "unadvertised object")
"""What git and git's servers say where a server gives no file for itself."""

_TREE = re.compile(r"([0-9a-f]+) tree \d+")
"""What git cat-file says of a tree."""

_FOUND = re.compile(rb"([0-9a-f]+) ([a-z]+) (\d+)")
"""What it says of a name behind links."""

_ASTRAY = re.compile(rb"(symlink|dangling|loop|notdir) (\d+)")
"""What it says of one whose links lead nowhere, before it says where."""

_LINKS = {
    b"symlink": "it is a link that leads out of the repository",
    b"dangling": "it is a link to what is not there",
    b"loop": "it is a link to itself",
}

_SUBMODULE = "160000 "
"""How git ls-tree begins to tell of a submodule."""


def author(name: str, email: str) -> dict[str, str]:
    """The environment for commits of somebody; the same files give the same one at any time."""
    parts = {"NAME": name, "EMAIL": email, "DATE": "2026-01-01T00:00:00Z"}
    roles = ("GIT_AUTHOR_", "GIT_COMMITTER_")
    return {role + part: value for role in roles for part, value in parts.items()}


def _ask(
    *arguments: str | Path,
    url: str,
    access: Access,
    timeout: float = FETCH_SECONDS,
    stdin: str = "",
) -> str:
    """Run git where it talks to the server of ``url``; an error says what to do about it."""
    try:
        return git(*arguments, what=url, timeout=timeout, stdin=stdin, env=access.env)
    except SlipwayError as error:
        raise access.explained(error, url) from error


def trusting(url: str) -> list[str]:
    """The options by which git takes the repository at a path whoever owns it, and no other one.

    What git is then asked must not run what that repository's own configuration names.
    """
    path = local_path(url)
    if path is None or not path.is_absolute():
        return []
    # Git looks in these places, and names the one that it has found.
    tops = {str(path), os.path.realpath(path)}
    places = [top + below for top in sorted(tops) for below in ("", "/.git", ".git", ".git/.git")]
    return [option for place in places for option in ("-c", f"safe.directory={place}")]


def _served(url: str) -> list[str]:
    """The option by which git's other side serves the repository at a path.

    It is made to serve those of anybody: it runs no hook, and nothing that they configure.
    """
    options = trusting(url)
    return [f"--upload-pack={shlex.join(['git', *options, 'upload-pack'])}"] if options else []


def branches(url: str, access: Access = OPEN) -> dict[str, str]:
    """The newest commit of every branch of a repository; raises SlipwayError."""
    asked = ["ls-remote", "--heads", *_served(url), "--", url]
    listed = _ask(*asked, url=url, access=access, timeout=ANSWER_SECONDS)
    pairs = (line.split("\t") for line in _lines(listed))
    return {ref.removeprefix("refs/heads/"): commit for commit, ref in pairs}


def tree_of(folder: Path) -> str:
    """The tree hash of a folder of a work tree, as it was committed; raises SlipwayError."""
    return git("-C", folder, "rev-parse", "HEAD:./", what=str(folder)).strip()


def _lines(printed: str) -> list[str]:
    """The lines that git printed: names may have what else Python takes for the end of one."""
    return printed.removesuffix("\n").split("\n") if printed else []


class _Blob(NamedTuple):
    """What git has as a file: its name there, and how long it is."""

    name: bytes
    size: int


def _said_of(answers: IO[bytes]) -> _Blob | Refused | None:
    """The next answer of git cat-file about a name behind links."""
    line = answers.readline().removesuffix(b"\n")
    if astray := _ASTRAY.fullmatch(line):
        answers.read(int(astray[2]) + 1)  # where it leads, in whatever characters
        why = _LINKS.get(astray[1])
        return Refused(why) if why else None
    if not (found := _FOUND.fullmatch(line)):
        return None
    return _Blob(found[1], int(found[3])) if found[2] == b"blob" else Refused("it is no file")


def mirror_key(url: str) -> str:
    """What tells a repository from others, as the name of a file."""
    name = re.sub(r"[^A-Za-z0-9.-]+", "-", url.rstrip("/").rsplit("/", 1)[-1])
    return f"{name.removesuffix('.git')}-{hashlib.sha256(url.encode()).hexdigest()[:12]}"


class Mirror:
    """The bare mirror of one repository below ``cache``, and the work trees made from it."""

    def __init__(self, url: str, cache: Path) -> None:
        self.url = url
        key = mirror_key(url)
        layout = CacheLayout(cache)
        self._cache = layout.root
        self.path = layout.mirror(key)
        self._work_trees = layout.work_trees(key)

    def trees(self, objects: Sequence[str]) -> list[str | None]:
        """The tree hash of each object (``<commit>`` or ``<commit>:folder``), None if unknown."""
        if not self.path.exists():
            return [None] * len(objects)
        asked = "".join(
            f"{name}^{{tree}}\n" if ":" not in name else f"{name}\n" for name in objects
        )
        answers = git(
            "--git-dir", self.path, "cat-file", "--batch-check", what=self.url, stdin=asked
        )
        # Of what is unknown it repeats the name, which may have any character but this.
        found = map(_TREE.fullmatch, _lines(answers))
        return [tree[1] if tree else None for tree in found]

    def files(self, names: Sequence[tuple[str, str]], largest: int) -> list[bytes | Refused | None]:
        """What is in each file, by commit and path: None if there is none of the name.

        Links are followed within the commit. What is longer than ``largest``, no file, or behind a
        link that leads elsewhere is Refused. Git is asked once for all.
        """
        objects = [f"{commit}:{path}" for commit, path in names]
        found = self._looked_up(objects)
        wanted = [each for each in found if isinstance(each, _Blob) and each.size <= largest]
        contents = self._contents(wanted)
        too_long = Refused(f"it is longer than {largest >> 10} KiB")
        return [
            contents.get(each.name, too_long) if isinstance(each, _Blob) else each for each in found
        ]

    def _looked_up(self, objects: Sequence[str]) -> list[_Blob | Refused | None]:
        """What git knows of each object, links followed."""
        if not (objects and self.path.exists()):
            return [None] * len(objects)
        answers = io.BytesIO(self._asked("--batch-check", "--follow-symlinks", objects=objects))
        return [_said_of(answers) for _ in objects]

    def _contents(self, blobs: Sequence[_Blob]) -> dict[bytes, bytes | Refused]:
        """What is in each blob, by its name."""
        wanted = dict.fromkeys(blobs)
        names = [blob.name.decode() for blob in wanted]
        answers = io.BytesIO(self._asked("--batch", objects=names)) if wanted else io.BytesIO()
        found: dict[bytes, bytes | Refused] = {}
        for blob in wanted:
            answers.readline()
            found[blob.name] = answers.read(blob.size)
            answers.readline()
        return found

    def _asked(self, *options: str, objects: Sequence[str]) -> bytes:
        """What git cat-file says of objects; as bytes, for it tells how many it says."""
        place = ("--git-dir", self.path, "cat-file")
        asked = "".join(f"{each}\n" for each in objects)
        return git_bytes(*place, *options, what=self.url, stdin=asked)

    def submodule(self, commit: str, folder: str) -> str:
        """The submodule of a commit in which a folder is; empty if it is in none."""
        parts = PurePosixPath(folder).parts
        ways = ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]
        place = ("--git-dir", self.path, "ls-tree", "-z", commit, "--")
        listed = git("--literal-pathspecs", *place, *ways, what=self.url)
        found = (each.partition("\t")[2] for each in listed.split("\0") if each[:7] == _SUBMODULE)
        return next(found, "")

    def last_change(self, commit: str, folder: str) -> str:
        """The newest commit up to this one that changed something in a folder of its tree."""
        found = git(
            "--literal-pathspecs",
            "--git-dir",
            self.path,
            *("rev-list", "--max-count=1", commit, "--", folder),
            what=self.url,
        )
        return found.strip() or commit  # what is in a submodule has no commits here

    def branches(self) -> dict[str, str]:
        """The commit of every branch that was ever fetched, as of its last fetch."""
        if not self.path.exists():
            return {}
        each = "--format=%(objectname) %(refname:lstrip=2)"
        listed = git("--git-dir", self.path, "for-each-ref", each, "refs/heads", what=self.url)
        pairs = (line.split(" ", 1) for line in _lines(listed))
        return {branch: commit for commit, branch in pairs}

    def fetch(self, wanted: Sequence[str], access: Access = OPEN) -> None:
        """Bring the branches over that are ``wanted``; raises SlipwayError."""
        if not self.path.exists():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self.path.parent) as scratch:
                new = Path(scratch) / "new.git"
                git("init", "--quiet", "--bare", new, what=self.url)
                if local_path(self.url) is None:
                    (new / _PARTIAL).touch()
                settle(new, self.path)
        self._make_way(wanted)
        refspecs = [f"+refs/heads/{branch}:refs/heads/{branch}" for branch in wanted]
        if self._is_partial:
            self._bring("--force", _REMOTE, *refspecs, access=access)
            return
        fetch = ["fetch", "--quiet", "--force", *_served(self.url), "--", self.url, *refspecs]
        _ask("--git-dir", self.path, *SOUND, *fetch, url=self.url, access=access)

    @property
    def _is_partial(self) -> bool:
        return (self.path / _PARTIAL).exists()

    def _bring(self, *arguments: str, access: Access, files: str = "") -> None:
        """Have a partial mirror fetch something, without the files that nobody asks for.

        Of ``files``, the server is not told what the mirror has: it has their commits already.

        It is tidied up as git does it after a fetch, but without the server: what of that is not
        ``gc`` may take what is lacking for lost, depending on git's version.
        """
        promised = ("-c", f"remote.{_REMOTE}.promisor=true")
        server = ("-c", f"remote.{_REMOTE}.url={self.url}", "-c", "maintenance.auto=false")
        leaving_out = ("-c", f"remote.{_REMOTE}.partialclonefilter={_NO_FILES}")
        alone = ("-c", "fetch.negotiationAlgorithm=noop") if files else ()
        options = (*SOUND, *promised, *server, *leaving_out, *alone)
        place, fetch = ("--git-dir", self.path), ("fetch", "--quiet", *arguments)
        _ask(*place, *options, *fetch, url=self.url, access=access, stdin=files)
        git(*place, *promised, "gc", "--auto", "--quiet", what=self.url)

    def _complete(self, commit: str, access: Access) -> None:
        """Bring over what files of a commit a partial mirror lacks, all at once."""
        if not self._is_partial:
            return
        walk = ("rev-list", "--quiet", "--objects", "--missing=print", f"{commit}^{{tree}}")
        listed = git("--git-dir", self.path, *walk, what=self.url)
        lacking = [line.removeprefix("?") for line in _lines(listed)]
        if not lacking:
            return
        own = ("--no-tags", "--no-write-fetch-head", "--recurse-submodules=no", "--stdin", _REMOTE)
        asked = "".join(f"{name}\n" for name in lacking)
        try:
            self._bring(*own, access=access, files=asked)
        except SlipwayError as error:
            if not any(words in str(error) for words in _WITHHELD):
                raise
            self._bring_whole(commit, access)

    def _bring_whole(self, commit: str, access: Access) -> None:
        """Bring a commit over with all that led to it, from a server that gives no single file.

        Git does not ask for what a mirror has, so that is done beside it.
        """
        with tempfile.TemporaryDirectory(dir=self.path) as scratch:
            git("init", "--quiet", "--bare", scratch, what=self.url)
            keep = ("-c", "fetch.unpackLimit=1")
            fetch = ("fetch", "--quiet", "--no-tags", "--", self.url, commit)
            _ask("--git-dir", scratch, *SOUND, *keep, *fetch, url=self.url, access=access)
            for pack in Path(scratch, "objects", "pack").glob("*.pack"):
                pack.with_suffix(".promisor").touch()
                for ending in _PACK:
                    part = pack.with_suffix(f".{ending}")
                    if part.exists():
                        part.replace(self.path / "objects" / "pack" / part.name)

    def _make_way(self, wanted: Sequence[str]) -> None:
        """Forget branches of before that stand in the way: git has no ``a`` beside an ``a/b``."""
        gone = {
            branch
            for branch in self.branches()
            for new in wanted
            if branch.startswith(f"{new}/") or new.startswith(f"{branch}/")
        }
        if gone:
            orders = "".join(f"delete refs/heads/{branch}\n" for branch in sorted(gone))
            git("--git-dir", self.path, "update-ref", "--stdin", what=self.url, stdin=orders)

    def work_tree(self, commit: str) -> Path:
        """Where the work tree of a commit is, or would be."""
        return self._work_trees / commit

    def lay_out(self, commit: str, access: Access = OPEN, submodules: Sequence[str] = ()) -> Path:
        """The work tree of a commit that the mirror has, made when it is not there.

        It is a repository of its own, for builds that ask git about themselves; it shares the
        mirror's objects, and has its submodules: those of ``submodules``, by the same access, and
        those that anybody may have. It appears whole or not at all.
        """
        place = self.work_tree(commit)
        if place.exists():
            return place
        place.parent.mkdir(parents=True, exist_ok=True)
        self._complete(commit, access)
        scratch = Path(tempfile.mkdtemp(dir=place.parent, prefix="."))
        try:
            tree = scratch / "tree"
            git(
                "clone",
                "--quiet",
                "--shared",
                "--no-checkout",
                "--",
                self.path,
                tree,
                what=self.url,
            )
            git("-C", tree, "remote", "set-url", "origin", self.url, what=self.url)
            detached = ("checkout", "--quiet", "--detach", commit)
            git("-C", tree, *lfs.AS_POINTERS, *detached, what=self.url)
            lfs.fetch(tree, self.url, access)
            if (tree / ".gitmodules").exists():
                lay_out(tree, Granted(self.url, access, submodules, self._cache))
            settle(tree, place)
        finally:
            shutil.rmtree(scratch)
        return place
