#!/usr/bin/python
"""Documentation of the action plugin person_kubeconfig; nothing runs on the host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: person_kubeconfig
short_description: Have a kubeconfig for somebody on the controller
description:
  - Has the cluster's authority certify a person of O(people) for twelve hours, and writes a
    kubeconfig into a folder beside O(kubeconfig), for this user alone. The key is made on the
    controller, and is nowhere else.
  - The certificate says who they are. What they may is said by M(people).
options:
  person:
    description: Who it is for, one of O(people).
    type: str
    required: true
  name:
    description: The name of the cluster, and of the context.
    type: str
    required: true
extends_documentation_fragment:
  - shared.kubeconfig
  - shared.people
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details: A kubeconfig holds a key.
author:
  - Slipway
"""

EXAMPLES = r"""
- name: Let Ada in for a day
  person_kubeconfig:
    kubeconfig: ~/.kube/slipway.yaml
    name: slipway
    person: ada
    people: {ada: {view: {apps: ["*"]}}}
"""

RETURN = r"""
path:
  description: The file.
  returned: success
  type: str
until:
  description: When the certificate ends, in UTC.
  returned: when a certificate was given
  type: str
"""
