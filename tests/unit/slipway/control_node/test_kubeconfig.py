"""The administrator's kubeconfig: names, merging, removal, and who may read it."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from slipway.control_node.kubeconfig import merged, named, read, without, write
from slipway.errors import SlipwayError

ADMIN = """
apiVersion: v1
kind: Config
clusters:
- {name: kubernetes, cluster: {server: "https://172.29.0.2:6443"}}
users:
- {name: kubernetes-admin, user: {client-key-data: a2V5}}
contexts:
- {name: kubernetes-admin@kubernetes, context: {cluster: kubernetes, user: kubernetes-admin}}
current-context: kubernetes-admin@kubernetes
"""


def config(*names: str, current: str = "", server: str = "https://old") -> dict[str, Any]:
    """A kubeconfig of several clusters."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": server}} for name in names],
        "users": [{"name": name, "user": {}} for name in names],
        "contexts": [{"name": n, "context": {"cluster": n, "user": n}} for n in names],
        "current-context": current,
    }


def names(document: dict[str, Any]) -> list[list[str]]:
    """The names of clusters, users and contexts."""
    kinds = ("clusters", "users", "contexts")
    return [[entry["name"] for entry in document[kind]] for kind in kinds]


def test_everything_is_named_after_the_cluster() -> None:
    document = named(ADMIN, "lab")
    assert names(document) == [["lab"]] * 3
    assert document["contexts"][0]["context"] == {"cluster": "lab", "user": "lab"}
    assert document["current-context"] == "lab"
    assert document["clusters"][0]["cluster"] == {"server": "https://172.29.0.2:6443"}
    assert document["users"][0]["user"] == {"client-key-data": "a2V5"}


def test_merging_into_nothing_gives_a_kubeconfig() -> None:
    document = config("lab", current="lab")
    assert merged({}, document) == document


def test_merging_adds_and_leaves_the_current_context() -> None:
    both = merged(config("work", current="work"), config("lab", current="lab"))
    assert names(both) == [["work", "lab"]] * 3
    assert both["current-context"] == "work"


def test_merging_replaces_entries_of_the_same_name_where_they_are() -> None:
    both = merged(config("lab", "work", current="work"), config("lab", server="https://new"))
    assert names(both) == [["lab", "work"]] * 3
    servers = [entry["cluster"]["server"] for entry in both["clusters"]]
    assert servers == ["https://new", "https://old"]


def test_merging_keeps_what_else_is_in_the_file() -> None:
    assert merged({**config("work"), "preferences": {"colors": True}}, config("lab"))[
        "preferences"
    ] == {"colors": True}


def test_merging_again_changes_nothing() -> None:
    once = merged(config("work"), config("lab", current="lab"))
    assert merged(once, config("lab", current="lab")) == once


def test_where_no_context_is_current_the_new_one_is() -> None:
    assert merged(config("work"), config("lab", current="lab"))["current-context"] == "lab"


def test_what_kubectl_writes_for_no_entries_can_be_merged_into() -> None:
    empty = {"clusters": None, "users": None, "contexts": None, "current-context": ""}
    assert names(merged(empty, config("lab"))) == [["lab"]] * 3


def test_removal_takes_the_cluster_s_entries_and_no_others() -> None:
    left = without(config("work", "lab", current="work"), "lab")
    assert left == config("work", current="work")


def test_after_removal_no_context_is_current_that_is_not_there() -> None:
    assert without(config("work", "lab", current="lab"), "lab")["current-context"] == ""


def test_removal_of_what_is_not_there_changes_nothing() -> None:
    for document in ({}, {"clusters": None, "users": None}, config("work")):
        assert without(document, "lab") == document


def test_a_written_kubeconfig_is_its_owner_s_alone(tmp_path: Path) -> None:
    path = tmp_path / ".kube" / "lab.yaml"
    assert write(path, config("lab"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert yaml.safe_load(path.read_text()) == read(path) == config("lab")
    assert [each.name for each in path.parent.iterdir()] == ["lab.yaml"]


def test_writing_the_same_again_leaves_the_file(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text("# mine\n" + yaml.safe_dump(config("lab")))
    assert not write(path, config("lab"))
    assert path.read_text().startswith("# mine")
    assert write(path, config("lab", "work"))


def test_a_link_to_a_kubeconfig_stays_one(tmp_path: Path) -> None:
    link = tmp_path / "config"
    link.symlink_to(tmp_path / "elsewhere" / "config")
    write(link, config("lab"))
    assert link.is_symlink()
    assert read(tmp_path / "elsewhere" / "config") == config("lab")


def test_no_file_is_an_empty_kubeconfig(tmp_path: Path) -> None:
    assert read(tmp_path / "config") == {}
    (tmp_path / "config").touch()
    assert read(tmp_path / "config") == {}


@pytest.mark.parametrize("content", [b"key: [c2VjcmV0", b"- a list", b"\xff\xfe"])
def test_another_file_is_refused_without_showing_what_is_in_it(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "config"
    path.write_bytes(content)
    with pytest.raises(SlipwayError) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert "c2VjcmV0" not in str(caught.value)
    assert path.read_bytes() == content
