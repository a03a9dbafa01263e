"""File systems that are really so small, full or confined."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from slipway.doctor import disk
from slipway.doctor.findings import Result
from slipway.doctor.machine import Cluster, Machine, Use
from tests.support.machines import cluster, told
from tests.support.made import seen

HOST, NODE = Use.HOST, Use.WORKER


@pytest.mark.parametrize(
    ("check", "mount", "words"),
    [
        (disk.room, "mount -t tmpfs -o size=64m none {0}", "64 MiB free for {0}/slipway"),
        (disk.room, "mount -t tmpfs -o size=20g,nr_inodes=2000 none {0}", "inodes free on {0}"),
        (disk.file_systems, "mount -t tmpfs -o ro none {0}", "is on {0} (tmpfs), which is read-on"),
        (disk.file_systems, "mount -t tmpfs -o noexec none {0}", "nothing may be run (noexec)"),
        (
            disk.file_systems,
            "mount --bind {0} {0}; mount -o remount,bind,ro {0}",
            "which is read-only",
        ),
    ],
)
def test_the_cache_has_to_be_where_a_bundle_can_be_made(
    check: Callable[[Machine, Cluster], Iterable[Result]],
    mount: str,
    words: str,
    tmp_path: Path,
) -> None:
    folder = tmp_path / "a cache"
    folder.mkdir()
    places = {"cache": f"{folder}/slipway", "engine": "/"}
    quoted = f"'{folder}'"
    machine = seen(mount.format(quoted), places=places)
    results = told(check(machine, cluster(made=True)))
    assert [state for state, _ in results if state != "ok"] == ["fail"]
    assert words.format(folder) in results[0][1]


def test_images_of_pods_do_not_lie_over_an_overlay(tmp_path: Path) -> None:
    for name in ("upper", "work", "engine"):
        (tmp_path / name).mkdir()
    options = f"lowerdir=/usr/share,upperdir={tmp_path}/upper,workdir={tmp_path}/work"
    # The layers lie on a file system of their own, for an overlay's cannot be part of another.
    own = "; ".join(
        [
            f"mount -t tmpfs none {tmp_path}",
            f"mkdir {tmp_path}/upper {tmp_path}/work {tmp_path}/engine",
            f"mount -t overlay -o {options} none {tmp_path}/engine",
        ]
    )
    machine = seen(own, places={"cache": "/", "engine": f"{tmp_path}/engine"})
    results = [each for each in told(disk.file_systems(machine, cluster())) if each[0] == "fail"]
    assert len(results) == 1
    assert "images of pods cannot be unpacked over an overlay" in results[0][1]


def test_a_node_whose_system_is_read_only_takes_no_programs(tmp_path: Path) -> None:
    fixed = "mount --bind /usr/local /usr/local; mount -o remount,bind,ro /usr/local"
    machine = seen(fixed, NODE, places=disk.NODE)
    results = told(disk.file_systems(machine, cluster()))
    assert [found for state, found in results if state == "fail"] == [
        found for _, found in results if "/usr/local/bin is on /usr/local" in found
    ]


def test_a_node_with_a_full_disk_has_no_room_for_images() -> None:
    full = "mkdir -p /var/lib/containerd; mount -t tmpfs -o size=64m none /var/lib/containerd"
    fill = "head -c 60000000 /dev/zero > /var/lib/containerd/images"
    whole = "mount -t tmpfs none /var/lib"
    machine = seen(f"{whole}; {full}; {fill}", NODE, places=disk.NODE)
    results = told(disk.room(machine, cluster()))
    assert any("where the kubelet ends pods at 15%" in found for _, found in results)
    assert {state for state, _ in results} == {"fail"}
