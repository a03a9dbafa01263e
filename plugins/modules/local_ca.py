#!/usr/bin/python
"""Documentation of the action plugin local_ca; nothing runs on the host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: local_ca
short_description: Show the local certificate authority, and how to trust it
description:
  - Shows where the root of the authority is that certifies hosts with C(tls) C(local-ca), and the
    commands that make a machine or a browser trust it.
  - An authority that does not exist is made. Nothing else is changed.
  - It runs on the controller.
options:
  path:
    description: The folder of the authority, which only its owner can read.
    type: path
    required: true
attributes:
  check_mode:
    support: full
  diff_mode:
    support: N/A
author:
  - Slipway
"""

EXAMPLES = r"""
- name: Show the root of the certificate authority
  local_ca:
    path: ~/.local/share/slipway/ca
"""

RETURN = r"""
root:
  description: The file with the root's certificate.
  returned: success
  type: str
  sample: /root/.local/share/slipway/ca/root.crt
fingerprint:
  description: The root's SHA-256 fingerprint; empty in check mode when there is no authority.
  returned: success
  type: str
"""
