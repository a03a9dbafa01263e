#!/usr/bin/python
"""Documentation of the action plugin apps_prune; nothing runs on the host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: apps_prune
short_description: Keep what can be gone back to, remove what no cluster needs
description:
  - Says which images of the apps stay on nodes and in the store. Of each app these are the one that
    it is to run and the one before; of an app that failed, all that the cluster may go back to; and
    each image that pods still have.
  - Removes from the cache what no cluster needs any more. Those are other images of apps with what
    is noted about their builds, base images of none of the rest, work trees, git mirrors without
    any, bundles before the previous one with the parts that only those have, and what broken-off
    runs left.
  - Each cluster claims what it needs in a file of its own, C(clusters/<name>.json) below
    the cache, so clusters and checkouts may share a cache. What a cluster gave up goes at once,
    what nobody ever claimed when it is a day old, bundles and mirrors when they are a week old, and
    what Jib and Maven keep for their next builds, and compilers of Go, when they are a month old.
    Claims that no run renewed for 90 days do not count, and go.
  - While another run builds, all stays as it is; the next time is early enough.
  - It runs on the controller.
options:
  cluster:
    description: The name of the cluster, under which it claims what it needs.
    type: str
    required: true
  leaving:
    description: Environments whose branch is gone and that stay for now, as M(apps_plan) has them.
    type: list
    elements: dict
    default: []
extends_documentation_fragment:
  - shared.cache
  - shared.kubeconfig
  - shared.apps
  - shared.bundles
attributes:
  check_mode:
    support: full
    description: Says what would be removed. Without a cluster or a cache that is nothing.
  diff_mode:
    support: full
    description: Lists what is removed.
author:
  - Slipway
"""

EXAMPLES = r"""
- name: Remove what no cluster needs
  apps_prune:
    cache: ~/.cache/slipway
    cluster: slipway
    kubeconfig: ~/.kube/slipway.yaml
    bundles: "{{ ansible_facts['bundle_dirs'] }}"
    apps: "{{ apps_verify_result.apps }}"
"""

RETURN = r"""
keep:
  description: References of the images that stay.
  type: list
  elements: str
  returned: success
prune_prefix:
  description: How the names of images begin of which nodes keep only those; empty before a cluster.
  type: str
  returned: success
  sample: apps.slipway.internal/
removed:
  description: Images, and files and folders below the cache, that were (or would be) removed.
  type: list
  elements: str
  returned: success
bytes_freed:
  description: Bytes that were freed.
  type: int
  returned: with a cluster
seconds:
  description: How long it took.
  type: float
  returned: with a cluster
"""
