"""What an action plugin gets from Ansible, as far as Slipway's use it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, TypeVar

from slipway.action_plugin import SlipwayAction

Action = TypeVar("Action", bound=SlipwayAction)


def action(
    kind: type[Action], args: dict[str, Any], *, check: bool = False, diff: bool = False
) -> Action:
    """An action plugin as it is for a task with ``args``."""
    task = SimpleNamespace(args=args, check_mode=check, diff=diff, async_val=0, action="action")
    shell = SimpleNamespace(tmpdir=None, join_path="{}/{}".format)
    connection = SimpleNamespace(_shell=shell, put_file=None)
    templar = SimpleNamespace(template=lambda value: value)
    loader = SimpleNamespace(get_basedir=lambda: "/")
    return kind(task, connection, SimpleNamespace(), loader, templar, None)
