"""Bundles of what upstream publishes, from servers that have its layout, and their moods."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from hashlib import sha256
from pathlib import Path

import pytest

from slipway.architecture import Architecture
from slipway.bundle import manifest
from slipway.bundle import upstream as upstream_module
from slipway.bundle.provider import Bundle, ensure
from slipway.control_node import emulation, tools
from slipway.errors import SlipwayError
from slipway.oci import ImageStore
from slipway.waiting import Patience
from tests.support.file_servers import Fault
from tests.support.upstreams import (
    BRIDGE,
    HERE,
    REF,
    THEIRS,
    TOOL,
    Project,
    Upstream,
    image_for,
    upstream,
)

ELSEWHERE = next(each for each in Architecture if each is not HERE)
TOOL_PATH = "/tool/1.0.0/tool"


@pytest.fixture(autouse=True)
def bare(as_nobody: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An environment in which nobody asks by a proxy or as somebody, and nothing is lacking."""
    monkeypatch.setenv("PATH", str(tmp_path / "project" / "tools"), prepend=":")
    monkeypatch.setattr(tools, "missing", lambda _names: [])
    monkeypatch.setattr(emulation, "have", lambda *_: None)


@pytest.fixture
def served() -> Iterator[Upstream]:
    with upstream() as served:
        yield served


@pytest.fixture
def project(tmp_path: Path, served: Upstream) -> Project:
    return Project(tmp_path / "project", served)


def sha256_of(content: bytes) -> str:
    """What the lock says of a content."""
    return sha256(content).hexdigest()


def had(project: Project, *, hurried: bool = False) -> Bundle:
    """The bundle, as a new run has it."""
    provider = project.provider(hurried=hurried)
    return ensure(provider, provider.cache, project.said.append)


def told(project: Project, *, hurried: bool = False) -> str:
    """Why there is no bundle, of which nothing is left then."""
    with pytest.raises(SlipwayError) as caught:
        had(project, hurried=hurried)
    bundles = project.root / "cache" / "bundle"
    assert not [path for path in bundles.glob("*") if path.name not in ("lock", "parts")]
    finished = [path for path in bundles.glob("parts/*") if path.suffix != ".unfinished"]
    assert all(manifest.damaged(path) == [] for path in finished)
    return str(caught.value)


def test_what_upstream_has_is_downloaded_and_the_rest_compiled(project: Project) -> None:
    bundle = had(project).path
    assert (bundle / "bin" / "tool").read_bytes() == TOOL
    assert (bundle / "bin" / "tool").stat().st_mode & 0o777 == 0o755
    assert (bundle / "cni" / "bridge").read_bytes() == BRIDGE
    assert project.compiled() == ["own", "toolctl"]
    assert "not upstream's but compiled here: tool (toolctl), own" in project.said
    assert manifest.damaged(bundle) == []


def test_it_has_the_files_that_the_bundle_from_source_has(project: Project) -> None:
    source = project.source()
    made = ensure(source, source.cache, project.said.append).path
    ours = had(project).path
    assert ours != made

    def files(bundle: Path) -> set[str]:
        names = {path.relative_to(bundle).as_posix() for path in bundle.rglob("*")}
        return {name for name in names if not name.startswith("images/blobs/sha256/")}

    assert files(ours) == files(made)
    images, others = (ImageStore(each / "images").images() for each in (ours, made))
    assert images.keys() == others.keys()
    assert images[REF].platform == others[REF].platform
    about = (manifest.read(ours) or {})["about"]
    assert about["provider"] == "upstream"
    assert about.keys() == (manifest.read(made) or {})["about"].keys()


def test_an_image_is_taken_for_this_platform_alone(project: Project) -> None:
    project.lock["images"][REF] = project.put_image(ELSEWHERE, HERE)
    store = ImageStore(had(project).path / "images")
    image = store.images()[REF]
    assert image.platform == f"linux/{HERE}"
    assert store.verify(REF) == []
    blobs = [path for path, _ in project.served.asked if "/blobs/" in path]
    assert len(blobs) == len(image.layers) + 1


def _images(bundle: Bundle) -> set[str]:
    return {*ImageStore(bundle.path / "images").images()}


def test_an_image_that_nobody_makes_here_is_in_a_bundle_if_upstream_gives_it(
    project: Project,
) -> None:
    without, key = had(project), project.provider().source.key
    assert THEIRS not in _images(without)
    assert not [line for line in project.said if THEIRS in line]
    project.lock["images"][THEIRS] = project.served.put_image("theirs", *image_for(HERE))
    assert THEIRS in _images(had(project))
    source = project.source()
    assert source.key == key
    assert THEIRS not in _images(ensure(source, source.cache, project.said.append))


