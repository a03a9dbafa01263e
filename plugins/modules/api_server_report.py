#!/usr/bin/python
"""Documentation of the action plugin api_server_report; its work is in slipway/on_node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: api_server_report
short_description: Say what keeps a control plane's API server from answering
description:
  - Asks the API server on its node, and shows the last lines of what does not run.
  - It changes nothing.
options:
  endpoint:
    description: The URL at which others do not reach it.
    type: str
    required: true
attributes:
  check_mode:
    description: Changes nothing in any mode.
    support: full
  diff_mode:
    description: There is nothing to compare.
    support: N/A
author:
  - Slipway
"""

EXAMPLES = r"""
- name: See what the API server does
  api_server_report:
    endpoint: https://192.0.2.11:6443
"""

RETURN = r"""
text:
  description: What is known, in a few lines.
  returned: always
  type: str
"""
