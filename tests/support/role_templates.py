"""Templates of roles, rendered as a run with one of the project's inventories renders them."""

from __future__ import annotations

from typing import Any

import yaml
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible.vars.manager import VariableManager

from tests.support.checkout import PROJECT


def variables(inventory: str, role: str, **more: Any) -> dict[str, Any]:
    """Those of an inventory's first control plane, all roles', and a role's; ``more`` comes last.

    Of other hosts, the address of each control plane is known.
    """
    loader = DataLoader()
    manager = InventoryManager(loader, [str(PROJECT / "inventory" / inventory)])
    nodes = manager.get_hosts("control_plane")
    node = nodes[0]
    own: dict[str, Any] = VariableManager(loader, manager).get_vars(host=node)
    found: dict[str, Any] = {}
    defaults = (PROJECT / "roles" / role).glob("defaults/main.yml")
    for path in (*(PROJECT / "group_vars/all").glob("*.yml"), *defaults):
        found |= _trusted(yaml.safe_load(path.read_text()))
    said = yaml.safe_load((PROJECT / "roles" / role / "vars/main.yml").read_text())
    found |= own | _trusted(said)
    found["hostvars"] = {
        each.name: {"inventory_hostname": each.name, "node_address": f"192.0.2.{number}"}
        for number, each in enumerate(nodes, start=11)
    }
    return found | more


def rendered(text: str, known: dict[str, Any]) -> Any:
    """What a template is with these variables."""
    return Templar(DataLoader(), variables=known).template(trust_as_template(text))


def _trusted(value: Any) -> Any:
    """A value of which Ansible may render the templates."""
    if isinstance(value, dict):
        return {key: _trusted(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_trusted(item) for item in value]
    return trust_as_template(value) if isinstance(value, str) else value
