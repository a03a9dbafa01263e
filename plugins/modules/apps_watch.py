#!/usr/bin/python
"""Documentation of the action plugin apps_watch; nothing runs on the host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: apps_watch
short_description: Wait until a source of the apps has changed
description:
  - Returns when the file of the apps or a commit of their repositories is not what the session
    took up last, and notes that it has been taken up. The first time in a session that is at once,
    if the cluster answers.
  - Clones on this machine are followed as their files are. What is not committed on the branch
    that is checked out becomes a commit in the cache; the clone stays as it is. What git ignores
    does not count.
  - Other repositories on this machine are followed by their commits, and those on other machines
    are asked from time to time; one that does not answer counts as unchanged.
  - It runs on the controller.
options:
  path:
    description: The file of the apps.
    type: path
    required: true
  examples:
    description: Folder of the samples.
    type: path
    required: true
  repositories:
    description: Folder of the repositories that the samples become.
    type: path
    required: true
  session:
    description: Folder of the session, as C(make dev) makes it.
    type: path
    required: true
  interval:
    description: Seconds after which repositories on other machines are asked again.
    type: int
    required: true
extends_documentation_fragment:
  - shared.kubeconfig
  - shared.domain
  - shared.cache
  - shared.secrets
  - shared.github_api
attributes:
  check_mode:
    support: none
  diff_mode:
    support: none
author:
  - Slipway
"""

EXAMPLES = r"""
- name: Wait for a change
  apps_watch:
    path: apps.yml
    kubeconfig: ~/.kube/slipway.yaml
    examples: examples
    repositories: .slipway/examples
    cache: ~/.cache/slipway
    session: /tmp/slipway-dev-1
    interval: 30
"""

RETURN = r"""
waited:
  description: Seconds until there was something to take up.
  returned: always
  type: float
"""
