#!/usr/bin/python
"""Documentation of the action plugin kubelet_bootstrap; its work is in slipway/on_node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kubelet_bootstrap
short_description: Have a node's kubelet back that is known to nobody any more
description:
  - The certificate of a kubelet ends where the node was off when it should have had a new one. This
    module lets the kubelet ask for one as a new node does, and waits until it has it.
  - Nothing else of the node changes, and its pods go on.
options:
  kubeconfig:
    description: A kubeconfig with a token for new nodes. It is shown nowhere, and does not stay.
    type: str
    required: true
  timeout:
    description: Seconds that it may take.
    type: int
    required: true
attributes:
  check_mode:
    description: Reports whether it has to ask, and changes nothing.
    support: full
  diff_mode:
    description: There is no content to compare.
    support: none
author:
  - Slipway
"""

EXAMPLES = r"""
- name: Have the kubelet known again
  kubelet_bootstrap:
    kubeconfig: "{{ lookup('ansible.builtin.template', 'discovery.yaml.j2') }}"
    timeout: 120
  no_log: true
"""

RETURN = r"""
{}
"""
