#!/usr/bin/python
"""Documentation of the action plugin scan; nothing runs on the host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: scan
short_description: Look up known faults of what bills of materials name
description:
  - Shows a line for each known fault of a package, and fails if there is one. Then there is a line
    for what no database was at hand for, or for one that does not answer; that is no failure.
  - What is in images of apps is told to nobody. Of Go, a database has an index that is fetched
    whole; of Python, an index is asked for those packages alone that Slipway itself runs on.
  - It runs on the controller and changes nothing.
options:
  folder:
    description: The folder with the bills of materials, as M(sbom) writes them.
    type: path
    required: true
  databases:
    description:
      - Files, archives (zip) or folders of entries in OSV's format, as https://osv.dev has them.
      - V(go+https://vuln.go.dev) is a database of Go, V(pypi+https://pypi.org) an index of Python's
        packages.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    support: full
    details: It only reads.
  diff_mode:
    support: none
author:
  - Slipway
"""

EXAMPLES = r"""
- name: Look up what is in a database on this machine
  scan:
    folder: /srv/sbom
    databases: [/srv/osv]
"""

RETURN = r"""
unknown:
  description: A line for what could not be looked up.
  returned: success
  type: list
  elements: str
"""
