"""What config files, variables and charts say once they are read and filled in."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from slipway.apps.app import Variable
from slipway.apps.deploy.content import complete
from slipway.apps.limits import FIX, LARGEST
from tests.support.apps import built
from tests.support.contents import NO_HELM, content, only_fault

PNG = b"\x89PNG\r\n\x1a\n\x00\xff"

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


def test_what_is_no_text_is_taken_as_it_is_unless_it_is_to_be_filled_in(tmp_path: Path) -> None:
    (tmp_path / "logo.png").write_bytes(PNG)
    place = str(tmp_path / "logo.png")
    files = [{"path": "/a", "source": "logo.png"}, {"path": "/b", "file": place}]
    found = content(config_files=files, checkout=str(tmp_path))
    assert found.faults == []
    assert [file.binary for file in found.app.config_files] == [PNG, PNG]
    template = {"path": "/a", "source": "logo.png", "template": True}
    assert only_fault(content(config_files=[template], checkout=str(tmp_path))) == (
        "config file /a: logo.png is no UTF-8 text to fill in: remove template: true"
    )
    manifest = only_fault(content(manifests=[{"source": "logo.png"}], checkout=str(tmp_path)))
    assert manifest == "manifests[0]: logo.png cannot be read: it is no UTF-8 text"


@pytest.mark.parametrize("template", [True, False])
def test_a_file_is_to_the_letter(tmp_path: Path, template: bool) -> None:
    text = "\ufeffa=1\r\nb=2\rc\x00\n\n"
    (tmp_path / "a.properties").write_bytes(text.encode())
    files = [{"path": "/a", "source": "a.properties", "template": template}]
    [file] = content(config_files=files, checkout=str(tmp_path)).app.config_files
    assert file.content == text


def test_a_file_that_ansible_vault_encrypted_is_not_deployed(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text("$ANSIBLE_VAULT;1.1;AES256\n6231\n")
    files = [{"path": "/key.pem", "source": "key.pem"}]
    fault = only_fault(content(config_files=files, checkout=str(tmp_path)))
    assert "config file /key.pem: key.pem is encrypted by Ansible Vault" in fault
    assert "slipway_secrets" in fault


def test_a_configuration_that_is_too_large_is_told_with_its_files(tmp_path: Path) -> None:
    for name in "abcdefg":
        (tmp_path / name).write_bytes(b"\xff" * 150_000)
    files = [{"path": f"/{name}", "source": name} for name in "abcdef"]
    as_large_as_can_be = {"path": "/rest", "content": "ä" * ((LARGEST - 900_000) // 2)}
    assert content(config_files=[*files, as_large_as_can_be], checkout=str(tmp_path)).faults == []
    one_more = {"path": "/more", "content": "x"}
    found = content(config_files=[*files, as_large_as_can_be, one_more], checkout=str(tmp_path))
    fault = only_fault(found)
    assert "the ConfigMap of its config files would hold 1,048,577 bytes" in fault
    assert "Kubernetes takes at most 1,048,576 (1 MiB): /a 150,000, /b 150,000," in fault
    assert fault.endswith(f" and 3 more: {FIX}")


def test_a_file_that_no_configuration_can_hold_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as file:
        file.truncate(1 << 40)
    files = [{"path": "/a", "source": "large"}, {"path": "/b", "content": "b"}]
    fault = only_fault(content(config_files=files, checkout=str(tmp_path)))
    assert fault.startswith("config file /a would hold 1,099,511,627,776 bytes")
    assert ": large 1,099,511,627,776: " in fault


def test_secrets_that_are_too_large_are_told_without_their_values() -> None:
    secrets = {"key": "canary" * 170_000, "token": "canary" * 10_000}
    app = built(
        env={"TOKEN": {"secret": "token"}},
        config_files=[{"path": "/etc/key", "secret": "key"}],
    )
    fault = only_fault(complete(app, secrets, NO_HELM))
    assert "the Secret of its secrets would hold 1,080,000 bytes" in fault
    assert "/etc/key 1,020,000, env TOKEN 60,000" in fault
    assert "canary" not in fault


def test_a_variable_that_no_environment_can_have_is_told_without_its_value() -> None:
    secrets = {"long": "canary" * 30_000, "nul": "canary\0"}
    env = {"A": {"secret": "long"}, "B": {"value": "{{ name }}" + "x" * 131_070}}
    found = complete(built(env=env), secrets, NO_HELM)
    assert [fault.partition(" bytes")[0] for fault in found.faults] == [
        "env B has 131,079",
        "env A has 180,002",
    ]
    found = complete(built(env={"C": {"secret": "nul"}}), secrets, NO_HELM)
    assert found.faults == ["env C has a NUL in it, which no variable can have"]


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("ConfigMap", {"data": {"a": "ä" * 500_000, "b": "x" * 48_577}}),
        ("ConfigMap", {"data": {"a": "x"}, "binaryData": {"b": "AAAA" * 349_526}}),
        ("Secret", {"data": {"a": "AAAA" * 349_526}}),
        ("Secret", {"stringData": {"a": "x" * 1_048_577}}),
    ],
)
def test_an_object_of_a_manifest_that_is_too_large_is_told(kind: str, data: dict[str, Any]) -> None:
    obj = {"apiVersion": "v1", "kind": kind, "metadata": {"name": "large"}, **data}
    fault = only_fault(content(manifests=[{"content": json.dumps(obj)}]))
    assert fault.startswith(f"manifests[0]:1: {kind} large would hold 1,048,57")


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
