#!/usr/bin/python
"""Documentation of the action plugin people; nothing runs on the host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: people
short_description: Have people's rights in namespaces as they are written
description:
  - Binds roles to people in every namespace that is theirs, and takes away what nobody is to have
    any more. Who is taken out of O(people) may nothing from then on, whatever certificate they
    have.
  - Which apps are in a namespace is what the cluster says, so an environment of a new branch has
    its bindings as soon as it is there.
  - All that is wrong with O(people) is told at once, before anything is changed.
  - It runs on the controller.
extends_documentation_fragment:
  - shared.kubeconfig
  - shared.people
attributes:
  check_mode:
    support: full
    details: Of namespaces that are yet to be made, nothing is told.
  diff_mode:
    support: full
author:
  - Slipway
"""

EXAMPLES = r"""
- name: Let Ada work with the orders, and look at everything
  people:
    kubeconfig: ~/.kube/slipway.yaml
    people:
      ada:
        develop: {apps: [orders]}
        view: {apps: ["*"]}
"""

RETURN = r"""
objects:
  description: What was (or would be) written or removed, as C(Kind/name).
  returned: success
  type: list
  elements: str
"""
