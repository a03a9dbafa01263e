#!/usr/bin/python
"""Documentation of the action plugin apps_list; nothing runs on the host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: apps_list
short_description: List all environments of a cluster
description:
  - Shows a line for each app and branch that is deployed, or that a run could not deploy, with its
    commit, age, state, address and last failure.
  - It runs on the controller and changes nothing.
extends_documentation_fragment:
  - shared.kubeconfig
attributes:
  check_mode:
    support: full
    details: It only reads.
  diff_mode:
    support: none
author:
  - Slipway
"""

EXAMPLES = r"""
- name: Show what there is
  apps_list:
    kubeconfig: ~/.kube/slipway.yaml
"""

RETURN = r"""
environments:
  description: The environments, sorted by app and branch.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Namespace and name.
      type: str
    app:
      description: Name of the app.
      type: str
    branch:
      description: Its branch.
      type: str
    commit:
      description: The commit that runs, or that could not be deployed.
      type: str
    created:
      description: When it was deployed first (UTC); empty if it never was.
      type: str
    state:
      description: Whether it runs, and what else there is to know.
      type: str
      sample: ready 1/1; branch gone, stays until 2026-01-31T12:00:00Z
    urls:
      description: Where it answers.
      type: list
      elements: str
    quota:
      description: What of its quota it uses.
      type: str
      sample: pods 1/20, cpu 10m/4, memory 64Mi/8Gi
    failure:
      description: The last failure, with its C(step), C(reason) and time (C(at)).
      type: dict
table:
  description: What was shown.
  returned: success
  type: list
  elements: str
"""
