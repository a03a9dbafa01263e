#!/usr/bin/python
"""Documentation of the action plugin machine_look; its work is in slipway/on_node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: machine_look
short_description: Read what a machine has, for others to judge
description:
  - Reads the facts that decide whether a machine will do as a control node or as a node, and judges
    none of them. What cannot be read does not keep the rest from being read.
  - It is an action plugin, which asks first by a shell whether there is a Python that modules run
    with, and root. It also says what M(node_look) does, and of a machine that cannot be reached
    why, with the SSH host key if that is the reason; none of this ends the run.
  - Nothing is changed. Addresses are asked for by ARP, as an address is before it is taken. Where a
    control plane is to be made, some KiB are written to try the disk, and left nowhere.
options:
  node:
    description: The arguments of M(node_look), which is asked what the machine is.
    type: dict
    required: true
  address:
    description: The machine's address in the cluster.
    type: str
    default: ""
  pool:
    description:
      - Ranges of addresses on the machine's segment, of which those are told that somebody has.
        They are asked for by the control plane alone, and only while it is bare.
    type: list
    elements: str
    default: []
  nodes:
    description: Addresses of all nodes, to which the machine is asked its ways.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    description: Changes nothing in any mode.
    support: full
  diff_mode:
    description: There is nothing to compare.
    support: N/A
author:
  - Slipway
"""

EXAMPLES = r"""
- name: See what the machine has
  machine_look:
    node:
      cluster: lab
      endpoint: https://192.0.2.11:6443
      control_planes: [192.0.2.11]
      control_plane: true
      version: 1.36.3
    address: 192.0.2.11
    nodes: [192.0.2.11, 192.0.2.21]
    pool: [192.0.2.200-192.0.2.220]
"""

RETURN = r"""
shell:
  description:
    - What a shell said of the machine before any module ran there - the C(user) that commands run
      as, the C(python) that was found among the C(interpreters), the C(release) of the
      distribution, and the last words if it said none of that (C(said)).
  returned: when the machine could be reached
  type: dict
host_key:
  description: The SSH host key for which the machine cannot be reached; empty if it is not that.
  returned: always
  type: dict
facts:
  description: What was read, by name.
  returned: when modules run on the machine
  type: dict
unknown:
  description: Why a fact could not be read, by its name.
  returned: when modules run on the machine
  type: dict
state:
  description: What the machine is, as M(node_look) says; empty where that refuses it.
  returned: when modules run on the machine
  type: str
refusals:
  description: What M(node_look) says against the machine.
  returned: when modules run on the machine
  type: list
  elements: dict
certificates:
  description: The certificates of the cluster that are there, as M(node_look) says.
  returned: when modules run on the machine
  type: dict
skew:
  description: How many seconds the machine's clock is ahead of the control node's.
  returned: when modules run on the machine
  type: float
reached:
  description: Whether the machine could be reached.
  returned: always
  type: bool
failure:
  description: Why the machine could not be asked; empty if it could.
  returned: always
  type: str
ansible_facts:
  description: What the run goes by later.
  returned: when modules run on the machine
  type: dict
  contains:
    architecture:
      description: The machine's processor, if it could be read.
      type: str
"""
