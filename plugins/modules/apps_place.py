#!/usr/bin/python
"""Documentation of the action plugin apps_place; nothing runs on the host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: apps_place
short_description: Say which nodes need which images of the apps
description:
  - A node needs the image of each app whose pods the scheduler may put there, by its taints and the
    app's node selector. So it is with images that the app's manifests and charts name, by the
    C(nodeSelector) of those pods; where they have tolerations, taints do not count.
  - Beside the images of the records it needs those that pods of these apps have now, as far as they
    are in the store; these are others for an app that failed or was rolled back.
  - It runs on the controller and changes nothing.
extends_documentation_fragment:
  - shared.kubeconfig
  - shared.apps
  - shared.cache
attributes:
  check_mode:
    support: full
    details: A cluster that is not there yet, or does not answer, has no nodes.
  diff_mode:
    support: none
author:
  - Slipway
"""

EXAMPLES = r"""
- name: Find out which nodes need which images
  apps_place:
    kubeconfig: ~/.kube/slipway.yaml
    apps: "{{ apps_build_result.apps }}"
    cache: ~/.cache/slipway
  register: placement
"""

RETURN = r"""
nodes:
  description:
    - The nodes by name, each with C(labels), C(address), C(pod_cidr), C(schedulable), C(ready) and
      the C(reason) if it is not ready.
  returned: always
  type: dict
images:
  description: By node, the references of the images that it needs.
  returned: always
  type: dict
  sample: {worker: ["apps.slipway.internal/greeter:main-0123456789ab"]}
"""
