"""An extension, compiled once for each Maven, in a sandbox and by the compiler that is there."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from slipway.apps.builders.sandbox import IN, WORK, Place, Program, Sandboxes, give
from slipway.files import settle

CLASS_PATH = "maven.ext.class.path"
"""The property that names the folders of extensions."""

EXTENSIONS = "/extensions"
"""Where a sandbox finds them."""

LIBRARY = "/usr/share/maven/lib/*"
"""Where Debian's Maven has its own classes."""

SECONDS = 120.0

_HERE = Path(__file__).parent


def compiled(name: str, sandboxes: Sandboxes, cache: Path) -> str:
    """The folder of the extension of this name, as sandboxes see it; it is kept in ``cache``.

    Raises SlipwayError when it cannot be compiled.
    """
    java = (_HERE / f"{name}.java").read_bytes()
    made = cache / sha256(sandboxes.image.encode() + java).hexdigest()[:16]
    if not made.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            new = _classes(name, sandboxes, Path(scratch))
            components = new / "META-INF" / "plexus" / "components.xml"
            components.parent.mkdir(parents=True)
            components.write_text(_components(name))
            give(new)
            with suppress(OSError):  # somebody else has made it meanwhile
                settle(new, made)
    return f"{EXTENSIONS}/{made.name}"


def _classes(name: str, sandboxes: Sandboxes, scratch: Path) -> Path:
    place = Place(scratch / "sandbox", scratch / "handover")
    place.make()
    shutil.copy(_HERE / f"{name}.java", place.source)
    give(place.given)
    argv = ["javac", "-d", f"{WORK}/made", "-cp", LIBRARY, f"{IN}/source/{name}.java"]
    program = Program(argv, {}, network=False)
    sandboxes.run(place, program, what=f"Maven's extension {name}", timeout=SECONDS)
    return place.work / "made"


def _components(name: str) -> str:
    """What tells Maven's container of the extension."""
    return (
        "<component-set><components><component>"
        "<role>org.apache.maven.eventspy.EventSpy</role>"
        f"<role-hint>slipway-{name}</role-hint><implementation>slipway.{name}</implementation>"
        "</component></components></component-set>"
    )
