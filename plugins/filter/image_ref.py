"""References of the bundle's images, as the table of images has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from slipway.architecture import Architecture
from slipway.bundle.recipes import CONTROL_PLANE, EVERY, Recipe, recipes
from slipway.oci import ImageStore

IMAGES = Path(__file__).parents[2] / "images"


def image_ref(name: str, versions: Mapping[str, str]) -> str:
    """The reference of the image ``name`` with the lock's ``versions``."""
    return next(recipe.ref for recipe in _recipes(versions) if recipe.name == name)


def node_image_refs(
    versions: Mapping[str, str], *, control_plane: bool, bundle: str = ""
) -> list[str]:
    """The references of the images that a node has, of the control plane or not.

    Of those that only upstream has, it has what is in its bundle.
    """
    on = (EVERY, CONTROL_PLANE) if control_plane else (EVERY,)
    wanted = [recipe for recipe in _recipes(versions) if recipe.nodes in on]
    there = ImageStore(Path(bundle, "images")).images() if bundle else {}
    return [each.ref for each in wanted if not each.upstream or each.ref in there]


def maven_image_refs(versions: Mapping[str, str]) -> dict[str, str]:
    """The references of the images in which Maven builds, by the version of Java that they have."""
    found = [each.ref for each in _recipes(versions) if "maven" in (each.name, each.over)]
    return {ref.rpartition(":")[2]: ref for ref in sorted(found)}


def _recipes(versions: Mapping[str, str]) -> list[Recipe]:
    return _read(tuple((str(name), str(version)) for name, version in versions.items()))


@cache
def _read(versions: tuple[tuple[str, str], ...]) -> list[Recipe]:
    # References are the same for machines of all kinds.
    return recipes(IMAGES, dict(versions), Architecture.here())


class FilterModule:
    """Ansible's way to the filters."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Filters by name."""
        return {
            "image_ref": image_ref,
            "maven_image_refs": maven_image_refs,
            "node_image_refs": node_image_refs,
        }
