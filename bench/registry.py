"""A registry on this machine, for what one would do instead: Debian's docker-registry."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from slipway.errors import Problem, SlipwayError
from slipway.oci import ImageStore
from slipway.run import last_lines, run
from slipway.waiting import wait_until

START_SECONDS = 10.0


@dataclass(frozen=True)
class Registry:
    """A running registry: where it listens (``host:port``), and what it writes down."""

    address: str
    log: Path

    def ref(self, ref: str) -> str:
        """The name here of what is ``ref`` in an image store."""
        return f"{self.address}/{ref.partition('/')[2]}"

    def push_command(self, store: ImageStore, ref: str) -> list[str]:
        """What pushes an image of a store, with the digests it has, as fast as a client can."""
        source, target = f"oci:{store.root}:{ref}", f"docker://{self.ref(ref)}"
        options = ["--quiet", "--preserve-digests", "--dest-tls-verify=false"]
        return ["skopeo", "--insecure-policy", "copy", *options, source, target]

    def push(self, store: ImageStore, ref: str) -> None:
        """Push an image of a store."""
        run(self.push_command(store, ref), what="push")

    def sent(self) -> int:
        """Bytes of content that machines have had so far."""
        return sent(self.log.read_text(encoding="utf-8").splitlines())


def sent(log: Iterable[str]) -> int:
    """Bytes of the bodies that a registry's log says it has sent."""
    entries = map(json.loads, log)
    return sum(
        entry["http.response.written"]
        for entry in entries
        if entry["msg"] == "response completed" and entry["http.request.method"] == "GET"
    )


@contextmanager
def serving(host: str, folder: Path) -> Iterator[Registry]:
    """A registry on a free port of ``host`` that keeps everything in ``folder``."""
    with socket.create_server((host, 0)) as free:
        port = free.getsockname()[1]
    folder.mkdir()
    registry = Registry(f"{host}:{port}", folder / "log")
    config = folder / "config.yml"
    config.write_text(
        yaml.safe_dump(
            {
                "version": 0.1,
                "log": {"accesslog": {"disabled": True}, "formatter": "json"},
                "storage": {"filesystem": {"rootdirectory": str(folder / "content")}},
                "http": {"addr": registry.address},
            }
        )
    )
    with (
        registry.log.open("wb") as log,
        subprocess.Popen(["docker-registry", "serve", config], stdout=log, stderr=log) as process,
    ):
        try:
            wait_until(lambda: _answers(host, port) or process.poll() is not None, START_SECONDS)
            if not _answers(host, port):
                said = last_lines(registry.log.read_text(encoding="utf-8"))
                raise SlipwayError(Problem("docker-registry", f"does not answer; it said\n{said}"))
            yield registry
        finally:
            process.terminate()


def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True
