"""A ``ctr`` on a directory: what Slipway asks of containerd, with containerd's own wording.

Run as ``python fake_ctr.py DIRECTORY images import ...``. Blobs lie where containerd keeps them;
``listed`` names the blobs that its database knows, and ``images.json`` has its images. An image is
unpacked when all its blobs came with it. As with the kubelet's side of containerd, an image has its
config's digest as a second name. ``containers`` names the images of containers. ``log`` gets a line
per command.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(sys.argv[1])
BLOBS = ROOT / "io.containerd.content.v1.content/blobs/sha256"
IMAGES = ROOT / "images.json"
LISTED = ROOT / "listed"


def read(path: Path) -> Any:
    return json.loads(path.read_text()) if path.exists() else {}


def blobs_of(manifest: str) -> list[str]:
    content = json.loads((BLOBS / manifest[7:]).read_text())
    return [manifest, content["config"]["digest"], *(each["digest"] for each in content["layers"])]


def check(wanted: list[str], quiet: bool = False) -> None:
    if not quiet:
        print("REF TYPE DIGEST STATUS SIZE UNPACKED")
    for ref, image in read(IMAGES).items():
        if not wanted or f'name=="{ref}"' in wanted:
            need = blobs_of(image["digest"])
            there = [digest for digest in need if digest in read(LISTED)]
            status = "complete" if there == need else "incomplete"
            size = f"{len(there)}/{len(need)}"
            unpacked = str(image["unpacked"]).lower()
            if quiet:
                if status == "complete" and image["unpacked"]:
                    print(ref)
                continue
            print(f"{ref} manifest {image['digest']} {status} ({size}) 1.0 MiB/1.0 MiB {unpacked} ")


def bring_in() -> None:
    import hashlib
    import tarfile

    listed, images, index = read(LISTED), read(IMAGES), {}
    with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as tar:
        for member in tar:
            stream = tar.extractfile(member)
            content = stream.read() if stream else b""
            if member.name == "index.json":
                index = json.loads(content)
            if not member.name.startswith("blobs/"):
                continue
            digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
            if not member.name.endswith(digest[7:]):
                sys.exit(f"ctr: unexpected digest {digest}")
            if digest not in listed:  # what it believes to have, it does not store again
                BLOBS.mkdir(parents=True, exist_ok=True)
                (BLOBS / digest[7:]).write_bytes(content)
                listed[digest] = True
    LISTED.write_text(json.dumps(listed))
    if (ROOT / "broken").exists():
        sys.exit("ctr: no space left on device")
    for entry in index["manifests"]:
        ref = entry["annotations"]["org.opencontainers.image.ref.name"]
        absent = [
            digest for digest in blobs_of(entry["digest"]) if not (BLOBS / digest[7:]).exists()
        ]
        image = {"digest": entry["digest"], "unpacked": not absent, "labels": {}}
        images[ref] = image
        if not absent:
            images[blobs_of(entry["digest"])[1]] = image
        IMAGES.write_text(json.dumps(images))
        if absent:
            sys.exit(f"ctr: content digest {absent[0]}: not found")


def main(verbs: list[str]) -> None:
    ROOT.mkdir(parents=True, exist_ok=True)
    with (ROOT / "log").open("a") as log:
        print(*verbs, file=log)
    if (ROOT / "down").exists():
        sys.exit('ctr: failed to dial "/run/containerd/containerd.sock"')
    print("level=warning msg=DEPRECATION", file=sys.stderr)
    match verbs:
        case ["images", "check", "-q", *wanted]:
            check(wanted, quiet=True)
        case ["images", "ls"]:
            print("REF TYPE DIGEST SIZE PLATFORMS LABELS ")
            for ref, image in read(IMAGES).items():
                print(f"{ref} manifest {image['digest']} 1.0 MiB linux/amd64 - ")
        case ["images", "rm", *refs]:
            images = read(IMAGES)
            for ref in refs:
                if images.pop(ref, None):
                    print(ref)
            IMAGES.write_text(json.dumps(images))
        case ["containers", "ls"]:
            print("CONTAINER    IMAGE    RUNTIME    ")
            for ref in read(ROOT / "containers") or []:
                print(f"0123abcd    {ref}    io.containerd.runc.v2    ")
        case ["images", "check", *wanted]:
            check(wanted)
        case ["images", "ls", "-q", 'labels."io.cri-containerd.pinned"==pinned']:
            images = read(IMAGES).items()
            print(*(ref for ref, image in images if "pinned" in image["labels"].values()), sep="\n")
        case ["images", "import", "--local", "--platform", "linux/amd64", "-"]:
            bring_in()
        case ["images", "label", ref, label]:
            name, _, value = label.partition("=")
            images = read(IMAGES)
            images[ref]["labels"][name] = value
            IMAGES.write_text(json.dumps(images))
            print(label)
        case ["content", "ls", "-q"]:
            print(*read(LISTED), sep="\n")
        case ["content", "rm", *digests] if all(re.match("sha256:", each) for each in digests):
            listed = read(LISTED)
            for digest in digests:
                listed.pop(digest, None)
                (BLOBS / digest[7:]).unlink(missing_ok=True)
            LISTED.write_text(json.dumps(listed))
        case _:
            sys.exit(f"ctr: unknown command {verbs}")


main(sys.argv[2:])
