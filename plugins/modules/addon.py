#!/usr/bin/python
"""Documentation of the action plugin addon; nothing runs on the host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: addon
short_description: Have the objects of manifests in the cluster
description:
  - Writes objects of any kind by server-side apply, in an order in which each finds what it needs.
  - Kinds that an object before has only just defined, and webhooks that are still starting, are
    waited for.
  - An object that is as the manifest says is not changed.
  - An APIService without C(caBundle) and C(insecureSkipTLSVerify) gets the former, and its service
    a certificate in the Secret C(<service>-certificate), which is made anew before it ends.
  - With O(state=absent) the objects are removed, but for those that somebody else has made. A
    namespace stays that has anything else in it.
  - It runs on the controller.
options:
  files:
    description: Manifests on the controller, applied before O(manifests).
    type: list
    elements: path
    default: []
  manifests:
    description: The text of each manifest, which may hold several objects.
    type: list
    elements: str
    default: []
  state:
    description: Whether the objects are to be there. Their end is always waited for.
    type: str
    choices: [present, absent]
    default: present
  wait:
    description:
      - Whether to wait until the Deployments and DaemonSets among the objects run and services of
        type LoadBalancer have an address.
    type: bool
    default: false
  timeout:
    description: How many seconds an object, and the wait for all, may take.
    type: int
    default: 120
extends_documentation_fragment:
  - shared.kubeconfig
attributes:
  check_mode:
    support: full
    details: The API checks every object whose kind and namespace exist.
  diff_mode:
    support: none
author:
  - Slipway
"""

EXAMPLES = r"""
- name: Have MetalLB running
  addon:
    kubeconfig: ~/.kube/slipway.yaml
    manifests:
      - "{{ lookup('ansible.builtin.file', 'metallb.yaml') }}"
    wait: true
"""

RETURN = r"""
applied:
  description: The objects that were (or would be) made or changed, as C(Kind/name).
  returned: success, when O(state=present)
  type: list
  elements: str
  sample:
    - Deployment/controller
removed:
  description: The objects that were (or would be) removed, as C(Kind/name).
  returned: success, when O(state=absent)
  type: list
  elements: str
  sample:
    - Namespace/metallb-system
"""