def test_a_bundle_is_made_without_an_image_that_only_upstream_could_give(
    project: Project,
) -> None:
    project.lock["images"][THEIRS] = f"sha256:{'0' * 64}"
    assert THEIRS not in _images(had(project))
    assert [line for line in project.said if line.startswith(f"without upstream's {THEIRS}: ")]


def _have_files_for_each_kind(project: Project) -> dict[Architecture, bytes]:
    """Have another program at upstream for each architecture, and one image for all."""
    programs = {each: f"a program for {each}".encode() for each in Architecture}
    for each, program in programs.items():
        project.served.files[f"/{each}/tool"] = program
    [tool] = project.lock["files"]["tool"]
    tool["url"] = "https://dl.test/{architecture}/tool"
    tool["sha256"]["1.0.0"] = {each.value: sha256_of(own) for each, own in programs.items()}
    project.lock["images"][REF] = project.put_image(*Architecture)
    return programs


@pytest.mark.parametrize("architecture", [*Architecture])
def test_a_bundle_is_for_one_kind_of_machines_in_all_that_it_has(
    project: Project, architecture: Architecture
) -> None:
    programs = _have_files_for_each_kind(project)
    project.architecture = architecture
    bundle = had(project).path
    assert (bundle / "bin" / "tool").read_bytes() == programs[architecture]
    assert (bundle / "bin" / "toolctl").read_text() == f"compiled for {architecture}\n"
    images = ImageStore(bundle / "images").images()
    assert len(images) == 2
    assert {image.platform for image in images.values()} == {f"linux/{architecture}"}
    assert (manifest.read(bundle) or {})["about"]["platform"] == f"linux/{architecture}"


def test_bundles_for_two_kinds_of_machines_have_only_in_common_what_is_the_same(
    project: Project,
) -> None:
    _have_files_for_each_kind(project)
    parts = []
    for project.architecture in Architecture:
        parts.append({*(manifest.parts(had(project).path) or [])})
    [common] = set.intersection(*parts)
    assert common.startswith("download-plugins-")
    assert len(project.served.asked_for("plugins")) == 3  # for each, and all of it once


