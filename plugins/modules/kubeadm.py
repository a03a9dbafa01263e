#!/usr/bin/python
"""Documentation of the action plugin kubeadm; its work is in slipway/on_node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kubeadm
short_description: Carry out kubeadm init or join, or leave nothing of it
description:
  - Runs a command of kubeadm on a machine that is bare, as M(node_look) tells. A command that
    fails is undone, and its reason is told with the kubelet's last words.
  - As long as the command is not at its end, a note is on the machine, so that a run that is
    interrupted tells what it began from what others have there. Nothing else is ever undone.
options:
  command:
    description: What kubeadm is to do.
    type: str
    choices: [init, join]
    required: true
  config:
    description: The file with kubeadm's configuration.
    type: path
    default: /etc/kubernetes/kubeadm.yaml
  cluster:
    description: The cluster's name.
    type: str
    required: true
  endpoint:
    description: The URL of the cluster's API server.
    type: str
    required: true
  keys:
    description:
      - Files that the command is to find, by their paths, such as the keys that control planes
        share. They come when the note is there, for root alone, and go when the command is undone.
    type: dict
    default: {}
  begun:
    description: Whether the machine has what an interrupted run began, which is undone first.
    type: bool
    default: false
attributes:
  check_mode:
    description: Reports a change and makes none.
    support: full
  diff_mode:
    description: There is no content to compare.
    support: none
author:
  - Slipway
"""

EXAMPLES = r"""
- name: Have the machine join
  kubeadm:
    command: join
    cluster: lab
    endpoint: https://192.0.2.11:6443
"""

RETURN = r"""
undone:
  description: Whether something that an interrupted run had begun was undone first.
  returned: success
  type: bool
"""
