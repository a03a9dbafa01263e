"""Documentation of the image_load action, which does its work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image_load
short_description: Bring images to a node, sending only what it lacks
description:
  - Makes the containerd of a host have images out of an image store on the controller, under their
    full names, ready for pods that run with C(imagePullPolicy) C(IfNotPresent) or C(Never).
  - Asks the host once what it has, and sends the missing blobs of all missing images in one
    partial OCI archive; a host that has everything gets nothing. No registry is needed.
  - An image counts as there when the name has the right manifest digest, every blob is there, it is
    unpacked and, if asked for, pinned. That is checked again after the import; images that are
    incomplete then are sent once more in full.
  - Images under O(prune_prefix) that are neither in O(images) nor in O(keep) are removed once the
    new ones are complete; one that a container has stays until a later run. Images of other names
    are never touched.
  - The archive is written straight into C(ctr images import) on the host. Where the connection is
    neither V(local), V(ssh) nor V(community.docker.docker), or needs a password, it goes as a
    temporary file.
  - Needs root on the host. Works with containerd 1.7 and 2.x.
options:
  images:
    description: Full references of the images to load, each with a host and a tag.
    type: list
    elements: str
    required: true
  pinned:
    description: Keep the images from the kubelet's garbage collection.
    type: bool
    default: true
  prune_prefix:
    description:
      - How the names begin of the images that are removed unless they are to be kept, up to a
        slash. Without it nothing is removed.
    type: str
    default: ""
  keep:
    description: Full references of images under O(prune_prefix) that stay if they are there.
    type: list
    elements: str
    default: []
  ctr:
    description: The containerd client on the host, with its namespace.
    type: str
    default: /usr/local/bin/ctr -n k8s.io
  containerd_root:
    description: Where the host's containerd keeps its data; it must have room for the images.
    type: str
    default: /var/lib/containerd
extends_documentation_fragment:
  - shared.store
attributes:
  check_mode:
    support: full
    description: >-
      Says what would be sent and removed, also when the host has no containerd or the store has no
      such image yet.
  diff_mode:
    support: full
    description: Lists the images on the host before and after.
author:
  - Slipway
"""

EXAMPLES = r"""
- name: Load the image of a service, keep the one before, remove older ones
  image_load:
    store: ~/.cache/slipway/images
    images: [apps.slipway.internal/greeter:main-0123456789ab]
    keep: [apps.slipway.internal/greeter:main-ba9876543210]
    prune_prefix: apps.slipway.internal/
  become: true

- name: Load the images of the platform
  image_load:
    store: ~/.cache/slipway/images
    images:
      - registry.k8s.io/pause:3.10.2
      - apps.slipway.internal/greeter:main-0123456789ab
  become: true
"""

RETURN = r"""
loaded:
  description: References of the images that were loaded (in check mode, would be).
  type: list
  elements: str
  returned: success
removed:
  description: References of the images that were removed (in check mode, would be).
  type: list
  elements: str
  returned: success
bytes_sent:
  description: Bytes of blobs that were sent (in check mode, would be, as far as that is known).
  type: int
  returned: success
seconds:
  description: How long it took.
  type: float
  returned: success
"""
