"""containerd's configuration as the role writes it."""

from __future__ import annotations

from pathlib import Path

import jinja2
import yaml

from plugins.filter.image_ref import image_ref

PROJECT = Path(__file__).parents[2]
ROLE = PROJECT / "roles/container_runtime"
VERSIONS = yaml.safe_load((PROJECT / "group_vars/all/versions.yml").read_text())["slipway_versions"]


def rendered(version: int, in_containers: bool = True) -> str:
    """The configuration file of that version."""
    environment = jinja2.Environment(autoescape=False)
    environment.filters["image_ref"] = image_ref
    template = environment.from_string((ROLE / f"templates/config-{version}.toml.j2").read_text())
    return template.render(slipway_versions=VERSIONS, slipway_nodes_are_containers=in_containers)
