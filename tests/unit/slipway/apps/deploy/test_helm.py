"""Charts, rendered by a stand-in for helm."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from slipway.apps.deploy.helm import MEMORY, helm_program
from tests.support.apps import built
from tests.support.contents import content, fake_helm, only_fault
from tests.support.sandboxes import Noting


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    """A folder that looks like a chart."""
    folder = tmp_path / "chart"
    folder.mkdir()
    (folder / "Chart.yaml").write_text("name: redis\n")
    return folder


def test_a_chart_is_rendered_for_its_release_with_its_values(tmp_path: Path, chart: Path) -> None:
    text = "---\n# Source: redis/x.yaml\napiVersion: v1\nkind: Service\nmetadata: {name: cache}\n"
    values = {"image": "{{ image }}", "deep": [{"host": "{{ host }}", "count": 2}]}
    entry = {"release": "cache", "file": str(chart), "values": values}
    found = content(fake_helm(tmp_path, text), helm=[entry])
    assert found.faults == []
    [service] = found.extras
    assert service.obj["metadata"] == {"name": "cache"}
    noted = (tmp_path / "noted").read_text().splitlines()
    values_file = noted.pop(4)
    assert noted[:7] == [
        "template",
        "cache",
        ".",
        "--namespace=greeter-main",
        "--include-crds",
        "--skip-tests",
        "--kube-version=v1.36.3",
    ]
    assert not Path(values_file.removeprefix("--values=")).exists()  # gone by now
    assert {line.partition("=")[0] for line in noted[7:]} <= {"PATH", "KUBECONFIG", "PWD", "_"}
    assert json.loads((tmp_path / "values").read_text()) == {
        "image": built().image,
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
    seen = dict(line.split()[::-1] for line in (tmp_path / "seen").read_text().splitlines())
    assert seen["./two"] == seen["./files/one"] == seen["./shared/deep/one"]


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
    assert "as /nonexistent/helm is not there" in only_fault(content(helm=[entry]))


def test_the_bundles_helm_goes_first(tmp_path: Path) -> None:
    assert helm_program(tmp_path) in (tmp_path / "tools" / "helm", Path(shutil.which("helm") or ""))
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "helm").touch()
    assert helm_program(tmp_path) == tmp_path / "tools" / "helm"


def test_a_chart_has_no_network_and_bounds(tmp_path: Path, chart: Path) -> None:
    sandboxes = Noting()
    helm = replace(fake_helm(tmp_path, ""), sandboxes=sandboxes)
    found = content(helm, helm=[{"release": "c", "file": str(chart), "values": {}}])
    assert found.faults == []
    [run] = sandboxes.runs
    assert not run.program.network
    assert run.program.memory == MEMORY
    assert run.program.readable == {"/helm": tmp_path / "helm"}
    assert run.given == {"source/Chart.yaml": "name: redis\n", "values.json": "{}"}


def test_a_chart_that_gives_text_without_an_end_is_refused(
    tmp_path: Path, chart: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slipway.apps.deploy.helm.MOST_TEXT", 1 << 20)
    entry = {"release": "c", "file": str(chart), "values": {}}
    fault = only_fault(content(fake_helm(tmp_path, "# " + "x" * (1 << 20)), helm=[entry]))
    assert fault == "chart chart: gives more than 1 MB of text"
