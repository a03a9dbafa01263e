#!/usr/bin/python
"""Documentation of the action plugin control_plane; its work is in slipway/on_node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: control_plane
short_description: Have a control plane run as kubeadm's configuration says
description:
  - kubeadm reads its configuration when it makes a cluster. This module has it write the static
    pods of a cluster that is there anew, waits until those that differ have been started with what
    is new, and brings the Secrets into the form in which they are kept now.
  - The API server gets a certificate with all names of the configuration. When the API is to be
    reached elsewhere, what the cluster and its administrator know of that follows.
  - A control plane that does not come up so gets its former static pods back.
  - It notes which configuration it carried out, and does nothing for one that it did. That is noted
    last, so that what is interrupted is done again.
options:
  config:
    description: The file with kubeadm's configuration.
    type: path
    default: /etc/kubernetes/kubeadm.yaml
  node:
    description: The node's name in the cluster.
    type: str
    required: true
  endpoint:
    description: The URL of the cluster's API server.
    type: str
    required: true
  sum:
    description: The SHA-256 sum that the file has, or will have.
    type: str
    required: true
  made:
    description: Whether kubeadm made the control plane just now, with this configuration.
    type: bool
    required: true
  timeout:
    description: Seconds that static pods may take to run.
    type: int
    required: true
attributes:
  check_mode:
    description: Reports whether another configuration was carried out last, and changes nothing.
    support: full
  diff_mode:
    description: There is no content to compare.
    support: none
author:
  - Slipway
"""

EXAMPLES = r"""
- name: Have the control plane run as it is configured
  control_plane:
    node: lab-control-plane
    endpoint: https://192.0.2.11:6443
    sum: "{{ configuration | hash('sha256') }}"
    made: false
    timeout: 240
"""

RETURN = r"""
restarted:
  description: The static pods that were written anew, and so started anew.
  returned: success
  type: list
  elements: str
"""
