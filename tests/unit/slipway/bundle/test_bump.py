"""Newer versions of what is locked, of servers that have upstream's layout, and their faults."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from slipway.bundle.bump import as_table
from slipway.errors import SlipwayError
from tests.support.file_servers import Fault
from tests.support.locks import OLD, ONE, TWO, UPSTREAM, VERSIONS, Locks, go_release
from tests.support.upstreams import upstream


@pytest.fixture
def locks(
    as_nobody: None, waits: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Locks]:
    monkeypatch.setenv("PATH", "")
    with upstream() as served:
        yield Locks(tmp_path, served)


def test_all_get_the_newest_versions_and_everything_else_stays_as_it_is(locks: Locks) -> None:
    assert locks.bumped() == []
    expected = VERSIONS.replace("1.36.3", "1.36.4").replace("1.0.0", "1.2.0")
    assert locks.versions == expected.replace('"1.9"', '"1.10"').replace("1.26.6", "1.27.0")
    sums = f"amd64: {ONE}\n          arm64: {TWO}\n        "
    expected = UPSTREAM.replace("        1.36.3:", f"        1.36.4:\n          {sums}1.36.3:")
    expected = expected.replace("        1.0.0:", f"        1.2.0:\n          {sums}1.0.0:")
    image = f"server:v1.10: {locks.digest}  # an index"
    assert locks.upstream == expected.replace(f"server:v1.9: sha256:{OLD}  # an index", image)


def test_what_is_the_newest_already_is_left(locks: Locks) -> None:
    locks.bumped()
    written = [locks.versions, locks.upstream]
    found = locks.proposals()
    assert [bool(each) for each in found] == [False] * 4
    assert locks.bump.changes(found) == []
    assert [locks.versions, locks.upstream] == written


def test_what_is_named_is_bumped_alone(locks: Locks) -> None:
    assert locks.bumped("tool") == []
    assert locks.versions == VERSIONS.replace("1.0.0", "1.2.0")
    assert "1.36.4" not in locks.upstream
    assert not locks.served.asked_for("kubelet")


def test_a_version_that_is_named_is_taken_without_a_list(locks: Locks) -> None:
    sums = f"{ONE} tool-2.0.0-amd64.tgz\n{TWO} tool-2.0.0-arm64.tgz"
    locks.put("/dl/tool-2.0.0/SHA256SUMS", sums)
    locks.put("/go/example.com/!tool/@v/v2.0.0.info", "{}")
    assert locks.bumped("tool=2.0.0") == []
    assert "tool: 2.0.0  # the newest" in locks.versions
    assert not locks.served.asked_for("/releases")


def test_a_version_that_yaml_would_take_for_a_number_is_in_quotes(locks: Locks) -> None:
    path = locks.root / "group_vars/all/versions.yml"
    path.write_text(VERSIONS.replace('"1.9"', "1.9.0"))
    assert locks.bumped("server") == []
    assert 'server: "1.10"\n' in locks.versions


def test_what_no_module_proves_has_to_be_listed(locks: Locks) -> None:
    [said] = locks.bumped("server=1.11")
    assert said.startswith("server 1.11: is not listed")


def test_a_list_that_goes_on_with_the_next_minor_version_of_kubernetes_is_not_followed(
    locks: Locks,
) -> None:
    locks.put("/dl/stable-1.36.txt", "v1.37.0")
    [proposal] = locks.proposals("kubernetes")
    assert (proposal.version, proposal.problems) == ("1.36.3", [])


def test_sums_of_the_version_that_is_there_are_had_if_none_are_known(locks: Locks) -> None:
    path = locks.root / "group_vars/all/versions.yml"
    path.write_text(VERSIONS.replace("1.0.0", "1.2.0"))
    assert locks.bumped("tool") == []
    assert f"1.2.0:\n          amd64: {ONE}\n" in locks.upstream


def test_a_file_whose_sum_is_not_published_has_that_of_what_comes(locks: Locks) -> None:
    path = locks.root / "bundle/upstream.yml"
    path.write_text(UPSTREAM.replace("      sums: https://dl.test/tool-{version}/SHA256SUMS\n", ""))
    for each in ("amd64", "arm64"):
        locks.put(f"/dl/tool-1.2.0-{each}.tgz", "the same")
    assert locks.bumped("tool") == []
    assert locks.upstream.count(sha256(b"the same").hexdigest()) == 2


def test_components_without_a_list_have_that_of_go_s_proxies(locks: Locks) -> None:
    path = locks.root / "bundle/upstream.yml"
    path.write_text(UPSTREAM.replace("  tool: https://api.test/tool/releases?per_page=100\n", ""))
    locks.put("/go/example.com/!tool/@v/list", "v1.2.0\nv1.0.0\nv1.3.0-alpha.1\n")
    assert locks.bumped("tool") == []
    assert "tool: 1.2.0" in locks.versions


def test_the_table_says_what_there_is(locks: Locks) -> None:
    locks.put("/dl/stable-1.36.txt", "v1.36.3")
    del locks.served.files["/dl/go/"]
    del locks.served.files["/dl/tool-1.2.0/SHA256SUMS"]
    found = locks.proposals()
    assert as_table(found) == [
        "component   now     newest          what for",
        "kubernetes  1.36.3  the same        kubelet",
        "tool        1.0.0   1.2.0, refused  tool",
        "server      1.9     1.10            server",
        "go          1.26.6  not known       what compiles the others",
    ]


def test_what_is_left_to_do_is_said_as_commands(locks: Locks) -> None:
    command = "GOWORK=off go -C bundle/go"
    assert [line for each in locks.proposals() for line in each.left()] == [
        f"{command}/kubernetes get k8s.io/kubernetes@v1.36.4 && {command}/kubernetes mod tidy",
        f"{command}/tool get example.com/Tool@v1.2.0 && {command}/tool mod tidy",
        "make lock ARGS=python",
    ]


@pytest.mark.parametrize(
    ("path", "text", "told"),
    [
        (
            "/dl/tool-1.2.0/SHA256SUMS",
            f"{ONE}  tool-1.2.0-amd64.tgz\n",
            "tool 1.2.0 for arm64: http://localhost/dl/tool-1.2.0/SHA256SUMS has no sum of "
            "tool-1.2.0-arm64.tgz",
        ),
        (
            "/dl/tool-1.2.0/SHA256SUMS",
            "<html>tool</html>",
            "tool 1.2.0 for amd64: http://localhost/dl/tool-1.2.0/SHA256SUMS has no sum of",
        ),
        (
            "/dl/tool-1.2.0/SHA256SUMS",
            f"{ONE}  tool-1.2.0-amd64.tgz\n{TWO}  tool-1.2.0-amd64.tgz\n",
            "has more sums than one of tool-1.2.0-amd64.tgz",
        ),
        ("/dl/tool-1.2.0/SHA256SUMS", "", "tool 1.2.0 for arm64: localhost: HTTP 404"),
        ("/api/tool/releases", "", "tool: localhost: HTTP 404"),
        ("/api/tool/releases", '{"message": "slow down"}', "tool: what came is no list of vers"),
        (
            "/api/tool/releases",
            "<html>hello</html>",
            "tool: what came is no list of versions: <htm",
        ),
        ("/go/example.com/!tool/@v/v1.2.0.info", "", "tool 1.2.0, example.com/Tool: localhost: HT"),
        (
            "/dl/v1.36.4/arm64/kubelet.sha256",
            "",
            "kubernetes 1.36.4 for arm64: localhost: HTTP 404",
        ),
        ("/dl/stable-1.36.txt", "\n", "kubernetes: what came is no list of versions: nothing"),
        ("/v2/server/tags/list", "[]", "server: localhost: has no list of tags that can be read"),
        (
            "/v2/server/manifests/v1.10",
            "",
            "server 1.10, registry.test/server:v1.10: localhost: HTTP 404",
        ),
        (
            "/dl/go/",
            json.dumps([go_release("1.27.0", "amd64")]),
            "go 1.27.0: has no sum for arm64",
        ),
    ],
)
def test_what_is_not_published_for_both_is_refused_and_the_others_are_bumped(
    locks: Locks, path: str, text: str, told: str
) -> None:
    locks.put(path, text)
    if not text:
        del locks.served.files[path]
    before = dict(line.split(": ") for line in locks.versions.splitlines() if line[:2] == "  ")
    said = "\n".join(locks.bumped()).replace(locks.served.url, "http://localhost")
    assert told in said.replace(locks.served.url.removeprefix("http://"), "localhost")
    after = dict(line.split(": ") for line in locks.versions.splitlines() if line[:2] == "  ")
    name = f"  {told.split()[0].rstrip(':')}" if not told.startswith("has") else "  tool"
    assert [each for each in before if before[each] == after[each]] == [name, "  debian"]


def test_an_image_that_is_for_one_of_them_alone_is_refused(locks: Locks) -> None:
    locks.put_image("v1.10", "amd64")
    [said] = locks.bumped("server")
    assert "has no image for linux/arm64; it has linux/amd64" in said
    assert (locks.versions, locks.upstream) == (VERSIONS, UPSTREAM)


def test_a_server_that_asks_for_patience_gets_it(locks: Locks, waits: list[float]) -> None:
    locks.served.faults["/dl/stable-1.36.txt"] = [Fault(503)]
    assert locks.bumped("kubernetes") == []
    assert waits == [1.0]


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ("toll", "toll: group_vars/all/versions.yml has no toll"),
        ("debian", "debian: no list of versions of debian is known"),
        ("tool=1.3.0-rc.1", "tool=1.3.0-rc.1: is a pre-release, or no version"),
        ("tool=", "tool=: is a pre-release, or no version"),
    ],
)
def test_what_cannot_be_wanted_is_told_before_anybody_is_asked(
    locks: Locks, wanted: str, told: str
) -> None:
    assert told in locks.refused("kubernetes", wanted)


@pytest.mark.parametrize("version", ["1.38.0", "1.35.9", "2.36.0"])
def test_kubernetes_goes_on_by_one_minor_version_at_most(locks: Locks, version: str) -> None:
    [said] = locks.bumped(f"kubernetes={version}")
    assert said.startswith(f"kubernetes {version}: is more than a minor version from 1.36.3")


def test_kubernetes_goes_on_to_the_next_minor_version_when_it_is_named(locks: Locks) -> None:
    for each in ("amd64", "arm64"):
        locks.put(f"/dl/v1.37.2/{each}/kubelet.sha256", f"{ONE}\n")
    locks.put("/go/k8s.io/kubernetes/@v/v1.37.2.info", "{}")
    assert locks.bumped("kubernetes=1.37.2") == []
    assert "kubernetes: 1.37.2" in locks.versions


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ('"1.9"', "1.9", "versions.yml:5 slipway_versions server: is no text"),
        ("tool: 1.0.0", "tool: 1.0.0-rc.1", "versions.yml:4 slipway_versions tool: is no rele"),
        ("  go: 1.26", "  tool: 1.26", "versions.yml:6 slipway_versions tool: stands here again"),
        ("slipway_versions:\n", "slipway_versions: [\n", "versions.yml:4: is not YAML"),
        ("slipway_versions", "versions", "versions.yml:1: has no slipway_versions"),
        (OLD, "none", "upstream.yml:14 files kubernetes 0 sha256 1.36.3 amd64: is no sha256"),
        ("tool: https", "toll: https", "upstream.yml:4 releases toll: is not in slipway_versions"),
        ("tool: https", "tool: ftp", "upstream.yml:4 releases tool: is neither an address"),
        ("{minor}", "{major}", "upstream.yml:3 releases kubernetes: has {major}"),
        ("sums: https", "sums: http", "upstream.yml:10 files kubernetes 0 sums: is no address"),
    ],
)
def test_a_mistake_in_a_lock_is_told_with_its_line(
    locks: Locks, right: str, wrong: str, told: str
) -> None:
    path = locks.root / ("group_vars/all" if told[0] == "v" else "bundle") / told.split(".yml")[0]
    path = path.with_suffix(".yml")
    assert right in path.read_text()
    path.write_text(path.read_text().replace(right, wrong, 1))
    assert told in locks.refused()


def test_versions_in_braces_are_not_edited_by_guess(locks: Locks) -> None:
    text = UPSTREAM.replace(
        f"        1.0.0:\n          amd64: {OLD}\n          arm64: {OLD}\n",
        f"        {{1.0.0: {{amd64: {OLD}, arm64: {OLD}}}}}\n",
    )
    assert text != UPSTREAM
    (locks.root / "bundle/upstream.yml").write_text(text)
    with pytest.raises(SlipwayError, match=r"bundle/upstream\.yml:23: has versions in braces"):
        locks.bumped()
    assert locks.versions == VERSIONS
