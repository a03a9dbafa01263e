#!/usr/bin/python
"""Documentation of the action plugin apps_source; nothing runs on the host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: apps_source
short_description: Get each app's source at the newest commit of its branch
description:
  - Asks each repository once, all at the same time, and fetches only commits that are not in
    the cache.
  - Keeps a bare mirror for each URL and a work tree for each commit; apps of one repository
    share them.
  - What is not in the folder of an app that has one is no part of its source. Only a Maven project
    that needs more, as a parent's pom above it, is made of the whole repository.
  - Git never prompts. An app whose repository does not answer in time or lacks the branch or
    the folder gets RV(apps[].failed) and the others go on.
  - Secrets reach git and ssh in memory alone. In a session of C(make dev), M(apps_watch) has found
    the commits.
  - It runs on the controller.
extends_documentation_fragment:
  - shared.apps
  - shared.cache
  - shared.session
  - shared.secrets
  - shared.github_api
attributes:
  check_mode:
    support: full
    details:
      - Branches are looked up, nothing is fetched. A local repository that does not exist yet
        is no failure. No deploy key is made; what was known before holds.
  diff_mode:
    support: none
author:
  - Slipway
"""

EXAMPLES = r"""
- name: Get the sources
  apps_source:
    apps: "{{ plan.apps }}"
    cache: ~/.cache/slipway
  register: source
"""

RETURN = r"""
fetched:
  description: The URLs of which an app has another source than before.
  returned: always
  type: list
  elements: str
apps:
  description: A JSON file with the records, for as long as the run lasts.
  returned: always
  type: str
  contains:
    commit:
      description: The newest commit of the branch; of a folder alone, the newest that changed
        the folder. Without a repository it is the version of the image.
      type: str
    tree:
      description: Git's hash of the files that the app is made of.
      type: str
    checkout:
      description: Absolute path of a work tree at the newest commit of the branch; it must
        not be changed. Empty without a repository.
      type: str
    project:
      description: The app's folder, seen from the work tree, links followed.
      type: str
    whole:
      description: Whether the app is made of the whole repository.
      type: bool
    failed:
      description: The C(step) at which the app failed, and the C(reason).
      type: dict
"""
