"""Ansible's collections: from Galaxy where it answers, else those alone out of their carrier.

Either way they are as they were published when their hashes were written.
"""

from __future__ import annotations

import json
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from bin import install_collections
from bin.install_collections import version

WANTED = "collections:\n  - {name: slip.way, version: 1.2.3}\n"


PLUGIN = "plugins/plugin.py"


def published(number: str) -> dict[str, str]:
    """The files of a collection, but for those that its carrier leaves out."""
    own = {PLUGIN: "print()\n"}
    sums = {name: sha256(text.encode()).hexdigest() for name, text in own.items()}
    sums["tests/left_out.py"] = "0" * 64
    listed = [{"name": "plugins", "ftype": "dir", "chksum_sha256": None}] + [
        {"name": name, "ftype": "file", "chksum_sha256": value} for name, value in sums.items()
    ]
    files = json.dumps({"files": listed})
    about = {
        "collection_info": {"version": number},
        "file_manifest_file": {
            "name": "FILES.json",
            "chksum_sha256": sha256(files.encode()).hexdigest(),
        },
    }
    return {**own, "FILES.json": files, "MANIFEST.json": json.dumps(about)}


def pin(number: str) -> str:
    """The hash of what was published."""
    return sha256(published(number)["MANIFEST.json"].encode()).hexdigest()


Change = Callable[[dict[str, str]], None]


class Tools:
    """Stands for pip and for Galaxy's client; ``asked`` has what was run.

    ``change`` is done to the files on their way.
    """

    def __init__(self, galaxy: str | None = None, change: Change = lambda _files: None) -> None:
        self.galaxy = galaxy
        self.change = change
        self.asked: list[str] = []

    def run(self, argv: list[Any], *, check: bool) -> subprocess.CompletedProcess[str]:
        """Bring a wheel, or a collection if Galaxy has it."""
        words = [str(word) for word in argv]
        if "download" in words:
            self.asked.append("pip")
            assert {"--require-hashes", "--only-binary=:all:"} < {*words}
            with zipfile.ZipFile(Path(words[words.index("--dest") + 1], "a.whl"), "w") as wheel:
                for name in ("slip/way", "slip/way_off", "other/one"):
                    for file, text in self._sent("1.2.3").items():
                        wheel.writestr(f"ansible_collections/{name}/{file}", text)
        else:
            self.asked.append("galaxy")
            if self.galaxy:
                folder = Path(words[-1], "ansible_collections", "slip", "way")
                for file, text in self._sent(self.galaxy).items():
                    folder.joinpath(file).parent.mkdir(parents=True, exist_ok=True)
                    folder.joinpath(file).write_text(text)
        return subprocess.CompletedProcess(words, int("galaxy" in self.asked and not self.galaxy))

    def _sent(self, number: str) -> dict[str, str]:
        files = published(number)
        self.change(files)
        return files


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
    pins = tmp_path / "requirements-collections.sha256"
    pins.write_text(f"# made\n{pin('1.2.3')}  slip.way:1.2.3\n")
    monkeypatch.setattr(install_collections, "WANTED", path)
    monkeypatch.setattr(install_collections, "PINS", pins)
    monkeypatch.setattr(install_collections, "GALAXY", "http://127.0.0.1:1")
    monkeypatch.setattr(install_collections, "CARRIED", tmp_path / "collections.zip")


def install(
    tools: Tools, folder: Path, monkeypatch: pytest.MonkeyPatch, *, locking: bool = False
) -> str | None:
    """Install with ``tools``; returns what is wrong."""
    monkeypatch.setattr(subprocess, "run", tools.run)
    return install_collections.main(folder, locking=locking)


def carry(folder: Path, files: dict[str, str]) -> Path:
    """Have the zip that is taken out of an archive, with a collection of these files."""
    path = folder / "collections.zip"
    with zipfile.ZipFile(path, "w") as carried:
        for file, text in files.items():
            carried.writestr(f"ansible_collections/slip/way/{file}", text)
    return path


