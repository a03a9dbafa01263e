"""What every task would load for itself is loaded once, before tasks begin."""

from __future__ import annotations

import gc
from typing import Any

from ansible.inventory.helpers import get_group_vars
from ansible.plugins.callback import CallbackBase
from ansible.plugins.loader import connection_loader, filter_loader, test_loader
from ansible.utils.vars import combine_vars

DOCUMENTATION = r"""
name: preload
type: aggregate
short_description: Makes tasks start sooner
description:
  - Ansible runs each task on each host in a copy of its main process. What that has loaded, the
    copies have; what it has not, every one of them loads anew.
  - Loads the filters and tests of templates and the inventory's connections at the start of every
    play, and takes what is in memory then out of the search for garbage.
  - Shows nothing and changes nothing.
author:
  - Slipway
"""


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """Ansible's events, taken as the moments to load something."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "preload"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Load what the tasks of the play will need."""
        for loader in (filter_loader, test_loader):
            for _plugin in loader.all():
                pass
        for host in play.get_variable_manager()._inventory.get_hosts():
            known = combine_vars(get_group_vars(host.get_groups()), host.get_vars())
            connection_loader.get(known.get("ansible_connection", "ssh"), class_only=True)
        gc.freeze()
