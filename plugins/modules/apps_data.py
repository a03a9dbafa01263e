#!/usr/bin/python
"""Documentation of the action plugin apps_data; nothing runs on the host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: apps_data
short_description: Have the data of an app's volume in a file, or that of a file in the volume
description:
  - The app is stopped meanwhile, its jobs by a schedule too, and runs again in every case.
  - The file is a tar with the owners and modes of what is in the volume, compressed by zstd, with a
    sum at its end. It is there when all of it is.
  - Before anything is loaded, all of the file is looked at. It may hold files, folders, and links
    within the volume. When it cannot be loaded, the volume has what it had.
  - It runs on the controller, and a pod beside the volume reads and writes it.
options:
  state:
    description: Whether the data is to be V(saved) to the file, or V(loaded) from it.
    type: str
    choices: [saved, loaded]
    required: true
  volume:
    description: The volume, where the app has several.
    type: str
    default: ""
  file:
    description: The file on the controller. One that is there is not written.
    type: path
    required: true
  image:
    description: The image of the pod, which all nodes have.
    type: str
    required: true
  timeout:
    description: How many seconds the app may take to stop, and to run again.
    type: int
    required: true
extends_documentation_fragment:
  - shared.environment
  - shared.kubeconfig
  - shared.bundle
attributes:
  check_mode:
    support: full
    details: Finds the volume, looks at the file, and changes nothing.
  diff_mode:
    support: none
author:
  - Slipway
"""

EXAMPLES = r"""
- name: Save a database
  apps_data:
    kubeconfig: ~/.kube/slipway.yaml
    bundle: ~/.cache/slipway/bundle/0123456789abcdef
    image: bundle.slipway.internal/python:3.13
    state: saved
    app: orders-db
    branch: main
    file: orders.tar.zst
    timeout: 120
"""

RETURN = r"""
claim:
  description: The claim of the volume, as C(namespace/name).
  returned: success
  type: str
"""
