"""What of the cache goes, and when: clusters claim, time passes, others are at work."""

from __future__ import annotations

import fcntl
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from slipway.bundle import manifest
from slipway.cache.claims import Claimant, Claims
from slipway.cache.layout import CacheLayout
from slipway.cache.sweep import CLAIM_SECONDS, DAY, MONTH, WEEK, Swept, sweep
from slipway.errors import SlipwayError
from slipway.oci import Image, ImageConfig, ImageStore, layer_from_tree

ONE, TWO = "apps.slipway.internal/greeter:one", "apps.slipway.internal/greeter:two"
BASE = "bases.slipway.internal/archive:0123"


@dataclass(frozen=True)
class Cluster(Claimant):
    """A cluster that sweeps ``later`` seconds from now."""

    later: float = 0.0

    def sweep(self, claims: Claims, *, check: bool = False) -> Swept:
        now = time.time() + self.later
        return sweep(self, claims, manifest.parts, check=check, now=lambda: now)


def cluster(root: Path, name: str = "mine", later: float = 0) -> Cluster:
    return Cluster(CacheLayout(root), name, later)


def claims(*images: str, sources: set[str] | None = None, bundles: tuple[str, ...] = ()) -> Claims:
    return Claims(frozenset(images), frozenset(sources or set()), bundles)


def add(root: Path, ref: str, *contents: bytes) -> Image:
    """An image with one layer of each content."""
    layers = [layer_from_tree({"/file": content}) for content in contents]
    return ImageStore(root / "images").add_image(ref, layers, ImageConfig())


def images(root: Path) -> set[str]:
    return set(ImageStore(root / "images").images())


def file(path: Path, size: int = 10) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))
    return path


def paths(swept: Swept) -> set[str]:
    return set(swept.files)


def test_what_a_cluster_gives_up_goes_at_once_unless_another_claims_it(tmp_path: Path) -> None:
    for ref in (ONE, TWO):
        add(tmp_path, ref, ref.encode())
    cluster(tmp_path).sweep(claims(ONE, TWO))
    cluster(tmp_path, "other").sweep(claims(ONE))
    assert cluster(tmp_path).sweep(claims()).images == [TWO]
    assert images(tmp_path) == {ONE}
    later = cluster(tmp_path, later=30 * DAY)
    assert later.sweep(claims()).images == []
    assert cluster(tmp_path, "other").sweep(claims()).images == [ONE]


def test_what_nobody_ever_claimed_goes_when_it_is_old(tmp_path: Path) -> None:
    add(tmp_path, ONE, b"1")
    assert cluster(tmp_path).sweep(claims()).images == []
    assert cluster(tmp_path, later=DAY + 1).sweep(claims()).images == [ONE]
    assert images(tmp_path) == set()


def test_images_that_are_not_of_apps_stay(tmp_path: Path) -> None:
    add(tmp_path, "docker.io/library/nginx:1", b"1")
    assert cluster(tmp_path, later=CLAIM_SECONDS).sweep(claims()) == Swept()


def test_claims_that_no_run_renews_do_not_hold_for_ever(tmp_path: Path) -> None:
    add(tmp_path, ONE, b"1")
    cluster(tmp_path, "gone").sweep(claims(ONE))
    assert cluster(tmp_path, later=CLAIM_SECONDS - 60).sweep(claims()).images == []
    late = cluster(tmp_path, later=CLAIM_SECONDS + 60)
    assert paths(late.sweep(claims(), check=True)) == {"clusters/gone.json"}
    swept = late.sweep(claims())
    assert (swept.images, swept.files) == ([ONE], ["clusters/gone.json"])


def test_a_base_goes_with_the_last_image_that_is_built_on_it(tmp_path: Path) -> None:
    add(tmp_path, BASE, b"base")
    add(tmp_path, ONE, b"base", b"app")
    old = cluster(tmp_path, later=WEEK + 60)
    assert old.sweep(claims(ONE)).images == []
    assert old.sweep(claims()).images == [ONE, BASE]


