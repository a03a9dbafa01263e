"""Paths of a container at which two things would be, or one where nothing else can be."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.apps.plan.plan import plan
from slipway.errors import SlipwayError


def written(folder: Path, lines: str) -> Path:
    """A file with an app ``web`` that has these lines."""
    path = folder / "apps.yml"
    path.write_text(f"version: 1\napps:\n  - {{name: web, git_url: /web, {lines}}}\n")
    return path


def test_what_can_be_in_one_another_may_be(tmp_path: Path) -> None:
    files = "config_files: [{path: /srv/b/c, content: a}, {path: /srv/b.conf, content: b}]"
    lines = f"volumes: {{a: /srv, b: /srv/b, c: /tmp/c}}, certificate: {{path: /srv/d}}, {files}"
    assert plan(written(tmp_path, lines))


@pytest.mark.parametrize(
    ("lines", "where", "what"),
    [
        (
            "volumes: {a: /srv, b: /srv}",
            "volumes.b",
            "/srv is also at apps.yml:3 apps[0].volumes.a",
        ),
        ("volumes: {a: /tmp}", "volumes.a", "/tmp is also what every container has there"),
        ("certificate: {path: /tmp}", "certificate", "/tmp is also what every container has there"),
        (
            "config_files: [{path: /tmp, content: a}]",
            "config_files[0].path",
            "/tmp is also what every container has there",
        ),
        (
            "volumes: {a: /srv}, config_files: [{path: /srv, content: a}]",
            "volumes.a",
            "/srv is also at apps.yml:3 apps[0].config_files[0].path",
        ),
        (
            "volumes: {a: /tls}, certificate: {path: /tls}",
            "volumes.a",
            "/tls is also at apps.yml:3 apps[0].certificate",
        ),
        (
            "volumes: {a: /etc/slipway/tls/a}, certificate: {}",
            "volumes.a",
            "/etc/slipway/tls/a is in the folder of the certificate, /etc/slipway/tls, "
            "where nothing else can be",
        ),
        (
            "volumes: {a: /srv/a/b}, config_files: [{path: /srv/a, content: a}]",
            "volumes.a",
            "/srv/a/b is below a config file, /srv/a, where nothing else can be",
        ),
        (
            "certificate: {path: /srv/a}, config_files: [{path: /srv, content: a}]",
            "certificate",
            "/srv/a is below a config file, /srv, where nothing else can be",
        ),
    ],
)
def test_what_cannot_be_is_said_with_its_place(
    lines: str, where: str, what: str, tmp_path: Path
) -> None:
    with pytest.raises(SlipwayError) as told:
        plan(written(tmp_path, lines))
    [problem] = told.value.problems
    assert (problem.where, problem.what) == (f"apps.yml:3 apps[0].{where}", what)
