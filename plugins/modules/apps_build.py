#!/usr/bin/python
"""Documentation of the action plugin apps_build; nothing runs on the host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: apps_build
short_description: Have an image of each app in the store of app images
description:
  - Builds Maven projects with their Jib plugin and Dockerfiles with BuildKit, as many at the same
    time as there are cores, each in a copy of what it is made of, its folder or its whole work
    tree. Archives of images, and images of registries, are taken as they are.
  - BuildKit is a daemon from the bundle, which runs as long as something is built. For a user who
    is not root, or with a bundle that has none, Docker's engine builds Dockerfiles.
  - An image is built only if none was made before of the same source, builder, options and base
    image.
  - Tags are made of the content, so that the same content has the same reference.
  - Where nodes have several processors, each kind gets an image of its own under the same
    reference. Packages of Dockerfiles are installed by QEMU's user mode then. An app that cannot be
    built for one kind gets a C(node_selector) that leaves its nodes out, which is said.
  - An app that cannot be built gets RV(apps[].failed) with the builder's last lines and the
    others go on.
  - Jib gets the base image without its layers, which are put below its own afterwards; a pom's
    own base image and credentials do not matter.
  - An image of a registry that an app names is fetched once, and again when the app names another
    one or no app had it for so long that it was pruned.
  - What pods of an app's manifests and charts name as images is fetched in the same way, unless
    their entry says C(pull=nodes), and is in RV(apps[].carried). Charts are rendered to find it,
    each in a container of the engine that has no network. What was found is noted in the cache, and
    looked for again when something of the app has changed. An image that cannot be had fails the
    apps that name it.
  - A base image of a registry is fetched once. O(cache)C(/bases.json) notes which one it was; it is
    fetched again when its line, or the file, is removed.
  - A build gets those secrets that its app names. Dockerfiles have them with
    C(RUN --mount=type=secret), Maven in its environment. Another value does not make another image.
  - In a session of C(make dev) the Maven of a project that is built again stays, with all that it
    has loaded; it ends with the session.
  - It runs on the controller.
options:
  cluster:
    description:
      - The name of the cluster, which from now on claims the images, so that M(apps_prune) of
        another one leaves them alone.
    type: str
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
  maven_images:
    description:
      - The image in which Maven builds for each version of Java that apps may ask for. One that is
        none of the bundle is made when the first app does, and is beside it from then on.
    type: dict
    required: true
  helm_image:
    description: The bundle's image in which charts are rendered, with Python.
    type: str
    required: true
  buildkit:
    description:
      - Whether Dockerfiles are built by the bundle's BuildKit, where it can be run. A container
        that may use Docker but not mount file systems wants V(false).
    type: bool
    default: true
  nodes:
    description: The architecture of each node, by its name. Without one, it is this machine's.
    type: dict
    default: {}
extends_documentation_fragment:
  - shared.apps
  - shared.cache
  - shared.bundle
  - shared.bundles
  - shared.lock
  - shared.session
  - shared.secrets
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
    cluster: slipway
    bundle: "{{ slipway_bundle_dir }}"
    bundles: "{{ ansible_facts['bundle_dirs'] }}"
    nodes: {node-1: amd64, node-2: arm64}
    default_base_images:
      jib: bundle.slipway.internal/jre:21
      buildx: bundle.slipway.internal/python:3.13
    maven_images: "{{ slipway_versions | maven_image_refs }}"
    helm_image: bundle.slipway.internal/python:3.13
    project: "{{ slipway_project_dir }}"
    versions: "{{ slipway_versions }}"
  register: images
"""

RETURN = r"""
built:
  description: References of the images that were built.
  returned: always
  type: list
  elements: str
pending:
  description: Ids of the apps of which a check would have built or fetched an image.
  returned: always
  type: list
  elements: str
apps:
  description: A JSON file with the records, for as long as the run lasts.
  returned: always
  type: str
  contains:
    image:
      description: Reference of the image in the store, its tag made of its content.
      type: str
    carried:
      description: The images that pods of its manifests and charts name, with their references
        in the store.
      type: list
    failed:
      description: The C(step) at which the app failed, and the C(reason).
      type: dict
"""
