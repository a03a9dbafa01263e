"""A project's wrapper has a Maven of Maven Central's fetched, and nothing of the branch's own."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from slipway.apps.app import JibBuild
from slipway.apps.builders import maven_wrapper
from slipway.apps.builders.maven_wrapper import PROPERTIES, Distribution, Distributions, wanted
from slipway.apps.builders.order import Order
from slipway.bundle.download import Server
from slipway.errors import SlipwayError
from tests.support.maven_samples import order, write
from tests.support.upstreams import Upstream, upstream

CENTRAL = "https://repo.maven.apache.org/maven2/"
PLACE = "org/apache/maven/apache-maven/3.9.11/apache-maven-3.9.11-bin"
HOME = "apache-maven-3.9.11"
MVN = f"{HOME}/bin/mvn"
LABEL = "web (main)"


def project(root: Path, properties: str, at: str = ".") -> Order[JibBuild]:
    """A project whose wrapper says something."""
    write(root / "checkout", {f"{at}/pom.xml": "", PROPERTIES: properties})
    return replace(order(root), folder=at)


def zipped(files: dict[str, str]) -> bytes:
    """An archive in which ``bin/mvn`` is a program."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        for name, text in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (0o755 if name.endswith("mvn") else 0o600) << 16
            file.writestr(info, text)
    return content.getvalue()


def tarred(files: dict[str, str]) -> bytes:
    """The same as a tar."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as file:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(text), 0o755 if name.endswith("mvn") else 0o600
            file.addfile(info, io.BytesIO(text.encode()))
    return content.getvalue()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


GOOD = zipped({MVN: "#!/bin/sh\n", f"{HOME}/conf/settings.xml": "<settings/>"})


class Central:
    """A repository of Maven's, and what is at hand of it."""

    def __init__(self, root: Path, served: Upstream) -> None:
        self.served = served
        self.said: list[str] = []
        self.folder = root / "mavens"
        self.mavens = Distributions(self.folder, self.server, self.said.append)

    def server(self) -> Server:
        return Server(self.served.url)

    def publish(self, content: bytes, kind: str = "zip", sums: str = "sha512") -> None:
        name = f"/{PLACE}.{kind}"
        self.served.files[name] = content
        if sums:
            digest = hashlib.new(sums, content).hexdigest()
            self.served.files[f"{name}.{sums}"] = f"{digest}  {name}\n".encode()

    def have(self, kind: str = "zip", wants: str = "") -> Path:
        return self.mavens.have(Distribution("3.9.11", kind, wants, PROPERTIES), LABEL)


@pytest.fixture
def central(tmp_path: Path) -> Iterator[Central]:
    with upstream() as served:
        yield Central(tmp_path, served)


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
@pytest.mark.parametrize(
    "host", [CENTRAL, r"https\://nexus.company.example/repository/maven-public/"]
)
def test_a_version_is_all_that_an_address_says(tmp_path: Path, kind: str, host: str) -> None:
    text = f"# of the team\nwrapperVersion=3.3.4\ndistributionUrl={host}{PLACE}.{kind}\n"
    found = wanted(project(tmp_path, text))
    assert found == Distribution("3.9.11", kind, "", PROPERTIES)
    assert found.path == f"{PLACE}.{kind}"


def test_a_project_below_has_the_wrapper_of_the_repository(tmp_path: Path) -> None:
    text = f"distributionUrl = {CENTRAL}{PLACE}.zip\ndistributionSha256Sum: {'AB' * 32}\n"
    below = project(tmp_path, text, at="services/web")
    assert wanted(below) == Distribution("3.9.11", "zip", "ab" * 32, PROPERTIES)
    assert wanted(replace(below, whole=False)) is None


def test_a_project_without_a_wrapper_or_whose_wrapper_does_not_count_wants_none(
    tmp_path: Path,
) -> None:
    write(tmp_path / "checkout", {"pom.xml": ""})
    assert wanted(order(tmp_path)) is None
    wrapped = project(tmp_path, "distributionUrl=nothing")
    assert wanted(replace(wrapped, build=JibBuild(wrapper=False))) is None


@pytest.mark.parametrize(
    "url",
    [
        "",
        "file:///etc/apache/org/apache/maven/apache-maven/3.9.11/apache-maven-3.9.11-bin.zip",
        f"{CENTRAL}org/apache/maven/daemon/maven-mvnd/1.0.2/maven-mvnd-1.0.2-linux-amd64.zip",
        f"{CENTRAL}org/apache/maven/apache-maven/3.9.11/apache-maven-3.9.12-bin.zip",
        f"{CENTRAL}org/apache/maven/apache-maven/../apache-maven-..-bin.zip",
        "https://company.example/our-maven.zip",
        (CENTRAL + PLACE + ".zip").replace("3.9.11", "\u0663.\u0669"),
    ],
)
def test_what_maven_central_does_not_publish_is_refused_with_the_way_out(
    tmp_path: Path, url: str
) -> None:
    with pytest.raises(SlipwayError, match="distributionUrl names no archive") as caught:
        wanted(project(tmp_path, f"distributionUrl={url}"))
    assert "wrapper: false" in str(caught.value)


def test_a_sum_that_is_none_is_refused(tmp_path: Path) -> None:
    text = f"distributionUrl={CENTRAL}{PLACE}.zip\ndistributionSha256Sum=12\n"
    with pytest.raises(SlipwayError, match="distributionSha256Sum is no sha256"):
        wanted(project(tmp_path, text))


