"""kube-bench, which asks a node what the CIS Kubernetes Benchmark asks."""

from __future__ import annotations

import json
import tarfile
from io import BytesIO
from pathlib import Path
from typing import Any

from testinfra.host import Host

from slipway.architecture import Architecture
from slipway.bundle.go import Component, toolchain
from slipway.cache.layout import CacheLayout
from slipway.nodes import containers

MODULE = "github.com/aquasecurity/kube-bench"
VERSION = "0.12.0"
BENCHMARK = "cis-1.10"
"""The newest that this version has."""

PINS = Path(__file__).parents[1] / "kube_bench"
TOOLCHAIN = Path(__file__).parents[2] / "bundle" / "go" / "requirements.txt"
FOLDER = "/srv/kube-bench"
"""Of a node, for as long as it is asked."""


def archive(cache: CacheLayout, go: str) -> bytes:
    """The program and its questions; it is compiled once, and stays in the cache."""
    component = Component("kube-bench", PINS, VERSION, go, {"kube-bench": MODULE}, module=MODULE)
    tools = toolchain(go, cache, Architecture.here(), TOOLCHAIN)
    made = cache.root / f"kube-bench-{component.key[:16]}"
    if not (made / "kube-bench").exists():
        tools.fetch(component)
        tools.compile(component, made)
    packed, questions = BytesIO(), tools.module_folder(component) / "cfg"
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.add(made / "kube-bench", f"{Path(FOLDER).name}/kube-bench")
        for name in ("config.yaml", BENCHMARK):
            tar.add(questions / name, f"{Path(FOLDER).name}/cfg/{name}")
    return packed.getvalue()


def asked(name: str, host: Host, program: bytes, targets: str) -> dict[str, str]:
    """What came of each check of a node that is a container, by the check's number."""
    node = containers.connect().containers.get(name)
    assert node.put_archive(str(Path(FOLDER).parent), program)
    try:
        said = host.check_output(
            f"cd {FOLDER} && ./kube-bench run --targets {targets} --benchmark {BENCHMARK} "
            "--config-dir cfg --json 2>/dev/null"
        )
    finally:
        host.check_output(f"rm -r {FOLDER}")
    found: list[dict[str, Any]] = json.loads(said)["Controls"]
    return {
        check["test_number"]: check["status"]
        for control in found
        for group in control["tests"]
        for check in group["results"]
    }
