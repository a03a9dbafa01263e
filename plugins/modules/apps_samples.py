#!/usr/bin/python
"""Documentation of the action plugin apps_samples; nothing runs on the host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: apps_samples
short_description: Have the sample services as git repositories
description:
  - Makes a bare repository of each sample. The folder C(main) is the tree of the branch main;
    each folder C(feature/<topic>) has the files in which that branch differs.
  - A branch whose files changed gets one commit more. The same files give the same commits on
    every machine.
  - It runs on the controller.
options:
  examples:
    description: Folder of the samples.
    type: path
    required: true
  repositories:
    description: Folder of the bare repositories.
    type: path
    required: true
attributes:
  check_mode:
    support: full
    details: The commits are made in a passing repository.
  diff_mode:
    support: full
author:
  - Slipway
"""

EXAMPLES = r"""
- name: Have the samples as repositories
  apps_samples:
    examples: examples
    repositories: .slipway/examples
"""

RETURN = r"""
repositories:
  description: The repositories.
  returned: always
  type: list
  elements: dict
  contains:
    path:
      description: Where it is.
      type: str
    branches:
      description: The commit of each branch.
      type: dict
"""
