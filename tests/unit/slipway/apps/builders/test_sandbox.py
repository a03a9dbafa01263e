"""What comes out of a sandbox's own folder, where its program may have put anything."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from slipway.apps.builders.sandbox import HANDED_OVER, Place
from slipway.apps.builders.sandbox_init import FRONT


@pytest.fixture
def place() -> Iterator[Place]:
    with TemporaryDirectory() as folder:  # paths of sockets have to be short
        made = Place(Path(folder, "root"), Path(folder, "handover"))
        made.root.mkdir()
        for each in (made.given, made.source, made.work, made.handover):
            each.mkdir()
        yield made


def test_a_file_is_handed_over(place: Place) -> None:
    (place.work / "digest").write_text("sha256:1")
    assert place.handed_over("digest") == "sha256:1"
    assert place.handed_over("other") == ""


def test_no_more_is_read_than_anybody_needs(place: Place) -> None:
    (place.work / "digest").write_bytes(bytes(HANDED_OVER + 1))
    assert len(place.handed_over("digest")) == HANDED_OVER


@pytest.mark.parametrize("kind", ["link", "pipe", "folder", "device"])
def test_what_is_no_file_of_its_own_is_not_read(place: Place, kind: str) -> None:
    path = place.work / "digest"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to({"link": "/etc/passwd", "device": "/dev/zero"}[kind])
    assert place.handed_over("digest") == ""


def test_a_program_is_asked_at_a_socket_of_its_own(place: Place) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(place.work / FRONT))
        server.listen()
        with place.asked() as peer:
            peer.sendall(b"a")
            assert server.accept()[0].recv(1) == b"a"


def test_a_socket_of_the_machine_is_never_asked(place: Place) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(place.handover / "engine"))
        server.listen()
        (place.work / FRONT).symlink_to(place.handover / "engine")
        with pytest.raises(OSError, match="no socket"):
            place.asked()


def test_a_large_file_is_copied_unless_it_is_a_link(place: Place, tmp_path: Path) -> None:
    (place.work / "image").write_bytes(bytes(100_000))
    place.take("image", tmp_path / "image")
    assert (tmp_path / "image").stat().st_size == 100_000
    (place.work / "link").symlink_to("/etc/passwd")
    place.take("link", tmp_path / "passwd")
    assert not (tmp_path / "passwd").exists()
