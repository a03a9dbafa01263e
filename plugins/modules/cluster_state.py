#!/usr/bin/python
"""Documentation of the action plugin cluster_state; nothing runs on the host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_state
short_description: Ask the API server for the cluster's nodes
description:
  - Asks once, or waits until the nodes that are named are as far as O(wait_for) says.
  - That there is no kubeconfig yet, or that no API server answers, is an answer too, unless
    something is waited for.
  - It changes nothing, and runs on the controller.
options:
  wait_for:
    description:
      - What every node of O(nodes) has to have. With V(pod_cidr) its pods have a range of
        addresses; with V(ready) it runs pods.
    type: str
    choices: [nothing, pod_cidr, ready]
    default: nothing
  nodes:
    description: The names of the nodes to wait for. Without any, the API server is waited for.
    type: list
    elements: str
    default: []
  timeout:
    description: How many seconds the wait may take. After that each lacking node's reason is shown.
    type: int
    default: 120
extends_documentation_fragment:
  - shared.kubeconfig
attributes:
  check_mode:
    support: full
    details: Asks once and waits for nothing.
  diff_mode:
    support: N/A
author:
  - Slipway
"""

EXAMPLES = r"""
- name: Wait until both nodes are ready
  cluster_state:
    kubeconfig: ~/.kube/slipway.yaml
    wait_for: ready
    nodes: [slipway-control-plane, slipway-worker]
"""

RETURN = r"""
answers:
  description: Whether an API server answers.
  returned: success
  type: bool
reason:
  description: Why it does not.
  returned: if it does not answer
  type: str
nodes:
  description: All nodes of the cluster, by name.
  returned: success
  type: dict
  sample:
    slipway-worker:
      pod_cidr: 10.244.1.0/24
      address: 172.29.0.3
      labels: {kubernetes.io/hostname: slipway-worker}
      version: v1.36.3
      schedulable: true
      ready: true
      reason: kubelet is posting ready status
"""
