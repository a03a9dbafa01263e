"""Signatures of OpenSSH, by which a team knows its own archives (ssh-keygen(1), -Y)."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from slipway.errors import Problem, SlipwayError
from slipway.run import QUICK, run
from slipway.waiting import allowed

NAMESPACE = "slipway-bundle"
"""What signatures are for: one for something else does not count."""

_NOBODY = {"SSH_ASKPASS": "false", "SSH_ASKPASS_REQUIRE": "force"}
"""Nobody is there to give a passphrase."""


def sign(text: bytes, key: Path) -> bytes:
    """The signature of a text by a private key, or by the agent's whose public half ``key`` is.

    Raises SlipwayError when it cannot be had.
    """
    if not key.is_file():
        raise SlipwayError(Problem(str(key), "is no file of a key", "KEY=~/.ssh/id_ed25519"))
    fix = "a key with a passphrase signs by the agent: ssh-add, and KEY names its public half"
    argv: list[str | Path] = ["ssh-keygen", "-Y", "sign", "-q", "-n", NAMESPACE, "-f", key]
    seconds = allowed(QUICK)
    signed = run(argv, what="signature", stdin=text, env=_NOBODY, timeout=seconds, fix=fix)
    return signed.encode()


def verify(text: bytes, signature: bytes, signers: Path) -> str:
    """Who of the ``signers``, a file of allowed signers, signed a text.

    Raises SlipwayError with the reason when nobody of them did.
    """
    if not signers.is_file():
        fix = "write one: on a line, a name and the public half of a key"
        raise SlipwayError(Problem(str(signers), "is no file of allowed signers", fix))
    if shutil.which("ssh-keygen") is None:
        raise SlipwayError(Problem("ssh-keygen", "is not installed", "install openssh-client"))
    if not signature:
        raise SlipwayError(_refused(f"is not signed, and {signers} says who has to sign"))
    with tempfile.NamedTemporaryFile(suffix=".sig") as file:
        file.write(signature)
        file.flush()
        of: list[str | Path] = ["-f", signers, "-s", file.name]
        try:
            found = _asked("find-principals", *of)
            names = [name for line in found.splitlines() for name in line.split(",")]
            name = next((name for name in names if not name.startswith("!")), "")
            _asked("verify", "-n", NAMESPACE, "-I", name, *of, stdin=text)
        except SlipwayError as error:
            (problem,) = error.problems
            what = f"is not by any of {signers}, for {NAMESPACE}: {problem.what}"
            raise SlipwayError(_refused(what)) from error
    return name


def _refused(what: str) -> Problem:
    fix = "have it signed (make bundle OUT=... KEY=...), or add who signed it to the file"
    return Problem("signature", what, fix)


def _asked(action: str, *argv: str | Path, stdin: bytes = b"") -> str:
    command = ["ssh-keygen", "-Y", action, *argv]
    return run(command, what=action, stdin=stdin, timeout=allowed(QUICK))
