"""Helm charts as plain objects: ``helm template``, which asks neither a cluster nor the network."""

from __future__ import annotations

import json
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from slipway.errors import Problem, SlipwayError
from slipway.files import refused_below
from slipway.oci.files import GZIP, decompressed
from slipway.run import run
from slipway.waiting import allowed

SECONDS = 60.0
"""How long a chart may take."""

MEMORY = 1 << 30
"""How many bytes of memory a chart may take."""

HOOK = "helm.sh/hook"
"""The annotation of an object that Helm would create and remove at some moment of a release."""

_NO_ARCHIVE = (OSError, EOFError, ValueError, RecursionError, zlib.error, tarfile.TarError)
"""What reading a file as a compressed tar raises when it is none."""


def helm_program(bundle: Path) -> Path:
    """The bundle's own Helm, or the one on PATH when the bundle brings none."""
    own = bundle / "tools" / "helm"
    return own if own.exists() else Path("helm")


@dataclass(frozen=True)
class Helm:
    """The program, a path or a name on PATH, and the version of the cluster it renders for."""

    program: Path
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
        version = [f"--kube-version={self.kube_version}"] if self.kube_version else []
        with TemporaryDirectory(prefix="slipway-helm-") as home:
            # The user's plugins and repositories are not to matter, nor is a cluster.
            places = ("HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME", "HELM_PLUGINS")
            return run(
                [
                    self.program,
                    "template",
                    release,
                    chart,
                    f"--namespace={namespace}",
                    "--values=-",
                    "--include-crds",
                    "--skip-tests",
                    *version,
                ],
                what=f"chart {chart.name}",
                env={**dict.fromkeys(places, home), "KUBECONFIG": str(Path(home) / "none")},
                timeout=allowed(SECONDS),
                stdin=json.dumps(values).encode(),
                memory=MEMORY,
            )


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
