#!/usr/bin/python
"""Documentation of the action plugin node_registries; its work is in slipway/on_node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_registries
short_description: Have a node's containerd know the registries that it pulls from
description:
  - Writes a folder below C(/etc/containerd/certs.d) for each registry, which containerd reads at
    every pull, so that nothing is restarted. What was written for a registry that is named no more
    is taken back.
  - Each pod of the node gets by such a login what the login can pull.
extends_documentation_fragment:
  - shared.registries
  - shared.secrets
attributes:
  check_mode:
    description: Reports what would change and changes nothing.
    support: full
  diff_mode:
    description: Names the files, which may hold logins, and shows nothing of them.
    support: none
author:
  - Slipway
"""

EXAMPLES = r"""
- name: Have the registries known that it pulls from
  node_registries:
    registries:
      docker.io: {mirrors: [https://mirror.example.com]}
      mirror.example.com: {user: ada, password: mirror_password, ca: /etc/ssl/example.pem}
"""

RETURN = r"""
replaced:
  description: Paths of the files that were (or would be) written or removed.
  returned: always
  type: list
  elements: str
"""
