"""What config files, variables and charts say once they are read and filled in."""

from __future__ import annotations

import gzip
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from slipway.apps.deploy.content import Content, complete
from slipway.apps.deploy.helm import Helm, helm_program
from tests.support.apps import built

NO_HELM = Helm(Path("/nonexistent/helm"))


def content(program: Helm = NO_HELM, /, **changes: Any) -> Content:
    return complete(built(**changes), {}, program)


def only_fault(found: Content) -> str:
    [fault] = found.faults
    return fault


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
    assert {file["path"]: file["content"] for file in found.filled["config_files"]} == {
        "/a": f"greeter main {built()['commit']}",
        "/b": "{{ name }}",
        "/c": "host=demo.slipway.test\n",
        "/d": "raw={{ host }}\n",
    }
    assert found.filled["env"] == {"WHERE": {"value": "greeter-main/main"}, "S": env["S"]}


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
    assert [file["content"] for file in found.filled["config_files"]] == ["own", "shared"]


@pytest.mark.parametrize("key", ["manifests", "helm", "config_files"])
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
    entry = {"source": name, "path": "/a", "template": True, "release": "r", "values": {}}
    fault = only_fault(content(**{key: [entry]}, checkout=str(checkout)))
    assert f": {name} cannot be read: it leads out of the repository" in fault


@pytest.mark.parametrize("key", ["manifests", "helm", "config_files"])
@pytest.mark.parametrize("place", ["source", "file"])
def test_a_pipe_is_not_read(tmp_path: Path, key: str, place: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    name = "pipe" if place == "source" else str(tmp_path / "pipe")
    entry = {place: name, "path": "/a", "template": True, "release": "r", "values": {}}
    fault = only_fault(content(**{key: [entry]}, checkout=str(tmp_path)))
    assert f": {name} cannot be read: it is neither a file nor a folder" in fault


def test_a_link_within_the_repository_is_read(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.conf").write_text("text")
    (tmp_path / "folder").symlink_to("real")
    (tmp_path / "b.conf").symlink_to("folder/a.conf")
    files = [{"path": "/a", "source": "b.conf"}, {"path": "/b", "source": "folder/a.conf"}]
    found = content(config_files=files, checkout=str(tmp_path))
    assert [file["content"] for file in found.filled["config_files"]] == ["text", "text"]


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


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    """A folder that looks like a chart."""
    folder = tmp_path / "chart"
    folder.mkdir()
    (folder / "Chart.yaml").write_text("name: redis\n")
    return folder


def fake_helm(tmp_path: Path, rendered: str, *, ends: int = 0) -> Helm:
    """A program in Helm's place that notes what it was given, and prints ``rendered``."""
    program, noted = tmp_path / "helm", tmp_path / "noted"
    (tmp_path / "rendered").write_text(rendered)
    program.write_text(
        f"#!/bin/sh\n"
        f'printf "%s\\n" "$@" "$HELM_PLUGINS" > {noted}\n'
        f"cat > {tmp_path / 'values'}\n"
        f"cat {tmp_path / 'rendered'}\nexit {ends}\n"
    )
    program.chmod(0o755)
    return Helm(program, "v1.36.3")


def test_a_chart_is_rendered_for_its_release_with_its_values(tmp_path: Path, chart: Path) -> None:
    text = "---\n# Source: redis/x.yaml\napiVersion: v1\nkind: Service\nmetadata: {name: cache}\n"
    values = {"image": "{{ image }}", "deep": [{"host": "{{ host }}", "count": 2}]}
    entry = {"release": "cache", "file": str(chart), "values": values}
    found = content(fake_helm(tmp_path, text), helm=[entry])
    assert found.faults == []
    [service] = found.extras
    assert service.obj["metadata"] == {"name": "cache"}
    *argv, plugins = (tmp_path / "noted").read_text().splitlines()
    assert argv == [
        "template",
        "cache",
        str(chart),
        "--namespace=greeter-main",
        "--values=-",
        "--include-crds",
        "--skip-tests",
        "--kube-version=v1.36.3",
    ]
    assert not Path(plugins).exists()  # none of the user's, and gone by now
    assert json.loads((tmp_path / "values").read_text()) == {
        "image": built()["image"],
        "deep": [{"host": "demo.slipway.test", "count": 2}],
    }


@pytest.mark.parametrize("place", ["source", "file"])
@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("files/shadow", "/etc/shadow"),
        ("files/up", "../../secret"),
        ("files/all", "/"),
        ("files/zero", "/dev/zero"),
        ("values.yaml", "../secret"),
        ("templates/x.yaml", "../files/up"),
        ("charts/sub/files/up", "../../../../secret"),
        ("charts/sub", "../../other"),
        ("Chart.lock", "not-there"),
    ],
)
def test_a_chart_with_a_link_out_of_it_does_not_get_to_helm(
    tmp_path: Path, chart: Path, place: str, name: str, target: str
) -> None:
    (tmp_path / "secret").write_text("hidden")
    (tmp_path / "other").mkdir()
    links = {name: target, **({"files/up": "../../secret"} if "files/up" in target else {})}
    for link, leads_to in links.items():
        (chart / link).parent.mkdir(parents=True, exist_ok=True)
        (chart / link).symlink_to(leads_to)
    entry = {place: "chart" if place == "source" else str(chart), "release": "c", "values": {}}
    fault = only_fault(content(fake_helm(tmp_path, ""), helm=[entry], checkout=str(tmp_path)))
    reason = "No such file or directory" if name == "Chart.lock" else "it leads out of the chart"
    assert f"chart chart: {name} cannot be read: {reason}\n    fix: " in fault
    assert not (tmp_path / "noted").exists()


