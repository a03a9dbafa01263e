#!/usr/bin/python
"""Documentation of the action plugin kubeconfig; nothing runs on the host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kubeconfig
short_description: Have the cluster administrator's kubeconfig on the controller
description:
  - Takes the kubeconfig that kubeadm left on the node, if there is one, names cluster, user and
    context in it after the cluster, and writes it to the controller for its owner alone.
  - Its content is neither returned nor shown.
options:
  state:
    description:
      - V(absent) removes the file, those of M(person_kubeconfig), and the cluster's entries from
        O(merge_into).
    type: str
    choices: [present, absent]
    default: present
  path:
    description: The file on the controller, for this cluster alone.
    type: path
    required: true
  name:
    description: The name of cluster, user and context.
    type: str
    required: true
  merge_into:
    description:
      - A kubeconfig of several clusters that also gets the entries. Which context is current in it
        does not change, but for the cluster's own when that is removed.
    type: path
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details: A kubeconfig holds a key that opens the whole cluster.
author:
  - Slipway
"""

EXAMPLES = r"""
- name: Take the cluster's kubeconfig
  kubeconfig:
    path: ~/.kube/slipway.yaml
    name: slipway
    merge_into: ~/.kube/config
  register: taken
"""

RETURN = r"""
exists:
  description: Whether the node has a kubeconfig, and so a control plane.
  returned: if O(state=present)
  type: bool
"""
