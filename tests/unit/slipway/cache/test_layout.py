"""Where things lie in the cache: every place is swept, or there is a reason why it stays."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from slipway.cache.claims import Claimant, Claims
from slipway.cache.layout import CacheLayout
from slipway.cache.sweep import CLAIM_SECONDS, DAY, MONTH, WEEK, sweep
from slipway.oci import ImageConfig, ImageStore, layer_from_tree
from tests.support.checkout import PROJECT

SWEPT = {
    # What goes when nobody claims it: who makes it, and after how many seconds.
    "builds/.key.json.unfinished": ("a build that ended in the middle", DAY),
    "archives/0123": ("the bundle module, of an archive that was named", MONTH),
    "downloads/0123": ("the upstream provider, of what is in no part yet", MONTH),
    "bundle/0123": ("the bundle module", WEEK),
    "bundle/parts/0123": ("the bundle module", WEEK),
    "clusters/other.json": ("each run, of another cluster", CLAIM_SECONDS),
    "certificates/0123.p12": ("builds with Maven, where the machine has no Java", MONTH),
    "git/web.git": ("the fetch of sources", WEEK),
    "go-1": ("the bundle module, where the machine's Go is older", MONTH),
    "images": ("builds", DAY),
    "images-of": ("builds for nodes with another processor", DAY),
    "maven/web-01": ("builds with Maven, of one repository", MONTH),
    "maven-distributions/0123": ("builds with Maven, of projects with a wrapper", MONTH),
    "maven-extensions/0123": ("builds with Maven", MONTH),
    "named-images/0123.json": ("builds, of apps with manifests or charts", MONTH),
    "source/web/0123": ("the fetch of sources", DAY),
    "work/tmp0123": ("builds that ended in the middle", DAY),
}

STAYS = {
    # What no sweep removes: who makes it, and why it need not go.
    "bases.json": "the notes of base images: a line for each; one without its image is not heeded",
    "buildkit": "BuildKit's own state, which its garbage collector keeps below a size",
    "buildx": "buildx' own settings: a few files",
    "engine": "the tools module: a process id, and a log that each start begins anew",
    "go-build": "Go's own cache, which Go trims to what it used in the last days",
}


LISTS = ("go_toolchains", "image_stores")
"""What the layout has of several places."""


def places() -> set[str]:
    """The names at the top of the cache that the layout knows."""
    layout = CacheLayout(Path("/cache"))
    found = []
    for name, member in vars(CacheLayout).items():
        if isinstance(member, property):
            found.append(getattr(layout, name))
        elif not name.startswith("_") and callable(member) and name not in LISTS:
            found.append(member(layout, "1"))
    return {path.relative_to(layout.root).parts[0] for path in found}


def swept(cache: CacheLayout, later: float) -> set[str]:
    """What goes ``later`` seconds from now, when a cluster claims nothing."""
    mine = Claimant(cache, "mine")
    result = sweep(mine, Claims(), lambda _bundle: [], now=lambda: time.time() + later)
    return {*result.files, *(re.split("[/:]", image)[1] for image in result.images)}


LAYERS = [layer_from_tree({"/file": b"1"})]


def put(cache: CacheLayout, name: str) -> None:
    """Something at a place."""
    if name.startswith("images"):
        store = ImageStore(cache.images if name == "images" else cache.foreign_images / "other")
        store.add_image(f"apps.slipway.internal/{name}:b", LAYERS, ImageConfig())
        return
    path = cache.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(Claims().as_json())


def test_every_place_is_swept_or_there_is_a_reason_why_it_stays() -> None:
    assert places() == {name.partition("/")[0] for name in SWEPT} | STAYS.keys()


@pytest.mark.parametrize("name", SWEPT)
def test_what_nobody_claims_goes_in_time(name: str, tmp_path: Path) -> None:
    cache, (_, seconds) = CacheLayout(tmp_path), SWEPT[name]
    cache.bundles.mkdir()
    put(cache, name)
    assert swept(cache, seconds - 60) == set()
    assert swept(cache, seconds + 60) == {name}


@pytest.mark.parametrize("name", STAYS)
def test_what_keeps_itself_small_stays(name: str, tmp_path: Path) -> None:
    cache = CacheLayout(tmp_path)
    cache.bundles.mkdir()
    put(cache, name)
    assert swept(cache, 10 * CLAIM_SECONDS) == set()
    assert (tmp_path / name).exists()


def test_nobody_else_spells_places_of_the_cache() -> None:
    python = [path for top in ("slipway", "plugins") for path in (PROJECT / top).rglob("*.py")]
    yaml = [path for top in ("roles", "playbooks") for path in (PROJECT / top).rglob("*.y*ml")]
    spelled = re.compile(r"""cache\)* / f?"|slipway_cache_dir (\}\}/|~)""")
    wrong = [path for path in (*python, *yaml) if spelled.search(path.read_text())]
    assert wrong == []
