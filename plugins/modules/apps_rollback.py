#!/usr/bin/python
"""Documentation of the action plugin apps_rollback; nothing runs on the host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: apps_rollback
short_description: Have an app run its version before again
description:
  - Gives the app's Deployment the pod of its ReplicaSet before, with that version's image and
    configuration, and waits until it runs. Nothing is built.
  - The Deployment is marked, and later runs of M(apps_deploy) leave it at that version until the
    app's commit or settings give another pod.
  - Going back twice leads to where one came from, and ends that hold.
  - It runs on the controller.
options:
  timeout:
    description: How many seconds the pods may take to be ready.
    type: int
    required: true
extends_documentation_fragment:
  - shared.environment
  - shared.kubeconfig
  - shared.cache
attributes:
  check_mode:
    support: full
    details: Finds what it would go back to, and changes nothing.
  diff_mode:
    support: none
author:
  - Slipway
"""

EXAMPLES = r"""
- name: Go back
  apps_rollback:
    kubeconfig: ~/.kube/slipway.yaml
    cache: ~/.cache/slipway
    app: greeter
    branch: main
    timeout: 120
"""

RETURN = r"""
was:
  description: The C(image) and C(commit) that it comes from.
  returned: success
  type: dict
becomes:
  description: The C(image) and C(commit) that it goes back to.
  returned: success
  type: dict
apps:
  description:
    - A file, as long as the run lasts, with the record of the app with the C(image) that its nodes
      need and its C(node_selector); with none when the store no longer has that image.
  returned: success
  type: str
"""
