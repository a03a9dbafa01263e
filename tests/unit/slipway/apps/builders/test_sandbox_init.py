"""The first process of a sandbox, below a folder in place of a container's root."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from slipway.apps.builders import sandbox_init
from slipway.apps.builders.sandbox_init import CODE, FRONT, fill
from slipway.waiting import wait_until

PROGRAM = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(Path(sandbox_init.__file__).parent)!r})
import sandbox_init
sandbox_init.START_SECONDS = 0.3
sys.exit(sandbox_init.main(Path(sys.argv[1])))
"""

LISTENING = """
import os, socket
server = socket.socket(socket.AF_UNIX)
server.bind("../standby")
server.listen()
while True:
    client, _ = server.accept()
    told = client.makefile().readline()
    client.sendall((told + open("file").read()).encode())
    client.close()
"""


class Sandbox:
    """A folder that is laid out as a container is."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for folder in ("in/source", "work", "handover"):
            (root / folder).mkdir(parents=True)
        (root / "in/source/file").write_text("one")
        for pipe in ("order", "life"):
            os.mkfifo(root / "handover" / pipe)
        self.held = [os.open(root / "handover" / name, os.O_RDWR) for name in ("order", "life")]

    def start(self, *argv: str, **order: Any) -> subprocess.Popen[bytes]:
        no = {"folder": ".", "registry": False, "asked": "", "output": ""}
        whole = {"argv": argv, "env": {}, **no, **order}
        os.write(self.held[0], json.dumps(whole).encode() + b"\n")
        return self.begin()

    def begin(self) -> subprocess.Popen[bytes]:
        """Start it, whatever it is told."""
        command = [sys.executable, "-I", "-c", PROGRAM, str(self.root)]
        return subprocess.Popen(command, stdout=subprocess.PIPE)

    def run(self, code: str, **order: Any) -> tuple[int, bytes]:
        """The exit code and the words of a Python program that it runs."""
        with self.start(sys.executable, "-c", code, **order) as process:
            said, _ = process.communicate(timeout=20)
        return process.returncode, said

    def ask(self, told: bytes) -> bytes:
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(20)
            peer.connect(str(self.root / "work" / FRONT))
            peer.sendall(told)
            return peer.makefile("rb").read()

    def close(self) -> None:
        for each in self.held:
            os.close(each)
        self.held.clear()


@pytest.fixture
def box() -> Iterator[Sandbox]:
    with TemporaryDirectory() as folder:  # paths of sockets have to be short
        made = Sandbox(Path(folder))
        yield made
        made.close()


def test_a_program_runs_in_a_copy_of_its_source(box: Sandbox) -> None:
    code = "import os; print(os.getcwd(), open('file').read()); open('new', 'w')"
    place = box.root.resolve() / "work" / "source"
    assert box.run(code) == (0, f"{place} one\n".encode())
    assert not (box.root / "in/source/new").exists()


@pytest.mark.parametrize(
    ("code", "expected"),
    [("raise SystemExit(3)", 3), ("import os; os.kill(os.getpid(), 9)", 137)],
)
def test_its_exit_code_is_noted(box: Sandbox, code: str, expected: int) -> None:
    assert box.run(code)[0] == expected
    assert (box.root / "work" / CODE).read_text() == str(expected)


def test_it_gets_the_variables_that_it_is_told(box: Sandbox) -> None:
    assert box.run("import os; print(os.environ['A'])", env={"A": "b"})[1] == b"b\n"


def test_files_for_its_home_are_its_own(box: Sandbox) -> None:
    (box.root / "in/home/.m2").mkdir(parents=True)
    (box.root / "in/home/.m2/settings.xml").write_text("x")
    assert box.run("open('../home/.m2/settings.xml', 'a').write('y')")[0] == 0
    assert (box.root / "in/home/.m2/settings.xml").read_text() == "x"


def test_all_ends_with_who_wants_it(box: Sandbox) -> None:
    process = box.start(sys.executable, "-c", "import time; time.sleep(20)")
    assert wait_until((box.root / "work/source/file").exists, 10)
    box.close()
    assert process.wait(10) == 143


def test_all_ends_where_nobody_wants_it_any_more(box: Sandbox) -> None:
    os.close(box.held.pop())
    process = box.start(sys.executable, "-c", "import time; time.sleep(20)")
    assert process.wait(10) == 143


def test_all_ends_where_nobody_is_left_who_would_tell_what_to_run(box: Sandbox) -> None:
    box.close()
    assert box.begin().wait(10) == 143


def test_what_it_pushes_gets_to_the_registry(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX) as registry:
        registry.bind(str(box.root / "handover/registry"))
        registry.listen()

        def answer() -> None:
            client, _ = registry.accept()
            with client:
                client.sendall(client.recv(99).upper())

        threading.Thread(target=answer, daemon=True).start()
        code = (
            "import socket; peer = socket.create_connection(('127.0.0.1', %d)); "
            "peer.sendall(b'pushed'); print(peer.recv(99))"
        )
        assert box.run(code % sandbox_init.PORT, registry=True) == (0, b"b'PUSHED'\n")


def test_who_asks_gets_an_answer_for_the_source_of_the_time(box: Sandbox) -> None:
    (box.root / "work/standby").touch()  # of one that was there before
    process = box.start(sys.executable, "-c", LISTENING, asked="standby")
    assert wait_until((box.root / "work" / FRONT).exists, 10)
    assert box.ask(b"a\n") == b"a\none"
    (box.root / "in/source/file").write_text("two")
    assert box.ask(b"b\n") == b"b\ntwo"
    box.close()
    assert process.wait(10) == 143


def test_one_whose_source_is_gone_ends_alone(box: Sandbox) -> None:
    process = box.start(sys.executable, "-c", LISTENING, asked="standby")
    assert wait_until((box.root / "work" / FRONT).exists, 10)
    (box.root / "in/source").rename(box.root / "elsewhere")
    with suppress(BrokenPipeError, ConnectionResetError):
        assert box.ask(b"a\n") == b""
    (box.root / "elsewhere").rename(box.root / "in/source")
    assert box.ask(b"b\n") == b"b\none"
    box.close()
    assert process.wait(10) == 143


def test_one_that_never_listens_ends_when_it_is_asked(box: Sandbox) -> None:
    process = box.start(sys.executable, "-c", "import time; time.sleep(20)", asked="standby")
    assert wait_until((box.root / "work" / FRONT).exists, 10)
    with suppress(ConnectionResetError):
        assert box.ask(b"a\n") == b""
    assert process.wait(10) == 1


def test_what_is_no_source_any_more_goes(tmp_path: Path) -> None:
    place, source = tmp_path / "place", tmp_path / "source"
    for name in ("old", "part/old", "part/deep/old", "other/old"):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).touch()
    (place / "link").symlink_to(source)
    (source / "part").mkdir(parents=True)
    (source / "part/new").touch()
    inode = (place / "part").stat().st_ino
    fill(place, "part", source)
    found = {str(path.relative_to(place)) for path in place.rglob("*")}
    assert found == {"part", "part/new"}
    assert (place / "part").stat().st_ino == inode
    assert (source / "part/new").exists()


def test_what_it_prints_is_handed_over_and_what_it_complains_of_is_said(box: Sandbox) -> None:
    (box.root / "work" / "objects").write_text("of one that was here before")
    code, said = box.run("print('kind: A')", output="objects")
    assert (code, said) == (0, b"")
    assert (box.root / "work" / "objects").read_text() == "kind: A\n"
