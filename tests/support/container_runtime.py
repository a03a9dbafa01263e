"""containerd's configuration as the role writes it."""

from __future__ import annotations

import jinja2

from plugins.filter.image_ref import image_ref
from tests.support.checkout import PROJECT, VERSIONS

ROLE = PROJECT / "roles/container_runtime"


def rendered(version: int, in_containers: bool = True) -> str:
    """The configuration file of that version."""
    environment = jinja2.Environment(autoescape=False)
    environment.filters["image_ref"] = image_ref
    template = environment.from_string((ROLE / f"templates/config-{version}.toml.j2").read_text())
    return template.render(slipway_versions=VERSIONS, slipway_nodes_are_containers=in_containers)
