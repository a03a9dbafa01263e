#!/usr/bin/python
"""Documentation of the action plugin apps_build; nothing runs on the host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: apps_build
short_description: Have an image of each app in the store of app images
description:
  - Builds Maven projects with their Jib plugin and Dockerfiles with docker buildx, as many at
    the same time as there are cores, each in a copy of its work tree.
  - An image is built only if none was made before of the same source, builder, options and base
    image.
  - Tags are made of the content, so that the same content has the same reference.
  - An app that cannot be built gets RV(apps[].failed) with the builder's last lines and the
    others go on.
  - Jib gets the base image without its layers, which are put below its own afterwards; a pom's
    own base image and credentials do not matter.
  - It runs on the controller.
options:
  apps:
    description: The records of M(apps_source).
    type: list
    elements: dict
    required: true
  cache:
    description:
      - Folder of the image store (C(images)), of notes about builds (C(builds)) and of the
        builders' caches.
    type: path
    required: true
  bundle_store:
    description: The bundle's image store, in which base images are looked up.
    type: path
    required: true
  default_base_images:
    description:
      - The base image of each builder for apps that name none. Without one, a project's own
        choice holds.
    type: dict
    default: {}
    suboptions:
      jib:
        description: For Maven projects.
        type: str
      buildx:
        description: For Dockerfiles, as the build argument C(BASE_IMAGE).
        type: str
  buildx:
    description: Path of a buildx binary; empty for docker's own plugin.
    type: str
    default: ""
attributes:
  check_mode:
    support: full
    details: Nothing is built; apps that would be are listed in RV(pending) and have no image.
  diff_mode:
    support: none
author:
  - Slipway
"""

EXAMPLES = r"""
- name: Have the images
  apps_build:
    apps: "{{ source.apps }}"
    cache: ~/.cache/slipway
    bundle_store: ~/.cache/slipway/bundle/current/images
    default_base_images:
      jib: bundle.slipway.internal/jre:21
      buildx: bundle.slipway.internal/python:3.13
  register: images
"""

RETURN = r"""
built:
  description: References of the images that were built.
  returned: always
  type: list
  elements: str
pending:
  description: Ids of the apps that a check would have built.
  returned: always
  type: list
  elements: str
apps:
  description: The records.
  returned: always
  type: list
  elements: dict
  contains:
    image:
      description: Reference of the image in the store.
      returned: when there is one
      type: str
      sample: apps.slipway.internal/greeter:main-0123456789ab
    build:
      description: The builder, now known, under C(tool), and its options.
      type: dict
    failed:
      description: Why the app cannot go on, as C(step) and C(reason).
      returned: on failure
      type: dict
"""
