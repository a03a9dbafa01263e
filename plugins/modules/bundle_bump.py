#!/usr/bin/python
"""Documentation of the action plugin bundle_bump; nothing runs on the host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: bundle_bump
short_description: Have the locks say newer versions that upstream publishes
description:
  - Asks the lists of versions that C(releases) of C(bundle/upstream.yml) names, or the proxies of
    Go's modules where it names none, for newer versions of what C(group_vars/all/versions.yml)
    locks. Both files are edited where they say something else then, and nothing else is.
  - Taken are later versions with the same major version, of Kubernetes with the same minor one. A
    version that is named may be any that is released; of Kubernetes, one of this or the next minor
    version.
  - Each file has to have a sum for every architecture, each image a platform, and each component a
    module at that version. A component that lacks any is left as it is. It fails the task when all
    others are edited.
  - It runs on the controller.
options:
  project:
    description: The checkout.
    type: path
    required: true
  wanted:
    description: What is looked at, each as C(NAME) or C(NAME=VERSION); all that has a list without.
    type: list
    elements: str
    default: []
  mirrors:
    description: Mirrors of upstream, as for the module M(bundle).
    type: dict
    default: {}
extends_documentation_fragment:
  - shared.secrets
attributes:
  check_mode:
    support: full
    details: Upstream is asked, and nothing is written.
  diff_mode:
    support: full
author:
  - Slipway
"""

EXAMPLES = r"""
- name: Have the newest containerd, and a certain Kubernetes
  bundle_bump:
    project: "{{ slipway_project_dir }}"
    wanted: [containerd, kubernetes=1.36.4]
"""

RETURN = r"""
versions:
  description: The versions that are others than before, by name.
  returned: success
  type: dict
  sample: {containerd: 2.4.3}
"""
