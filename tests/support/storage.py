"""What the role of volumes applies."""

from __future__ import annotations

from typing import Any

import yaml

from tests.support.checkout import PROJECT
from tests.support.role_templates import rendered, variables

TEMPLATE = PROJECT / "roles/storage/templates/local-path.yml.j2"


def objects() -> dict[str, dict[str, Any]]:
    """Its objects, by kind."""
    images = {"__storage_image": "image:1", "__storage_helper_image": "shell:1"}
    known = variables("lab", "storage", **images, __storage_image_digest="sha256:0")
    found = yaml.safe_load_all(str(rendered(TEMPLATE.read_text(), known)))
    return {each["kind"]: each for each in found}
