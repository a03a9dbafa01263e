"""What apps.yml may name of hosts and of files, as the operator leaves it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from slipway.apps.plan.bounds import Bounds
from slipway.apps.plan.branches import Matches, Sample
from slipway.apps.plan.plan import plan
from slipway.errors import SlipwayError
from slipway.secrets import Secrets
from tests.support.apps import reason

BOUNDS = Bounds(
    suffixes=["slipway.test", "shop.example.test"], reserved=["environments.slipway.test"]
)


def written(folder: Path, lines: str) -> Path:
    """An apps.yml with one app of these further lines."""
    indented = "".join(f"    {line}\n" for line in lines.splitlines())
    path = folder / "apps.yml"
    path.write_text(f"version: 1\napps:\n  - name: web\n    git_url: /web\n{indented}")
    return path


def mistakes(path: Path, bounds: Bounds = BOUNDS) -> str:
    with pytest.raises(SlipwayError) as caught:
        plan(path, bounds=bounds)
    return str(caught.value)


@pytest.mark.parametrize(
    "host",
    [
        "github.com",
        "slipway.test.example.org",
        "notslipway.test",
        "example.test",
        "localhost",
        "{{ branch_slug }}",
    ],
)
def test_a_host_that_the_operator_does_not_own_is_refused(tmp_path: Path, host: str) -> None:
    said = mistakes(written(tmp_path, f"ingress: {{host: '{host}', rules: [{{path: /}}]}}"))
    assert "apps.yml:5 apps[0].ingress.host:" in said
    assert "is no host of this cluster's" in said
    assert "slipway.test, shop.example.test" in said
    assert "slipway_host_suffixes" in said


@pytest.mark.parametrize(
    "host", ["slipway.test", "a.b.slipway.test", "shop.example.test", "{{ domain }}"]
)
def test_hosts_below_what_the_operator_owns_are_right(tmp_path: Path, host: str) -> None:
    path = written(tmp_path, f"ingress: {{rules: [{{host: '{host}', path: /}}]}}")
    assert plan(path, bounds=BOUNDS)


def test_the_page_of_all_environments_is_no_app_s(tmp_path: Path) -> None:
    host = "environments.slipway.test"
    said = mistakes(written(tmp_path, f"ingress: {{rules: [{{host: {host}, path: /web/}}]}}"))
    assert f"apps[0].ingress.rules[0].host: {host} is the page of all environments" in said


PATTERN = """\
version: 1
apps:
  - {name: shop, git_url: /shop, git_branch: main, namespace: shop-prod,
     ingress: {host: demo.slipway.test, rules: [{path: /shop/}]}}
  - {name: odd, git_url: /odd, git_branch: "*", namespace: "{{ branch_slug }}",
     ingress: {host: "{{ branch_slug }}.slipway.test", rules: [{path: /}]}}
  - {name: cat, git_url: /cat, git_branch: "*", namespace: "{{ branch_slug }}",
     ingress: {host: "{{ branch_slug }}.slipway.test", rules: [{path: /cat/}]}}
"""


@pytest.mark.parametrize(
    ("branch", "complaint"),
    [
        ("demo", "demo.slipway.test, for the branch 'demo', is the host of shop"),
        ("environments", "environments.slipway.test is the page of all environments"),
        ("shop-prod", "shop-prod is the namespace of shop"),
        ("kube-system", "kube-system"),
        ("login", ""),
    ],
)
def test_the_name_of_a_branch_gives_it_nothing_of_others(
    tmp_path: Path, branch: str, complaint: str
) -> None:
    (tmp_path / "apps.yml").write_text(PATTERN)

    def find(samples: Sequence[Sample]) -> list[Matches]:
        return [Matches([branch]) for _ in samples]

    shop, odd, cat = plan(tmp_path / "apps.yml", bounds=BOUNDS, find_branches=find)
    assert not shop.failed
    for app in (odd, cat):
        assert complaint in reason(app)
        assert bool(app.failed) == bool(complaint)
        assert bool(app.rules) != bool(complaint) or branch == "kube-system"


FILES = {
    "config_files[0].file": "config_files: [{path: /a, file: FILE}]",
    "manifests[0].file": "manifests: [{file: FILE}]",
    "helm[0].file": "helm: [{file: FILE}]",
    "build.prebuilt.archive": "build: {prebuilt: {archive: FILE}}",
    "base_image": "base_image: tar://FILE",
    "base_image.jib": "base_image: {jib: 'tar://FILE'}",
}


@pytest.mark.parametrize("key", FILES)
@pytest.mark.parametrize("way", ["plain", "link", "folder", "upward"])
def test_files_of_other_folders_are_the_operator_s(tmp_path: Path, key: str, way: str) -> None:
    own, other = tmp_path / "own", tmp_path / "other"
    for folder in (own, other):
        folder.mkdir()
    secret = other / "secret"
    secret.mkdir()
    (secret / "Chart.yaml").touch()
    if key.endswith("[0].file") and "helm" not in key:
        secret = other / "file"
        secret.write_text("a: 1\n")
    (own / "link").symlink_to(secret)
    (own / "folder").symlink_to(other)
    names = {
        "plain": secret,
        "link": own / "link",
        "folder": own / "folder" / secret.name,
        "upward": own / ".." / "other" / secret.name,
    }
    if way == "upward" and "archive" in key:
        names["upward"] = secret  # the schema takes no '..' there
    path = written(own, FILES[key].replace("FILE", str(names[way])))
    said = mistakes(path)
    assert f"apps[0].{key}:" in said
    assert "is not below the folder of apps.yml" in said
    assert "slipway_file_folders" in said
    assert plan(path, bounds=Bounds(folders=[other]))


NAMED = {
    "git_auth.token": "git_auth: {token: password}",
    "build.buildx.secrets.NPM": "build: {buildx: {secrets: {NPM: password}}}",
    "registry_auth.r.test.password": "registry_auth: {r.test: {user: me, password: password}}",
    "env.DB.secret": "env: {DB: {secret: password}}",
    "config_files[0].secret": "config_files: [{path: /a, secret: password}]",
}


@pytest.mark.parametrize("key", NAMED)
def test_an_app_names_only_secrets_that_are_for_it(tmp_path: Path, key: str) -> None:
    path = written(tmp_path, NAMED[key])
    path.write_text(path.read_text().replace("git_url: /web", "git_url: https://git.test/web"))

    def secrets(*apps: str) -> Secrets:
        return Secrets({"password": {"value": "hunter2", "apps": [*apps]}})

    for others in ([], ["orders"], ["we"], ["web-*"]):
        with pytest.raises(SlipwayError) as caught:
            plan(path, secrets=secrets(*others))
        [problem] = caught.value.problems
        assert problem.where.endswith(f"apps[0].{key}")
        assert problem.what == "names the secret password, which is not for web"
        assert "add web to apps of slipway_secrets.password" in problem.fix
    for own in (["web"], ["orders", "w*"]):
        assert plan(path, secrets=secrets(*own))
    assert plan(path, secrets=Secrets({"password": "hunter2"}))
