"""Writes the parts of the documentation that repeat what is written elsewhere."""

from __future__ import annotations

from docs import keys, variables

if __name__ == "__main__":
    for part in (variables, keys):
        part.TARGET.write_text(part.document(), encoding="utf-8")
