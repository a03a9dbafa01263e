"""Images of a registry that asks who comes; BuildKit and registry are the bundle's."""

from __future__ import annotations

import json
import tempfile
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3

from slipway.apps.app import BuildxBuild, ImageBuild
from slipway.apps.builders.bases import Bases
from slipway.apps.builders.buildkit import BuildKit, Daemon, Programs
from slipway.apps.builders.logins import docker_config, registry_of
from slipway.apps.builders.order import Order
from slipway.apps.builders.reference import Referenced
from slipway.bundle.download import Login
from slipway.cache.layout import CacheLayout
from slipway.errors import SlipwayError
from slipway.oci import Image, ImageStore
from slipway.oci.model import MANIFEST
from tests.support.real_bundle import real_bundle
from tests.support.registries import PASSWORD, USER, served

OF_DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
"""What registries, if they do not hear of it, turn into something older."""

REFUSED = r"401|[Uu]nauthorized|authorization failed"


class Bench:
    """A builder with a cache of its own, and a registry with one image."""

    def __init__(self, root: Path, daemon: Daemon, registry: str) -> None:
        self.root = root
        self.ref = f"{registry}/team/base:1"
        self.logins = {registry: Login(USER, PASSWORD)}
        self.kit = BuildKit(daemon, ImageStore(root / "images"))
        with docker_config(self.logins) as env:
            context = self.folder("FROM scratch\nCOPY Dockerfile /pushed\n")
            daemon.start()
            daemon.call(
                "build",
                "--frontend=dockerfile.v0",
                f"--local=context={context}",
                f"--local=dockerfile={context}",
                f"--output=type=image,name={self.ref},push=true",
                what="push",
                env=env,
            )

    def folder(self, dockerfile: str) -> Path:
        """A new folder with a Dockerfile."""
        made = Path(tempfile.mkdtemp(dir=self.root))
        (made / "Dockerfile").write_text(dockerfile)
        return made

    def build(self, logins: dict[str, Login], repository: str = "web") -> Path:
        """Build on the image, by the Dockerfile of a branch."""
        checkout = self.folder(f"FROM {self.ref}\nCOPY Dockerfile /own\n")
        scratch = Path(tempfile.mkdtemp(dir=self.root))
        build = BuildxBuild()
        return self.kit.build(
            Order("web (main)", repository, checkout, build, None, {}, scratch, logins=logins)
        )

    def pushed(self) -> str:
        """The digest under which the registry has the image."""
        host, _, name = self.ref.rpartition(":")[0].partition("/")
        response = urllib3.request(
            "HEAD",
            f"http://{host}/v2/{name}/manifests/1",
            headers={
                **urllib3.make_headers(basic_auth=f"{USER}:{PASSWORD}"),
                "Accept": ", ".join((MANIFEST, OF_DOCKER)),
            },
        )
        return response.headers["Docker-Content-Digest"]

    def bases(self) -> Bases:
        """A new run that looks for bases."""
        stores = ImageStore(self.root / "images"), ImageStore(self.root / "bundle")
        return Bases(*stores, {}, self.kit.pull, CacheLayout(self.root / "cache"))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    program = real_bundle() / "tools" / "docker-registry"
    with (
        served(program, tmp_path / "registry", asks=True) as registry,
        Daemon(Programs.of(real_bundle()), tmp_path / "buildkit") as daemon,
    ):
        yield Bench(tmp_path, daemon, registry)


def test_what_a_dockerfile_is_made_from_is_fetched_with_the_login(bench: Bench) -> None:
    assert (bench.build(bench.logins) / "index.json").exists()


def test_a_base_image_is_fetched_with_the_login_and_is_for_those_who_have_it(bench: Bench) -> None:
    base = bench.bases().find("jib", bench.ref, bench.logins)
    assert base is not None
    assert base.fetch is not None
    assert len(base.fetch().image.layers) == 1
    again = bench.bases().find("jib", bench.ref, bench.logins)
    assert again is not None
    assert again.identity == base.identity
    with pytest.raises(SlipwayError, match=REFUSED):
        bench.bases().find("jib", bench.ref)


def test_an_image_by_its_reference_is_fetched_with_the_login_by_tag_and_by_digest(
    bench: Bench,
) -> None:
    def fetch(ref: str, logins: dict[str, Login]) -> Image:
        scratch = Path(tempfile.mkdtemp(dir=bench.root))
        build = ImageBuild(ref=ref)
        order = Order("db (main)", "db", Path(), build, None, {}, scratch, logins=logins)
        layout = Referenced(bench.kit).build(order)
        return ImageStore(scratch / "store").add_archive(layout, "images.test/db:1")

    by_tag = fetch(bench.ref, bench.logins)
    assert len(by_tag.layers) == 1
    name, pushed = bench.ref.rpartition(":")[0], bench.pushed()
    assert fetch(f"{name}@{pushed}", bench.logins).layers == by_tag.layers
    with pytest.raises(SlipwayError, match=REFUSED):
        fetch(bench.ref, {})
    with pytest.raises(SlipwayError, match="is not found"):
        fetch(f"{name}@sha256:{'0' * 64}", bench.logins)


def test_what_another_app_was_given_is_not_had_by_its_digest(bench: Bench) -> None:
    by_digest = f"{bench.ref.rpartition(':')[0]}@{bench.pushed()}"

    def fetch(logins: dict[str, Login]) -> Path:
        scratch = Path(tempfile.mkdtemp(dir=bench.root))
        build = ImageBuild(ref=by_digest)
        order = Order("db (main)", "db", Path(), build, None, {}, scratch, logins=logins)
        return Referenced(bench.kit).build(order)

    assert (fetch(bench.logins) / "index.json").exists()
    guess = {registry_of(bench.ref): Login(USER, "a guess")}
    for logins in ({}, guess):
        with pytest.raises(SlipwayError, match=REFUSED) as refused:
            fetch(logins)
        [problem] = refused.value.problems
        assert "registry_auth" in problem.fix
        with pytest.raises(SlipwayError, match=REFUSED):
            bench.bases().find("jib", by_digest, logins)


def test_no_build_has_the_login_of_this_machine_s_user(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    auth = b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    text = json.dumps({"auths": {registry_of(bench.ref): {"auth": auth}}})
    (bench.root / ".docker").mkdir()
    (bench.root / ".docker" / "config.json").write_text(text)
    monkeypatch.setenv("HOME", str(bench.root))
    monkeypatch.setenv("DOCKER_AUTH_CONFIG", text)
    with pytest.raises(SlipwayError, match=REFUSED):
        bench.build({})


def test_what_one_has_fetched_no_other_builds_on_without_a_login(bench: Bench) -> None:
    bench.build(bench.logins)
    with pytest.raises(SlipwayError, match=REFUSED):
        bench.build({}, repository="other")
