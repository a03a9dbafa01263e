#!/usr/bin/python
"""Documentation of the action plugin node_reset; its work is in slipway/on_node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_reset
short_description: Take what Slipway put on a machine off it
description:
  - Has kubeadm leave the cluster and undoes what M(node_config) has in its record, what came last
    first. Units are stopped and disabled, files removed, directories if they are empty then; a file
    that was there before comes back, but a unit of it is not started.
  - Removes what the cluster's programs made while they ran.
  - A node of another cluster, and a machine that Slipway never changed, are left as they are.
options:
  endpoint:
    description: The URL of the API server of the cluster that the machine is a node of.
    type: str
    required: true
  control_planes:
    description: The addresses of the cluster's control planes, which nodes may speak to as well.
    type: list
    elements: str
    required: true
attributes:
  check_mode:
    description: Lists what would be removed and removes nothing.
    support: full
  diff_mode:
    description: There is no content to compare.
    support: none
author:
  - Slipway
"""

EXAMPLES = r"""
- name: Take what Slipway put there off the machine
  node_reset:
    endpoint: https://192.0.2.11:6443
    control_planes: [192.0.2.11]
"""

RETURN = r"""
removed:
  description: Files, units, tables and links that were (or would be) removed, and undoing commands.
  returned: always
  type: list
  elements: str
restored:
  description: Files that were there before and are (or would be) back.
  returned: success
  type: list
  elements: str
"""
