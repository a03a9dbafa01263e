"""The vault's password comes without a question, and one that does not fit says so."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.checkout import PROJECT
from tests.support.playbooks import ANSIBLE, BIN

PASSWORD = "canary-vault-password"

PLAY = """\
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - ansible.builtin.command:
        argv:
          - sh
          - -c
          - echo "names {{ names }} environment ${SLIPWAY_VAULT_PASSWORD:-clean}
            seen $(cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | grep -c "=canary-vault")"
      vars:
        names: "{{ (slipway_secrets | default({})).keys() | join(',') }}"
"""


@pytest.fixture(scope="module")
def play(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A playbook whose group_vars have an encrypted file, and passwords beside it."""
    folder = tmp_path_factory.mktemp("vault")
    (folder / "play.yml").write_text(PLAY)
    (folder / "right").write_text(PASSWORD)
    (folder / "wrong").write_text("something else")
    client = folder / "client"
    client.write_text(f"#!/bin/sh\ncat {folder}/right\n")
    client.chmod(0o755)
    vault = folder / "group_vars/all/vault.yml"
    vault.parent.mkdir(parents=True)
    vault.write_text("slipway_secrets: {git_token: canary-token}\n")
    subprocess.run(
        [BIN / "ansible-vault", "encrypt", "--vault-password-file", folder / "right", vault],
        check=True,
        capture_output=True,
    )
    return folder


def run(folder: Path, *options: str, **env: str) -> subprocess.CompletedProcess[str]:
    """What Ansible says, with the project's settings and nobody to ask."""
    ours = ("ANSIBLE_VAULT_PASSWORD_FILE", "SLIPWAY_VAULT_PASSWORD")
    outer = {name: value for name, value in os.environ.items() if name not in ours}
    settings = {"ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "true"}
    return subprocess.run(
        [ANSIBLE, "-v", "--inventory", "localhost,", *options, "play.yml"],
        cwd=folder,
        env={**outer, **settings, **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("options", "env"),
    [
        (["--vault-password-file", "right"], {}),
        ([], {"ANSIBLE_VAULT_PASSWORD_FILE": "client"}),
        ([], {"SLIPWAY_VAULT_PASSWORD": PASSWORD}),
        (["--vault-password-file", "wrong"], {"SLIPWAY_VAULT_PASSWORD": PASSWORD}),
    ],
    ids=["file", "client", "environment", "the second of two"],
)
def test_a_password_opens_the_vault(play: Path, options: list[str], env: dict[str, str]) -> None:
    done = run(play, *options, **env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "names git_token environment clean seen 0" in done.stdout


@pytest.mark.parametrize(
    ("options", "env", "words"),
    [
        ([], {}, "the vault has no password; give it by --vault-password-file"),
        (["--vault-password-file", "wrong"], {}, "no password that was given opens the vault"),
        ([], {"SLIPWAY_VAULT_PASSWORD": "no"}, "no password that was given opens the vault"),
    ],
    ids=["missing", "wrong in a file", "wrong in the environment"],
)
def test_a_password_that_does_not_fit_is_said_once(
    play: Path, options: list[str], env: dict[str, str], words: str
) -> None:
    done = run(play, *options, **env)
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert said.count("[ERROR]") == 1, said
    assert f"{play}/group_vars/all/vault.yml: {words}" in said
    assert "SLIPWAY_VAULT_PASSWORD" in said
    assert "TASK [" not in said
    assert "git_token" not in said


def test_secrets_that_are_not_encrypted_are_warned_of(tmp_path: Path) -> None:
    (tmp_path / "play.yml").write_text(PLAY)
    vault = tmp_path / "group_vars/all/vault.yml"
    vault.parent.mkdir(parents=True)
    vault.write_text("slipway_secrets:\n  git_token: canary-token\n")
    done = run(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "names git_token" in done.stdout
    assert f"ansible-vault encrypt {vault}" in " ".join(done.stderr.split())
    assert "canary-token" not in done.stdout + done.stderr


def test_secrets_that_come_from_elsewhere_are_not_warned_of(tmp_path: Path) -> None:
    (tmp_path / "play.yml").write_text(PLAY)
    vault = tmp_path / "group_vars/all/vault.yml"
    vault.parent.mkdir(parents=True)
    vault.write_text("slipway_secrets: \"{{ {'git_token': lookup('env', 'HOME')} }}\"\n")
    done = run(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "names git_token" in done.stdout
    assert "ansible-vault encrypt" not in done.stderr


def test_without_a_vault_nothing_is_asked(tmp_path: Path) -> None:
    (tmp_path / "play.yml").write_text(PLAY)
    done = run(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "names  environment clean" in done.stdout


def test_the_client_for_ansible_vault() -> None:
    client = PROJECT / "bin" / "vault-password"
    given = {**os.environ, "SLIPWAY_VAULT_PASSWORD": PASSWORD}
    assert subprocess.check_output([client], env=given, text=True) == f"{PASSWORD}\n"
    given["SLIPWAY_VAULT_PASSWORD"] = ""
    refused = subprocess.run([client], env=given, capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    assert "SLIPWAY_VAULT_PASSWORD: is not set" in refused.stderr
