"""Signatures of upstream's, with a stand-in for cosign that notes what it is asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway.bundle import manifest
from slipway.bundle.cosign import Cosign
from slipway.bundle.provider import ensure
from slipway.control_node import tools
from slipway.errors import SlipwayError
from tests.support.upstreams import REF, TOOL, Project, Upstream, upstream

TOOL_PATH = "/tool/1.0.0/tool"

COSIGN = """#!/bin/sh
folder="$(dirname "$0")"
echo "$@" >>"$folder/asked"
for each; do
    case "$each" in
    */sig | */cert | */part) cat "$each" | head -c 20 >>"$folder/read" ;;
    esac
done
[ ! -e "$folder/wrong" ] || { echo "none of the expected identities matched" >&2; exit 1; }
"""

SIGNERS = [
    {"of": ["dl.test/tool"], "identity": "files@signers.test", "issuer": "https://files.test"},
    {"of": ["registry.test/server"], "identity": "ada@signers.test", "issuer": "https://ada.test"},
]


@pytest.fixture
def served() -> Iterator[Upstream]:
    with upstream() as served:
        yield served


@pytest.fixture
def project(
    as_nobody: None, tmp_path: Path, served: Upstream, monkeypatch: pytest.MonkeyPatch
) -> Project:
    monkeypatch.setenv("PATH", str(tmp_path / "project" / "tools"), prepend=":")
    monkeypatch.setattr(tools, "missing", lambda _names: [])
    project = Project(tmp_path / "project", served)
    project.lock["signers"] = SIGNERS
    served.files[f"{TOOL_PATH}.sig"] = b"a signature"
    served.files[f"{TOOL_PATH}.cert"] = b"a certificate"
    return project


@pytest.fixture
def program(project: Project) -> Path:
    """A stand-in for cosign; gives the folder of what it notes."""
    path = project.root / "tools" / "cosign"
    path.write_text(COSIGN)
    path.chmod(0o755)
    return path.parent


@pytest.fixture
def without_cosign(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Cosign, "_is_there", False)


def had(project: Project, signatures: str) -> Path:
    """The bundle, as a new run has it."""
    provider = project.provider(signatures=signatures)
    return ensure(provider, provider.cache, project.said.append).path


def told(project: Project, signatures: str) -> str:
    """Why there is no bundle."""
    with pytest.raises(SlipwayError) as caught:
        had(project, signatures)
    return str(caught.value)


@pytest.mark.parametrize("signatures", ["auto", "required"])
def test_cosign_is_asked_who_signed_each_file_and_image(
    project: Project, program: Path, signatures: str
) -> None:
    assert manifest.damaged(had(project, signatures)) == []
    image, file = sorted((program / "asked").read_text().splitlines(), key=len)
    host = project.served.url.removeprefix("http://")
    assert image == (
        f"verify --allow-http-registry {host}/server@{project.lock['images'][REF]} "
        "--certificate-identity ada@signers.test --certificate-oidc-issuer https://ada.test"
    )
    command, path, *options = file.split()
    assert (command, Path(path).name) == ("verify-blob", "part")
    assert [options[0], options[2]] == ["--signature", "--certificate"]
    assert options[4:] == [
        "--certificate-identity",
        "files@signers.test",
        "--certificate-oidc-issuer",
        "https://files.test",
    ]
    read = (program / "read").read_bytes()
    assert read == TOOL[:20] + b"a signature" + b"a certificate"


def test_nobody_is_asked_unless_that_is_wanted(project: Project, program: Path) -> None:
    had(project, "off")
    assert not (program / "asked").exists()
    assert not project.served.asked_for(".sig")


def test_what_is_signed_by_nobody_in_the_lock_is_not_asked_about(
    project: Project, program: Path
) -> None:
    project.lock["signers"] = [{**SIGNERS[0], "of": ["dl.test/too", "registry.test/serv"]}]
    had(project, "required")
    assert not (program / "asked").exists()


@pytest.mark.parametrize("signatures", ["auto", "required"])
@pytest.mark.parametrize(
    ("signer", "told_of"),
    [
        (SIGNERS[0], f"{TOOL_PATH}: is not found to be signed by files@signers.test: cosign ended"),
        (SIGNERS[1], ": is not found to be signed by ada@signers.test: cosign ended with code 1"),
    ],
)
def test_a_wrong_signature_is_refused_with_what_cosign_says(
    project: Project, program: Path, signatures: str, signer: object, told_of: str
) -> None:
    (program / "wrong").touch()
    project.lock["signers"] = [signer]
    said = told(project, signatures)
    assert told_of in said
    assert "none of the expected identities matched" in said
    assert "bundle_signatures: off" in said


def test_without_cosign_it_is_said_what_is_not_checked(
    project: Project, without_cosign: None
) -> None:
    had(project, "auto")
    said = [each for each in project.said if "as cosign is not in PATH" in each]
    assert [each.rpartition(": its signature")[0] for each in sorted(said)] == [
        f"{project.served.url}{TOOL_PATH}",
        f"{project.served.url}/v2/server@{project.lock['images'][REF]}",
    ]


def test_without_cosign_nothing_is_downloaded_that_has_to_be_signed(
    project: Project, without_cosign: None
) -> None:
    project.lock["signers"] = SIGNERS[:1]
    said = told(project, "required")
    assert "is required, and cosign is not in PATH to check it" in said
    assert "fix: install cosign, or write bundle_signatures: auto" in said
    assert project.served.asked_for(TOOL_PATH) == ["bytes=0-0"]


def test_a_file_that_nobody_signed_is_said_or_refused(project: Project, program: Path) -> None:
    del project.served.files[f"{TOOL_PATH}.cert"]
    assert f"{TOOL_PATH}: has no signature that can be had: localhost" in told(project, "required")
    had(project, "auto")
    assert f"{project.served.url}{TOOL_PATH}: not checked, as there is no signature" in project.said


def test_what_was_not_checked_is_not_taken_for_what_has_to_be(
    project: Project, program: Path
) -> None:
    unchecked = had(project, "off")
    assert had(project, "required") != unchecked
    assert len((program / "asked").read_text().splitlines()) == 2
    assert had(project, "auto") == unchecked
