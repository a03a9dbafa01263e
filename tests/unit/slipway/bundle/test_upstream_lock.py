"""The lock of what upstream publishes: what is in it, and the line of every mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.bundle import upstream_lock
from slipway.bundle.go import components
from slipway.bundle.source import places_of
from slipway.bundle.upstream_lock import Lock, PinnedImage, read
from slipway.errors import SlipwayError
from tests.support.checkout import PROJECT, VERSIONS

PLACES = {"tool": ["bin/tool", "bin/toolctl"]}

ONE = "1" * 64
TWO = "2" * 64

GOOD = f"""\
files:
  tool:
    - url: https://dl.test/{{version}}/{{architecture}}/tool
      place: bin/tool
      sha256:
        1.10:
          amd64: {ONE}
          arm64: {TWO}
    - url: https://dl.test/tools-{{version}}.tgz
      members:
        bin/toolctl: tools-{{architecture}}/toolctl
      sha256:
        1.9: {{amd64: {ONE}, arm64: {TWO}}}
images:
  registry.test/tool:v1.10: sha256:{ONE}
  bundle.slipway.internal/jre:21: docker.io/library/java@sha256:{TWO}
"""


def written(tmp_path: Path, text: str) -> Lock:
    """The lock that a text is."""
    path = tmp_path / "upstream.yml"
    path.write_text(text)
    return read(path, PLACES, ["tool", "own"])


def test_a_file_is_of_a_version_for_an_architecture(tmp_path: Path) -> None:
    [file] = written(tmp_path, GOOD).files_of("tool", "1.10", "arm64")
    assert (file.url, file.sha256) == ("https://dl.test/1.10/arm64/tool", TWO)
    assert file.places == {"bin/tool": ""}


def test_an_archive_has_members_for_several_places(tmp_path: Path) -> None:
    [file] = written(tmp_path, GOOD).files_of("tool", "1.9", "amd64")
    assert file.places == {"bin/toolctl": "tools-amd64/toolctl"}


def test_of_another_version_or_component_it_has_nothing(tmp_path: Path) -> None:
    lock = written(tmp_path, GOOD)
    assert lock.files_of("tool", "1.1", "amd64") == []
    assert lock.files_of("other", "1.10", "amd64") == []


def test_images_are_in_their_own_repository_unless_another_one_is_named(tmp_path: Path) -> None:
    assert written(tmp_path, GOOD).images == {
        "registry.test/tool:v1.10": PinnedImage("registry.test/tool", f"sha256:{ONE}"),
        "bundle.slipway.internal/jre:21": PinnedImage("docker.io/library/java", f"sha256:{TWO}"),
    }


@pytest.mark.parametrize("text", ["", "files: {}\nimages: {}\n"])
def test_there_may_be_nothing_in_it(tmp_path: Path, text: str) -> None:
    assert written(tmp_path, text or "{}") == Lock()


def test_there_may_be_none(tmp_path: Path) -> None:
    assert read(tmp_path / "none.yml", PLACES, []) == Lock()


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        (ONE, "1" * 63, "upstream.yml:7 files tool 0 sha256 1.10 amd64: is no sha256"),
        (TWO, "2" * 63 + "G", "upstream.yml:8 files tool 0 sha256 1.10 arm64: is no sha256"),
        (
            f"          arm64: {TWO}\n",
            "",
            "upstream.yml:6 files tool 0 sha256 1.10: has no sum for",
        ),
        ("arm64: ", "arm: ", "upstream.yml:8 files tool 0 sha256 1.10 arm: is no architecture"),
        (
            "https://dl.test/{v",
            "ftp://dl.test/{v",
            "upstream.yml:3 files tool 0 url: is no address",
        ),
        ("/{version}/", "/{vresion}/", "upstream.yml:3 files tool 0 url: has {vresion}"),
        ("/{version}/", "/{version/", "upstream.yml:3 files tool 0 url: cannot be filled in"),
        ("bin/tool\n", "bin/other\n", "upstream.yml:4 files tool 0 place: goes to bin/other"),
        ("      place: bin/tool\n", "", "upstream.yml:3 files tool 0: says not where it goes"),
        ("bin/toolctl: ", "bin/ctl: ", "upstream.yml:11 files tool 1 members bin/ctl: goes to"),
        ("tools-{arch", "../{arch", "upstream.yml:11 files tool 1 members bin/toolctl: is ../"),
        (
            "      place:",
            "      plaec:",
            "upstream.yml:3 files tool 0: is no file: Object contains",
        ),
        ("  tool:", "  tol:", "upstream.yml:2 files tol: is no component"),
        ("  tool:\n", "  tool: {}\n  other:\n", "upstream.yml:2 files tool: is no list of files"),
        (
            f"v1.10: sha256:{ONE}",
            "v1.10: latest",
            "upstream.yml:15 images registry.test/tool:v1.10",
        ),
        ("test/tool:v1.10", "test/tool", "upstream.yml:15 images registry.test/tool: is no image"),
        ("images:", "image:", "upstream.yml:14 image: is no part of it"),
        (
            "images:\n",
            "images: {}\nimages:\n",
            "upstream.yml:15 images: stands here again, after li",
        ),
        ("files:\n", "signers: {}\nfiles:\n", "upstream.yml:1 signers: is no list of signers"),
        (
            "files:\n",
            "signers:\n  - of: [dl.test]\n    identity: ada\nfiles:\n",
            "upstream.yml:2 signers 0: is no signer: Object missing required field `issuer`",
        ),
        ("files:\n", "files: [\n", "is not YAML"),
        (GOOD, "- 1\n", "upstream.yml:1: is no mapping"),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, right: str, wrong: str, told: str) -> None:
    assert right in GOOD
    with pytest.raises(SlipwayError) as caught:
        written(tmp_path, GOOD.replace(right, wrong, 1))
    assert told in str(caught.value)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(SlipwayError) as caught:
        written(tmp_path, GOOD.replace(ONE, "none"))
    assert len(caught.value.problems) == 3


def test_that_of_this_project_has_what_each_component_has() -> None:
    places = {each.name: places_of(each) for each in components(PROJECT / "bundle/go", VERSIONS)}
    lock = read(PROJECT / "bundle" / "upstream.yml", places, VERSIONS)
    for architecture in upstream_lock.ARCHITECTURES:
        known = {
            place
            for name in ("kubernetes", "runc", "cni_plugins", "etcd", "metallb")
            for file in lock.files_of(name, VERSIONS[name], architecture)
            for place in file.places
        }
        assert {"bin/kubelet", "bin/runc", "cni/bridge", "manifests/metallb.yaml"} <= known


def test_that_of_this_project_says_who_signs_kubernetes() -> None:
    found = components(PROJECT / "bundle/go", VERSIONS)
    places = {each.name: places_of(each) for each in found}
    lock = read(PROJECT / "bundle" / "upstream.yml", places, VERSIONS)
    signed = {
        each.url: lock.signer_of(each.url)
        for name in lock.files
        for each in lock.files_of(name, VERSIONS[name], "arm64")
    }
    signed |= {each.repository: lock.signer_of(each.repository) for each in lock.images.values()}
    names = {url.rpartition("/")[2]: signer.identity for url, signer in signed.items() if signer}
    account = "@k8s-releng-prod.iam.gserviceaccount.com"
    assert names == {
        **dict.fromkeys(("kubeadm", "kubelet", "kubectl"), f"krel-staging{account}"),
        "kube-apiserver": f"krel-trust{account}",
        "kube-controller-manager": f"krel-trust{account}",
        "kube-scheduler": f"krel-trust{account}",
    }
