"""Folders, name servers and names of this machine that are really so."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway.doctor import control_node
from tests.support.machines import told
from tests.support.made import NOBODY, python


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder that all may look into."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def said(call: str, prepare: str = "", *, user: int = 0) -> list[str]:
    """What the results of a check are, state and text by line, in name spaces of its own."""
    imports = "from pathlib import Path\nfrom slipway.doctor import control_node"
    shown = "print(each.state, each.found, '|', each.fix)"
    return python(imports, f"for each in {call}: {shown}", prepare, user=user)


@pytest.mark.parametrize("mode", [0o755, 0o700])
def test_a_cache_that_a_run_with_sudo_has_made_is_not_the_user_s(mode: int, home: Path) -> None:
    cache = home / "slipway"
    cache.mkdir(mode)
    (line,) = said(f"control_node.folders([Path('{cache}')], {NOBODY})", user=NOBODY)
    assert line == (
        f"fail {cache} belongs to user 0, and this one may not write it "
        f'| sudo chown -R "$(id -un)" {cache}'
    )


def test_a_folder_of_root_s_in_a_cache_of_the_user_s_is_found(home: Path) -> None:
    cache = home / "slipway"
    (cache / "bundle").mkdir(parents=True)
    (cache / "git").mkdir()
    for path in (cache, cache / "git"):
        os.chown(path, NOBODY, NOBODY)
    (line,) = said(f"control_node.folders([Path('{cache}')], {NOBODY})", user=NOBODY)
    assert line.startswith(f"fail {cache}/bundle belongs to user 0")


def test_root_in_the_home_of_a_user_leaves_what_that_cannot_change(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.chown(home, NOBODY, NOBODY)
    monkeypatch.setenv("HOME", str(home))
    ((state, found),) = told(control_node.folders([home / "cache"], 0))
    assert state == "warn"
    assert f"belongs to user {NOBODY}" in found


def test_root_may_run_in_a_checkout_of_a_user_s(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.chown(home, NOBODY, NOBODY)
    monkeypatch.setenv("HOME", "/root")
    ((state, _found),) = told(control_node.folders([home / ".slipway"], 0))
    assert state == "ok"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nameserver 127.0.0.53\n", "warn none that a container can ask"),
        ("search example.test\n", "ok none now; nodes follow /etc/resolv.conf"),
        ("nameserver 127.0.0.1\nnameserver 192.0.2.53\n", "ok 192.0.2.53"),
    ],
)
def test_name_servers_of_this_machine_are_those_that_containers_can_ask(
    text: str, expected: str, tmp_path: Path
) -> None:
    resolv_conf = tmp_path / "resolv.conf"
    resolv_conf.write_text(text)
    own = f"mount -t tmpfs none /run; mount --bind {resolv_conf} /etc/resolv.conf"
    (line,) = said("control_node.name_servers('')", own)
    assert line.startswith(expected)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("172.29.255.201", "ok demo.slipway.test known"),
        ("192.0.2.1", "warn demo.slipway.test is 192.0.2.1, which is not in metallb_pool"),
        ("", "warn demo.slipway.test unknown to this machine"),
    ],
)
def test_a_host_is_known_by_an_address_of_the_pool(
    address: str, expected: str, tmp_path: Path
) -> None:
    names = tmp_path / "hosts"
    names.write_text(f"{address} demo.slipway.test\n" if address else "")
    own = f"mount --bind {names} /etc/hosts"
    call = "control_node.hosts(['demo.slipway.test'], ['172.29.255.200-172.29.255.250'])"
    (line,) = said(call, own)
    assert line.startswith(expected)


def test_tools_that_a_user_lacks_are_told_with_the_command_for_root() -> None:
    call = "control_node.programs(['git', 'maven'])"
    first, install, *_ = said(call, "export PATH=/none", user=NOBODY)
    assert first == "fail lacks git, maven | as root:"
    assert install.strip().startswith("install git, maven")
