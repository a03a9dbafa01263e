#!/usr/bin/python
"""Documentation of the action plugin tools; nothing runs on the host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: tools
short_description: Have the controller's tools, and its container engine as it should be
description:
  - Installs Debian's packages for what is missing, and starts or stops the container engine.
  - Without the right to install, and where Debian's package manager is not at hand, it fails with
    all that root has to do for a whole run.
  - Which engine was started here is remembered in the cache.
  - It runs on the controller.
options:
  names:
    description: What is needed.
    type: list
    elements: str
    choices:
      - c_compiler
      - c_compiler_amd64
      - c_compiler_arm64
      - docker
      - docker_registry
      - git
      - git_lfs
      - jdk
      - kernel_compiler
      - libseccomp
      - maven
      - mke2fs
      - mmdebstrap
      - nginx
      - openssl
      - pkg_config
      - python
      - qemu
      - qemu_user
      - skopeo
      - ssh
      - sshd
      - uidmap
    default: []
  engine:
    description:
      - V(started) starts the engine unless one answers, also where systemd is not the init process.
      - V(stopped) stops the engine that V(started) started, unless others' containers run on it.
      - V(any) leaves it as it is.
    type: str
    choices: [started, stopped, any]
    default: any
extends_documentation_fragment:
  - shared.cache
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
author:
  - Slipway
"""

EXAMPLES = r"""
- name: Have a container engine running
  tools:
    names: [docker]
    engine: started
    cache: ~/.cache/slipway
"""

RETURN = r"""
installed:
  description: The needs that were (or would be) met by installing packages.
  returned: success
  type: list
  elements: str
engine:
  description: Whether the engine was (or would be) started or stopped.
  returned: success
  type: bool
"""
