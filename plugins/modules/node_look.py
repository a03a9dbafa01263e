#!/usr/bin/python
"""Documentation of the action plugin node_look; its work is in slipway/on_node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_look
short_description: Tell a bare machine from a node of this cluster, and refuse any other
description:
  - Looks for traces of a cluster, for other container runtimes, and for name servers that pods can
    reach. It fails with all that stands in the way of a node, and changes nothing but that note
    which is told of below.
  - A machine is taken for a node of the cluster when its kubelet speaks to O(endpoint), or to one
    of O(control_planes). What
    M(kubeadm) began there for the cluster and was interrupted in is told by the note that it
    left. What had come to its end counts as a node, and the note goes.
  - While a kubeadm of an earlier run still runs there, it is waited for.
options:
  cluster:
    description: The cluster's name.
    type: str
    required: true
  endpoint:
    description: The URL of the cluster's API server.
    type: str
    required: true
  control_planes:
    description:
      - The addresses of control planes that have one in common. Their kubelets speak to the API
        server beside them, and others did when there was only one.
    type: list
    elements: str
    required: true
  control_plane:
    description: Whether the machine is a control plane of the cluster, and not a worker.
    type: bool
    required: true
  version:
    description: The version of Kubernetes that the node is to run.
    type: str
    required: true
  ca:
    description: The certificate of the cluster's authority, if it is known; a node has to have it.
    type: str
    default: ""
  resolv_conf:
    description:
      - The file with the name servers for pods. Left empty, it is the first of the machine's own
        that has a server which pods can reach.
    type: str
    default: ""
attributes:
  check_mode:
    description: Leaves the note.
    support: full
  diff_mode:
    description: There is nothing to compare.
    support: N/A
author:
  - Slipway
"""

EXAMPLES = r"""
- name: See what the machine is
  node_look:
    cluster: lab
    endpoint: https://192.0.2.11:6443
    control_planes: [192.0.2.11]
    control_plane: false
    version: 1.36.3
"""

RETURN = r"""
state:
  description:
    - V(bare) if nothing of a cluster is there, V(begun) if a run was interrupted in making it a
      node, V(member) if it is a node of the cluster.
  returned: success
  type: str
server:
  description: The URL of the API server that the kubelet of a node speaks to.
  returned: when it is a node
  type: str
authority:
  description: The SHA-256 sum of the certificate of a node's cluster.
  returned: when it is a node
  type: str
refusals:
  description: What stands in the way, each with C(what), what was C(found), and the C(fix).
  returned: failure
  type: list
  elements: dict
resolv_conf:
  description:
    - The C(path) of the file with the name servers for pods, and its C(content) if it has to be
      written because no file of the machine's is fit for pods as it is.
  returned: success
  type: dict
control_groups:
  description: The version of its control groups, 1 or 2.
  returned: success
  type: int
certificates:
  description:
    - How many seconds each certificate that kubeadm has signed, and the kubelet's, has left. One
      that cannot be read counts as ended.
  returned: success
  type: dict
renew:
  description: Whether M(certificates) is to make some of a control plane anew.
  returned: success
  type: bool
kubelet_ended:
  description: Whether the certificate is over by which the API server knows the kubelet.
  returned: success
  type: bool
"""
