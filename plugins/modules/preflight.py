#!/usr/bin/python
"""Documentation of the action plugin preflight; nothing runs on the host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight
short_description: Find what is wrong before anything is changed
description:
  - Checks the inventory's groups and addresses, the cluster that runs, if one does, and the file
    of the apps, and fails with every mistake at once, each with its place and how to mend it.
options:
  apps_file:
    description: The file that says what runs.
    type: path
    required: true
  nodes:
    description: Names of the nodes with their addresses.
    type: dict
    required: true
  control_plane:
    description: Names of the nodes of the control plane.
    type: list
    elements: str
    required: true
  workers:
    description: Names of the other nodes.
    type: list
    elements: str
    default: []
  pool:
    description: Ranges of addresses (first-last, or a network) for services of type LoadBalancer.
    type: list
    elements: str
    required: true
  pod_subnet:
    description: Network of the pods.
    type: str
    required: true
  service_subnet:
    description: Network of the services.
    type: str
    required: true
  segment:
    description: Network of container nodes; empty for machines.
    type: str
    default: ""
  kubeconfig:
    description:
      - The kubeconfig of the cluster, which need not be there yet. A cluster that answers has to
        be the inventory's, and of O(version). Left out, none is asked.
    type: path
  version:
    description: The version of Kubernetes that the nodes are to run.
    type: str
extends_documentation_fragment:
  - shared.secrets
attributes:
  check_mode:
    description: Changes nothing in any mode.
    support: full
  diff_mode:
    description: There is nothing to compare.
    support: none
author:
  - Slipway
"""

EXAMPLES = r"""
- name: Look for what is wrong before anything is changed
  preflight:
    apps_file: apps.yml
    nodes: {slipway-control-plane: 172.29.0.2}
    control_plane: [slipway-control-plane]
    kubeconfig: ~/.kube/slipway.yaml
    version: 1.36.3
    pool: [172.29.255.200-172.29.255.250]
    pod_subnet: 10.244.0.0/16
    service_subnet: 10.96.0.0/16
"""

RETURN = r"""
changed:
  description: Always false; this only looks.
  returned: always
  type: bool
"""