def test_what_is_made_for_other_machines_is_made_by_the_tools_for_that(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    run: list[Architecture] = []
    monkeypatch.setattr(emulation, "have", lambda architecture, _say: run.append(architecture))
    _have_files_for_each_kind(project)
    project.architecture = ELSEWHERE
    assert f"c_compiler_{ELSEWHERE}" in project.provider().tools
    had(project)
    assert run == [ELSEWHERE]
    assert project.provider().tools == ()


def test_what_was_downloaded_is_kept_once(project: Project) -> None:
    had(project)
    assert list((project.root / "cache" / "downloads").iterdir()) == []
    assert re.fullmatch(r"of upstream's 2\.0 MB, downloaded in \d s", project.said[-1])


def test_a_bundle_that_is_there_asks_nobody(project: Project) -> None:
    had(project)
    project.served.asked.clear()
    assert not had(project).made
    assert project.served.asked == []


def test_a_version_without_sums_is_compiled(project: Project) -> None:
    [tool] = project.lock["files"]["tool"]
    tool["sha256"] = {"0.9.0": tool["sha256"]["1.0.0"]}
    had(project)
    assert project.compiled() == ["own", "tool", "toolctl"]
    assert "without upstream's tool 1.0.0: bundle/upstream.yml has no sums" in project.said
    assert not project.served.asked_for("/tool/")


def test_an_image_without_a_digest_is_packed(project: Project) -> None:
    project.lock["images"] = {}
    had(project)
    assert project.compiled() == ["own", "server", "toolctl"]
    assert f"without upstream's {REF}: bundle/upstream.yml has no digest" in project.said


@pytest.mark.parametrize("status", [404, 410])
def test_what_a_mirror_lacks_is_made_here(project: Project, status: int) -> None:
    project.served.faults[TOOL_PATH] = [Fault(status)]
    path = f"/v2/server/manifests/{project.lock['images'][REF]}"
    project.served.faults[path] = [Fault(status)]
    bundle = had(project).path
    assert project.compiled() == ["own", "server", "tool", "toolctl"]
    host = project.served.url.removeprefix("http://")
    [line] = [each for each in project.said if each.startswith("without upstream's tool")]
    assert line.startswith(f"without upstream's tool, {REF}: {host}: HTTP {status}")
    assert (bundle / "bin" / "tool").read_text() == f"compiled for {HERE}\n"


def test_an_image_s_program_may_be_upstream_s_where_the_image_is_not(project: Project) -> None:
    program = b"a server of upstream's"
    project.served.files["/server"] = program
    project.lock["images"] = {}
    project.lock["files"]["server"] = [
        {
            "url": "https://dl.test/server",
            "place": "image/server",
            "sha256": {"1.0.0": dict.fromkeys(("amd64", "arm64"), sha256_of(program))},
        }
    ]
    images = ImageStore(had(project).path / "images")
    assert project.compiled() == ["own", "toolctl"]
    with images.open_layer(images.images()[REF].layers[0]) as tar:
        content = tar.extractfile("server")
        assert content is not None
        assert content.read() == program


def test_another_content_than_the_lock_s_is_refused_and_removed(project: Project) -> None:
    project.served.files[TOOL_PATH] = TOOL[:-1] + b"!"
    said = told(project)
    assert f"{project.served.url}{TOOL_PATH}: has another content than the lock says" in said
    assert f"not {sha256_of(TOOL)}); it was removed" in said
    project.served.files[TOOL_PATH] = TOOL
    assert had(project).made


def test_another_blob_than_the_manifest_s_is_refused(project: Project) -> None:
    for each in [path for path in project.served.files if "/blobs/" in path]:
        project.served.files[each] = b"{}" + project.served.files[each][2:]
    assert "has another content than the lock says" in told(project)


def test_another_manifest_than_the_lock_s_is_refused(project: Project) -> None:
    path = f"/v2/server/manifests/{project.lock['images'][REF]}"
    project.served.files[path] += b" "
    assert f"{REF}: localhost" in told(project)
    assert "gives something else (sha256:" in told(project)


def test_an_image_for_other_platforms_is_refused_with_theirs(project: Project) -> None:
    project.lock["images"][REF] = project.put_image(ELSEWHERE)
    assert f"has no image for linux/{HERE}; it has linux/{ELSEWHERE}" in told(project)
    assert project.compiled() == []


def test_an_image_in_no_index_is_for_what_its_config_says(project: Project) -> None:
    _layout, index = image_for(ELSEWHERE)
    project.put_image(ELSEWHERE)
    project.lock["images"][REF] = json.loads(index)["manifests"][0]["digest"]
    assert f"has no image for linux/{HERE}; it has linux/{ELSEWHERE}" in told(project)
    had(project, hurried=True)
    assert "server" in project.compiled()
    project.architecture = ELSEWHERE
    images = ImageStore(had(project).path / "images").images()
    assert images[REF].platform == f"linux/{ELSEWHERE}"


def test_an_image_that_others_are_laid_over_is_packed(project: Project) -> None:
    with (project.root / "images" / "images.yml").open("a") as table:
        table.write("more: {ref: registry.test/more:1, over: server, packages: [more]}\n")
    bundle = had(project).path
    assert "server" in project.compiled()
    assert f"without upstream's {REF}: other images are laid over it" in project.said
    assert "registry.test/more:1" not in ImageStore(bundle / "images").images()


def test_after_a_cut_it_goes_on_where_it_was(project: Project, waits: list[float]) -> None:
    project.served.faults[TOOL_PATH] = [Fault(), Fault(cut=1000)]
    had(project)
    assert project.served.asked_for(TOOL_PATH) == ["bytes=0-0", "", "bytes=1000-"]
    assert waits == [1.0]


def test_the_next_run_goes_on_where_this_one_gave_up(project: Project, waits: list[float]) -> None:
    project.served.faults[TOOL_PATH] = [Fault(), Fault(cut=1000), *[Fault(503)] * 5]
    assert "HTTP 503" in told(project)
    project.served.asked.clear()
    had(project)
    assert project.served.asked_for(TOOL_PATH) == ["bytes=0-0", "bytes=1000-"]
    assert project.served.asked_for("plugins") == ["bytes=0-0"]


def test_a_server_that_asks_to_be_left_alone_is(project: Project, waits: list[float]) -> None:
    project.served.faults[TOOL_PATH] = [Fault(429, {"Retry-After": "7"})]
    path = f"/v2/server/manifests/{project.lock['images'][REF]}"
    later = formatdate(time.time() + 9, usegmt=True)
    project.served.faults[path] = [Fault(429, {"Retry-After": later})]
    had(project)
    first, second = sorted(waits)
    assert first == 7
    assert 7 <= second <= 9
    assert project.compiled() == ["own", "toolctl"]


def test_who_wants_to_know_who_asks_is_told_to_users(project: Project) -> None:
    project.served.login = "ada:secret"
    said = told(project)
    assert "HTTP 401 Unauthorized: it wants to know who asks" in said
    assert "slipway_mirrors" in said
    assert project.compiled() == []


@pytest.mark.parametrize("token", ["", "a-token"])
def test_a_login_of_the_vault_is_used(project: Project, token: str) -> None:
    project.served.login = "ada:secret"
    project.secrets = {"mirror": "secret"}
    own = {"url": project.served.url, "user": "ada", "password": "mirror"}
    project.mirrors = {"dl.test": own, "registry.test": own}
    if token:
        project.mirrors.pop("dl.test")
        project.lock["files"] = {}
        project.served.token = token
    had(project)
    assert ("server" in project.compiled()) is False
    assert "secret" not in "".join(project.said)


def test_a_token_is_given_without_a_login_as_well(project: Project) -> None:
    project.served.token = "a-token"
    project.lock["files"] = {}
    had(project)
    assert "server" not in project.compiled()


@pytest.mark.parametrize(
    ("fault", "told_of"),
    [(Fault(404), "there is no such file"), (Fault(403), "it wants to know who asks")],
)
def test_a_registry_whose_tokens_cannot_be_had_lacks_nothing(
    project: Project, fault: Fault, told_of: str
) -> None:
    project.served.token = "a-token"
    project.served.faults["/token"] = [fault]
    project.lock["files"] = {}
    said = told(project)
    assert f"no token of {project.served.url}/token: HTTP {fault.status}" in said
    assert told_of in said


def test_a_wrong_login_is_told_with_the_user(project: Project) -> None:
    project.served.login = "ada:secret"
    project.secrets = {"mirror": "wrong"}
    project.mirrors["dl.test"] = {"url": project.served.url, "user": "bob", "password": "mirror"}
    assert "it does not give it to bob" in told(project)


def test_who_has_another_way_counts_every_fault_as_lacking(project: Project) -> None:
    project.served.faults[TOOL_PATH] = [Fault(503)]
    project.served.faults["/plugins-1.0.0.tgz"] = [Fault(401)]
    project.lock["images"][REF] = project.put_image(ELSEWHERE)
    had(project, hurried=True)
    assert len(project.compiled()) == 6
    assert [len(project.served.asked_for(each)) for each in (TOOL_PATH, "plugins")] == [1, 1]


def test_who_has_another_way_does_not_wait_long(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream_module, "SECONDS", 0.2)
    project.served.faults[TOOL_PATH] = [Fault(late=2.0)]
    project.served.faults["/plugins-1.0.0.tgz"] = [Fault(late=2.0)]
    began = time.monotonic()
    assert project.provider(hurried=True).offer
    assert time.monotonic() - began < 1.5


def test_on_a_slow_machine_upstream_may_take_longer(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream_module, "SECONDS", 0.2)
    project.served.faults[TOOL_PATH] = [Fault(late=1.0)] * 2
    assert "tool" in project.provider(hurried=True).offer.lacking
    monkeypatch.setattr(Patience, "factor", 100.0)
    assert project.provider(hurried=True).offer.files["tool"]


def test_who_has_no_other_way_tries_again(project: Project, waits: list[float]) -> None:
    project.served.faults[TOOL_PATH] = [Fault(503)]
    had(project)
    assert "tool" not in project.compiled()
    assert waits == [1.0]


def test_an_archive_that_lacks_a_member_is_told(project: Project) -> None:
    [plugins] = project.lock["files"]["plugins"]
    plugins["members"]["cni/bridge"] = "bridges"
    assert "plugins-1.0.0.tgz: has no bridges in it" in told(project)


def test_an_archive_that_is_none_is_told(project: Project) -> None:
    project.served.files["/plugins-1.0.0.tgz"] = b"none"
    [plugins] = project.lock["files"]["plugins"]
    plugins["sha256"]["1.0.0"] = dict.fromkeys(("amd64", "arm64"), sha256_of(b"none"))
    assert "plugins-1.0.0.tgz: cannot be unpacked" in told(project)


def _lock_another_image(project: Project) -> None:
    project.lock["images"][REF] = project.put_image(ELSEWHERE, HERE)


def _lock_another_member(project: Project) -> None:
    project.lock["files"]["plugins"][0]["members"] = {"cni/bridge": "bridge"}


@pytest.mark.parametrize("change", [_lock_another_image, _lock_another_member])
def test_another_lock_makes_another_bundle(
    project: Project, change: Callable[[Project], None]
) -> None:
    before = project.provider().key
    assert project.provider().key == before
    assert project.source().key != before
    source = project.source().key
    change(project)
    assert project.provider().key != before
    assert project.source().key == source
