"""A control plane is ready for another to join: the work of the module control_plane_keys."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from typing import Any

from slipway.on_node.shared import PKI, Failed, Modes, place

SHARED = (
    *(f"{PKI}/{name}.{kind}" for name in ("ca", "front-proxy-ca") for kind in ("crt", "key")),
    *(f"{PKI}/etcd/ca.{kind}" for kind in ("crt", "key")),
    *(f"{PKI}/sa.{kind}" for kind in ("key", "pub")),
)
"""What all control planes of a cluster have in common, as kubeadm looks for it."""

SECRETS = "/etc/kubernetes/api-server/encryption.yaml"
"""Has the key of Secrets, which is one for all API servers."""

ETCD = "https://127.0.0.1:2379"
SECONDS = 10.0


def etcd(method: str, asked: dict[str, Any]) -> dict[str, Any]:
    """Ask the etcd of this machine, as the API server beside it does."""
    context = ssl.create_default_context(cafile=str(place(f"{PKI}/etcd/ca.crt")))
    own = place(f"{PKI}/apiserver-etcd-client.crt")
    context.load_cert_chain(str(own), str(own.with_suffix(".key")))
    request = urllib.request.Request(f"{ETCD}/v3/cluster/{method}", json.dumps(asked).encode())
    try:
        with urllib.request.urlopen(request, timeout=SECONDS, context=context) as answer:
            found: dict[str, Any] = json.load(answer)
            return found
    except urllib.error.HTTPError as error:
        said = error.read().decode(errors="replace")
        raise Failed(f"etcd refuses {method}: {said}") from error
    except OSError as error:
        raise Failed(f"etcd does not answer on its node: {error}") from error


def former_members(joining: dict[str, str]) -> list[str]:
    """The members of etcd, by their numbers, that machines left which are to join anew.

    A member that never started has no name yet, and is known by its address. The one that is asked
    is none of them.
    """
    peers = {f"https://{address}:2380" for address in joining.values()}
    found = etcd("member/list", {})
    return [
        member["ID"]
        for member in found["members"]
        if member.get("name") in joining or peers & {*member.get("peerURLs", [])}
        if member["ID"] != found["header"]["member_id"]
    ]


def main(args: dict[str, Any], modes: Modes) -> dict[str, Any]:
    """Take out of etcd what is left of those that are to join, and return what they need."""
    former = former_members(args["joining"])
    if not modes.check:
        for number in former:
            etcd("member/remove", {"ID": number})
    files = {path: place(path).read_text(encoding="utf-8") for path in SHARED}
    secrets = place(SECRETS).read_text(encoding="utf-8")
    return {"changed": bool(former), "files": files, "secrets": secrets}
