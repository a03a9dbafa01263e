"""Helm charts as plain objects: ``helm template`` in a sandbox, which has neither a cluster nor a
network to ask.
"""

from __future__ import annotations

import json
import shutil
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from slipway.apps.builders.sandbox import IN, WORK, Place, Program, Sandboxes, give
from slipway.errors import Problem, SlipwayError
from slipway.files import refused_below
from slipway.oci.files import GZIP, decompressed
from slipway.waiting import allowed

SECONDS = 60.0
"""How long a chart may take."""

MEMORY = 1 << 30
"""How many bytes of memory a chart may take."""

MOST_TEXT = 16 << 20
"""How many bytes of objects a chart may give."""

HELM = "/helm"
"""Where a sandbox finds the program."""

_VALUES, _OBJECTS = "values.json", "objects"
"""What it is given, and what comes of it."""

HOOK = "helm.sh/hook"
"""The annotation of an object that Helm would create and remove at some moment of a release."""

_NO_ARCHIVE = (OSError, EOFError, ValueError, RecursionError, zlib.error, tarfile.TarError)
"""What reading a file as a compressed tar raises when it is none."""


def helm_program(bundle: Path) -> Path:
    """The bundle's own Helm, or the one on PATH when the bundle brings none."""
    own = bundle / "tools" / "helm"
    return own if own.exists() else Path(shutil.which("helm") or own)


@dataclass(frozen=True)
class Helm:
    """The program, where it is run, and the version of the cluster that it renders for."""

    program: Path
    sandboxes: Sandboxes
    kube_version: str = ""

    def template(
        self, chart: Path, *, release: str, namespace: str, values: Mapping[str, Any]
    ) -> str:
        """The chart's objects as YAML, definitions of kinds among them, its tests left out.

        Raises SlipwayError with Helm's last words when the chart cannot be rendered, as when one
        that it depends on is not in its folder, and before that when it has links out of its
        folder: Helm would follow them, and a template can put any file that is read into an object.
        """
        if not (chart / "Chart.yaml").is_file():
            what = "is no chart: it has no Chart.yaml"
            raise SlipwayError(Problem(str(chart), what, "name the folder that has it"))
        if refused := [*refused_below(chart, "the chart"), *_refused_in_archives(chart)]:
            fix = "put the file itself into the chart"
            raise SlipwayError(
                Problem(f"chart {chart.name}", f"{name} cannot be read: {why}", fix)
                for name, why in refused
            )
        if not self.program.exists():
            what = f"cannot be rendered, as {self.program} is not there"
            raise SlipwayError(Problem(f"chart {chart.name}", what, "make the bundle first"))
        version = [f"--kube-version={self.kube_version}"] if self.kube_version else []
        argv = [
            *(HELM, "template", release, "."),
            f"--namespace={namespace}",
            f"--values={IN}/{_VALUES}",
            "--include-crds",
            "--skip-tests",
            *version,
        ]
        program = Program(
            argv,
            {"KUBECONFIG": f"{WORK}/none"},
            readable={HELM: self.program},
            output=_OBJECTS,
            network=False,
            memory=MEMORY,
        )
        with TemporaryDirectory(prefix="slipway-") as folder:
            place = Place(Path(folder) / "sandbox", Path(folder) / "handover")
            place.make()
            shutil.copytree(chart, place.source, symlinks=True, dirs_exist_ok=True)
            (place.given / _VALUES).write_text(json.dumps(values))
            give(place.given)
            what = f"chart {chart.name}"
            self.sandboxes.run(place, program, what=what, timeout=allowed(SECONDS))
            text = place.handed_over(_OBJECTS, MOST_TEXT + 1)
        if len(text.encode()) > MOST_TEXT:
            raise SlipwayError(Problem(what, f"gives more than {MOST_TEXT >> 20} MB of text"))
        return text


def _refused_in_archives(chart: Path) -> Iterator[tuple[str, str]]:
    """The links in archives of charts that this one depends on: Helm takes them for empty files."""
    for path in sorted(chart.rglob("charts/*.tgz")):
        name = path.relative_to(chart)
        try:
            with path.open("rb") as packed:
                plain = decompressed(packed, path.stat().st_size, GZIP)
                with tarfile.open(fileobj=plain, mode="r|") as tar:
                    for member in tar:
                        if member.issym() or member.islnk():
                            yield f"{name}: {member.name}", "it is a link, which Helm leaves empty"
        except _NO_ARCHIVE as error:
            yield str(name), f"it is no archive of a chart: {error}"
