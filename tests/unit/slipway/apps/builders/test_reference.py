"""References of images as people write them, and what they mean."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from slipway.apps.app import BuildxBuild, ImageBuild
from slipway.apps.builders.order import Order
from slipway.apps.builders.reference import Referenced, full, named_by
from slipway.oci.model import check_ref

DIGEST = f"sha256:{'0123456789ab' * 5}0123"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("redis", "docker.io/library/redis:latest"),
        ("redis:8", "docker.io/library/redis:8"),
        ("team/web:1", "docker.io/team/web:1"),
        ("docker.io/redis:8", "docker.io/library/redis:8"),
        ("index.docker.io/library/redis", "docker.io/library/redis:latest"),
        ("localhost/web", "localhost/web:latest"),
        ("127.0.0.1:5000/team/web:1", "127.0.0.1:5000/team/web:1"),
        ("Registry.Example.com/team/web", "registry.example.com/team/web:latest"),
        (f"redis@{DIGEST}", f"docker.io/library/redis@{DIGEST}"),
        (f"r.test/a/b__c--d.e:v1_2@{DIGEST}", f"r.test/a/b__c--d.e:v1_2@{DIGEST}"),
    ],
)
def test_a_reference_means_what_docker_s_clients_take_it_for(text: str, meant: str) -> None:
    assert full(text) == meant
    assert full(meant) == meant


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Redis",
        "redis:8 AS base",
        "redis\nRUN true",
        "redis\n",
        "https://r.test/web:1",
        "r.test/web:",
        "r.test/:1",
        "r.test/web@sha256:0123",
        f"r.test/web@sha512:{'ab' * 64}",
        "r.test/../web:1",
        "${IMAGE}",
        "<no value>",
        f"redis:{'a' * 129}",
    ],
)
def test_what_is_no_reference_is_told_from_one(text: str) -> None:
    assert full(text) == ""


@pytest.mark.parametrize(
    ("ref", "name", "version"),
    [
        ("docker.io/library/redis:8", "docker.io/library/redis", "8"),
        ("127.0.0.1:5000/team/web:1.2", "127.0.0.1-5000/team/web", "1.2"),
        (f"r.test/web:1@{DIGEST}", "r.test/web", "0123456789ab"),
        (f"r.test/{'a' * 199}-b/c:{'1' * 128}", f"r.test/{'a' * 193}", "1" * 100),
    ],
)
def test_an_image_is_stored_under_a_name_that_tells_where_it_is_from(
    ref: str, name: str, version: str
) -> None:
    assert named_by(ref) == (name, version)
    check_ref(f"apps.slipway.internal/{name}:{version}-0123456789ab")


class Dockerfiles:
    """A builder that notes how many of its builds go on at a time, by what they are from."""

    doing = "build"

    def __init__(self) -> None:
        self.going_on: list[str] = []
        self.together: list[set[str]] = []

    def build(self, order: Order[BuildxBuild]) -> Path:
        """Take a moment."""
        said = (order.checkout / "Dockerfile").read_text().strip()
        self.going_on.append(said)
        time.sleep(0.05)
        self.together.append({*self.going_on})
        self.going_on.remove(said)
        return order.scratch


def test_one_image_of_a_registry_is_fetched_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slipway.apps.builders.reference.check", lambda *_: None)
    dockerfiles = Dockerfiles()
    builder = Referenced(dockerfiles)

    def fetch(ref: str) -> Path:
        scratch = tmp_path / ref.replace("/", "-")
        scratch.mkdir()
        return builder.build(Order(ref, "", tmp_path, ImageBuild(ref=ref), None, {}, scratch))

    one, two, other = "r.test/web:1", "r.test/web:2", "other.test/web:1"
    with ThreadPoolExecutor() as pool:
        assert [each.name for each in pool.map(fetch, (one, two, other))] == [
            "r.test-web:1",
            "r.test-web:2",
            "other.test-web:1",
        ]
    assert len(dockerfiles.together) == 3
    assert not [some for some in dockerfiles.together if {f"FROM {one}", f"FROM {two}"} <= some]
