"""Volumes in apps.yml: short and long, in defaults and services, and what is wrong with some."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.apps.app import App, Origin, Volume
from slipway.apps.plan.plan import plan
from slipway.errors import SlipwayError


def found(folder: Path, lines: str, before: str = "") -> list[App]:
    """The apps of a file with an app ``web`` that has these lines (line 4 onwards)."""
    path = folder / "apps.yml"
    path.write_text(f"version: 1\n{before}apps:\n  - {{name: web, git_url: /web, {lines}}}\n")
    return plan(path)


def mistake(folder: Path, lines: str, before: str = "") -> str:
    with pytest.raises(SlipwayError) as told:
        found(folder, lines, before)
    return str(told.value)


def test_a_volume_is_a_path_or_more(tmp_path: Path) -> None:
    more = "{path: /srv, size: 5Gi, keep: true, class: fast, x-why: orders}"
    [web] = found(tmp_path, f"volumes: {{data: /var/lib/data, more: {more}}}")
    assert web.volumes == {
        "data": Volume("/var/lib/data", "1Gi", keep=False),
        "more": Volume("/srv", "5Gi", keep=True, storage_class="fast"),
    }
    [web] = found(tmp_path, "volumes: {data: {path: /srv, size: 1000000}}")
    assert web.volumes["data"].size == "1000000"


def test_volumes_of_defaults_and_of_the_app_are_both_there(tmp_path: Path) -> None:
    before = "defaults: {volumes: {logs: /logs, data: /old}}\n"
    [web] = found(tmp_path, "volumes: {data: /srv}", before)
    assert {name: each.path for name, each in web.volumes.items()} == {
        "logs": "/logs",
        "data": "/srv",
    }


def test_services_have_volumes(tmp_path: Path) -> None:
    db = "{image: 'docker.io/library/postgres:17', port: 5432, volumes: {data: /srv}}"
    service, _web = found(tmp_path, f"services: {{db: {db}}}")
    assert service.volumes == {"data": Volume("/srv")}
    said = mistake(tmp_path, f"services: {{db: {db.replace('/srv', '/tmp')}}}")
    assert "apps[0].services.db.volumes.data: /tmp is also what every container has" in said


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("volumes: {data: srv}", "volumes.data: is 'srv'"),
        ("volumes: {data: /srv/../etc}", "must be an absolute path of a folder"),
        ("volumes: {data: {size: 1Gi}}", "volumes.data: lacks the key path"),
        ("volumes: {data: {path: /srv, size: lots}}", "must be a number of bytes"),
        ("volumes: {data: {path: /srv, sise: 1Gi}}", "write size"),
        ("volumes: {Data: /srv}", "must be a DNS label"),
        (f"volumes: {{{'d' * 41}: /srv}}", "must have at most 40 characters"),
        ("volumes: {data: {path: /srv, size: 0}}", "data.size: is 0, which is no whole number"),
        ("volumes: {data: {path: /srv, size: 0Gi}}", "data.size: is 0Gi, which is no whole"),
        (
            "volumes: {data: {path: /srv, size: -1}}",
            "data.size: is -1\n    fix: must be at least 0",
        ),
        (
            "volumes: {data: {path: /srv, size: 1.5}}",
            "data.size: is 1.5, which YAML reads as a number with",
        ),
        ("volumes: {data: {path: /srv, size: 5K}}", "must be a number of bytes with Ki, Mi or Gi"),
        ("volumes: {data: {path: /srv, size: 8388608Ti}}", "size: is 8388608Ti, which is no whole"),
        (f"volumes: {{data: {{path: /srv, size: {'9' * 99}Ti}}}}", "size: is 999"),
        (
            "git_branch: 'a/*', volumes: {data: {path: /srv, from: {branch: 'a/*'}}}",
            "from.branch: a/* stands for any number of branches",
        ),
        ("volumes: {data: 5}", "must be a path, or a mapping"),
        ("volumes: {a: /srv}, replicas: 2", "apps.yml:3 apps[0].replicas: has 2 pods share"),
        (
            "volumes: {a: /srv}, replicas: {min: 1, max: 4}",
            "apps.yml:3 apps[0].replicas: has 4 pods share",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(lines: str, said: str, tmp_path: Path) -> None:
    assert said in mistake(tmp_path, lines)


def test_pods_that_share_a_volume_are_told_where_their_number_is(tmp_path: Path) -> None:
    said = mistake(tmp_path, "volumes: {a: /srv}", "defaults:\n  replicas: 3\n")
    assert "apps.yml:3 defaults.replicas: has 3 pods share a volume" in said


def test_the_name_of_a_volume_fits_into_a_label_with_that_of_its_app(tmp_path: Path) -> None:
    name, service = "d" * 40, "s" * 30
    assert found(tmp_path, f"volumes: {{{name}: /srv}}")
    db = f"{{image: 'a.test/a:1', port: 1, volumes: {{{name}: /srv}}}}"
    said = mistake(tmp_path, f"services: {{{service}: {db}}}")
    assert f"volumes.{name}: has 75 characters as web-{service}-{name}, and may have 63" in said


def test_two_apps_of_a_namespace_do_not_have_one_claim(tmp_path: Path) -> None:
    path = tmp_path / "apps.yml"
    path.write_text("""version: 1
apps:
  - {name: shop, git_url: /a, namespace: shop, volumes: {db-data: /srv}}
  - {name: shop-db, git_url: /b, namespace: shop, volumes: {data: /srv}}
  - {name: shop-db, git_url: /b, namespace: other, volumes: {data: /srv}}
""")
    with pytest.raises(SlipwayError) as told:
        plan(path)
    [problem] = told.value.problems
    assert problem.where == "apps.yml:4 apps[1].volumes.data"
    assert problem.what.startswith("the claim shop-db-data in namespace shop is also that of")


def test_a_new_volume_begins_with_the_data_of_a_branch_that_there_is(tmp_path: Path) -> None:
    path = tmp_path / "apps.yml"
    text = """version: 1
defaults: {volumes: {data: {path: /srv, from: {branch: main}}}}
apps:
  - {name: web, git_url: /web}
  - {name: web, git_url: /web, git_branch: next}
"""
    path.write_text(text)
    for app in plan(path):
        assert app.volumes == {"data": Volume("/srv", origin=Origin("main"))}
    path.write_text(text.replace("branch: main", "branch: mian"))
    with pytest.raises(SlipwayError, match="web has no entry for the branch mian") as told:
        plan(path)
    assert "write main" in str(told.value)


def test_a_service_begins_with_the_data_of_that_of_another_branch(tmp_path: Path) -> None:
    db = "{image: 'a.test/db:1', port: 1, volumes: {data: {path: /srv, from: {branch: BRANCH}}}}"
    service, _web = found(tmp_path, f"services: {{db: {db.replace('BRANCH', 'main')}}}")
    assert service.volumes["data"].origin == Origin("main")
    said = mistake(tmp_path, f"services: {{db: {db.replace('BRANCH', 'other')}}}")
    assert "services.db.volumes.data.from.branch: web-db has no entry for the branch other" in said
