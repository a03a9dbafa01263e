"""Secrets get to where they are needed, and nowhere else: a run with canaries, told at -vvv."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest
import yaml

from slipway.kube.client import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    EVENTS,
    INGRESSES,
    NAMESPACES,
    PODS,
    REPLICA_SETS,
    SECRETS,
    SERVICES,
)
from slipway.oci import ImageStore
from tests.support import git_servers
from tests.support.apps_file import Apps, AppsFile
from tests.support.checkout import PROJECT
from tests.support.leaks import Canaries, ProcessWatch, written_since
from tests.support.scenario import Run, Scenario

HOST = "secrets.slipway.test"

DOCKERFILE = """\
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
USER 0
WORKDIR /app
COPY server.py build.py ./
RUN --mount=type=secret,id=registry,required=true ["python3", "build.py"]
USER 65532
ENTRYPOINT ["python3", "-u", "server.py"]
"""

BUILD = """\
import hashlib
from pathlib import Path

value = Path("/run/secrets/registry").read_bytes()
Path("built-with").write_text(hashlib.sha256(value).hexdigest())
"""

SERVER = """\
import hashlib
import json
import os
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        file = Path("/secrets/licence")
        answer = {
            "registry": Path("built-with").read_text() if Path("built-with").exists() else "",
            "database": hashlib.sha256(os.environ.get("DB_PASSWORD", "").encode()).hexdigest(),
            "licence": hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else "",
        }
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())


HTTPServer(("", 8080), Handler).serve_forever()
"""
"""Answers with hashes of the secrets that it has, which show that they are the right ones."""

PROFILE = """\
  <profiles>
    <profile>
      <id>with-token</id>
      <activation><property><name>env.MAVEN_TOKEN</name></property></activation>
      <properties><jib.container.labels>built=with-token</jib.container.labels></properties>
    </profile>
  </profiles>
