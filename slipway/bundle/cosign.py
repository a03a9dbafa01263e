"""Signatures of upstream's by cosign, which is a program of its own: whether it finds them good.

What is checked is who signed (an identity, and who vouches for it), beside the sum or the digest
that the lock has. Where the signature of a file is, and its certificate, is upstream's custom: at
the address of the file, with ``.sig`` and ``.cert`` after it.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from slipway.bundle.download import Broken, Server, asked_of
from slipway.bundle.upstream_lock import Signer
from slipway.errors import Problem, SlipwayError
from slipway.run import run
from slipway.waiting import allowed

OFF, AUTO, REQUIRED = "off", "auto", "required"
"""Whether signatures are checked: not at all, where cosign and they are at hand, or always."""

SIGNATURES = (OFF, AUTO, REQUIRED)

TRIES = 3
"""How often in a row a signature is asked for."""

SECONDS = 120.0
"""How long cosign may take, which asks others itself."""

MOST = 1 << 20
"""Bytes that a signature or a certificate may have."""

_NONE_NEEDED = "bundle_signatures: off has none checked"


@dataclass(frozen=True)
class Cosign:
    """Checks signatures as far as they are ``wanted``; SlipwayError says what is wrong with one."""

    wanted: str
    say: Callable[[str], None]

    def check_tool(self) -> None:
        """Raise SlipwayError if signatures are required and there is no cosign."""
        if self.wanted == REQUIRED and not self._is_there:
            fix = f"install cosign, or write bundle_signatures: {AUTO}"
            what = "is required, and cosign is not in PATH to check it"
            raise SlipwayError(Problem("the signature of what upstream publishes", what, fix))

    def check_file(self, path: Path, server: Server, signer: Signer) -> None:
        """Check the signature that a server has of a file that came from there."""
        if not self._is_at_hand(str(server)):
            return
        with tempfile.TemporaryDirectory() as folder:
            found = [Path(folder) / name for name in ("sig", "cert")]
            try:
                for each in found:
                    beside = replace(server, url=f"{server.url}.{each.name}")
                    each.write_bytes(self._text(beside))
            except Broken as broken:
                if self.wanted == REQUIRED or not broken.lacking:
                    what = f"has no signature that can be had: {broken}"
                    raise SlipwayError(Problem(str(server), what, _NONE_NEEDED)) from broken
                self.say(f"{server}: not checked, as there is no signature")
                return
            signature, certificate = found
            of = ["--signature", str(signature), "--certificate", str(certificate)]
            self._run(["verify-blob", str(path), *of], str(server), signer)

    def check_image(self, server: Server, digest: str, signer: Signer) -> None:
        """Check the signature of an image in the repository that a server has."""
        if not self._is_at_hand(f"{server}@{digest}"):
            return
        parts = urlsplit(server.url)
        reference = f"{parts.netloc.rpartition('@')[2]}{parts.path.removeprefix('/v2')}@{digest}"
        plain = ["--allow-http-registry"] if parts.scheme == "http" else []
        self._run(["verify", *plain, reference], reference, signer)

    @property
    def _is_there(self) -> bool:
        return shutil.which("cosign") is not None

    def _is_at_hand(self, what: str) -> bool:
        if self.wanted == OFF:
            return False
        self.check_tool()
        if not self._is_there:
            self.say(f"{what}: its signature is not checked, as cosign is not in PATH")
        return self._is_there

    def _text(self, server: Server) -> bytes:
        def ask() -> bytes:
            with server.asked() as response:
                return response.read(MOST)

        return asked_of(server, ask, self.say, tries=TRIES)

    def _run(self, argv: list[str], of: str, signer: Signer) -> None:
        who = ["--certificate-identity", signer.identity]
        who += ["--certificate-oidc-issuer", signer.issuer]
        try:
            run(["cosign", *argv, *who], what="cosign", timeout=allowed(SECONDS))
        except SlipwayError as error:
            (problem,) = error.problems
            what = f"is not found to be signed by {signer.identity}: {problem.what}"
            fix = f"have nothing of it used until that is explained; {_NONE_NEEDED}"
            raise SlipwayError(Problem(of, what, fix)) from error
