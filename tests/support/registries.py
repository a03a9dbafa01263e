"""A registry on this machine, from which builds can fetch."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import urllib3

from slipway.waiting import wait_until
from tests.support.oci_samples import Layout, digest_of

_LISTENING = re.compile(r"listening on ([\d.]+:\d+)")


USER, PASSWORD = "builds", "only for tests"
"""Who is let into a registry that asks."""

_ALLOWED = f"{USER}:$2b$04$abcdefghijklmnopqrstuursBJVjwtkucQ.GLo5l86wMxN0hcKTyu\n"
"""The same, as htpasswd(1) has it."""


@contextmanager
def served(
    program: Path,
    folder: Path,
    *,
    asks: bool = False,
    tls: Path | None = None,
    realm: str = "",
    at: str = "127.0.0.1",
) -> Iterator[str]:
    """Run a registry that keeps its images in a new folder; gives its address.

    One that ``asks`` wants to know who comes; with a ``realm`` it wants a token of there, whichever
    that is. Its certificate is in the folder ``tls``, as ``server.crt`` and ``server.key``.
    """
    folder.mkdir()
    (folder / "allowed").write_text(_ALLOWED)
    settings: dict[str, Any] = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(folder / "root")}},
        "http": {"addr": f"{at}:0"},
    }
    if asks:
        allowed = {"realm": "tests", "path": str(folder / "allowed")}
        settings["auth"] = {"htpasswd": allowed}
    if tls:
        files = {"certificate": str(tls / "server.crt"), "key": str(tls / "server.key")}
        settings["http"]["tls"] = files
    if realm:
        settings["auth"] = {"silly": {"realm": realm, "service": "it"}}
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


def push(
    address: str,
    repository: str,
    layout: Layout,
    index: bytes,
    ca: Path | None = None,
    *,
    tag: str = "",
    asks: bool = False,
) -> str:
    """Have the images of a layout in a registry's repository; give the digest of their index.

    The index gets a ``tag`` as well. A registry that ``asks`` hears who comes.
    """
    url = f"{address}/v2/{repository}"
    pool = urllib3.PoolManager(ca_certs=str(ca) if ca else None)
    login = urllib3.make_headers(basic_auth=f"{USER}:{PASSWORD}")
    token = login if asks else {"Authorization": "Bearer any"}

    def ask(method: str, where: str, body: bytes = b"", kind: str = "") -> urllib3.BaseHTTPResponse:
        headers = {**token, "Content-Type": kind or "application/octet-stream"}
        response = pool.request(method, where, body=body, headers=headers)
        assert response.status in (201, 202), response.data
        return response

    manifests = {each["digest"]: each["mediaType"] for each in json.loads(index)["manifests"]}
    for name, content in layout.files.items():
        if name.startswith("blobs/") and digest_of(content) not in manifests:
            place = ask("POST", f"{url}/blobs/uploads/").headers["Location"]
            sign = "&" if "?" in place else "?"
            ask("PUT", f"{place}{sign}digest={digest_of(content)}", content)
    for digest, kind in manifests.items():
        blob = layout.files[f"blobs/sha256/{digest.removeprefix('sha256:')}"]
        ask("PUT", f"{url}/manifests/{digest}", blob, kind)
    kind = "application/vnd.oci.image.index.v1+json"
    for name in filter(None, (digest_of(index), tag)):
        ask("PUT", f"{url}/manifests/{name}", index, kind)
    return digest_of(index)