</project>
"""
"""What a pom adds when the environment has the token: a label of the image."""


@dataclass(frozen=True)
class Proof:
    """One run with canaries: what was said, seen and left, and who had which secret."""

    run: Run
    values: dict[str, str]
    canaries: Canaries
    watch: ProcessWatch
    started: float
    scratch: Path
    github: git_servers.GitHub
    https: git_servers.Https


@pytest.fixture(scope="module")
def proof(
    scenario: Scenario, apps_file: AppsFile, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proof]:
    """The run, with apps from three servers beside those of apps.yml; undone afterwards."""
    scratch = tmp_path_factory.mktemp("secrets")
    deploy_key, public = git_servers.key_pair(scratch, "deploy")
    values = {
        "git_token": "canary-git-5Xq/9Z",
        "deploy_key": deploy_key,
        "github_token": "canary-github-7Rw",
        "registry_token": "canary-registry-3Kd",
        "maven_token": "canary-maven-8Lm",
        # To the letter, also where it looks like a template of Ansible's or a variable of a pod's.
        "db_password": "canary-database-2Vb{{b}}{%c%}{#d $(HOME) $$",
        "licence": "canary-licence-4Tn\nsecond line of the canary-licence-6Ys\n",
    }
    password = "canary-vault-1Hj"
    canaries = Canaries({**values, "vault password": password})
    with ExitStack() as stack:
        served = scratch / "served"
        https = stack.enter_context(git_servers.https(served, values["git_token"], scratch))
        (scratch / "sshd").mkdir()
        sshd = stack.enter_context(git_servers.sshd(scratch / "sshd"))
        sshd.authorize(public)
        (scratch / "github").mkdir()
        github_sshd = stack.enter_context(git_servers.sshd(scratch / "github"))
        github = stack.enter_context(git_servers.github(github_sshd, values["github_token"]))

        proving = apps_file.repository(
            "proving",
            {
                "Dockerfile": DOCKERFILE,
                "build.py": BUILD,
                "server.py": SERVER,
                # What a run that was broken off has left in the cache is not built again.
                "run": token_hex(8),
            },
        )
        greeter = apps_file.repository("greeter-with-token", _greeter_files(), like="greeter")
        plain = apps_file.repository("plain", _without_build_secret())
        git_servers.bare_copy(Path(proving), served / "team/proving.git")
        by_key = git_servers.bare_copy(Path(greeter), scratch / "ssh/team/greeter.git")
        by_github = git_servers.bare_copy(Path(plain), scratch / "hub/team/plain.git")

        path = apps_file.changed(
            lambda apps: _add(apps, https.url("team/proving.git"), sshd, by_key, github, by_github)
        )
        inventory = _inventory_with_vault(scratch, values, password)
        started = time.time()
        with ProcessWatch(canaries) as watch:
            run = scenario.play(
                *("-vvv", "--diff", "--inventory", str(inventory)),
                "playbooks/apps.yml",
                env={**https.env, "SLIPWAY_VAULT_PASSWORD": password},
                slipway_apps_file=path,
                slipway_github_api=github.api,
            )
        yield Proof(run, values, canaries, watch, started, scratch, github, https)
        undone = scenario.deploy(scenario.apps_file)
        assert undone.code == 0, str(undone)


def _greeter_files() -> dict[str, str]:
    """The pom of the example with a profile that wants a token."""
    pom = (PROJECT / "examples/greeter/main/pom.xml").read_text()
    return {"pom.xml": pom.replace("</project>", PROFILE)}


def _without_build_secret() -> dict[str, str]:
    lines = DOCKERFILE.splitlines(keepends=True)
    dockerfile = "".join(line for line in lines if not line.startswith("RUN"))
    return {"Dockerfile": dockerfile, "build.py": BUILD, "server.py": SERVER}


def _add(
    apps: Apps,
    url: str,
    sshd: git_servers.Sshd,
    by_key: Path,
    github: git_servers.GitHub,
    by_github: Path,
) -> None:
    """One app from each server, with secrets in the build, the environment and a file."""
    with_secrets = {
        "env": {"DB_PASSWORD": {"secret": "db_password"}},
        "config_files": [{"path": "/secrets/licence", "secret": "licence"}],
    }
    known = {"known_hosts": sshd.known_hosts}
    apps += [
        _app("proving", url, git_auth={"token": "git_token"}, **with_secrets)
        | {"build": {"buildx": {"secrets": {"registry": "registry_token"}}}},
        _app("keyed", sshd.url(by_key), git_auth={"ssh_key": "deploy_key", **known})
        | {"build": {"jib": {"secrets": {"MAVEN_TOKEN": "maven_token"}}}},
        _app(
            "hub",
            github.server.url(by_github),
            git_auth={
                "github_deploy_key": "github_token",
                "known_hosts": github.server.known_hosts,
            },
            build="buildx",
            **with_secrets,
        ),
    ]


def _app(name: str, url: str, **settings: Any) -> dict[str, Any]:
    rule = {"host": HOST, "path": f"/{name}/", "rewrite": "/"}
    return {"name": name, "git_url": url, "ingress": {"rules": [rule]}, **settings}


def _inventory_with_vault(scratch: Path, values: dict[str, str], password: str) -> Path:
    """An inventory beside the cluster's that brings nothing but an encrypted slipway_secrets."""
    folder = scratch / "inventory"
    vault = folder / "group_vars/all/vault.yml"
    vault.parent.mkdir(parents=True)
    (folder / "hosts.yml").write_text("all:\n")
    vault.write_text(yaml.safe_dump({"slipway_secrets": values}))
    client = PROJECT / "bin/vault-password"
    ansible_vault = Path(sys.executable).with_name("ansible-vault")
    subprocess.run(
        [ansible_vault, "encrypt", "--vault-password-file", client, vault],
        env={**os.environ, "SLIPWAY_VAULT_PASSWORD": password},
        capture_output=True,
        check=True,
    )
    return folder / "hosts.yml"


