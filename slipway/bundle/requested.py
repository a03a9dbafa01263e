"""Images that are made when somebody asks for them, and are none of the bundle until then.

Each is one of the bundle with more in it. They are below the bundle's own folder, where its
manifest does not know them: so they go when it does, and come along where it is written as a file.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from slipway.bundle import debian, debian_lock, parts
from slipway.bundle.keys import key_of
from slipway.bundle.parts import Part
from slipway.bundle.recipes import Recipe
from slipway.bundle.source import UNPACKING, SourceProvider
from slipway.control_node import tools
from slipway.errors import Problem, SlipwayError
from slipway.files import settle
from slipway.locks import locked
from slipway.oci import ImageStore

FOLDER = "requested"
"""Where they are in a bundle, each in a folder that is laid out as a bundle is."""


@dataclass(frozen=True)
class Requested:
    """Those of the bundle at ``bundle``, which ``provider`` knows how to make."""

    provider: SourceProvider
    bundle: Path

    def have(self, ref: str, say: Callable[[str], None]) -> Path:
        """The folder, laid out as a bundle is, that has an image; it is made if it is not there.

        Raises SlipwayError when there is none of this name, or it cannot be made.
        """
        recipe = next((each for each in self.provider.requested if each.ref == ref), None)
        if recipe is None:
            raise SlipwayError(Problem(ref, "is no image that can be asked for"))
        part = self._part(recipe, say)
        folder = self.bundle / FOLDER / part.folder
        if not folder.exists():
            with locked(self.provider.cache.bundle_lock, "the bundle"):
                if not folder.exists():
                    self._make(recipe, part, folder, say)
        return folder

    def _make(self, recipe: Recipe, part: Part, folder: Path, say: Callable[[str], None]) -> None:
        """Lay the packages over the image that they are for, whose files get one more name.

        What was made of another lock, or was not finished, goes.
        """
        tools.have(UNPACKING, say)
        made = parts.make([part], self.provider.cache.bundle_parts, say)[part.name]
        under = next(each for each in self.provider.recipes if each.name == recipe.over)
        stores = [(self.bundle, under.ref), (made, recipe.ref)]
        below = [
            (store, image)
            for store, ref in ((ImageStore(path / "images"), ref) for path, ref in stores)
            for image in store.require([ref])
        ]
        for other in folder.parent.glob(f"{part.name}-*"):
            shutil.rmtree(other)
        unfinished = folder.with_name(f"{folder.name}.unfinished")
        ImageStore(unfinished / "images").add_stacked(
            recipe.ref, below, recipe.config(self.provider.architecture)
        )
        settle(unfinished, folder)

    def _part(self, recipe: Recipe, say: Callable[[str], None]) -> Part:
        lock = self.provider.requested_lock_file
        content = [*recipe.content, *([lock] if lock.exists() else [])]
        key = key_of(debian.RECIPE, self.provider.versions["debian"], *content)
        return Part(
            name=f"image-{recipe.name}",
            key=self.provider.own_key(key),
            lane="packages",
            make=partial(self._add, recipe, say),
        )

    def _add(self, recipe: Recipe, say: Callable[[str], None], into: Path) -> Mapping[str, object]:
        found = self.provider.unpack(recipe, into)
        lock = self.provider.requested_lock_file
        debian_lock.refuse_forged(recipe.name, found, debian_lock.read(lock))
        self.provider.compare([found], lock, say)
        packages = into / f"{recipe.name}.tar"
        layers = recipe.layers(packages, {})
        ImageStore(into / "images").add_image(
            recipe.ref, layers, recipe.config(self.provider.architecture)
        )
        packages.unlink()
        return {"image": recipe.ref, "packages": debian.as_record(found)}
