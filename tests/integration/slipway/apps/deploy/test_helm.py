"""Charts, rendered by the bundle's Helm in sandboxes of this machine's engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.apps.deploy.helm import Helm, helm_program
from slipway.errors import SlipwayError
from tests.support.real_bundle import real_bundle, sandboxes_of_charts

CHART = "apiVersion: v2\nname: web\nversion: 1.0.0\n"

TEMPLATE = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}, namespace: {{ .Release.Namespace }}}
data:
  greeting: {{ .Values.greeting | quote }}
  file: {{ .Files.Get "files/one" | quote }}
  version: {{ .Capabilities.KubeVersion.Version | quote }}
"""


def rendered(folder: Path, template: str) -> str:
    """What comes of a chart with one template."""
    files = {"Chart.yaml": CHART, "templates/x.yaml": template, "files/one": "1"}
    for name, text in files.items():
        path = folder / "chart" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    helm = Helm(helm_program(real_bundle()), sandboxes_of_charts(), "v1.36.3")
    values = {"greeting": "Good morning \u2600"}
    return helm.template(folder / "chart", release="r", namespace="web-main", values=values)


def test_a_chart_is_rendered_as_outside(tmp_path: Path) -> None:
    text = rendered(tmp_path, TEMPLATE)
    assert "# Source: web/templates/x.yaml" in text
    assert "metadata: {name: r, namespace: web-main}" in text
    for line in ('greeting: "Good morning \u2600"', 'file: "1"', 'version: "v1.36.3"'):
        assert line in text


def test_what_helm_says_is_told(tmp_path: Path) -> None:
    with pytest.raises(
        SlipwayError, match="chart chart: /helm ended with code 1; it last said"
    ) as told:
        rendered(tmp_path, "{{ fail `no such thing` }}")
    assert "no such thing" in str(told.value)


def test_a_chart_that_wants_all_memory_is_ended(tmp_path: Path) -> None:
    with pytest.raises(SlipwayError, match="more than 1 GiB of memory"):
        rendered(tmp_path, "{{ repeat 2000000000 `ab` | sha256sum }}")
