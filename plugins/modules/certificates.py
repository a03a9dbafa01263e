#!/usr/bin/python
"""Documentation of the action plugin certificates; its work is in slipway/on_node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: certificates
short_description: Have the certificates of a control plane made anew in time
description:
  - Where one of them has less than 60 days left, or has ended, kubeadm signs all of them anew with
    the cluster's authorities, for the same names. No API server has to answer for that.
  - A kubelet of a control plane whose certificate has ended gets another one, too. While a kubelet
    runs, it has a new one made by itself.
  - The static pods are started anew one after the other, each when the one before it answers.
  - What is interrupted is done again by the next run.
options:
  config:
    description: The file with kubeadm's configuration, which says of what kind keys are.
    type: path
    default: /etc/kubernetes/kubeadm.yaml
  node:
    description: The node's name.
    type: str
    required: true
  endpoint:
    description: Host and port at which the API server is reached.
    type: str
    required: true
  version:
    description: The version of Kubernetes.
    type: str
    required: true
  timeout:
    description: Seconds that each static pod may take to run.
    type: int
    required: true
attributes:
  check_mode:
    description: Reports whether certificates would be made anew, and changes nothing.
    support: full
  diff_mode:
    description: There is no content to compare.
    support: none
author:
  - Slipway
"""

EXAMPLES = r"""
- name: Have certificates that last
  certificates:
    node: slipway-control-plane
    endpoint: 172.29.0.2:6443
    version: 1.36.3
    timeout: 240
"""

RETURN = r"""
restarted:
  description: The static pods that were started anew.
  returned: success
  type: list
  elements: str
last:
  description:
    - When the first of those that were (or would be) made anew ends or ended, as a date; empty
      where an earlier run had made them.
  returned: success
  type: str
ended:
  description: Whether that is over.
  returned: success
  type: bool
"""
