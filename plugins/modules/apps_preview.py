#!/usr/bin/python
"""Documentation of the action plugin apps_preview; nothing runs on the host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: apps_preview
short_description: Show what a run would do with each app
description:
  - Puts together what the steps of a check found out, and shows a line for each app that says
    whether it would be built, loaded (and to which nodes), rolled, updated, routed or removed, or
    nothing of it.
  - It runs on the controller and changes nothing.
options:
  apps:
    description: The file with the records of M(apps_deploy).
    type: path
    required: true
  intents:
    description: What M(apps_deploy) would do.
    type: list
    elements: dict
    required: true
  pending:
    description: Ids of the apps whose image would be built.
    type: list
    elements: str
    default: []
  nodes:
    description: The nodes by name, each with its C(labels) and whether it is C(schedulable).
    type: dict
    default: {}
  loaded:
    description: By node, the images that it would be sent.
    type: dict
    default: {}
attributes:
  check_mode:
    support: full
    details: It only shows.
  diff_mode:
    support: none
author:
  - Slipway
"""

EXAMPLES = r"""
- name: Show what would be done
  apps_preview:
    apps: "{{ apps_deploy_result.apps }}"
    intents: "{{ apps_deploy_result.intents }}"
  when: ansible_check_mode
"""

RETURN = r"""
table:
  description: What was shown.
  returned: always
  type: list
  elements: str
"""