def test_a_line_of_white_space_is_read_at_once(tmp_path: Path) -> None:
    text = f"wrapperUrl=a{' ' * 60_000}b\n  distributionUrl = {CENTRAL}{PLACE}.zip  \n"
    odd = project(tmp_path, text)
    begun = time.process_time()
    assert wanted(odd) == Distribution("3.9.11", "zip", "", PROPERTIES)
    assert time.process_time() - begun < 2


def test_a_wrapper_that_leads_out_of_the_repository_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"distributionUrl={CENTRAL}{PLACE}.zip")
    linked = project(tmp_path, "")
    (linked.checkout / PROPERTIES).unlink()
    (linked.checkout / PROPERTIES).symlink_to(tmp_path / "secret")
    with pytest.raises(SlipwayError, match="leads out of the repository"):
        wanted(linked)


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
@pytest.mark.parametrize("sums", ["sha512", "sha1"])
def test_a_maven_is_fetched_once_for_everybody_to_run_and_nobody_to_write(
    central: Central, kind: str, sums: str
) -> None:
    files = {MVN: "#!/bin/sh\n", f"{HOME}/lib/core.jar": "classes"}
    central.publish(zipped(files) if kind == "zip" else tarred(files), kind, sums)
    before = os.umask(0o077)
    try:
        home = central.have(kind)
    finally:
        os.umask(before)
    assert (home / "bin" / "mvn").stat().st_mode & 0o777 == 0o755
    assert (home / "lib" / "core.jar").stat().st_mode & 0o777 == 0o644
    assert {path.stat().st_mode & 0o777 for path in (home.parent, home, home / "lib")} == {0o755}
    central.served.files.clear()
    assert central.have(kind) == home
    [line] = central.said
    assert line.startswith("Maven 3.9.11: fetched from http://")
    assert len(central.served.asked_for("apache-maven")) == (2 if sums == "sha512" else 3)


def test_a_maven_at_hand_does_not_wait_for_one_that_is_being_fetched(central: Central) -> None:
    central.publish(GOOD)
    home = central.have()
    asked, answered = threading.Event(), threading.Event()

    def silent() -> Server:
        asked.set()
        answered.wait(20)
        return central.server()

    central.mavens.central = silent
    other = Distribution("3.9.12", "zip", "", PROPERTIES)
    with ThreadPoolExecutor() as pool:
        fetching = pool.submit(central.mavens.have, other, LABEL)
        assert asked.wait(20)
        having = pool.submit(central.have)
        try:
            assert having.result(5) == home
        finally:
            answered.set()
        assert isinstance(fetching.exception(), SlipwayError)


def test_a_sum_of_the_wrapper_is_one_of_what_is_fetched_and_of_what_is_there(
    central: Central,
) -> None:
    central.publish(GOOD)
    with pytest.raises(SlipwayError, match="distributionSha256Sum is 0000"):
        central.have(wants="0" * 64)
    assert not central.folder.exists()
    central.have(wants=sha256(GOOD))
    with pytest.raises(SlipwayError, match="distributionSha256Sum is 0000"):
        central.have(wants="0" * 64)


def test_an_archive_that_is_not_as_the_sum_beside_it_says_is_refused(central: Central) -> None:
    central.publish(GOOD)
    central.served.files[f"/{PLACE}.zip"] = GOOD + b"more"
    with pytest.raises(SlipwayError, match="not as the sha512 beside it says"):
        central.have()
    assert not central.folder.exists()


def test_an_archive_without_a_sum_is_taken_by_that_of_the_wrapper_alone(central: Central) -> None:
    central.publish(GOOD, sums="")
    with pytest.raises(SlipwayError, match="no sum beside it"):
        central.have()
    central.have(wants=sha256(GOOD))


def test_a_maven_that_cannot_be_had_is_told_with_the_way_out(central: Central) -> None:
    with pytest.raises(SlipwayError) as caught:
        central.have()
    [problem] = caught.value.problems
    asks = "its wrapper asks for apache-maven-3.9.11-bin.zip, which cannot be fetched: "
    assert problem.what.startswith(f"{asks}localhost:")
    assert "HTTP 404" in problem.what
    assert problem.fix.startswith(f"correct distributionUrl in {PROPERTIES}, or write build:")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (zipped({f"{HOME}/../../out": "", MVN: ""}), "out is not in apache-maven-3.9.11"),
        (zipped({"/outside-of-maven": ""}), "is not in apache-maven-3.9.11"),
        (zipped({f"{HOME}/README": ""}), "bin/mvn is not in it"),
        (zipped({f"{HOME}/{n}": "" for n in range(5)}), "it has more in it"),
        (zipped({MVN: "x" * 2000}), "it has more in it"),
        (b"no archive", "not a zip file"),
    ],
)
def test_what_is_no_maven_is_not_unpacked(
    central: Central, monkeypatch: pytest.MonkeyPatch, content: bytes, reason: str
) -> None:
    monkeypatch.setattr(maven_wrapper, "MOST_FILES", 3)
    monkeypatch.setattr(maven_wrapper, "MOST_UNPACKED", 1000)
    central.publish(content)
    with pytest.raises(SlipwayError, match=reason):
        central.have()
    assert [*central.folder.iterdir()] == []


def test_an_archive_without_end_is_not_read_to_it(
    central: Central, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maven_wrapper, "MOST", 10)
    central.publish(GOOD)
    with pytest.raises(SlipwayError, match="more than 10 bytes"):
        central.have()
