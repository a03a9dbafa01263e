"""What an app is completed with: files, manifests, charts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slipway.apps.deploy.content import Content, complete
from slipway.apps.deploy.helm import Helm
from tests.support.apps import built
from tests.support.sandboxes import Below

NO_HELM = Helm(Path("/nonexistent/helm"), Below())


def content(program: Helm = NO_HELM, /, **changes: Any) -> Content:
    return complete(built(**changes), {}, program)


def only_fault(found: Content) -> str:
    [fault] = found.faults
    return fault


def fake_helm(tmp_path: Path, rendered: str, *, ends: int = 0) -> Helm:
    """A program in Helm's place that notes what it was given, and prints ``rendered``."""
    program, noted = tmp_path / "helm", tmp_path / "noted"
    (tmp_path / "rendered").write_text(rendered)
    shown = "2" if ends else "1"
    program.write_text(
        f"#!/bin/sh\n"
        f'printf "%s\\n" "$@" "$(env)" > {noted}\n'
        f"for argument; do\n"
        f'case "$argument" in --values=*) cp "${{argument#*=}}" {tmp_path / "values"};; esac\n'
        f"done\n"
        f"find -L . -type f -exec sha256sum {{}} + > {tmp_path / 'seen'}\n"
        f"cat {tmp_path / 'rendered'} >&{shown}\nexit {ends}\n"
    )
    program.chmod(0o755)
    return Helm(program, Below(), "v1.36.3")
