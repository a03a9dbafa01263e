"""What the operator leaves to whoever writes apps.yml: hosts below some names, files of folders."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from slipway.apps.plan.places import Finding, Places
from slipway.apps.plan.yaml_lines import Place

_TAR = "tar://"


@dataclass(frozen=True)
class Bounds:
    """What apps.yml may name.

    Hosts are ``suffixes`` or below one of them, and any without them; those that are ``reserved``
    are Slipway's. Files of this machine are in the folder of apps.yml or below one of ``folders``.
    """

    suffixes: Sequence[str] = ()
    reserved: Sequence[str] = ()
    folders: Sequence[Path] = ()

    @classmethod
    def of(cls, args: Mapping[str, Any]) -> Self:
        """Those in the arguments of a module."""
        return cls(
            suffixes=args["host_suffixes"],
            reserved=[host for host in args["reserved_hosts"] if host],
            folders=[Path(folder) for folder in args["file_folders"]],
        )

    def host_mistakes(self, places: Places, setting: Place, host: str) -> Iterator[Finding]:
        """What is wrong with a host that an app is to have."""
        if host in self.reserved:
            fix = "write another host"
            yield places.finding(setting, f"{host} is the page of all environments", fix)
        elif self.suffixes and not any(f".{host}".endswith(f".{each}") for each in self.suffixes):
            names = ", ".join(dict.fromkeys(self.suffixes))
            fix = (
                f"write a name below one of {names}, or have the operator add one to "
                "slipway_host_suffixes"
            )
            yield places.finding(setting, f"{host} is no host of this cluster's", fix)

    def file_mistakes(
        self, places: Places, setting: Place, own: Path, name: str
    ) -> Iterator[Finding]:
        """What is wrong with where a file of this machine is; ``own`` is the folder of apps.yml."""
        path = os.path.realpath(own / name)
        if any(Path(path).is_relative_to(os.path.realpath(each)) for each in (own, *self.folders)):
            return
        leads = "" if path == os.path.normpath(own / name) else f" leads to {path}, which"
        fix = "put it there, or have the operator add its folder to slipway_file_folders"
        what = f"{name}{leads} is not below the folder of apps.yml"
        yield places.finding(setting, what, fix)

    def archive_mistakes(
        self, places: Places, app: Mapping[str, Any], own: Path
    ) -> Iterator[Finding]:
        """What is wrong with where archives of images are, those that are no repository's."""
        build = app.get("build")
        archive = build.get("prebuilt", {}).get("archive") if isinstance(build, Mapping) else None
        if archive and Path(archive).is_absolute():
            yield from self.file_mistakes(places, ("build", "prebuilt", "archive"), own, archive)
        base = app.get("base_image", {})
        bases = base if isinstance(base, Mapping) else {"": base}
        for key, image in bases.items():
            if isinstance(image, str) and image.startswith(_TAR):
                setting: Place = ("base_image", key) if key else ("base_image",)
                yield from self.file_mistakes(places, setting, own, image.removeprefix(_TAR))


NO_BOUNDS = Bounds()
