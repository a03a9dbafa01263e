#!/usr/bin/python
"""Documentation of the action plugin run_lock; nothing runs on the host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: run_lock
short_description: Have a cluster changed by one run at a time
description:
  - Waits until no other run changes the cluster, and says for whom. From then until it ends, this
    run is the one that others wait for.
  - Runs on the same controller are known by a locked file, those on others by the Lease C(slipway)
    in the namespace C(kube-system). A Lease that nobody renews any more is taken over. As long as
    there is no cluster, or none that answers, the file alone counts.
  - It changes nothing, and may be called more than once in a run.
options:
  cluster:
    description: The cluster's name.
    type: str
    required: true
extends_documentation_fragment:
  - shared.cache
  - shared.kubeconfig
attributes:
  check_mode:
    support: full
    details: A check changes nothing, so it waits for nobody.
  diff_mode:
    support: N/A
author:
  - Slipway
"""

EXAMPLES = r"""
- name: Wait for other runs
  run_lock:
    cluster: slipway
    cache: ~/.cache/slipway
    kubeconfig: ~/.kube/slipway.yaml
"""

RETURN = r"""
known_elsewhere:
  description: Whether runs on other controllers wait for this one as well.
  returned: success
  type: bool
"""