def _hash(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


def test_secrets_get_to_where_they_are_needed(scenario: Scenario, proof: Proof) -> None:
    assert proof.run.code == 0, proof.run
    address = scenario.ingress_address()
    answers = {
        name: json.loads(scenario.ask(address, HOST, f"/{name}/").text)
        for name in ("proving", "hub")
    }
    has = {
        "database": _hash(proof.values["db_password"]),
        "licence": _hash(proof.values["licence"]),
    }
    assert answers == {
        "proving": {**has, "registry": _hash(proof.values["registry_token"])},
        "hub": {**has, "registry": ""},
    }
    images = ImageStore(scenario.cache / "images")
    [keyed] = [images.get(ref) for ref in images.images() if "/keyed:" in ref]
    assert keyed
    place = scenario.cache / "images/blobs" / keyed.config_digest.replace(":", "/")
    config = json.loads(place.read_bytes())
    assert config["config"]["Labels"]["built"] == "with-token"
    stored = {
        base64.b64decode(text).decode(errors="replace")
        for found in scenario.kube.list(SECRETS).items
        if found["metadata"]["namespace"] in ("proving-main", "hub-main")
        for text in found.get("data", {}).values()
    }
    assert stored >= {proof.values["db_password"], proof.values["licence"]}


def test_each_server_was_asked_with_its_secret(proof: Proof) -> None:
    assert any("git-upload-pack" in path for path in proof.https.requests)
    methods = [call.split()[0] for call in proof.github.calls]
    assert methods == ["GET", "POST", "DELETE"] * (len(methods) // 3)
    assert methods
    assert proof.github.keys == []


def test_what_was_said_holds_no_secret(proof: Proof) -> None:
    assert "task path: " in proof.run.output, "this was no -vvv"
    assert proof.canaries.within(str(proof.run).encode()) == set()


def test_processes_show_no_secret(proof: Proof) -> None:
    assert proof.watch.looks > 100
    assert {entry for entry in proof.watch.seen if entry[0] == "cmdline"} == set()
    # An environment is for its user's eyes alone. Builders get what they are to have in theirs;
    # the vault's password comes in by Ansible's own and goes no further.
    had = {
        (name, program)
        for place, name, program in proof.watch.seen
        if place == "environ" and not program.startswith("ansible")
    }
    assert {name for name, _ in had} <= {"registry_token", "maven_token"}, had


def test_caches_and_what_was_left_hold_no_secret(scenario: Scenario, proof: Proof) -> None:
    """Every file of the run: mirrors, work trees, image layers and configs, temporary files."""
    home = Path.home()
    folders = [
        scenario.cache,
        Path(tempfile.gettempdir()),
        Path("/dev/shm"),
        *(
            folder
            for name in (".ansible", ".docker", ".m2", ".slipway")
            if (folder := home / name).is_dir()
        ),
    ]
    files = list(written_since(proof.started, *folders, without=[proof.scratch]))
    assert any(path.is_relative_to(scenario.cache / "git") for path in files)
    assert any(path.is_relative_to(scenario.cache / "images") for path in files)
    assert proof.canaries.within_files(files) == {}


def test_work_trees_name_their_servers_without_a_secret(scenario: Scenario, proof: Proof) -> None:
    configs = [
        path for path in (scenario.cache / "source").glob("*/*/.git/config") if path.is_file()
    ]
    assert any(f"localhost:{proof.https.port}" in path.read_text() for path in configs)
    mirrors = (scenario.cache / "git").glob("*/config")
    assert proof.canaries.within_files([*configs, *mirrors]) == {}


def test_the_cluster_shows_secrets_in_secrets_alone(scenario: Scenario, proof: Proof) -> None:
    kinds = (
        *(CONFIG_MAPS, DEPLOYMENTS, EVENTS, INGRESSES),
        *(NAMESPACES, PODS, REPLICA_SETS, SERVICES),
    )
    objects = [found for kind in kinds for found in scenario.kube.list(kind).items]
    namespaces = {found["metadata"].get("namespace", "") for found in objects}
    assert namespaces >= {"proving-main", "keyed-main", "hub-main"}
    text = json.dumps(objects, default=str)
    assert proof.canaries.within(text.encode()) == set()
    metadata = [found["metadata"] for found in scenario.kube.list(SECRETS).items]
    assert proof.canaries.within(json.dumps(metadata, default=str).encode()) == set()
