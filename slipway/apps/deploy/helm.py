"""Helm charts as plain objects: ``helm template``, which asks neither a cluster nor the network."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from slipway.errors import Problem, SlipwayError
from slipway.run import run

SECONDS = 60.0
"""How long a chart may take."""

HOOK = "helm.sh/hook"
"""The annotation of an object that Helm would create and remove at some moment of a release."""


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
        that it depends on is not in its folder.
        """
        if not (chart / "Chart.yaml").is_file():
            what = "is no chart: it has no Chart.yaml"
            raise SlipwayError(Problem(str(chart), what, "name the folder that has it"))
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
                timeout=SECONDS,
                stdin=json.dumps(values).encode(),
            )
