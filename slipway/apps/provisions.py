"""What builds with Maven download, taken along with a bundle to where they cannot.

It lies beside a bundle as Maven's own local repositories, in which the builds of apps look first:
each in that of its own repository.
"""

from __future__ import annotations

import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from slipway.apps.app import App, JibBuild
from slipway.apps.builders.build import Settings, build_images
from slipway.apps.builders.carried import FOLDER, artifacts
from slipway.apps.source.git import mirror_key
from slipway.cache.layout import CacheLayout, MavenCache

_OF_THE_MACHINE = ("_remote.repositories", "*.lastUpdated", "resolver-status.properties")
"""Where a machine had its artifacts from: without that, they count wherever one asks for them."""


def collect(
    apps: Iterable[App], settings: Settings, beside: Path, say: Callable[[str], None]
) -> None:
    """Put into ``beside`` what Maven downloads for a build of ``apps``, unless the bundle has it.

    They are built as on a machine that has nothing yet, in a cache that passes. What an app that
    fails would have needed is left out, which is said.
    """
    if (settings.bundle / FOLDER).is_dir():
        return
    built = [app for app in apps if isinstance(app.build, JibBuild)]
    with tempfile.TemporaryDirectory(dir=beside.parent, prefix="provisions-") as folder:
        cache = CacheLayout(Path(folder))
        apart = replace(settings, cache=cache.root, repositories=(), session=None)
        say("building what an archive has the artifacts of")
        for app in build_images(built, apart, check=False, say=say).apps:
            if app.failed:
                say(f"without the artifacts of {app.label}: {app.failed.reason}")
        for url in {app.git_url for app in built}:
            kept = MavenCache(cache.maven / mirror_key(url))
            _take(kept.own / "repository", artifacts(beside, url))


def _take(repository: Path, target: Path) -> None:
    """Add the artifacts of a local repository to another one.

    A build wrote it: behind a link of its there may be any file of this machine.
    """
    if repository.is_dir() and not repository.is_symlink():
        shutil.copytree(repository, target, ignore=_left_out, dirs_exist_ok=True)


def _left_out(folder: str, names: list[str]) -> set[str]:
    """What of a folder does not go along: what is of the machine, and all but files and folders."""
    modes = {name: Path(folder, name).lstat().st_mode for name in names}
    odd = {name for name, mode in modes.items() if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))}
    return odd | shutil.ignore_patterns(*_OF_THE_MACHINE)(folder, names)