def test_a_claim_adds_to_what_was_claimed(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    for number, image in enumerate((ONE, TWO)):
        checkout = tmp_path / "source/greeter" / str(number)
        cluster(tmp_path).claim([image], [checkout], [bundle / str(number)])
    written = json.loads((tmp_path / "clusters/mine.json").read_text())
    assert written == {
        "images": [ONE, TWO],
        "sources": ["source/greeter/0", "source/greeter/1"],
        "bundles": ["1", "0"],
    }
    cluster(tmp_path).claim([], [Path("/elsewhere")], [bundle / "2"])
    assert json.loads((tmp_path / "clusters/mine.json").read_text())["bundles"] == ["2", "1"]


def test_a_check_changes_nothing(tmp_path: Path) -> None:
    add(tmp_path, ONE, b"1")
    file(tmp_path / "source/greeter/0/pom.xml")
    before = sorted(tmp_path.rglob("*"))
    old = cluster(tmp_path, later=2 * DAY)
    foreseen = old.sweep(claims(), check=True)
    assert sorted(tmp_path.rglob("*")) == before
    assert old.sweep(claims()) == foreseen
    assert foreseen.bytes_freed > 0


def test_nothing_goes_while_somebody_builds(tmp_path: Path) -> None:
    add(tmp_path, ONE, b"1")
    cluster(tmp_path).sweep(claims(ONE))
    scratch = file(tmp_path / "work/tmp0123/source")
    assert cluster(tmp_path).sweep(claims()) == Swept()
    assert images(tmp_path) == {ONE}
    scratch.unlink()
    scratch.parent.rmdir()
    assert cluster(tmp_path).sweep(claims()).images == [ONE]


def test_what_a_build_left_goes_when_it_is_old(tmp_path: Path) -> None:
    scratch = file(tmp_path / "work/tmp0123/source")
    assert paths(cluster(tmp_path, later=DAY + 60).sweep(claims())) == {"work/tmp0123"}
    assert not scratch.exists()


def test_blobs_that_somebody_adds_or_sends_meanwhile_go_the_next_time(tmp_path: Path) -> None:
    image = add(tmp_path, ONE, b"1")
    cluster(tmp_path).sweep(claims(ONE))
    with (tmp_path / "images/blobs.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        swept = cluster(tmp_path).sweep(claims())
        assert (swept.images, swept.bytes_freed) == ([ONE], 0)
    assert cluster(tmp_path).sweep(claims()).bytes_freed == image.size


def test_notes_go_with_their_images(tmp_path: Path) -> None:
    image = add(tmp_path, ONE, b"1")
    notes = {"kept": image.manifest_digest, "lost": "sha256:" + "0" * 64}
    for name, digest in notes.items():
        file(tmp_path / f"builds/{name}.json").write_text(json.dumps({"digest": digest}))
    file(tmp_path / "builds/torn.json")
    writing = file(tmp_path / "builds/other.new")
    first = cluster(tmp_path).sweep(claims(ONE))
    assert paths(first) == {"builds/lost.json", "builds/torn.json"}
    assert paths(cluster(tmp_path).sweep(claims())) == {"builds/kept.json"}
    assert writing.exists()
    assert paths(cluster(tmp_path, later=DAY + 60).sweep(claims())) == {"builds/other.new"}
    assert list((tmp_path / "builds").iterdir()) == []


def test_sources_go_when_they_are_old_and_nobody_claims_them(tmp_path: Path) -> None:
    for name in ("source/a/used", "source/a/unused", "source/b/.scratch"):
        file(tmp_path / name / "file", size=100)
    file(tmp_path / "git/a.git/config")
    file(tmp_path / "git/tmp0123/new.git/config", size=100)
    claimed = claims(sources={"source/a/used"})
    assert paths(cluster(tmp_path).sweep(claimed)) == set()
    swept = cluster(tmp_path, later=DAY + 60).sweep(claimed)
    assert paths(swept) == {"source/a/unused", "source/b/.scratch", "git/tmp0123"}
    assert swept.bytes_freed == 300
    assert paths(cluster(tmp_path, later=2 * DAY).sweep(claimed)) == {"source/b"}
    assert (tmp_path / "source/a/used/file").exists()


def test_a_mirror_goes_when_it_is_old_and_there_is_no_work_tree_of_it(tmp_path: Path) -> None:
    file(tmp_path / "source/a.b-01/used/file")
    for name in ("a.b-01", "c-02"):
        file(tmp_path / f"git/{name}.git/config")
    claimed = claims(sources={"source/a.b-01/used"})
    assert paths(cluster(tmp_path, later=WEEK - 60).sweep(claimed)) == set()
    assert paths(cluster(tmp_path, later=WEEK + 60).sweep(claimed)) == {"git/c-02.git"}


def test_what_maven_left_goes_when_a_repository_was_not_built_for_a_month(tmp_path: Path) -> None:
    gone = {"maven/web-01", "maven-extensions/0123", "certificates/0123.p12"}
    for name in ("maven/web-01/own/repository/a.jar", "maven-extensions/0123/file"):
        file(tmp_path / name)
    file(tmp_path / "certificates/0123.p12")
    assert paths(cluster(tmp_path, later=MONTH - 60).sweep(claims())) == set()
    assert paths(cluster(tmp_path, later=MONTH + 60).sweep(claims())) == gone


def bundle(root: Path, name: str, *parts: str) -> None:
    """A bundle of hard links to its parts."""
    folder = root / "bundle" / name
    folder.mkdir(parents=True)
    for part in parts:
        source = root / "bundle/parts" / part / "file"
        if not source.exists():
            file(source, size=1000)
        os.link(source, folder / part)
    manifest.write(folder, {"parts": list(parts)})


def test_the_bundle_in_use_and_the_one_before_stay_with_their_parts(tmp_path: Path) -> None:
    for number in range(4):
        bundle(tmp_path, f"{number}", "common", f"part{number}")
        cluster(tmp_path).claim([], [], [tmp_path / "bundle" / f"{number}"])
    file(tmp_path / "bundle/9.unfinished/file")
    cluster(tmp_path, "other").claim([], [], [tmp_path / "bundle/0"])
    kept = claims(bundles=("3", "2"))
    assert paths(cluster(tmp_path, later=WEEK - 60).sweep(kept)) == set()
    listing = (tmp_path / "bundle/1/manifest.json").stat().st_size
    swept = cluster(tmp_path, later=WEEK + 60).sweep(kept)
    assert paths(swept) == {"bundle/1", "bundle/9.unfinished", "bundle/parts/part1"}
    assert swept.bytes_freed == listing + 10 + 1000
    assert {path.name for path in (tmp_path / "bundle").iterdir()} == {
        *("0", "2", "3", "lock", "parts")
    }
    assert (tmp_path / "bundle/3/common").stat().st_size == 1000


def test_a_bundle_that_was_given_up_goes_after_a_day(tmp_path: Path) -> None:
    bundle(tmp_path, "1", "a")
    bundle(tmp_path, "2", "b")
    cluster(tmp_path).claim([], [], [tmp_path / "bundle/1"])
    later = cluster(tmp_path, later=DAY + 60)
    assert paths(later.sweep(claims(bundles=("2",)))) == {"bundle/1"}


def test_parts_stay_while_a_bundle_does_not_say_what_it_is_made_of(tmp_path: Path) -> None:
    bundle(tmp_path, "1", "a")
    manifest.write(tmp_path / "bundle/1", {})
    file(tmp_path / "bundle/parts/b/file")
    assert paths(cluster(tmp_path, later=30 * DAY).sweep(claims(bundles=("1",)))) == set()


def test_bundles_stay_while_somebody_makes_one(tmp_path: Path) -> None:
    bundle(tmp_path, "1", "a")
    with file(tmp_path / "bundle/lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert cluster(tmp_path, later=30 * DAY).sweep(claims()) == Swept()
    assert paths(cluster(tmp_path, later=30 * DAY).sweep(claims())) >= {"bundle/1"}


def test_claims_that_cannot_be_read_stop_everything(tmp_path: Path) -> None:
    add(tmp_path, ONE, b"1")
    file(tmp_path / "clusters/other.json").write_text("{}")
    with pytest.raises(SlipwayError, match=r"other\.json: does not say what a cluster needs"):
        cluster(tmp_path, later=2 * DAY).sweep(claims())
    assert images(tmp_path) == {ONE}
