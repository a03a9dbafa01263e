"""A ``ctr`` on a directory: what Slipway asks of containerd, with containerd's own wording.

Run as ``python fake_ctr.py DIRECTORY images import ...``. Blobs lie where containerd keeps them;
``listed`` names the blobs that its database knows, ``snapshots`` has the chain IDs of what is
unpacked, and ``images.json`` the images. As with the kubelet's side of containerd, an image has its
config's digest as a second name. ``containers`` names the images of containers. Where there is a
file ``1.7``, images cannot be labelled on import. ``log`` gets a line per command.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(sys.argv[1])
BLOBS = ROOT / "io.containerd.content.v1.content/blobs/sha256"
IMAGES = ROOT / "images.json"
LISTED = ROOT / "listed"
SNAPSHOTS = ROOT / "snapshots"
SELECTOR = r'(name|digest|target\.digest|labels\."[^"]+")==("[^"]+"|[^\s,"]+)'


def read(path: Path) -> Any:
    return json.loads(path.read_text()) if path.exists() else {}


def write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content))


def say(lines: Iterable[str]) -> None:
    for line in lines:
        print(line)


def fits(fields: dict[str, str], filters: list[str]) -> bool:
    """Whether one of the filters takes what has these fields; without a filter all is taken."""
    for each in filters:
        if not re.fullmatch(f"{SELECTOR}(,{SELECTOR})*", each):
            sys.exit(f"ctr: failed to list images: parse error: {each}: invalid argument")
    return not filters or any(
        all(fields.get(name) == value.strip('"') for name, value in re.findall(SELECTOR, each))
        for each in filters
    )


def images(filters: list[str]) -> dict[str, Any]:
    """The images that the filters take."""
    return {
        ref: image
        for ref, image in read(IMAGES).items()
        if fits(
            {
                "name": ref,
                "target.digest": image["digest"],
                **{f'labels."{name}"': value for name, value in image["labels"].items()},
            },
            filters,
        )
    }


def content(digest: str) -> bytes:
    """A blob that the database knows and that has a file."""
    if digest not in read(LISTED):
        sys.exit(f"ctr: content digest {digest}: not found")
    if not (BLOBS / digest[7:]).exists():
        sys.exit(f"ctr: open {BLOBS / digest[7:]}: no such file or directory")
    return (BLOBS / digest[7:]).read_bytes()


def bring_in(labels: dict[str, str] | None) -> None:
    index = take_archive()
    if (ROOT / "broken").exists():
        sys.exit("ctr: no space left on device")
    for entry in index["manifests"]:
        content(entry["digest"])
    for entry in index["manifests"]:
        found = read(IMAGES)
        ref = entry["annotations"]["org.opencontainers.image.ref.name"]
        before = found.get(ref, {"labels": {}})["labels"]
        managed = {"io.cri-containerd.image": "managed"}
        image = {"digest": entry["digest"], "labels": (labels or before) | managed}
        alias = {"digest": entry["digest"], "labels": managed}
        config = json.loads(content(entry["digest"]))["config"]["digest"]
        write(IMAGES, found | {ref: image, config: alias})
    for entry in index["manifests"]:
        print(f"unpacking {entry['digest']}...", end="")
        unpack(entry["digest"])
        print("done")


def take_archive() -> Any:
    """Store the blobs on standard input that have no file yet; return the index."""
    import hashlib
    import tarfile

    listed, index = read(LISTED), None
    with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as tar:
        for member in tar:
            stream = tar.extractfile(member)
            blob = stream.read() if stream else b""
            if member.name == "index.json":
                index = json.loads(blob)
            if not member.name.startswith("blobs/"):
                continue
            digest = f"sha256:{hashlib.sha256(blob).hexdigest()}"
            if not member.name.endswith(digest[7:]):
                sys.exit(f"ctr: unexpected digest {digest}")
            if not (BLOBS / digest[7:]).exists():
                BLOBS.mkdir(parents=True, exist_ok=True)
                (BLOBS / digest[7:]).write_bytes(blob)
            listed[digest] = True
    write(LISTED, listed)
    return index


def unpack(manifest: str) -> None:
    """Make the snapshots of an image's layers; what is there already is not looked at again."""
    import hashlib

    value = json.loads(content(manifest))
    diff_ids = json.loads(content(value["config"]["digest"]))["rootfs"]["diff_ids"]
    chain = ""
    for layer, diff_id in zip(value["layers"], diff_ids, strict=True):
        parent = chain
        both = f"{parent} {diff_id}".encode()
        chain = f"sha256:{hashlib.sha256(both).hexdigest()}" if parent else diff_id
        if chain not in read(SNAPSHOTS):
            if layer["digest"] != f"sha256:{hashlib.sha256(content(layer['digest'])).hexdigest()}":
                sys.exit("ctr: apply layer error: wrong diff id calculated on extraction")
            write(SNAPSHOTS, read(SNAPSHOTS) | {chain: parent})


def main(verbs: list[str]) -> None:
    ROOT.mkdir(parents=True, exist_ok=True)
    with (ROOT / "log").open("a") as log:
        print(*verbs, file=log)
    if (ROOT / "down").exists():
        sys.exit('ctr: failed to dial "/run/containerd/containerd.sock"')
    print("level=warning msg=DEPRECATION", file=sys.stderr)
    match verbs:
        case ["images", "ls", "-q", *filters]:
            say(images(filters))
        case ["images", "ls", *filters]:
            print("REF TYPE DIGEST SIZE PLATFORMS LABELS ")
            for ref, image in images(filters).items():
                labels = ",".join(f"{name}={value}" for name, value in image["labels"].items())
                print(f"{ref} manifest {image['digest']} 1.0 MiB linux/amd64 {labels} ")
        case ["images", "rm", *refs]:
            found = read(IMAGES)
            say(ref for ref in refs if found.pop(ref, None))
            write(IMAGES, found)
        case ["images", "import", "--local", "--platform", "linux/amd64", "--label", label, "-"]:
            if (ROOT / "1.7").exists():
                print("Incorrect Usage: flag provided but not defined: -label\n\nNAME:\n   ctr ...")
                sys.exit("ctr: flag provided but not defined: -label")
            bring_in(dict([label.split("=")]))
        case ["images", "import", "--local", "--platform", "linux/amd64", "-"]:
            bring_in(None)
        case ["images", "label", ref, label]:
            found = read(IMAGES)
            found[ref]["labels"] |= [label.split("=")]
            write(IMAGES, found)
            print(label)
        case ["content", "ls", "-q", *filters]:
            say(each for each in read(LISTED) if fits({"digest": each}, filters))
        case ["content", "rm", *digests] if all(re.match("sha256:", each) for each in digests):
            listed = read(LISTED)
            for digest in digests:
                listed.pop(digest, None)
                (BLOBS / digest[7:]).unlink(missing_ok=True)
            write(LISTED, listed)
        case ["snapshots", "ls"]:
            print("KEY PARENT KIND      ")
            for chain, parent in read(SNAPSHOTS).items():
                print(f"{chain} {parent:71} Committed ")
                print(f"0123abcd {chain} Active    ")
        case ["containers", "ls"]:
            print("CONTAINER    IMAGE    RUNTIME    ")
            for ref in read(ROOT / "containers") or []:
                print(f"0123abcd    {ref}    io.containerd.runc.v2    ")
        case _:
            sys.exit(f"ctr: unknown command {verbs}")


main(sys.argv[2:])
