"""Systems, kernels and control groups that are really so."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from slipway.doctor import system
from slipway.doctor.machine import Use
from tests.support.machines import cluster, told
from tests.support.made import bounded, seen, without

NODE, HOST = Use.WORKER, Use.HOST

SYSTEMS = {
    "fedora": 'ID=fedora\nVERSION_ID=42\nPRETTY_NAME="Fedora Linux 42"\n',
    "old debian": 'ID=debian\nVERSION_ID="11"\nPRETTY_NAME="Debian GNU/Linux 11 (bullseye)"\n',
    "debian": 'ID=debian\nVERSION_ID="13"\nPRETTY_NAME="Debian GNU/Linux 13 (trixie)"\n',
}
WITH_SYSTEMD = "mount -t tmpfs none /run; mkdir -p /run/systemd/system"
WITHOUT_SYSTEMD = "mount -t tmpfs none /run"


@pytest.mark.parametrize(
    ("name", "start", "state", "words"),
    [
        ("fedora", WITH_SYSTEMD, "warn", "Fedora Linux 42; nodes have been made of Debian"),
        ("old debian", WITH_SYSTEMD, "warn", "Debian GNU/Linux 11 (bullseye); nodes"),
        ("debian", WITH_SYSTEMD, "ok", "Debian GNU/Linux 13 (trixie)"),
        ("debian", WITHOUT_SYSTEMD, "fail", "does not run systemd"),
    ],
)
def test_a_node_s_distribution_is_read_where_it_is_said(
    name: str, start: str, state: str, words: str, tmp_path: Path
) -> None:
    release = tmp_path / "os-release"
    release.write_text(SYSTEMS[name])
    machine = seen(f"{start}; mount --bind {release} /etc/os-release", NODE)
    ((found_state, found),) = told(system.system(machine, cluster()))
    assert found_state == state
    assert words in found


def test_an_old_kernel_is_too_old_for_pods() -> None:
    machine = seen(under=["setarch", "--uname-2.6"])
    ((state, found),) = told(system.kernel(machine, cluster()))
    assert state == "fail"
    assert found.startswith("2.6.")


@pytest.mark.parametrize("use", [HOST, NODE])
def test_a_system_of_32_bits_has_no_bundle(use: Use) -> None:
    (found,) = told(system.processor(seen(use=use, under=["linux32"]), cluster()))
    assert found[0] == "fail"
    assert found[1].startswith("i686")


@pytest.fixture
def kernel(tmp_path: Path) -> str:
    """Commands that hide what this kernel has, and what it says of itself."""
    nothing = tmp_path / "nothing"
    nothing.touch()
    (tmp_path / "lib").mkdir()
    hidden = ("/proc/config.gz", f"/boot/config-{platform.release()}")
    return "\n".join(
        [
            "mount -t tmpfs none /sys/module",
            *(f"[ ! -e {each} ] || mount --bind {nothing} {each}" for each in hidden),
            # Below /usr, for / itself cannot be covered by what is started from it.
            f"mount -t overlay -o lowerdir={tmp_path}/lib:/usr/lib none /usr/lib",
        ]
    )


def modules(tmp_path: Path, release: str, *names: str) -> None:
    """Let there be modules of a kernel."""
    folder = tmp_path / "lib" / "modules" / release
    folder.mkdir(parents=True)
    (folder / "modules.builtin").touch()
    paths = "".join(f"kernel/net/{name}.ko.xz:\n" for name in names)
    (folder / "modules.dep").write_text(paths)


def test_a_kernel_whose_modules_were_removed_wants_a_reboot(kernel: str, tmp_path: Path) -> None:
    modules(tmp_path, "5.0.0-gone", "veth")
    ((state, found),) = told(system.modules(seen(kernel, NODE), cluster()))
    assert state == "fail"
    assert "veth" in found
    assert "has no modules any more" in found


def test_a_kernel_without_veth_is_cut_down(kernel: str, tmp_path: Path) -> None:
    modules(tmp_path, platform.release(), "bridge", "nf_tables", "nft_masq")
    ((state, found),) = told(system.modules(seen(kernel, NODE), cluster()))
    assert state == "fail"
    assert "veth" in found
    assert "nf_tables" not in found


def test_programs_that_are_not_there_are_told() -> None:
    (result,) = system.programs(seen(without("losetup", "ip"), NODE), cluster())
    assert (str(result.state), result.found) == ("fail", "lacks ip, losetup")
    assert told(system.programs(seen(use=NODE), cluster())) == [("ok", "all that a node calls")]


@pytest.mark.parametrize(
    ("context", "enforces", "state"),
    [("bin_t", 1, "fail"), ("container_file_t", 1, "ok"), ("bin_t", 0, "ok")],
)
def test_selinux_that_enforces_without_rules_for_containers_is_told(
    context: str, enforces: int, state: str, tmp_path: Path
) -> None:
    contexts = tmp_path / "selinux/targeted/contexts/files/file_contexts"
    contexts.parent.mkdir(parents=True)
    contexts.write_text(f"/srv(/.*)?  system_u:object_r:{context}:s0\n")
    prepare = f"""
    mount -t tmpfs none /sys/fs
    mkdir /sys/fs/selinux
    echo {enforces} > /sys/fs/selinux/enforce
    mount -t overlay -o lowerdir={tmp_path}:/etc none /etc
    """
    (result,) = system.selinux(seen(prepare, NODE), cluster())
    assert str(result.state) == state
    assert ("SELINUX=permissive" in result.fix) is (state == "fail")


NO_GROUPS = "umount --recursive --lazy /sys/fs/cgroup"


def test_without_control_groups_nothing_runs_in_containers() -> None:
    machine = seen(NO_GROUPS)
    assert told(system.control_groups(machine, cluster()))[0] == (
        "fail",
        "none are mounted, so nothing can run in a container",
    )


def test_hierarchies_of_version_1_do_for_a_machine_with_all_controllers() -> None:
    first = "; ".join(
        [
            NO_GROUPS,
            "mount -t tmpfs none /sys/fs/cgroup",
            "mkdir /sys/fs/cgroup/x",
            "mount -t cgroup -o none,name=slipway-test none /sys/fs/cgroup/x",
        ]
    )
    results = told(system.control_groups(seen(first, NODE), cluster()))
    assert [state for state, _ in results] == ["warn", "fail"]
    assert "version 1, which the kubelet is told to take" in results[0][1]
    assert "lacks cpu, cpuacct, cpuset, devices, freezer, memory, pids" in results[1][1]


def test_version_2_without_its_controllers_bounds_nothing() -> None:
    # Seen from inside, the group is the top, which lists what those above have left it.
    inside = "mount -t cgroup2 none /sys/fs/cgroup"
    own = ["unshare", "--cgroup", "sh", "-euc", f'{inside}; exec "$@"', "sh"]
    with bounded() as join:
        machine = seen(f"{join}; {NO_GROUPS}", NODE, under=own)
    ((state, found),) = told(system.control_groups(machine, cluster()))
    assert state == "fail"
    assert "version 2 lacks cpu, cpuset, memory, pids" in found


def test_control_groups_that_are_read_only_do_not_do_for_an_engine_that_is_started_here() -> None:
    mounted = "awk '$3 ~ /^cgroup2?$/ { print $2 }' /proc/mounts"
    read_only = f"{mounted} | while read -r each; do mount -o remount,bind,ro $each; done"
    machine = seen(f"{WITHOUT_SYSTEMD}; {read_only}")
    ((state, found),) = told(system.control_groups(machine, cluster()))
    assert state == "fail"
    assert "mounted read-only" in found
