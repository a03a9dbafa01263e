"""Programs of Debian's packages that run elsewhere, with a stand-in for the loader."""

from __future__ import annotations

import subprocess
import tarfile
from pathlib import Path

import pytest

from slipway.bundle.debian import make_portable, source_of
from slipway.errors import SlipwayError

LOADER = """#!/bin/sh
case "$3" in
--list)
    echo "	linux-vdso.so.1 (0x00007fffdc7e2000)"
    echo "	libfirst.so.1 => $2/libfirst.so.1 (0x00007f81adfeb000)"
    echo "	/lib64/ld-linux-some.so.2 => $2/ld-linux-some.so.2 (0x00007f81ae0f7000)" ;;
*) echo "$@" ;;
esac
"""


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A root file system with a program, a library that it loads, and one that it does not."""
    root = tmp_path / "root"
    libraries = root / "usr/lib/some-linux-gnu"
    for folder in (libraries, root / "usr/sbin", root / "etc"):
        folder.mkdir(parents=True)
    (libraries / "ld-linux-some.so.2").write_text(LOADER)
    (libraries / "ld-linux-some.so.2").chmod(0o755)
    (libraries / "libfirst.so.1.2.0").write_text("first")
    (libraries / "libfirst.so.1").symlink_to("libfirst.so.1.2.0")
    (libraries / "libother.so.1").write_text("other")
    (root / "usr/sbin/nft").write_text("program")
    (root / "etc/alternative").symlink_to("/usr/bin/elsewhere")
    with tarfile.open(tmp_path / "nft.tar", "w") as tar:
        tar.add(root, ".")
    return tmp_path / "nft.tar"


def test_a_program_is_taken_out_with_what_it_loads_and_nothing_else(
    archive: Path, tmp_path: Path
) -> None:
    make_portable(archive, "usr/sbin/nft", tmp_path / "nft")
    found = {path.name: path.read_text() for path in (tmp_path / "nft").iterdir()}
    assert found.keys() == {"ld-linux-some.so.2", "libfirst.so.1", "nft", "nft.bin"}
    assert (found["libfirst.so.1"], found["nft.bin"]) == ("first", "program")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["nft", "nft.tar", "root"]


def test_it_is_started_by_its_own_loader_from_wherever_it_is(archive: Path, tmp_path: Path) -> None:
    make_portable(archive, "usr/sbin/nft", tmp_path / "nft")
    moved = (tmp_path / "nft").rename(tmp_path / "else where")
    done = subprocess.run(
        [moved / "nft", "list", "a b"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"--library-path {moved} {moved}/nft.bin list a b\n"


def test_a_program_that_its_packages_lack_is_told(archive: Path, tmp_path: Path) -> None:
    with pytest.raises(SlipwayError, match="usr/sbin/nftables is no file of its packages"):
        make_portable(archive, "usr/sbin/nftables", tmp_path / "nft")


@pytest.mark.parametrize(
    ("field", "source"),
    [
        ("", ("libssl3t64", "3.5.1-1+b2")),
        ("openssl", ("openssl", "3.5.1-1+b2")),
        ("openssl (3.5.1-1)", ("openssl", "3.5.1-1")),
    ],
)
def test_what_a_package_was_built_of_is_said_where_it_differs(
    field: str, source: tuple[str, str]
) -> None:
    assert source_of(field, "libssl3t64", "3.5.1-1+b2") == source
