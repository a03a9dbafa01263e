"""What whoever can push a branch may try: ``attacks.yml``, which says how to read it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True)
class Attack:
    """What is in a repository, what has to be said of it, and what the API server says to it."""

    attack: str
    text: str
    said: list[str]
    api: str = ""

    @property
    def objects(self) -> list[dict[str, Any]]:
        """The objects in it, those in lists too."""
        documents = yaml.safe_load_all(self.text.replace("{{ image }}", "image"))
        return [obj for document in documents for obj in _flat(document)]


def _flat(obj: dict[str, Any]) -> list[dict[str, Any]]:
    if obj["kind"] != "List":
        return [obj]
    return [inner for item in obj["items"] for inner in _flat(item)]


_FILE = Path(__file__).with_name("attacks.yml")

ATTACKS = {each["attack"]: Attack(**each) for each in yaml.safe_load(_FILE.read_text())}
"""All of them, by what they are."""
