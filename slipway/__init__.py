"""Slipway's logic: everything that decides, compares or talks to a tool on the controller.

Ansible's action plugins (``plugins/action``) are thin adapters around these modules.
"""

__version__ = "0.1.0"
