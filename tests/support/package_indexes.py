"""What steps of a build need to be given to have packages from where this machine has them."""

from __future__ import annotations

from pathlib import Path

OWN_AUTHORITIES = Path("/usr/local/share/ca-certificates")
"""Where this machine has authorities that an image does not."""

MARK = "only for the build"
"""What no image has of it."""


def secrets() -> dict[str, str]:
    """Secrets of a build: settings of pip, and this machine's own authorities if it has some."""
    own = "".join(path.read_text() for path in sorted(OWN_AUTHORITIES.rglob("*.crt")))
    cert = "cert = /etc/pip-authorities.crt\n" if own else ""
    return {"pip": f"# {MARK}\n[global]\n{cert}", **({"authorities": own} if own else {})}
