"""Show the authority: see ``plugins/modules/local_ca.py`` for the documentation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slipway.action_plugin import SlipwayAction
from slipway.certificates import ROOT_FILE, Authority


class ActionModule(SlipwayAction):
    """Makes the authority if there is none, and says how to trust it."""

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return where the root is, and its fingerprint."""
        folder = Path(args["path"])
        before = Authority.load(folder)
        root = str(folder / ROOT_FILE)
        if before is None and self.check_mode:
            return {"changed": True, "root": root, "fingerprint": ""}
        authority = before or Authority.keep(folder)
        self.say(*_advice(root, authority.fingerprint))
        return {
            "changed": before is None,
            "root": root,
            "fingerprint": authority.fingerprint,
        }


def _advice(root: str, fingerprint: str) -> list[str]:
    """How a user's machines are made to trust the authority, and to forget it."""
    linux = "/usr/local/share/ca-certificates/slipway.crt"
    nss = '-d "sql:$HOME/.pki/nssdb" -n Slipway'
    mac = "/Library/Keychains/System.keychain"
    return [
        f"The root certificate: {root}",
        f"Its SHA-256 fingerprint: {fingerprint}",
        "Its key certifies any name: keep it on this machine, and trust it only where you must.",
        "",
        f"Debian, Ubuntu  sudo cp {root} {linux} && sudo update-ca-certificates",
        "                (on this machine: make trust ARGS='-e control_node_trust_local_ca=true')",
        f"  to undo       sudo rm {linux} && sudo update-ca-certificates --fresh",
        f"macOS           sudo security add-trusted-cert -d -r trustRoot -k {mac} {root}",
        f"  to undo       sudo security remove-trusted-cert -d {root}",
        f"Chrome on Linux certutil -A {nss} -t C,, -i {root}",
        f"  to undo       certutil -D {nss}",
        "Firefox         Settings, Privacy & Security, Certificates, View Certificates,",
        "                Authorities, Import: trust it to identify websites",
        f"one command     curl --cacert {root} https://...",
    ]
