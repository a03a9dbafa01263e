#!/usr/bin/python
"""Documentation of the action plugin doctor; nothing runs on the host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: doctor
short_description: Find what is wrong before anything is changed
description:
  - Checks the inventory's groups and addresses, the cluster that runs, if one does, the file of the
    apps, this machine with its container engine, where the bundle comes from, and the machines that
    are to be nodes.
  - Fails with every mistake at once, each with its place and how to mend it; of what a run works
    with all the same, it warns.
options:
  apps_file:
    description: The file that says what runs.
    type: path
    required: true
  cluster:
    description: The cluster's name.
    type: str
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
  inventories:
    description:
      - Files of the inventory, or folders of them. In these, in the variables beside them and in
        those of O(project), nothing may be written twice.
    type: list
    elements: path
    default: []
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
  api:
    description: Where all control planes are reached together; empty for one at its own address.
    type: str
    default: ""
  load_balancers:
    description: Names of the machines that hold this address.
    type: list
    elements: str
    default: []
  segment:
    description: Network of container nodes; empty for machines.
    type: str
    default: ""
  routed:
    description: Whether pods are routed between nodes, and not by another pod network.
    type: bool
    default: true
  resolv_conf:
    description: The file with the name servers of container nodes; empty to find it.
    type: str
    default: ""
  kubeconfig:
    description:
      - The kubeconfig of the cluster, which need not be there yet. A cluster that answers has to
        be the inventory's, and of the version in O(versions).
    type: path
    required: true
  tools:
    description: What builds need of this machine, by the names of M(tools).
    type: list
    elements: str
    default: []
  kept:
    description: What a run writes to.
    type: list
    elements: path
    default: []
  people:
    description: Who else may use the cluster, as M(people) takes it.
    type: dict
    default: {}
  machines:
    description: What M(machine_look) returned of each node; of container nodes nothing.
    type: dict
    default: {}
  report:
    description:
      - A file that gets all findings as JSON. With it, nothing is shown and the task does not fail,
        and hosts of the apps are looked up as well.
    type: str
    default: ""
extends_documentation_fragment:
  - shared.lock
  - shared.provider
  - shared.secrets
  - shared.cache
  - shared.domain
  - shared.bounds
  - shared.ports
  - shared.registries
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
  doctor:
    apps_file: apps.yml
    cluster: slipway
    nodes: {slipway-control-plane: 172.29.0.2}
    control_plane: [slipway-control-plane]
    kubeconfig: ~/.kube/slipway.yaml
    pool: [172.29.255.200-172.29.255.250]
    pod_subnet: 10.244.0.0/16
    service_subnet: 10.96.0.0/16
    segment: 172.29.0.0/16
    project: "{{ slipway_project_dir }}"
    versions: "{{ slipway_versions }}"
    cache: ~/.cache/slipway
"""

RETURN = r"""
changed:
  description: Always false; this only looks.
  returned: always
  type: bool
"""
