"""The data of a volume as a file: whole or not there, and looked at before it is used."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from slipway.apps.volumes.archive import check_new, contents, copied, feed, written
from slipway.apps.volumes.in_pod import save
from slipway.errors import SlipwayError


@pytest.fixture
def stream(tmp_path: Path) -> bytes:
    """A volume with a file as a stream."""
    (tmp_path / "volume").mkdir()
    (tmp_path / "volume/file").write_bytes(bytes(5000))
    plain = io.BytesIO()
    save(tmp_path / "volume", plain)
    return plain.getvalue()


def file(path: Path, stream: bytes) -> Path:
    with written(path) as target:
        copied(io.BytesIO(stream), target)
    return path


def test_a_file_gives_the_stream_that_it_was_made_of(tmp_path: Path, stream: bytes) -> None:
    path = file(tmp_path / "a.tar.zst", stream)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.stat().st_size < len(stream)
    given = io.BytesIO()
    feed(path, given)
    assert given.getvalue() == stream
    found = contents(path)
    assert (found.members, found.size) == (1, len(stream) - 64)
    assert found.sum == stream[-64:].decode()


def test_of_a_stream_that_breaks_off_no_file_is_left(tmp_path: Path, stream: bytes) -> None:
    with pytest.raises(SlipwayError, match="it is not whole"):
        file(tmp_path / "a.tar.zst", stream[:-1])
    assert [each.name for each in tmp_path.iterdir()] == ["volume"]


def test_a_file_that_is_not_whole_is_told(tmp_path: Path, stream: bytes) -> None:
    path = file(tmp_path / "a.tar.zst", stream)
    content = path.read_bytes()
    for wrong in (content[:-9], content[:9], b"no archive", b""):
        path.write_bytes(wrong)
        with pytest.raises(
            SlipwayError, match=r"a\.tar\.zst: .*\n.*name a file that make data-save"
        ):
            contents(path)
    with pytest.raises(SlipwayError, match="No such file"):
        contents(tmp_path / "none")


def test_nothing_is_written_over(tmp_path: Path) -> None:
    check_new(tmp_path / "new")
    (tmp_path / "there").touch()
    with pytest.raises(SlipwayError, match="is there already"):
        check_new(tmp_path / "there")
    with pytest.raises(SlipwayError, match="its folder is not there"):
        check_new(tmp_path / "none/new")


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with (
        pytest.raises(SlipwayError, match="cannot be written: No space left on device"),
        written(tmp_path / "a"),
    ):
        raise OSError(28, "No space left on device")
    assert not [*tmp_path.iterdir()]
