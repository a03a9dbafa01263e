"""Images of upstream's out of a real registry: certificates, tokens, and what it lacks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from slipway.bundle.provider import ensure
from slipway.control_node import tools
from slipway.errors import SlipwayError
from slipway.oci import ImageStore
from tests.support import registries
from tests.support.file_servers import tls
from tests.support.real_bundle import real_bundle
from tests.support.upstreams import HERE, REF, Project, image_for, upstream


class Mirrored:
    """A project whose images are in a registry over TLS, and the folder with its certificate."""

    def __init__(self, project: Project, address: str, scratch: Path) -> None:
        self.project = project
        self.certificate = scratch / "server.crt"
        self.address = address
        self.mirror = {"url": f"https://{address}", "ca": str(self.certificate)}
        project.mirrors["registry.test"] = self.mirror

    def push(self, *architectures: str) -> str:
        """Have the image there for these architectures."""
        url = self.mirror["url"]
        return registries.push(url, "server", *image_for(*architectures), self.certificate)

    def images(self) -> ImageStore:
        """Those of the bundle, which a new run has."""
        provider = self.project.provider()
        bundle = ensure(provider, provider.cache, self.project.said.append)
        return ImageStore(bundle.path / "images")

    def fails(self) -> str:
        """Why there is no bundle."""
        with pytest.raises(SlipwayError) as caught:
            self.images()
        return str(caught.value)


@contextmanager
def mirrored(tmp_path: Path, *, days: int = 2, token: bool = False) -> Iterator[Mirrored]:
    """A registry whose certificate is valid for so many days more."""
    scratch = tmp_path / "tls"
    scratch.mkdir()
    tls(scratch, days)
    program = real_bundle() / "tools" / "docker-registry"
    with upstream() as files:
        realm = f"{files.url}/token" if token else ""
        with registries.served(program, tmp_path / "registry", tls=scratch, realm=realm) as address:
            project = Project(tmp_path / "project", files)
            yield Mirrored(project, address.replace("127.0.0.1", "localhost"), scratch)


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine that has all tools, and whose user has no logins."""
    monkeypatch.setenv("PATH", str(tmp_path / "project" / "tools"), prepend=":")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setattr(tools, "missing", lambda _names: [])


@pytest.mark.parametrize("token", [False, True])
def test_an_image_comes_out_of_a_registry(tmp_path: Path, token: bool) -> None:
    with mirrored(tmp_path, token=token) as it:
        it.project.served.token = "a-token" if token else ""
        it.project.lock["files"] = {}
        it.project.lock["images"][REF] = it.push("s390x", HERE)
        images = it.images()
        assert images.images()[REF].platform == f"linux/{HERE}"
        assert images.verify(REF) == []
        assert "server" not in it.project.compiled()


def test_an_image_that_a_registry_lacks_is_packed(tmp_path: Path) -> None:
    with mirrored(tmp_path) as it:
        assert REF in it.images().images()
        assert "server" in it.project.compiled()
        assert any(
            f"without upstream's {REF}: {it.address}: HTTP 404" in x for x in it.project.said
        )


def test_a_certificate_that_has_expired_is_told(tmp_path: Path) -> None:
    with mirrored(tmp_path, days=-1) as it:
        said = it.fails()
    assert "its certificate is not trusted here: certificate has expired" in said
    assert "have the server's certificate renewed" in said


def test_an_authority_that_nobody_named_is_told(tmp_path: Path) -> None:
    with mirrored(tmp_path) as it:
        del it.mirror["ca"]
        assert "ca in slipway_mirrors" in it.fails()


def test_a_file_of_authorities_that_has_none_is_told(tmp_path: Path) -> None:
    with mirrored(tmp_path) as it:
        it.certificate.write_text("none")
        assert f"{it.certificate}: has no certificates" in it.fails()
