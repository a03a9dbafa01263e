"""File systems with room and without, and those that nothing can be put on."""

from __future__ import annotations

from typing import Any

import pytest

from slipway.doctor import disk
from slipway.doctor.machine import Use
from tests.support.machines import GIB, SOUND, cluster, machine, place, told

NODE, HOST, CONTROL = Use.WORKER, Use.HOST, Use.CONTROL_NODE


def with_place(use: Use, name: str, made: bool = False, **changes: Any) -> Any:
    """A machine with one place that is as said, on a file system of its own."""
    path = SOUND["places"][name]["path"]
    own = place(path, **{"device": 2, "mount": "/mnt"} | changes)
    return machine(use, made=made, places={name: own})


@pytest.mark.parametrize("use", [*Use])
def test_a_sound_machine_has_nothing_against_it(use: Use) -> None:
    for check in disk.CHECKS:
        assert {state for state, _ in told(check(machine(use), cluster()))} == {"ok"}


@pytest.mark.parametrize(
    ("use", "name", "free", "state"),
    [
        (HOST, "cache", 5 * GIB, "fail"),
        (HOST, "cache", 8 * GIB, "warn"),
        (HOST, "cache", 13 * GIB, "ok"),
        (HOST, "engine", 3 * GIB, "fail"),
        (CONTROL, "cache", 5 * GIB, "fail"),
        (CONTROL, "engine", 0, "ok"),
        (NODE, "images", 2 * GIB, "fail"),
        (NODE, "cache", 0, "ok"),
    ],
)
def test_there_has_to_be_room_for_what_is_still_to_be_made(
    use: Use, name: str, free: int, state: str
) -> None:
    found = with_place(use, name, free=free, size=20 * GIB)
    assert told(disk.room(found, cluster()))[0][0] == state


@pytest.mark.parametrize(
    ("use", "name", "made"),
    [(HOST, "cache", {"bundles_to_make": 0}), (HOST, "engine", {"made": True})],
)
def test_what_is_there_already_takes_little(use: Use, name: str, made: dict[str, Any]) -> None:
    found = with_place(use, name, free=2 * GIB)
    assert told(disk.room(found, cluster()))[0][0] == "fail"
    assert told(disk.room(found, cluster(**made)))[0][0] == "ok"


@pytest.mark.parametrize(("to_make", "state"), [(1, "ok"), (2, "fail")])
def test_each_bundle_that_is_still_to_be_made_takes_room(to_make: int, state: str) -> None:
    found = with_place(HOST, "cache", free=10 * GIB)
    assert told(disk.room(found, cluster(bundles_to_make=to_make)))[0][0] == state


def test_a_node_that_is_there_already_takes_little() -> None:
    for made, expected in ((False, "fail"), (True, "ok")):
        found = with_place(NODE, "images", made=made, free=2 * GIB, size=9 * GIB)
        assert told(disk.room(found, cluster()))[0][0] == expected


def test_places_on_one_file_system_share_its_room() -> None:
    one = {"device": 2, "mount": "/mnt", "free": 9 * GIB}
    places = {name: place(SOUND["places"][name]["path"], **one) for name in ("cache", "engine")}
    ((state, found),) = told(disk.room(machine(HOST, places=places), cluster()))
    assert state == "fail"
    assert "9.0 GiB free for /root/.cache/slipway and /var/lib/docker" in found
    assert "it takes 10.0 GiB" in found


@pytest.mark.parametrize(("free", "state"), [(20, "ok"), (14, "fail")])
def test_the_kubelet_of_a_machine_ends_pods_where_little_is_free(free: int, state: str) -> None:
    found = with_place(NODE, "images", free=free * GIB, size=100 * GIB)
    assert told(disk.room(found, cluster()))[0][0] == state


def test_a_kubelet_in_a_container_does_not_look_at_the_disk() -> None:
    found = with_place(HOST, "engine", free=14 * GIB, size=1000 * GIB)
    assert told(disk.room(found, cluster()))[0][0] == "ok"


@pytest.mark.parametrize(
    ("use", "name", "inodes", "free", "state"),
    [
        (HOST, "cache", 1_000_000, 5_000, "fail"),
        (HOST, "cache", 1_000_000, 50_000, "warn"),
        (HOST, "cache", 1_000_000, 500_000, "ok"),
        (NODE, "images", 6_000_000, 200_000, "fail"),
        (HOST, "cache", 0, 0, "ok"),
    ],
)
def test_files_need_inodes_where_there_is_a_table_of_them(
    use: Use, name: str, inodes: int, free: int, state: str
) -> None:
    found = with_place(use, name, inodes=inodes, inodes_free=free)
    assert told(disk.room(found, cluster()))[0][0] == state


@pytest.mark.parametrize(
    ("use", "name", "changes", "state", "words"),
    [
        (HOST, "cache", {"writable": False}, "fail", "read-only"),
        (NODE, "programs", {"writable": False}, "fail", "read-only"),
        (NODE, "settings", {"writable": False}, "fail", "read-only"),
        (HOST, "cache", {"options": ["rw", "noexec"]}, "fail", "noexec"),
        (NODE, "images", {"options": ["rw", "noexec"]}, "fail", "noexec"),
        (NODE, "pods", {"options": ["rw", "noexec"]}, "ok", "ext4"),
        (HOST, "cache", {"kind": "9p"}, "fail", "owners and locks"),
        (CONTROL, "cache", {"kind": "vfat"}, "fail", "owners and links"),
        (HOST, "cache", {"kind": "nfs4"}, "warn", "another machine"),
        (HOST, "engine", {"kind": "overlay"}, "fail", "over an overlay"),
        (HOST, "cache", {"kind": "overlay"}, "ok", "overlay on /mnt"),
        (NODE, "images", {"kind": "overlay"}, "fail", "over an overlay"),
        (CONTROL, "engine", {"kind": "overlay"}, "ok", "ext4 on /"),
    ],
)
def test_what_is_put_there_has_to_be_written_run_and_linked(
    use: Use, name: str, changes: dict[str, Any], state: str, words: str
) -> None:
    ((found_state, found),) = told(disk.file_systems(with_place(use, name, **changes), cluster()))
    assert found_state == state
    assert words in found
