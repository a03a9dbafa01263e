#!/usr/bin/python
"""Documentation of the action plugin sbom; nothing runs on the host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: sbom
short_description: Write bills of materials of the bundle, of Slipway and of all images of apps
description:
  - Writes C(bundle.cdx.json), C(slipway.cdx.json) and, for each image of an app in the image store,
    a file in C(apps), as CycloneDX 1.6 in JSON. Those of what is gone are removed.
  - The bundles and images for machines of another kind have files of their own, which end in
    C(-arm64.cdx.json), for example.
  - Of images, the packages of Debian and Alpine are read, the modules of programs of Go, and what
    Python's packages, archives of Java and modules of Node say of themselves.
  - An image that cannot be read fails the task when all others are described.
  - It runs on the controller.
options:
  folder:
    description: Where the documents are written; it is made.
    type: path
    required: true
extends_documentation_fragment:
  - shared.lock
  - shared.provider
  - shared.secrets
  - shared.cache
attributes:
  check_mode:
    support: none
    details: Nothing is read or written in a check.
  diff_mode:
    support: none
author:
  - Slipway
"""

EXAMPLES = r"""
- name: Describe what there is
  sbom:
    project: "{{ slipway_project_dir }}"
    versions: "{{ slipway_versions }}"
    cache: ~/.cache/slipway
    folder: /srv/sbom
"""

RETURN = r"""
files:
  description: The documents that were written or removed.
  returned: success
  type: list
  elements: str
  sample: [/srv/sbom/bundle.cdx.json]
"""
