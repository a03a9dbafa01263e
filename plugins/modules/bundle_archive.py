#!/usr/bin/python
"""Documentation of the action plugin bundle_archive; nothing runs on the host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: bundle_archive
short_description: Write a bundle as one file
description:
  - Writes everything that a node gets, the versions and sha256 sums of it, the licences of what it
    is made of, the packages of Python and the collections of Ansible that Slipway runs on, the node
    image for container nodes, and what Maven downloads for apps, into a tar that zstd compresses.
    What else is in the folder of the bundle, such as a list of its packages, goes along.
  - M(bundle) takes the file as O(bundle#module:archive), on any machine with the same lock.
  - The file is written whole or not at all, and anew each time.
  - It runs on the controller.
options:
  path:
    description: The file to write.
    type: path
    required: true
  architecture:
    description: The processor that the bundle is for, as images name it or as C(uname -m) does.
    type: str
    required: true
  key:
    description:
      - A private key of OpenSSH, or the public half of one that its agent has, which signs what the
        file has; empty for none.
    type: path
    default: ""
  image:
    description:
      - The bundle's image of a bare machine; empty to leave the node image out, as a bundle for
        another processor than this machine's has to.
    type: str
    default: ""
  images:
    description: The references of the images that are in the node image.
    type: list
    elements: str
    default: []
  apps:
    description:
      - The JSON file with the records of apps whose sources are there. Of those that are built with
        Maven, the archive has what it downloads; they are built for that as on a machine that has
        nothing yet. Empty for none.
    type: path
    default: ""
  base_image:
    description: The image that apps are built on which name none.
    type: str
    default: ""
  maven_images:
    description: The image in which Maven builds for each version of Java that apps may ask for.
    type: dict
    default: {}
  project:
    description: The checkout, whose folders C(bundle) and C(images) say what goes in.
    type: path
    required: true
  versions:
    description: The version of every component, by name.
    type: dict
    required: true
extends_documentation_fragment:
  - shared.bundle
  - shared.cache
  - shared.secrets
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
author:
  - Slipway
"""

EXAMPLES = r"""
- name: Write the bundle as one file
  bundle_archive:
    path: /srv/files/slipway.tar.zst
    architecture: amd64
    key: ~/.ssh/id_ed25519
    bundle: "{{ slipway_bundle_dir }}"
    project: "{{ slipway_project_dir }}"
    versions: "{{ slipway_versions }}"
    cache: ~/.cache/slipway
"""

RETURN = r"""
path:
  description: The file.
  returned: success
  type: str
  sample: /srv/files/slipway.tar.zst
"""
