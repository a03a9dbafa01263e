"""Layers: the same files give the same bytes, and the files are as they were meant."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from slipway.errors import SlipwayError
from slipway.oci import Layer, TreeEntry, layer_from_tar, layer_from_tree


def content_of(layer: Layer) -> bytes:
    out = io.BytesIO()
    layer.write(out)
    return out.getvalue()


def members_of(layer: Layer) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(content_of(layer))) as tar:
        return {member.name: member for member in tar}


def make_tree(root: Path, names: list[str]) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return root


def test_a_tree_gives_the_same_layer_whatever_its_times_umask_and_order(tmp_path: Path) -> None:
    names = ["app/b.txt", "app/a.txt", "etc/conf"]
    first = make_tree(tmp_path / "first", names)
    before = os.umask(0o077)
    try:
        second = make_tree(tmp_path / "second", names[::-1])
    finally:
        os.umask(before)
    os.utime(second / "etc/conf", (1, 1))
    assert content_of(layer_from_tree(first)) == content_of(layer_from_tree(second))


def test_a_changed_file_gives_another_layer(tmp_path: Path) -> None:
    tree = make_tree(tmp_path, ["a"])
    before = content_of(layer_from_tree(tree))
    (tree / "a").write_text("changed")
    assert content_of(layer_from_tree(tree)) != before


def test_what_a_mapping_places_has_the_meant_kind_mode_and_owner(tmp_path: Path) -> None:
    tool = tmp_path / "tool"
    tool.write_bytes(b"#!/bin/sh\n")
    tool.chmod(0o700)
    (tmp_path / "tree/sub").mkdir(parents=True)
    (tmp_path / "tree/sub/link").symlink_to("../elsewhere")
    members = members_of(
        layer_from_tree(
            {
                "/usr/bin/tool": tool,
                "/etc/tool.conf": b"x=1\n",
                "/etc/secret": TreeEntry(b"s", mode=0o600, owner=101),
                "/var/cache/tool": TreeEntry(None, mode=0o1777, owner=101),
                "/opt": TreeEntry(tmp_path / "tree", mode=0o750, owner=7),
            }
        )
    )
    assert list(members) == sorted(members)
    assert {
        name: (member.type, oct(member.mode), member.uid, member.gid, member.mtime)
        for name, member in members.items()
    } == {
        "usr/bin/tool": (tarfile.REGTYPE, "0o755", 0, 0, 0),
        "etc/tool.conf": (tarfile.REGTYPE, "0o644", 0, 0, 0),
        "etc/secret": (tarfile.REGTYPE, "0o600", 101, 101, 0),
        "var/cache/tool": (tarfile.DIRTYPE, "0o1777", 101, 101, 0),
        "opt": (tarfile.DIRTYPE, "0o750", 7, 7, 0),
        "opt/sub": (tarfile.DIRTYPE, "0o755", 7, 7, 0),
        "opt/sub/link": (tarfile.SYMTYPE, "0o777", 7, 7, 0),
    }
    assert members["opt/sub/link"].linkname == "../elsewhere"


def test_all_missing_sources_are_named_at_once(tmp_path: Path) -> None:
    layer = layer_from_tree({"/a": tmp_path / "one", "/b": b"", "/c": tmp_path / "two"})
    with pytest.raises(SlipwayError) as caught:
        content_of(layer)
    assert [problem.where for problem in caught.value.problems] == ["/a", "/c"]


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress])
def test_a_root_file_system_keeps_what_it_is_and_loses_when_it_was_made(
    tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    def root_tar(name: str, mtime: int) -> Path:
        path, out = tmp_path / name, io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:

            def add(name: str, kind: bytes = tarfile.REGTYPE, **fields: object) -> None:
                member = tarfile.TarInfo(name)
                member.type = kind
                member.mtime = mtime + 0.5
                member.uname = "builder"
                for field, value in fields.items():
                    setattr(member, field, value)
                tar.addfile(member, io.BytesIO(b"x" * member.size))

            add("./", tarfile.DIRTYPE, mode=0o700)
            add("./usr", tarfile.DIRTYPE, mode=0o755)
            add("./usr/ping", mode=0o4755, size=3, pax_headers={"SCHILY.xattr.user.k": "v"})
            add("./usr/other", tarfile.LNKTYPE, linkname="./usr/ping")
            add("./bin", tarfile.SYMTYPE, linkname="./usr")
            add("./etc/shadow", mode=0o640, gid=42)
            add("./dev/null", tarfile.CHRTYPE, devmajor=1, devminor=3)
        path.write_bytes(pack(out.getvalue()))
        return path

    layer = layer_from_tar(root_tar("one.tar", 1000))
    assert content_of(layer) == content_of(layer_from_tar(root_tar("two.tar", 2000)))
    members = members_of(layer)
    assert list(members) == ["usr", "usr/ping", "usr/other", "bin", "etc/shadow", "dev/null"]
    assert members["usr/ping"].mode == 0o4755
    assert members["usr/ping"].pax_headers["SCHILY.xattr.user.k"] == "v"
    assert members["usr/other"].linkname == "usr/ping"
    assert members["bin"].linkname == "./usr"
    assert members["etc/shadow"].gid == 42
    assert (members["dev/null"].devmajor, members["dev/null"].devminor) == (1, 3)
    assert {(member.mtime, member.uname) for member in members.values()} == {(0, "")}


def test_what_is_no_tar_is_an_error_with_its_path(tmp_path: Path) -> None:
    path = tmp_path / "root.tar"
    path.write_text("no tar")
    with pytest.raises(SlipwayError, match=r"root\.tar: cannot be read as a tar"):
        content_of(layer_from_tar(path))


def test_of_a_tar_a_layer_may_have_what_is_below_some_folders(tmp_path: Path) -> None:
    tree = make_tree(
        tmp_path / "tree", ["etc/jdk/conf", "etc/jdk-old/conf", "usr/lib/jdk/bin/java"]
    )
    with tarfile.open(tmp_path / "root.tar", "w") as tar:
        tar.add(tree, ".")
    layer = layer_from_tar(tmp_path / "root.tar", ["etc/jdk", "usr/lib/jdk/bin"])
    assert [*members_of(layer)] == [
        "etc/jdk",
        "etc/jdk/conf",
        "usr/lib/jdk/bin",
        "usr/lib/jdk/bin/java",
    ]
