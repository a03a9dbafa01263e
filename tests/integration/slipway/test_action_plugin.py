"""Secrets get from the vault to actions to the letter, and are shown nowhere."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support.checkout import PROJECT
from tests.support.playbooks import BIN, play

MODULE = '''\
DOCUMENTATION = r"""
options:
  path: {type: path, required: true}
extends_documentation_fragment:
  - shared.secrets
"""
'''
ACTION = """\
import json
from pathlib import Path

from slipway.action_plugin import SlipwayAction


class ActionModule(SlipwayAction):
    def act(self, args, task_vars):
        Path(args["path"]).write_text(json.dumps(dict(args["secrets"])))
        self.say(*args["secrets"].values())
        return {"changed": True}
"""
PLAY = """\
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - keep:
        path: "{{ playbook_dir }}/kept"
"""

NASTY = {
    "braces": "canary{{b}}{%c%}{#d",
    "expression": "{{ canary }}",
    "open": "{{ canary",
    "raw": "{% raw %}canary{% endraw %}",
    "lookup": "{{ lookup('ansible.builtin.env', 'HOME') }}canary",
    "tag": "!unsafe canary",
    "dollars": "$(canary) $$ ${#canary[@]}",
    "blanks": "  canary\t",
    "lines": "canary one\r\ncanary two\n\n",
    "quotes": "'canary\"\\'\\n",
    "letters": "canarÿ \U0001f6a2",
    "word": "01067",
    "nothing": "",
}
"""Values that something on the way could take for more than text."""


class Vault:
    """A playbook that has an action of Slipway's keep the secrets, and their vault."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for place, text in {
            "plugins/action/keep.py": ACTION,
            "plugins/modules/keep.py": MODULE,
            "play.yml": PLAY,
            "password": "canary-password",
            "group_vars/all/vault.yml": "",
        }.items():
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            (folder / place).write_text(text)
        fragments = PROJECT / "plugins" / "doc_fragments"
        (folder / "plugins" / "doc_fragments").symlink_to(fragments)
        self.file = folder / "group_vars/all/vault.yml"

    def write(self, secrets: object) -> None:
        """Make them the vault, and encrypt it."""
        self.file.write_text(yaml.safe_dump({"slipway_secrets": secrets}, allow_unicode=True))
        self._vault("encrypt", str(self.file))

    def encrypted(self, value: str) -> str:
        """One value, encrypted by itself."""
        return self._vault("encrypt_string", "--stdin-name", "x", stdin=value)

    def _vault(self, *command: str, stdin: str = "") -> str:
        return subprocess.run(
            [BIN / "ansible-vault", *command, "--vault-password-file", self.folder / "password"],
            input=stdin,
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    def run(self, password: str = "password") -> tuple[int, str]:
        """How the playbook ends, and all that it says."""
        done = play(
            *("-vvv", "--inventory", "localhost,"),
            *("--vault-password-file", str(self.folder / password), "play.yml"),
            folder=self.folder,
            ANSIBLE_ACTION_PLUGINS=str(self.folder / "plugins/action"),
            ANSIBLE_LIBRARY=str(self.folder / "plugins/modules"),
        )
        return done.returncode, done.stdout + done.stderr

    def kept(self) -> object:
        return json.loads((self.folder / "kept").read_text())


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault(tmp_path)


def hides(said: str) -> bool:
    """Whether a run that tells all shows no value."""
    assert "task path: " in said, "this was no -vvv"
    return "canar" not in said


def test_values_of_an_encrypted_file_are_to_the_letter_and_hidden(vault: Vault) -> None:
    vault.write(NASTY)
    code, said = vault.run()
    assert code == 0, said
    assert vault.kept() == NASTY
    assert hides(said)


def test_values_that_are_encrypted_by_themselves_are_to_the_letter_and_hidden(
    vault: Vault,
) -> None:
    some = {name: text for name, text in NASTY.items() if name in ("braces", "lines", "letters")}
    entries = "".join(
        vault.encrypted(text).replace("x:", f"  {name}:", 1) for name, text in some.items()
    )
    vault.file.write_text(f"slipway_secrets:\n{entries}")
    code, said = vault.run()
    assert code == 0, said
    assert vault.kept() == some
    assert hides(said)


def test_a_value_of_another_password_is_told_by_its_name(vault: Vault) -> None:
    entry = vault.encrypted("canary").replace("x:", "  token:", 1)
    vault.file.write_text(f"slipway_secrets:\n{entry}")
    (vault.folder / "other").write_text("something else")
    code, said = vault.run("other")
    assert code != 0
    assert "slipway_secrets.token: cannot be decrypted" in said
    assert "docs/secrets.md" in said


def test_all_values_may_come_of_an_expression(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault.file.write_text(
        "slipway_secrets: \"{{ {'home': lookup('ansible.builtin.env', 'CANARY')} }}\"\n"
    )
    monkeypatch.setenv("CANARY", "{{ canary }}")
    code, said = vault.run()
    assert code == 0, said
    assert vault.kept() == {"home": "{{ canary }}"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[canary]", "slipway_secrets: is no mapping"),
        ("'{{ canary }'", "slipway_secrets: cannot be filled in"),
        ("'{{ canary.x }}'", "slipway_secrets: cannot be filled in"),
        ("{zip: 01067}", "slipway_secrets.zip: is no text to YAML, which makes 567 of 01067"),
    ],
)
def test_what_are_no_secrets_is_told_without_what_they_are(
    vault: Vault, text: str, words: str
) -> None:
    vault.file.write_text(f"slipway_secrets: {text}\n")
    code, said = vault.run()
    assert code != 0
    assert words in said
    assert hides(said)


@pytest.mark.parametrize("text", ["", "slipway_secrets:\n", "slipway_secrets: {}\n"])
def test_without_secrets_there_are_none(vault: Vault, text: str) -> None:
    vault.file.write_text(text)
    code, said = vault.run()
    assert code == 0, said
    assert vault.kept() == {}
