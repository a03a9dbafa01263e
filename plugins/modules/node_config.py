#!/usr/bin/python
"""Documentation of the action plugin node_config; its work is in slipway/on_node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_config
short_description: Have files on a node and the units that use them running
description:
  - Compares all the files of one step with what is on the node, replaces those that differ, and
    has the units enabled and active; a unit is restarted when a file was replaced.
  - One run does what a row of M(ansible.builtin.copy) and M(ansible.builtin.systemd_service)
    tasks would do, at the cost of one of them.
  - Large files are sent only where their content differs. One that was found right is read again
    only when something has happened to it since.
  - What it puts on a machine is in a record there, with the role that had it put, before it is put;
    M(node_reset) undoes that record. It outlives versions, so what a later one places no more is
    still known. Of a file that was there before, the former one is kept and comes back then.
options:
  files:
    description:
      - The files to have.
    type: list
    elements: dict
    default: []
    mutually_exclusive: [[content, source]]
    required_one_of: [[content, source]]
    suboptions:
      path:
        description: Absolute path on the node. Directories that lead there are made, mode 0755.
        type: path
        required: true
      content:
        description: The file's text. One of O(files[].content) and O(files[].source) is required.
        type: str
      source:
        description: A file on the controller with the content.
        type: path
      mode:
        description: Permission bits.
        type: str
        default: "0644"
      once:
        description:
          - Whether the file stays as it was first written, whatever O(files[].content) says later.
            In it, V(<32 random bytes>) stands for as many in base64, which are made on the node and
            shown to nobody.
        type: bool
        default: false
      secret:
        description: Whether a diff has nothing of the file.
        type: bool
        default: false
  absent:
    description:
      - Paths of files that must not be there.
    type: list
    elements: path
    default: []
  owned:
    description:
      - Folders of which O(files) has all files. Others that were put there before are taken back,
        with the directories that are empty then; what somebody else put there stays.
    type: list
    elements: path
    default: []
  units:
    description:
      - Units to have enabled, and active since the files were written, in this order.
    type: list
    elements: str
    default: []
  undo:
    description:
      - Commands that take away what the units make while they run, which the machine keeps when
        they stop. They have to work as well where nothing of it is there.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    description: Reports what would change and changes nothing.
    support: full
  diff_mode:
    description: Shows text files before and after.
    support: full
author:
  - Slipway
"""

EXAMPLES = r"""
- name: Have containerd configured and running
  node_config:
    files:
      - path: /etc/containerd/config.toml
        content: "{{ lookup('ansible.builtin.template', 'config.toml.j2') }}"
    units:
      - containerd.service
"""

RETURN = r"""
replaced:
  description: Paths of the files that were (or would be) written or removed.
  returned: always
  type: list
  elements: str
units:
  description: The units that were (or would be) enabled, started or restarted.
  returned: always
  type: list
  elements: str
"""
