#!/usr/bin/python
"""Documentation of the action plugin control_plane_keys; its work is in slipway/on_node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: control_plane_keys
short_description: Have a control plane ready for others to join it
description:
  - Returns what all control planes of a cluster have in common, which its tasks must not show, the
    certificate authorities and their keys, the key of service accounts, and that of Secrets.
  - Machines that are to join may have been control planes of the cluster before, and have lost
    their disks, or been interrupted in joining. etcd would wait for these members, so they are
    taken out of it.
options:
  joining:
    description: The nodes that are to join, by name, with their addresses. They are bare.
    type: dict
    required: true
attributes:
  check_mode:
    description: Reports whether members of etcd would be taken out of it.
    support: full
  diff_mode:
    description: There is no content to compare.
    support: none
author:
  - Slipway
"""

EXAMPLES = r"""
- name: Have what another control plane needs
  control_plane_keys:
    joining:
      lab-control-plane-2: 192.0.2.12
  no_log: true
  register: keys
"""

RETURN = r"""
files:
  description: Certificates and keys, by the paths that kubeadm looks for them at.
  returned: success
  type: dict
secrets:
  description: The configuration by which the API servers keep Secrets, with its key.
  returned: success
  type: str
"""