def test_what_an_archive_carries_is_taken_before_anybody_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, galaxy: str
) -> None:
    monkeypatch.setattr(install_collections, "GALAXY", galaxy)
    carry(tmp_path, published("1.2.3"))
    tools, folder = Tools(galaxy="1.2.3"), tmp_path / "collections"
    assert install(tools, folder, monkeypatch) is None
    assert tools.asked == []
    assert version(folder, "slip.way") == "1.2.3"


@pytest.mark.parametrize(
    "files",
    [
        {},
        published("1.2.2"),
        {**published("1.2.3"), "plugins/more.py": ""},
        {name: text for name, text in published("1.2.3").items() if name != "FILES.json"},
        {"MANIFEST.json": "[]"},
        {"MANIFEST.json": "{"},
    ],
)
@pytest.mark.parametrize("answers", [True, False])
def test_what_an_archive_carries_of_another_checkout_is_had_as_without_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
    files: dict[str, str],
    answers: bool,
) -> None:
    if answers:
        monkeypatch.setattr(install_collections, "GALAXY", request.getfixturevalue("galaxy"))
    carry(tmp_path, files)
    tools, folder = Tools(galaxy="1.2.3"), tmp_path / "collections"
    assert install(tools, folder, monkeypatch) is None
    assert tools.asked == ["galaxy" if answers else "pip"]
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("the collections of the archive are not used: ")


def test_a_zip_of_an_archive_that_is_none_is_told_and_had_as_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = carry(tmp_path, published("1.2.3"))
    path.write_bytes(path.read_bytes()[:-30])
    tools = Tools()
    assert install(tools, tmp_path / "collections", monkeypatch) is None
    assert tools.asked == ["pip"]
    said = capsys.readouterr().err
    assert said == "the collections of the archive are not used: File is not a zip file\n"


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


def put(name: str, text: str) -> Change:
    """A change of one file."""
    return lambda files: files.update({name: text})


def put_listed(files: dict[str, str]) -> None:
    """A plugin that is another one, and in the list."""
    files[PLUGIN] = "import os\n"
    listed = json.loads(files["FILES.json"])
    listed["files"][1]["chksum_sha256"] = sha256(files[PLUGIN].encode()).hexdigest()
    files["FILES.json"] = json.dumps(listed)


def put_whole(files: dict[str, str]) -> None:
    """A collection that is another one, and agrees with itself."""
    put_listed(files)
    about = json.loads(files["MANIFEST.json"])
    listed = sha256(files["FILES.json"].encode()).hexdigest()
    about["file_manifest_file"]["chksum_sha256"] = listed
    files["MANIFEST.json"] = json.dumps(about)


@pytest.mark.parametrize("answers", [True, False])
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (put(PLUGIN, "import os\n"), PLUGIN),
        (put("plugins/more.py", ""), "plugins/more.py"),
        (put_listed, "FILES.json"),
        (put_whole, "MANIFEST.json"),
    ],
)
def test_what_is_not_as_it_was_published_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    galaxy: str,
    answers: bool,
    change: Change,
    told: str,
) -> None:
    if answers:
        monkeypatch.setattr(install_collections, "GALAXY", galaxy)
    tools = Tools(galaxy="1.2.3", change=change)
    assert install(tools, tmp_path / "collections", monkeypatch) == (
        f"slip.way 1.2.3 is not as requirements-collections.sha256 has it: {told}"
    )


def test_a_version_without_a_hash_is_refused_but_by_who_writes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "requirements-collections.sha256").write_text(f"{pin('1')}  slip.way:1\n")
    folder = tmp_path / "collections"
    assert install(Tools(), folder, monkeypatch) == (
        "requirements-collections.sha256 has no hash of slip.way 1.2.3: run make lock"
    )
    assert install(Tools(), folder, monkeypatch, locking=True) is None
