#!/usr/bin/python
"""Documentation of the action plugin apps_plan; nothing runs on the host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: apps_plan
short_description: Read apps.yml and make a record of each app
description:
  - Validates the file against C(apps.schema.json) and the apps against one another, and reports
    every mistake at once, each with its line and the way to mend it.
  - Merges the file's defaults into each app and fills in what neither gives.
  - It runs on the controller and changes nothing.
options:
  path:
    description: The file. Relative C(git_url) values are seen from its folder.
    type: path
    required: true
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
- name: Read what is to run
  apps_plan:
    path: apps.yml
  register: plan
"""

RETURN = r"""
apps:
  description: One record for each app, in the order of the file.
  returned: always
  type: list
  elements: dict
  contains:
    id:
      description: Namespace and name, which no other app shares.
      type: str
      sample: greeter-main/greeter
    name:
      description: Name of the service.
      type: str
    namespace:
      description: Namespace; by default name and branch.
      type: str
    git_url:
      description: URL or absolute path of the repository.
      type: str
    git_branch:
      description: Branch.
      type: str
    branch_slug:
      description: The branch as a DNS label.
      type: str
      sample: feature-login
    build:
      description: The builder under C(tool), empty if it has to be detected, and its options.
      type: dict
    base_image:
      description: The base image that the user chose for each builder.
      type: dict
    port:
      description: Port of the service.
      type: int
    replicas:
      description: Number of pods.
      type: int
    health_path:
      description: Path of the health check, if there is one.
      type: str
    env:
      description: Environment variables.
      type: dict
    config_files:
      description: Each with C(path) and either C(content) or C(source).
      type: list
      elements: dict
    node_selector:
      description: Labels that nodes must have.
      type: dict
    ingress:
      description:
        - C(host) and C(rules), each of these with C(path), C(path_type), C(rewrite) and C(expect).
      type: dict
"""
