"""What words without quotes are in YAML, as Kubernetes and Helm read it."""

from __future__ import annotations

import yaml

_CORE = "tag:yaml.org,2002:"
TEXT = f"{_CORE}str"
MERGE = f"{_CORE}merge"
BOOLEAN, INTEGER, FRACTION = (f"{_CORE}{kind}" for kind in ("bool", "int", "float"))


class Words(yaml.resolver.Resolver):
    """Takes dates, times (``12:30``) and ``=`` for text, of which YAML 1.1 makes something else."""

    def resolve(self, kind: type[yaml.Node], value: str, implicit: tuple[bool, bool]) -> str:
        """The tag of a node without one."""
        tag: str = super().resolve(kind, value, implicit)  # type: ignore[no-untyped-call]
        is_time = tag in (INTEGER, FRACTION) and ":" in value
        return TEXT if is_time or tag in (f"{_CORE}timestamp", f"{_CORE}value") else tag
