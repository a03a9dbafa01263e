"""Bundles out of archives: of the same lock and no other, from a path or a server, whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from slipway.architecture import Architecture
from slipway.bundle import archive, download, manifest
from slipway.bundle.archive import ArchiveProvider
from slipway.bundle.provider import Bundle, bundle_path, ensure
from slipway.errors import SlipwayError
from tests.support.bundles import FILES, KEY, VERSIONS, Maker, bundle, lock
from tests.support.file_servers import Fault, Served, served


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine of one kind, on which nobody waits, and asks by a proxy or as somebody."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setattr(download, "TRIES", 1)
    monkeypatch.setattr(archive, "LOOKS", 1)


@pytest.fixture
def made(tmp_path: Path) -> Maker:
    return Maker(tmp_path / "made")


class Machine:
    """A machine with a cache, on which runs name an archive."""

    def __init__(self, cache: Path) -> None:
        self.cache = cache
        self.said: list[str] = []

    def provider(self, place: object, **known: Any) -> ArchiveProvider:
        """What a new run has."""
        return ArchiveProvider(lock(self.cache, **known), str(place), say=self.said.append)

    def run(self, place: object, **known: Any) -> Bundle:
        """Have the bundle, as the action has it."""
        provider = self.provider(place, **known)
        found = ensure(provider, provider.cache, self.said.append)
        provider.note()
        return found

    def fails(self, place: object, **known: Any) -> str:
        """Why a run does not have it; nothing stays that is half there."""
        with pytest.raises(SlipwayError) as caught:
            self.run(place, **known)
        folders = (self.cache / "bundle").glob("*")
        assert [path for path in folders if path.is_dir() and not manifest.is_there(path)] == []
        return str(caught.value)

    @property
    def parts(self) -> list[Path]:
        """What is there of downloads that have not come to their end."""
        return [*self.cache.glob("archives/*/part")]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "cache")


@pytest.fixture
def file(made: Maker) -> Iterator[Served]:
    with served(made({**FILES, "bin/large": os.urandom(1 << 20)}).read_bytes()) as file:
        yield file


def test_it_is_the_bundle_that_source_would_have_made(made: Maker, machine: Machine) -> None:
    found = machine.run(made())
    assert found == Bundle(machine.cache / "bundle" / KEY[:16], made=True)
    assert (manifest.read(found.path) or {})["about"]["provider"] == "source"
    assert manifest.damaged(found.path) == []
    assert not machine.run(made()).made


def test_it_is_made_of_the_path_only_as_long_as_it_is_not_there(
    made: Maker, machine: Machine
) -> None:
    path = made()
    found = machine.run(path)
    path.unlink()
    assert machine.run(path) == Bundle(found.path, made=False)
    (found.path / "bin" / "kubelet").unlink()
    assert "No such file" in machine.fails(path)


def test_a_path_that_leads_nowhere_is_told_with_what_names_it(machine: Machine) -> None:
    assert machine.fails("/nowhere/x.tar.zst") == (
        "/nowhere/x.tar.zst: No such file or directory\n"
        "    fix: correct slipway_bundle, or SLIPWAY_BUNDLE in the environment"
    )
    assert "Is a directory" in machine.fails(machine.cache.parent)
    said = machine.fails("s3://key:secret@files/x.tar.zst")
    assert said.startswith("s3://files/x.tar.zst: is neither a path nor an address")
    assert machine.fails("https://key:secret@[::1/x").startswith("https://...: is no address")
    assert machine.fails("https://files:port/x").startswith("https://files:port/x: is no address")


def test_one_for_another_processor_is_refused_with_both(made: Maker, machine: Machine) -> None:
    path = made(platform="linux/amd64")
    said = machine.fails(path, architecture=Architecture.ARM64)
    assert "is for linux/amd64, and one for linux/arm64 is wanted" in said
    assert "make bundle ARCH=arm64 OUT=..." in said
    assert machine.run(path, architecture=Architecture.AMD64).made


def test_what_an_archive_is_for_is_known_before_it_is_fetched(
    file: Served, machine: Machine
) -> None:
    assert machine.provider(file.url).platform == Architecture.here().platform
    assert machine.parts == []
    machine.run(file.url)
    asked = len(file.asked)
    assert machine.provider(file.url).platform == Architecture.here().platform
    assert len(file.asked) == asked


def test_one_of_another_lock_is_refused_with_every_version(made: Maker, machine: Machine) -> None:
    path = made(key="f" * 64, versions={"kubernetes": "1.35.4", "runc": "1.4.3"})
    said = machine.fails(path)
    assert "has kubernetes 1.35.4, and the lock says 1.36.3" in said
    assert "has etcd none, and the lock says 3.6.8" in said
    assert "has runc 1.4.3, and the lock says none" in said


def test_so_is_one_of_other_files_than_the_checkout_has(made: Maker, machine: Machine) -> None:
    said = machine.fails(made(key="f" * 64))
    assert f"other files than here (key {'f' * 16}, and here {KEY[:16]})" in said


def test_another_content_of_the_same_lock_is_another_bundle(made: Maker, machine: Machine) -> None:
    of_source = bundle(machine.cache / "bundle" / KEY[:16], {"bin/kubelet": b"of this machine"})
    found = machine.run(made())
    assert found.made
    assert found.path != of_source
    assert not machine.run(made()).made
    assert (of_source / "bin/kubelet").read_bytes() == b"of this machine"
    of_source.rename(of_source.with_name("moved"))
    assert machine.run(made()) == Bundle(found.path, made=False)


def test_the_same_content_is_the_bundle_that_is_there_whatever_is_beside_it(
    made: Maker, machine: Machine
) -> None:
    there = bundle(machine.cache / "bundle" / KEY[:16])
    assert machine.run(made(beside={"sbom.json": b"{}"})) == Bundle(there, made=False)


def test_contents_that_other_bundles_have_are_shared(made: Maker, machine: Machine) -> None:
    there = bundle(machine.cache / "bundle" / "another")
    found = machine.run(made({**FILES, "bin/new": b"new"})).path
    assert (found / "tools/buildkitd").samefile(there / "tools/buildkitd")
    assert not (found / "images/index.lock").samefile(there / "images/index.lock")


def test_a_damaged_file_of_another_bundle_is_not_shared(made: Maker, machine: Machine) -> None:
    there = bundle(machine.cache / "bundle" / "another")
    (there / "tools/buildkitd").write_bytes(b"Another")
    assert (machine.run(made()).path / "tools/buildkitd").read_bytes() == b"another"


def test_one_that_is_damaged_is_told_and_stays_where_it_is(made: Maker, machine: Machine) -> None:
    path = made({**FILES, "bin/large": os.urandom(1 << 20)})
    content = path.read_bytes()
    path.write_bytes(content[:-1000])
    assert "ends early" in machine.fails(path)
    path.write_bytes(content)
    assert machine.run(path).made


def test_an_address_is_fetched_once(file: Served, machine: Machine) -> None:
    found = machine.run(file.url)
    assert found == Bundle(machine.cache / "bundle" / KEY[:16], made=True)
    assert machine.parts == []
    asked = len(file.asked)
    assert not machine.run(file.url).made
    assert bundle_path(machine.provider(file.url), machine.provider(file.url).cache) == found.path
    assert len(file.asked) == asked


def test_it_is_refused_before_it_is_fetched(file: Served, machine: Machine) -> None:
    said = machine.fails(file.url, key="e" * 64, versions={**VERSIONS, "etcd": "3.6.9"})
    assert "has etcd 3.6.8, and the lock says 3.6.9" in said
    assert len(file.asked) == 1
    assert machine.parts == []


def test_after_a_break_the_next_run_goes_on(file: Served, machine: Machine) -> None:
    file.faults = [Fault(), Fault(cut=500_000)]
    assert "the connection ended early" in machine.fails(file.url)
    assert [part.stat().st_size for part in machine.parts] == [500_000]
    assert machine.run(file.url).made
    assert file.begun_at[-1] == "bytes=500000-"


def test_what_came_wrong_is_removed_and_fetched_anew(file: Served, machine: Machine) -> None:
    right = file.content
    wrong = bytearray(right)
    wrong[600_000] ^= 1
    file.content = bytes(wrong)
    said = machine.fails(file.url)
    assert said.startswith(f"{file.url}: ")
    assert "it was removed" in said
    assert machine.parts == []
    file.content = right
    assert machine.run(file.url).made


def test_one_that_was_changed_at_its_server_is_taken_by_the_next_run(
    made: Maker, file: Served, machine: Machine
) -> None:
    machine.provider(file.url).note()
    newer = made({**FILES, "bin/newer": b"newer"}).read_bytes()
    file.content = newer
    assert "has another manifest than it had" in machine.fails(file.url)
    assert (machine.run(file.url).path / "bin" / "newer").read_bytes() == b"newer"


def test_of_another_lock_the_address_is_asked_what_it_has_now(
    made: Maker, file: Served, machine: Machine
) -> None:
    machine.run(file.url)
    file.content = made(key="e" * 64, versions={**VERSIONS, "etcd": "3.6.9"}).read_bytes()
    newer = {"key": "e" * 64, "versions": {**VERSIONS, "etcd": "3.6.9"}}
    assert machine.run(file.url, **newer).path.name == "e" * 16


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault(404), "HTTP 404 Not Found: there is no such file"),
        (Fault(401), "wants to know who asks"),
        (Fault(429, {"Retry-After": "3600"}), "left alone for 3600 s"),
        (Fault(500), "HTTP 500"),
        (Fault(cut=100), "ended early"),
    ],
)
def test_what_keeps_it_from_being_asked_is_told(
    fault: Fault, words: str, file: Served, machine: Machine
) -> None:
    file.faults = [fault]
    said = machine.fails(file.url)
    assert said.startswith(f"{file.url}: ")
    assert words in said
    assert "fix: " in said
    assert machine.run(file.url).made


def test_netrc_says_who_asks(file: Served, machine: Machine, tmp_path: Path) -> None:
    file.login = "ada:password"
    assert "wants to know who asks" in machine.fails(file.url)
    (tmp_path / "netrc").write_text("machine localhost login ada password password\n")
    assert machine.run(file.url).made


def test_without_tls_only_this_machine_is_asked(machine: Machine) -> None:
    said = machine.fails("http://ada:secret@files.test/x.tar.zst")
    assert said.startswith("http://files.test/x.tar.zst: is an address that anybody on the way")
    assert "secret" not in said


def test_a_bundle_that_does_not_fit_the_disk_is_not_begun(
    made: Maker, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = made()
    monkeypatch.setattr("shutil.disk_usage", lambda _path: SimpleNamespace(free=10))
    said = machine.fails(path)
    assert "has 0.0 kB free; it takes 0.0 kB; nothing stays half unpacked" in said
    assert "make room there" in said


def test_a_look_keeps_nothing(file: Served, machine: Machine) -> None:
    provider = machine.provider(file.url)
    assert ensure(provider, provider.cache, machine.said.append, check=True).made
    assert not machine.cache.exists()


def test_it_takes_no_tools_and_no_sources(file: Served, machine: Machine) -> None:
    provider = machine.provider(file.url)
    assert provider.to_make() == []
    assert provider.tools == ()
    assert ArchiveProvider(lock(machine.cache), file.url, Path("signers")).tools == ("ssh",)
