"""What config files, variables and charts say once they are read and filled in."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from slipway.apps.app import Variable
from tests.support.apps import built
from tests.support.contents import content, only_fault

NEEDED: dict[str, dict[str, Any]] = {
    "manifests": {},
    "helm": {"release": "r"},
    "config_files": {"path": "/a", "template": True},
}
"""What an entry needs beside its place."""


def test_text_is_filled_in_where_it_is_a_template(tmp_path: Path) -> None:
    (tmp_path / "shared.properties").write_text("host={{ host }}\n")
    (tmp_path / "own.properties").write_text("raw={{ host }}\n")
    files = [
        {"path": "/a", "content": "{{ name }} {{ branch }} {{ commit }}", "template": True},
        {"path": "/b", "content": "{{ name }}", "template": False},
        {"path": "/c", "file": str(tmp_path / "shared.properties"), "template": True},
        {"path": "/d", "source": "own.properties", "template": False},
    ]
    env = {"WHERE": {"value": "{{ namespace }}/{{ branch_slug }}"}, "S": {"config_map": "a"}}
    found = content(config_files=files, env=env, checkout=str(tmp_path))
    assert found.faults == []
    assert {file.path: file.content for file in found.app.config_files} == {
        "/a": f"greeter main {built().commit}",
        "/b": "{{ name }}",
        "/c": "host=demo.slipway.test\n",
        "/d": "raw={{ host }}\n",
    }
    assert found.app.env == {
        "WHERE": Variable("greeter-main/main"),
        "S": Variable(config_map="a"),
    }


def test_what_a_shell_writes_with_braces_stays(tmp_path: Path) -> None:
    script = "echo ${#list[@]} {{ name }}\necho ${list[@]#} #}\n"
    kept = script.replace("{{ name }}", "greeter")
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}
    found = content(
        config_files=[{"path": "/a.sh", "content": script, "template": True}],
        env={"SCRIPT": {"value": script}},
        manifests=[{"content": json.dumps({**config, "data": {"a.sh": script}})}],
        checkout=str(tmp_path),
    )
    assert found.faults == []
    assert [file.content for file in found.app.config_files] == [kept]
    assert found.app.env == {"SCRIPT": Variable(kept)}
    assert [extra.obj["data"] for extra in found.extras] == [{"a.sh": kept}]


def test_without_a_route_there_is_no_host() -> None:
    fault = only_fault(content(env={"HOST": {"value": "{{ host }}"}}, ingress=None))
    assert fault.startswith("env HOST:1: 'host' is undefined; known: name, branch")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a\n{{ bramch }}\n", "app.conf:2: 'bramch' is undefined; known: name, branch,"),
        ("a\n\n{% if %}\n", "app.conf:3: Expected an expression"),
        ("{{ 1 / 0 }}", "app.conf:1: division by zero"),
        ("{{ name.__class__ }}", "app.conf:1: access to attribute '__class__'"),
    ],
)
@pytest.mark.parametrize("place", ["source", "file"])
def test_a_template_that_will_not_do_is_told_with_its_line(
    tmp_path: Path, text: str, complaint: str, place: str
) -> None:
    (tmp_path / "app.conf").write_text(text)
    name = "app.conf" if place == "source" else str(tmp_path / "app.conf")
    files = [{"path": "/a", place: name, "template": True}]
    assert complaint in only_fault(content(config_files=files, checkout=str(tmp_path)))


def test_what_is_no_text_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    files = [{"path": "/a", "file": str(tmp_path / "binary"), "template": False}]
    assert "binary cannot be read: it is no UTF-8 text" in only_fault(content(config_files=files))


def test_files_are_those_of_the_project_and_what_it_links_to(tmp_path: Path) -> None:
    folder = tmp_path / "services" / "orders"
    folder.mkdir(parents=True)
    (folder / "own.properties").write_text("own")
    (tmp_path / "own.properties").write_text("of the top")
    (tmp_path / "shared.properties").write_text("shared")
    (folder / "link.properties").symlink_to("../../shared.properties")
    files = [
        {"path": f"/{name}", "source": f"{name}.properties", "template": False}
        for name in ("own", "link")
    ]
    found = content(config_files=files, checkout=str(tmp_path), project="services/orders")
    assert found.faults == []
    assert [file.content for file in found.app.config_files] == ["own", "shared"]


@pytest.mark.parametrize("key", NEEDED)
@pytest.mark.parametrize(
    ("links", "name"),
    [
        ({"link": ".."}, "link"),
        ({"link": ".."}, "link/secret.yaml"),
        ({"link": "/etc/passwd"}, "link"),
        ({"link": "/dev/zero"}, "link"),
        ({"link": "other", "other": "../secret.yaml"}, "link"),
    ],
)
def test_what_leads_out_of_the_repository_is_not_read(
    tmp_path: Path, key: str, links: dict[str, str], name: str
) -> None:
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    (tmp_path / "secret.yaml").touch()
    for place, target in links.items():
        (checkout / place).symlink_to(target)
    entry = {"source": name, **NEEDED[key]}
    fault = only_fault(content(**{key: [entry]}, checkout=str(checkout)))
    assert f": {name} cannot be read: it leads out of the repository" in fault


@pytest.mark.parametrize("key", NEEDED)
@pytest.mark.parametrize("place", ["source", "file"])
def test_a_pipe_is_not_read(tmp_path: Path, key: str, place: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    name = "pipe" if place == "source" else str(tmp_path / "pipe")
    entry = {place: name, **NEEDED[key]}
    fault = only_fault(content(**{key: [entry]}, checkout=str(tmp_path)))
    assert f": {name} cannot be read: it is neither a file nor a folder" in fault


def test_a_link_within_the_repository_is_read(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.conf").write_text("text")
    (tmp_path / "folder").symlink_to("real")
    (tmp_path / "b.conf").symlink_to("folder/a.conf")
    files = [{"path": "/a", "source": "b.conf"}, {"path": "/b", "source": "folder/a.conf"}]
    found = content(config_files=files, checkout=str(tmp_path))
    assert [file.content for file in found.app.config_files] == ["text", "text"]


def test_an_app_that_failed_before_is_left_alone() -> None:
    wrong = {"env": {"A": {"value": "{{ b }}"}}}
    assert content(**wrong, failed={"step": "build", "reason": "no"}).faults == []


def test_dates_stay_text_and_lists_are_taken_apart() -> None:
    text = (
        "apiVersion: v1\nkind: List\nitems:\n"
        "- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {day: 2030-01-01}}\n"
        "- {apiVersion: v1, kind: ConfigMap, metadata: {name: b}}\n---\n---\n# nothing\n"
    )
    found = content(manifests=[{"content": text, "template": False}])
    assert [extra.obj["metadata"]["name"] for extra in found.extras] == ["a", "b"]
    assert found.extras[0].obj["data"] == {"day": "2030-01-01"}
