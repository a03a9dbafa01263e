#!/usr/bin/python
"""Documentation of the action plugin kubelet_server; its work is in slipway/on_node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kubelet_server
short_description: Have a kubelet ask an API server
description:
  - Writes the server into the kubeconfig of a node's kubelet and starts it anew. It is for clusters
    whose API is reached elsewhere than before; certificates stay, and so do the node's pods.
options:
  server:
    description: The URL of the cluster's API server.
    type: str
    required: true
attributes:
  check_mode:
    description: Reports whether it asks another one.
    support: full
  diff_mode:
    description: There is no content to compare.
    support: none
author:
  - Slipway
"""

EXAMPLES = r"""
- name: Have the kubelet ask where the API is reached now
  kubelet_server:
    server: https://192.0.2.10:8443
"""

RETURN = r"""
{}
"""
