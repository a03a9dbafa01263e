"""apps.yml becomes apps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from slipway.apps.app import (
    App,
    BuildxBuild,
    ConfigFile,
    HostCertificate,
    ImageBuild,
    Ingress,
    JibBuild,
    Rule,
    Variable,
)
from slipway.apps.manifests.routes import hosts
from slipway.apps.plan.bounds import Bounds
from slipway.apps.plan.branches import Matches, Sample
from slipway.apps.plan.plan import plan

ROOT = Path(__file__).parents[5]


def planned(tmp_path: Path, text: str) -> list[App]:
    path = tmp_path / "apps.yml"
    path.write_text(text)
    return plan(path, bounds=Bounds(folders=[Path("/srv")]))


def test_least_app(tmp_path: Path) -> None:
    assert planned(tmp_path, "version: 1\napps: [{name: web, git_url: ../web}]\n") == [
        App(
            id="web-main/web",
            name="web",
            namespace="web-main",
            git_url=str(tmp_path.parent / "web"),
            git_branch="main",
            branch_slug="main",
            port=8080,
            replicas=1,
        )
    ]


def test_an_image_needs_no_repository_and_does_not_take_that_of_the_defaults(
    tmp_path: Path,
) -> None:
    text = """
version: 1
defaults: {git_url: ../web, git_branch: f/*, git_path: a, build: jib, base_image: b:1, port: 80}
apps:
  - {name: redis, image: "docker.io/library/redis:8"}
  - {name: search, image: "r.test:5000/team/search", git_url: ../search, git_path: deploy}
"""
    redis, search = planned(tmp_path, text)
    assert redis.build == ImageBuild(ref="docker.io/library/redis:8")
    assert (redis.id, redis.git_url, redis.git_path) == ("redis-main/redis", "", ".")
    assert (redis.git_branch, redis.pattern, redis.base_image) == ("main", None, {})
    assert redis.port == 80
    assert search.build == ImageBuild(ref="r.test:5000/team/search")
    assert (search.git_url, search.git_path) == (str(tmp_path.parent / "search"), "deploy")


def test_notes_and_whole_numbers_are_taken_as_the_schema_takes_them(tmp_path: Path) -> None:
    text = """
version: 1
hosts: {a.test: {tls: {certificate: cert, key: key, x-why: because}}}
apps:
  - name: web
    git_url: /web
    git_branch: f/*
    branches: {max: 3.0, x-why: because}
    build: {jib: {}, x-why: because}
    probes: {liveness: {period: 5.0, x-why: because}}
    security: {run_as_user: 1000.0}
    ingress: {host: a.test, rules: [{path: "/{{ branch }}/"}]}
"""
    path = tmp_path / "apps.yml"
    path.write_text(text)
    asked: list[Sample] = []

    def find(samples: Sequence[Sample]) -> list[Matches]:
        asked.extend(samples)
        return [Matches(["f/a"])]

    [app] = plan(path, find_branches=find)

    assert [sample.rules.max for sample in asked] == [3]
    assert (app.probes["liveness"].period, app.security.run_as_user) == (5, 1000)
    assert app.build == JibBuild()
    assert [rule.tls for rule in app.rules] == [HostCertificate("cert", "key")]


def test_app_with_all_keys(tmp_path: Path) -> None:
    text = """
version: 1
x-note: free
apps:
  - name: web
    x-owner: [anybody]
    git_url: git@git.test:team/web.git
    git_branch: Feature/Login
    namespace: shop
    build:
      buildx: {context: service, dockerfile: docker/Dockerfile, target: run, args: {LEVEL: 3}}
    base_image: {buildx: "tar:///srv/python.tar"}
    port: 80
    replicas: 2
    health_path: /healthz
    env: {LEVEL: 3, NAME: text}
    config_files:
      - {path: /etc/web/a.conf, content: "a=1\\n", x-why: because}
      - {path: /etc/web/b.conf, source: conf/b.conf}
    node_selector: {disk: ssd}
    ingress:
      host: a.test
      rules:
        - {path: /web/, rewrite: /, expect: Hello}
        - {path: /web/raw, path_type: Exact}
"""
    assert planned(tmp_path, text) == [
        App(
            id="shop/web",
            name="web",
            namespace="shop",
            git_url="git@git.test:team/web.git",
            git_branch="Feature/Login",
            branch_slug="feature-login",
            build=BuildxBuild(
                context="service",
                dockerfile="docker/Dockerfile",
                target="run",
                args={"LEVEL": "3"},
            ),
            base_image={"buildx": "tar:///srv/python.tar"},
            port=80,
            replicas=2,
            health_path="/healthz",
            env={"LEVEL": Variable("3"), "NAME": Variable("text")},
            config_files=[
                ConfigFile(path="/etc/web/a.conf", content="a=1\n", template=True),
                ConfigFile(path="/etc/web/b.conf", source="conf/b.conf", template=False),
            ],
            node_selector={"disk": "ssd"},
            ingress=Ingress(
                websocket=False,
                max_body_size="1m",
                timeout="60s",
                rules=[
                    Rule(host="a.test", path="/web/", rewrite="/", expect="Hello"),
                    Rule(host="a.test", path="/web/raw", path_type="Exact"),
                ],
            ),
        )
    ]


def test_defaults_are_merged(tmp_path: Path) -> None:
    text = """
version: 1
defaults:
  git_url: https://git.test/all
  git_branch: develop
  port: 9000
  base_image: jre:8
  env: {A: "1", B: "1"}
  config_files: [{path: /a, content: a}]
  ingress: {host: a.test}
apps:
  - name: one
    env: {B: "2"}
    config_files: []
    ingress: {rules: [{path: /one/}]}
  - {name: two, port: 80, ingress: {host: b.test, rules: [{path: /}]}}
"""
    one, two = planned(tmp_path, text)
    assert (one.git_url, one.namespace, one.port) == (
        "https://git.test/all",
        "one-develop",
        9000,
    )
    assert one.env == {"A": Variable("1"), "B": Variable("2")}
    assert one.config_files == []
    assert one.rules[0].host == "a.test"
    assert one.base_image == {"jib": "jre:8", "buildx": "jre:8"}
    assert two.env == {"A": Variable("1"), "B": Variable("1")}
    assert two.config_files == [ConfigFile(path="/a", content="a", template=True)]
    assert (two.port, two.rules[0].host) == (80, "b.test")


def test_a_host_for_all_makes_no_route(tmp_path: Path) -> None:
    text = """
version: 1
defaults: {git_url: x, ingress: {host: a.test}}
apps:
  - {name: inner}
  - {name: outer, ingress: {rules: [{path: /}]}}
"""
    inner, outer = planned(tmp_path, text)
    assert inner.ingress is None
    assert outer.rules[0].host == "a.test"


@pytest.mark.parametrize(
    ("git_url", "becomes"),
    [
        ("https://git.test/web", "https://git.test/web"),
        ("git@git.test:web", "git@git.test:web"),
        ("file:///srv/web", "file:///srv/web"),
        ("/srv/web", "/srv/web"),
        ("repos/web.git", "{here}/repos/web.git"),
        ("./a:b", "{here}/a:b"),
    ],
)
def test_only_relative_paths_are_seen_from_the_file(
    tmp_path: Path, git_url: str, becomes: str
) -> None:
    [app] = planned(tmp_path, f"version: 1\napps: [{{name: web, git_url: '{git_url}'}}]\n")
    assert app.git_url == becomes.format(here=tmp_path)


@pytest.mark.parametrize(
    ("given", "folder"),
    [
        ("services/orders", "services/orders"),
        ("services/orders/", "services/orders"),
        ("./services//orders/.", "services/orders"),
        (".", "."),
        ("./", "."),
        ("Dienste/Aufträge neu", "Dienste/Aufträge neu"),
        ("a..b/.gitlab/..c", "a..b/.gitlab/..c"),
    ],
)
def test_a_folder_of_the_repository_has_one_name(tmp_path: Path, given: str, folder: str) -> None:
    text = f"version: 1\napps: [{{name: web, git_url: ../web, git_path: '{given}'}}]\n"
    assert planned(tmp_path, text)[0].git_path == folder


def test_several_rewrites_in_one_app(tmp_path: Path) -> None:
    rules = "[{path: /a/, rewrite: /}, {path: /b/, rewrite: /c/}, {path: /d}, "
    rules += "{path: /e, path_type: Exact, rewrite: /f}]"
    text = f"version: 1\napps: [{{name: w, git_url: x, ingress: {{host: a.test, rules: {rules}}}}}]"
    [app] = planned(tmp_path, text)
    assert [rule.rewrite for rule in app.rules] == ["/", "/c/", None, "/f"]


def test_the_projects_own_file() -> None:
    apps = plan(ROOT / "apps.yml")
    assert [app.id for app in apps] == [
        "greeter-main/greeter",
        "greeter-feature-loud/greeter",
        "quotes-main/quotes",
        "quotes-feature-proverbs/quotes",
    ]
    assert {*hosts(apps)} == {"demo.slipway.test"}
    assert {*hosts(plan(ROOT / "apps.yml", domain="slipway.localhost"))} == {
        "demo.slipway.localhost"
    }
