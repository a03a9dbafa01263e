"""What is written twice in inventories and variables is told with both places."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.control_node.inventories import written_twice
from tests.support.checkout import PROJECT

SOUND = """\
nodes:
  children:
    control_plane: {hosts: {lab-1: {ansible_host: 192.0.2.1}}}
    workers:
      hosts:
        lab-2: {ansible_host: 192.0.2.2}
        lab-3:
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An inventory with variables beside it."""
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "hosts.yml").write_text(SOUND)
    (tmp_path / "group_vars/cluster.yml").write_text("metallb_pool: [192.0.2.8/30]\n")
    return tmp_path


def told(inventory: Path, *variables: Path) -> list[str]:
    """Each problem in one line, without its fix."""
    found = written_twice([inventory], variables)
    return [f"{each.where}: {each.what}" for each in found]


@pytest.mark.parametrize("name", ["local", "single", "lab"])
def test_the_inventories_of_the_project_have_nothing_twice(name: str) -> None:
    assert not told(PROJECT / "inventory" / name, PROJECT / "group_vars")


def test_a_host_that_stands_twice_in_a_group_is_told_by_file_or_folder(folder: Path) -> None:
    hosts = folder / "hosts.yml"
    hosts.write_text(f"{SOUND}        lab-2: {{ansible_host: 192.0.2.9}}\n")
    again = [
        f"{hosts}:8: lab-2 stands here again, after line 6",
        f"{hosts}:8: ansible_host of lab-2 is another one than at {hosts}:6",
    ]
    assert told(hosts) == told(folder) == again


def test_a_variable_that_stands_twice_is_told_wherever_it_is(folder: Path, tmp_path: Path) -> None:
    own = folder / "group_vars/cluster.yml"
    own.write_text("pool:\n  - {a: 1, b: 2, a: 3}\n")
    of_all = tmp_path / "all"
    of_all.mkdir()
    (of_all / "settings.yml").write_text("one: 1\ntwo: 2\none: 1\n")
    assert told(folder / "hosts.yml", of_all) == [
        f"{own}:2: a stands here again, after line 2",
        f"{of_all}/settings.yml:3: one stands here again, after line 1",
    ]


def test_a_host_of_two_groups_may_not_have_two_values_of_a_variable(folder: Path) -> None:
    hosts = folder / "hosts.yml"
    hosts.write_text(f"{SOUND}gpu:\n  hosts:\n    lab-2: {{ansible_host: 192.0.2.2, user: x}}\n")
    assert not told(hosts)
    (folder / "more.yaml").write_text("disks:\n  hosts:\n    lab-2:\n      user: y\n")
    assert told(folder) == [
        f"{folder}/more.yaml:4: user of lab-2 is another one than at {hosts}:10"
    ]


@pytest.mark.parametrize("text", ["$ANSIBLE_VAULT;1.1;AES256\n6162\n", "a: [\n", "just words", ""])
def test_what_is_no_yaml_is_left_to_ansible(folder: Path, text: str) -> None:
    (folder / "group_vars/cluster.yml").write_text(text)
    assert not told(folder)


def test_values_of_the_vault_and_merged_mappings_are_no_doubles(folder: Path) -> None:
    (folder / "group_vars/cluster.yml").write_text(
        "key: !vault |\n  $ANSIBLE_VAULT;1.1\nx: &x {a: 1}\ny: &y {b: 1}\n"
        "z: {<<: *x, <<: *y, a: 2}\n"
    )
    assert not told(folder)


def test_what_is_referred_to_is_told_once(folder: Path) -> None:
    own = folder / "group_vars/cluster.yml"
    own.write_text("x: &x {a: 1, a: 2}\ny: *x\nz: [*x]\n")
    assert told(folder) == [f"{own}:1: a stands here again, after line 1"]


@pytest.mark.parametrize(
    "text",
    [
        "nodes: {hosts: {lab-1: {a: &a [*a]}}}\n",
        "nodes: &a {children: {more: *a}}\n",
        "nodes: {vars: {a: &a {b: [1, {c: *a}]}}}\n",
    ],
)
def test_what_is_within_itself_is_told(folder: Path, text: str) -> None:
    (folder / "hosts.yml").write_text(text)
    where = f"{folder}/hosts.yml:1"
    assert told(folder / "hosts.yml") == [f"{where}: has an alias within what it stands for"]


def test_a_number_and_the_same_as_text_are_two_keys(folder: Path) -> None:
    (folder / "group_vars/cluster.yml").write_text('names: {1: a, "1": b, 2: c, 2: d}\n')
    [line] = told(folder)
    assert "2 stands here again" in line


def test_an_inventory_that_is_no_file_has_nothing_twice() -> None:
    assert not told(Path("one,two,"))
