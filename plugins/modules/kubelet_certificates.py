#!/usr/bin/python
"""Documentation of the action plugin kubelet_certificates; nothing runs on the host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kubelet_certificates
short_description: Have the API server reach every kubelet over a connection that is proved
description:
  - Kubelets make their own keys, and ask for certificates of the cluster's authority, when they
    start and before one ends. A request is approved if a node of O(nodes) made it, for its own name
    and address and to serve with it; any other is left alone and told.
  - It ends once the API server gets an answer from every kubelet, which it gets of none whose
    certificate it cannot verify.
  - It runs on the controller.
options:
  nodes:
    description: The nodes of the cluster, with their addresses.
    type: dict
    required: true
  timeout:
    description: How many seconds it may take. After that each lacking node's reason is shown.
    type: int
    default: 120
extends_documentation_fragment:
  - shared.kubeconfig
attributes:
  check_mode:
    support: full
    details: Looks once at what is asked for, and approves nothing.
  diff_mode:
    support: N/A
author:
  - Slipway
"""

EXAMPLES = r"""
- name: Have the kubelet certified
  kubelet_certificates:
    kubeconfig: ~/.kube/slipway.yaml
    nodes: {slipway-worker: 172.29.0.3}
"""

RETURN = r"""
approved:
  description: The nodes whose requests were (or would be) approved.
  returned: success
  type: list
  elements: str
"""
