"""An extension, compiled once for each Maven by the compiler that there is."""

from __future__ import annotations

import os
import shutil
import tempfile
from hashlib import sha256
from pathlib import Path

from slipway.errors import SlipwayError
from slipway.run import run

CLASS_PATH = "maven.ext.class.path"
"""The property that names the folders of extensions."""

_HERE = Path(__file__).parent


def compiled(name: str, cache: Path) -> Path | None:
    """The folder of the extension of this name in ``cache``; None where it cannot be compiled."""
    maven = shutil.which("mvn")
    home = os.environ.get("JAVA_HOME")
    compiler = shutil.which(f"{home}/bin/javac" if home else "javac")
    if maven is None or compiler is None:
        return None
    library = Path(maven).resolve().parent.parent / "lib"
    java = _HERE / f"{name}.java"
    of = sha256(f"{library} {Path(compiler).resolve()}".encode() + java.read_bytes())
    made = cache / of.hexdigest()[:16]
    if not made.exists():
        made.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=made.parent) as scratch:
            new = Path(scratch) / "new"
            components = new / "META-INF" / "plexus" / "components.xml"
            components.parent.mkdir(parents=True)
            components.write_text(_components(name))
            command = [compiler, "-d", str(new), "-cp", f"{library}/*", str(java)]
            try:
                run(command, what=f"Maven's extension {name}")
                new.rename(made)
            except (SlipwayError, OSError):
                return made if made.exists() else None
    return made


def _components(name: str) -> str:
    """What tells Maven's container of the extension."""
    return (
        "<component-set><components><component>"
        "<role>org.apache.maven.eventspy.EventSpy</role>"
        f"<role-hint>slipway-{name}</role-hint><implementation>slipway.{name}</implementation>"
        "</component></components></component-set>"
    )
