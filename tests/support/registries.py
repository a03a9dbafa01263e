"""A registry on this machine, from which builds can fetch."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from slipway.waiting import wait_until

_LISTENING = re.compile(r"listening on (127\.0\.0\.1:\d+)")


USER, PASSWORD = "builds", "only for tests"
"""Who is let into a registry that asks."""

_ALLOWED = f"{USER}:$2b$04$abcdefghijklmnopqrstuursBJVjwtkucQ.GLo5l86wMxN0hcKTyu\n"
"""The same, as htpasswd(1) has it."""


@contextmanager
def served(program: Path, folder: Path, *, asks: bool = False) -> Iterator[str]:
    """Run a registry that keeps its images in a new folder; gives its address.

    One that ``asks`` wants to know who comes.
    """
    folder.mkdir()
    (folder / "allowed").write_text(_ALLOWED)
    settings = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(folder / "root")}},
        "http": {"addr": "127.0.0.1:0"},
    }
    if asks:
        allowed = {"realm": "tests", "path": str(folder / "allowed")}
        settings["auth"] = {"htpasswd": allowed}
    (folder / "config.yml").write_text(json.dumps(settings))
    log = folder / "log"
    with log.open("wb") as output:
        command = [str(program), "serve", str(folder / "config.yml")]
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        assert wait_until(lambda: _LISTENING.search(log.read_text()), 30), log.read_text()
        listening = _LISTENING.search(log.read_text())
        assert listening
        yield listening[1]
    finally:
        process.terminate()
        process.wait()
