#!/usr/bin/python
"""Documentation of the action plugin node_containers; nothing runs on the host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_containers
short_description: Have systemd containers as nodes in the controller's Docker
description:
  - Makes the network of the cluster, the image of its nodes and a container for every node, and
    waits until systemd has booted in each of them. A container that was stopped is started.
  - Containers that are there are left as they are, whatever image they were made of. One that lost
    its network, or its address there, is put back and started anew, and so is one that was started
    while the clock was ahead.
  - Everything carries the label C(internal.slipway.cluster), by which O(state=absent) finds it.
  - It runs on the controller.
options:
  state:
    description:
      - V(absent) removes every container, volume and network with the cluster's label.
    type: str
    choices: [present, absent]
    default: present
  cluster:
    description: The name of the cluster and of its network.
    type: str
    required: true
  subnet:
    description: The network's range of addresses. Required if O(state=present).
    type: str
  bundle:
    description: The directory of the bundle. Required if O(state=present).
    type: path
  image:
    description: The bundle's image that nodes are made of. Required if O(state=present).
    type: str
  nodes:
    description: The address of every node by its name.
    type: dict
    default: {}
  ports:
    description:
      - The ports of 127.0.0.1 that lead to nodes, of each by its own port, by the node's name. They
        stay as they were made.
    type: dict
    default: {}
  resolv_conf:
    description:
      - The file that always has this machine's name servers, which the nodes follow. Left empty, it
        is that of systemd-resolved, C(/etc/resolv.conf) or that of NetworkManager, whichever is the
        first that does not have only servers which nobody but this machine can ask.
    type: path
    default: ""
  images:
    description:
      - The images of the bundle that nodes have from the start, with the bundle's programs. Without
        any, they are as bare as a machine that was just installed.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
author:
  - Slipway
"""

EXAMPLES = r"""
- name: Have two nodes
  node_containers:
    cluster: slipway
    subnet: 172.29.0.0/16
    bundle: "{{ slipway_bundle_dir }}"
    image: bundle.slipway.internal/node:trixie
    images: [registry.k8s.io/pause:3.10.2]
    nodes:
      slipway-control-plane: 172.29.0.2
      slipway-worker: 172.29.0.3
    ports:
      slipway-control-plane: {30080: 80, 30443: 443}

- name: Remove the nodes and all that is in them
  node_containers:
    cluster: slipway
    state: absent
"""

RETURN = r"""
touched:
  description: The nodes that were (or would be) made or started.
  returned: if O(state=present)
  type: list
  elements: str
missing:
  description: The nodes that do not run when the task ends; some only in check mode.
  returned: if O(state=present)
  type: list
  elements: str
removed:
  description: The names of the containers, volumes and networks that were (or would be) removed.
  returned: if O(state=absent)
  type: list
  elements: str
"""
