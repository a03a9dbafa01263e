"""Ansible's collections: from Galaxy where it answers, else those alone out of their carrier."""

from __future__ import annotations

import json
import subprocess
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from bin import install_collections
from bin.install_collections import version

WANTED = "collections:\n  - {name: slip.way, version: 1.2.3}\n"


def manifest(number: str) -> str:
    """What a collection says of itself."""
    return json.dumps({"collection_info": {"version": number}})


class Tools:
    """Stands for pip and for Galaxy's client; ``asked`` has what was run."""

    def __init__(self, galaxy: str | None = None) -> None:
        self.galaxy = galaxy
        self.asked: list[str] = []

    def run(self, argv: list[Any], *, check: bool) -> subprocess.CompletedProcess[str]:
        """Bring a wheel, or a collection if Galaxy has it."""
        words = [str(word) for word in argv]
        if "download" in words:
            self.asked.append("pip")
            with zipfile.ZipFile(Path(words[words.index("--dest") + 1], "a.whl"), "w") as wheel:
                for name in ("slip/way", "slip/way_off", "other/one"):
                    path = f"ansible_collections/{name}/MANIFEST.json"
                    wheel.writestr(path, manifest("1.2.3"))
        else:
            self.asked.append("galaxy")
            if self.galaxy:
                folder = Path(words[-1], "ansible_collections", "slip", "way")
                folder.mkdir(parents=True)
                folder.joinpath("MANIFEST.json").write_text(manifest(self.galaxy))
        return subprocess.CompletedProcess(words, int("galaxy" in self.asked and not self.galaxy))


@pytest.fixture
def galaxy() -> Iterator[str]:
    """A server that answers as Galaxy does; gives its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/api/" else 404)
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(autouse=True)
def requirements(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One collection is wanted, and nothing answers for Galaxy."""
    path = tmp_path / "requirements.yml"
    path.write_text(WANTED)
    monkeypatch.setattr(install_collections, "WANTED", path)
    monkeypatch.setattr(install_collections, "GALAXY", "http://127.0.0.1:1")


def install(tools: Tools, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str | None:
    """Install with ``tools``; returns what is wrong."""
    monkeypatch.setattr(subprocess, "run", tools.run)
    return install_collections.main(folder)


def test_without_galaxy_only_what_is_wanted_is_unpacked_and_what_was_there_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools, folder = Tools(), tmp_path / "collections"
    folder.mkdir()
    (folder / "old").touch()
    assert install(tools, folder, monkeypatch) is None
    assert tools.asked == ["pip"]
    assert [*folder.rglob("MANIFEST.json")] == [
        folder / "ansible_collections" / "slip" / "way" / "MANIFEST.json"
    ]
    assert not (folder / "old").exists()


def test_galaxy_is_asked_where_it_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, galaxy: str
) -> None:
    monkeypatch.setattr(install_collections, "GALAXY", galaxy)
    tools = Tools(galaxy="1.2.3")
    assert install(tools, tmp_path / "collections", monkeypatch) is None
    assert tools.asked == ["galaxy"]


def test_what_galaxy_does_not_give_is_carried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, galaxy: str
) -> None:
    monkeypatch.setattr(install_collections, "GALAXY", galaxy)
    tools, folder = Tools(), tmp_path / "collections"
    assert install(tools, folder, monkeypatch) is None
    assert tools.asked == ["galaxy", "pip"]
    assert version(folder, "slip.way") == "1.2.3"


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        (WANTED.replace("1.2.3", "2.0.0"), "slip.way 1.2.3"),
        (WANTED.replace("slip.way", "slip.down"), "slip.down in no version"),
    ],
)
def test_a_carrier_without_what_is_wanted_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: str, told: str
) -> None:
    (tmp_path / "requirements.yml").write_text(wanted)
    assert install(Tools(), tmp_path / "collections", monkeypatch) == (
        f"requirements-collections.txt has other collections than requirements.yml names: {told}"
    )
