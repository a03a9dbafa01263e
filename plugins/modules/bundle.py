#!/usr/bin/python
"""Documentation of the action plugin bundle; nothing runs on the host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: bundle
short_description: Have everything that nodes get in directories on the controller
description:
  - Checks every file of the bundle against the sha256 sums of its manifest, and makes the bundle if
    it is not there or a file is missing or damaged.
  - The bundle lies below O(cache), under a key of everything that decides its content. A changed
    version makes another bundle and leaves the one before alone.
  - There is one for each processor that machines have. That of another one than this machine's is
    compiled across, and its packages are set up by QEMU's user mode, of which the kernel is told.
  - What is slow to make is kept part by part, so an interrupted run goes on where it was.
  - One line says where it comes from, and why, when it has to be made.
  - What a machine needs to make one is installed then, on Debian and as root.
  - It runs on the controller.
options:
  architectures:
    description:
      - The processors of the machines that get something of it, as images name them or as
        C(uname -m) does. Without one, it is this machine's.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - shared.lock
  - shared.provider
  - shared.secrets
  - shared.cache
attributes:
  check_mode:
    support: full
    details: The bundle is checked, and not made.
  diff_mode:
    support: none
author:
  - Slipway
"""

EXAMPLES = r"""
- name: Have the bundle in the cache
  bundle:
    project: "{{ slipway_project_dir }}"
    versions: "{{ slipway_versions }}"
    cache: ~/.cache/slipway
  register: found
"""

RETURN = r"""
ansible_facts:
  description: What the roles that follow go by.
  returned: success
  type: dict
  contains:
    bundle_dirs:
      description:
        - The directory of each bundle, by the architecture that it is for; in check mode also those
          of bundles that have to be made.
      type: dict
      sample: {amd64: /home/ada/.cache/slipway/bundle/0b3d1a7c93f2e584}
"""
