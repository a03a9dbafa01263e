"""The password of Ansible Vault: taken from the environment, and tried before anything else."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from ansible.errors import AnsibleError
from ansible.parsing.vault import AnsibleVaultError, VaultSecret, is_encrypted
from ansible.plugins.vars import BaseVarsPlugin

from slipway.secrets import VAULT_PASSWORD, conceal

DOCUMENTATION = r"""
name: vault_password
short_description: Give Ansible Vault its password and say when it does not fit
description:
  - Takes the vault's password from E(SLIPWAY_VAULT_PASSWORD), beside what
    C(--vault-password-file), E(ANSIBLE_VAULT_PASSWORD_FILE) and the like name.
  - Tries every encrypted file of C(group_vars) and C(host_vars) before Ansible reads it, and fails
    with the file and the ways to give the password when none fits. Warns of one that should be
    encrypted.
  - It sets no variable.
options: {}
author:
  - Slipway
"""

_OPEN = re.compile(rb"^slipway_secrets:\s*(?![\"']\{\{)\S", re.MULTILINE)

WAYS = (
    f"give it by --vault-password-file FILE, by the environment variable {VAULT_PASSWORD}, or by "
    "ANSIBLE_VAULT_PASSWORD_FILE, which names a file or a program that prints it"
)


class VarsModule(BaseVarsPlugin):  # type: ignore[misc]
    """Runs before Ansible's own plugin for these folders, as plugins of a project do."""

    _tried: ClassVar[set[Path]] = set()
    _given: ClassVar[bool] = False

    def get_vars(self, loader: Any, path: str, entities: Any, cache: bool = True) -> dict[str, Any]:
        """Try the encrypted files beside ``path``, once each; raises AnsibleError."""
        if not VarsModule._given:
            VarsModule._given = True
            _use_the_environment(loader)
        folder = Path(os.fsdecode(path))
        folder = (folder if folder.is_dir() else folder.parent).resolve()
        if folder not in self._tried:
            self._tried.add(folder)
            for file in _files(folder):
                content = file.read_bytes()
                if is_encrypted(content):
                    _try(loader, file, content)
                elif _OPEN.search(content) and b"!vault" not in content:
                    self._display.warning(
                        f"{file} is not encrypted; run ansible-vault encrypt {file}"
                    )
        return {}


def _use_the_environment(loader: Any) -> None:
    """Move the password of the environment to those that Ansible has, in the list that it uses.

    It is out of the environment of everything that is run from here on, builds for example, and
    of what such things can read of this process.
    """
    conceal(VAULT_PASSWORD)
    password = os.environ.pop(VAULT_PASSWORD, "").encode()
    if password:
        loader._vault.secrets.append(("default", VaultSecret(password)))


def _files(folder: Path) -> Iterator[Path]:
    """The files from which Ansible takes variables of groups and hosts."""
    for name in ("group_vars", "host_vars"):
        found = sorted((folder / name).resolve().rglob("*"))  # often a link
        yield from (file for file in found if file.is_file())


def _try(loader: Any, file: Path, content: bytes) -> None:
    if not loader._vault.secrets:
        raise AnsibleError(f"{file}: the vault has no password; {WAYS}")
    try:
        loader._vault.decrypt(content)
    except AnsibleVaultError:
        raise AnsibleError(f"{file}: no password that was given opens the vault; {WAYS}") from None