def test_all_links_out_of_a_chart_are_told_at_once(tmp_path: Path, chart: Path) -> None:
    for name in ("a", "b"):
        (chart / name).symlink_to("/etc/passwd")
    os.mkfifo(chart / "pipe")
    entry = {"file": str(chart), "release": "c", "values": {}}
    fault = only_fault(content(fake_helm(tmp_path, ""), helm=[entry]))
    assert [line.split(" cannot")[0] for line in fault.splitlines() if "cannot" in line] == [
        "chart chart: a",
        "chart chart: b",
        "chart chart: pipe",
    ]


def test_links_within_a_chart_get_to_helm(tmp_path: Path, chart: Path) -> None:
    (chart / "shared" / "deep").mkdir(parents=True)
    (chart / "shared" / "deep" / "one").write_text("1")
    (chart / "files").symlink_to("shared/deep")
    (chart / "two").symlink_to("files/one")
    (tmp_path / "newest").symlink_to("chart")
    entry = {"source": "newest", "release": "c", "values": {}}
    found = content(fake_helm(tmp_path, ""), helm=[entry], checkout=str(tmp_path))
    assert found.faults == []
    assert str(chart) in (tmp_path / "noted").read_text()


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        (tarfile.SYMTYPE, "/etc/shadow"),
        (tarfile.SYMTYPE, "../../../secret"),
        (tarfile.LNKTYPE, "/etc/shadow"),
    ],
)
def test_a_link_in_an_archive_of_a_chart_is_refused(
    tmp_path: Path, chart: Path, kind: bytes, target: str
) -> None:
    (chart / "charts").mkdir()
    link = tarfile.TarInfo("sub/files/x")
    link.type, link.linkname = kind, target
    with tarfile.open(chart / "charts" / "sub-1.tgz", "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("sub/Chart.yaml"))
        tar.addfile(link)
    entry = {"file": str(chart), "release": "c", "values": {}}
    fault = only_fault(content(fake_helm(tmp_path, ""), helm=[entry]))
    assert "charts/sub-1.tgz: sub/files/x cannot be read: it is a link" in fault
    assert not (tmp_path / "noted").exists()

    with tarfile.open(chart / "charts" / "sub-1.tgz", "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("sub/Chart.yaml"))
    assert content(fake_helm(tmp_path, ""), helm=[entry]).faults == []


def test_an_archive_of_a_chart_that_is_none_is_refused(tmp_path: Path, chart: Path) -> None:
    (chart / "charts").mkdir()
    entry = {"file": str(chart), "release": "c", "values": {}}
    for packed in (b"text", gzip.compress(b"x" * 2000)):
        (chart / "charts" / "sub-1.tgz").write_bytes(packed)
        fault = only_fault(content(fake_helm(tmp_path, ""), helm=[entry]))
        assert "charts/sub-1.tgz cannot be read: it is no archive of a chart" in fault


def test_a_chart_with_hooks_is_refused(tmp_path: Path, chart: Path) -> None:
    text = (
        "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: seed\n"
        "  annotations: {helm.sh/hook: post-install}\n"
    )
    entry = {"release": "cache", "file": str(chart), "values": {}}
    fault = only_fault(content(fake_helm(tmp_path, text), helm=[entry]))
    assert "Job seed is a hook (post-install), and hooks are not run" in fault


def test_a_chart_that_cannot_be_rendered_is_told_in_helms_words(
    tmp_path: Path, chart: Path
) -> None:
    said = "Error: found in Chart.yaml, but missing in charts/ directory: common"
    entry = {"release": "cache", "file": str(chart), "values": {}}
    fault = only_fault(content(fake_helm(tmp_path, said, ends=1), helm=[entry]))
    assert fault.startswith("chart chart: ")
    assert said in fault


def test_a_value_that_cannot_be_filled_in_is_told_with_its_place(
    tmp_path: Path, chart: Path
) -> None:
    entry = {"release": "c", "file": str(chart), "values": {"a": [{"b": "{{ c }}"}]}}
    fault = only_fault(content(fake_helm(tmp_path, ""), helm=[entry]))
    assert fault.startswith("helm[0].values.a[0].b:1: 'c' is undefined")


def test_a_folder_without_a_chart_is_said_so(tmp_path: Path) -> None:
    entry = {"release": "c", "source": ".", "values": {}}
    assert "has no Chart.yaml" in only_fault(content(helm=[entry], checkout=str(tmp_path)))


def test_without_helm_a_chart_is_the_apps_failure(chart: Path) -> None:
    entry = {"release": "c", "file": str(chart), "values": {}}
    assert "/nonexistent/helm: no such command" in only_fault(content(helm=[entry]))


def test_the_bundles_helm_goes_first(tmp_path: Path) -> None:
    assert helm_program(tmp_path) == Path("helm")
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "helm").touch()
    assert helm_program(tmp_path) == tmp_path / "tools" / "helm"
