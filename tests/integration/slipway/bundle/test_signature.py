"""Signatures by OpenSSH itself: whose count, and for what."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from slipway.bundle.archive import ArchiveProvider
from slipway.bundle.provider import ensure
from slipway.bundle.signature import NAMESPACE, sign, verify
from slipway.errors import SlipwayError
from tests.support.bundles import KEY, Maker, lock, silent

TEXT = b'{"key": "0123"}\n'


class Signer:
    """Somebody with a key, which a passphrase may protect."""

    def __init__(self, folder: Path, name: str, passphrase: str = "") -> None:
        self.name = name
        self.key = folder / name
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", "", "-f", self.key],
            check=True,
        )

    def line(self, principals: str = "", options: str = "") -> str:
        """The line by which the signer is allowed."""
        public = self.key.with_suffix(".pub").read_text().strip()
        return f"{principals or self.name}@example.test {options} {public}\n"


@pytest.fixture
def ada(tmp_path: Path) -> Signer:
    return Signer(tmp_path, "ada")


@pytest.fixture
def eve(tmp_path: Path) -> Signer:
    return Signer(tmp_path, "eve")


def allowed(tmp_path: Path, *lines: str) -> Path:
    """A file of allowed signers."""
    path = tmp_path / "allowed signers"
    path.write_text("".join(lines))
    return path


def refused(text: bytes, signature: bytes, signers: Path) -> str:
    """Why a signature does not count."""
    with pytest.raises(SlipwayError) as caught:
        verify(text, signature, signers)
    return str(caught.value)


@pytest.mark.parametrize("principals", ["ada", "*", "bob@example.test,*"])
@pytest.mark.parametrize("options", ["", f'namespaces="{NAMESPACE}"'])
def test_a_signature_of_an_allowed_signer_counts(
    principals: str, options: str, ada: Signer, eve: Signer, tmp_path: Path
) -> None:
    signers = allowed(tmp_path, eve.line(), ada.line(principals, options))
    assert verify(TEXT, sign(TEXT, ada.key), signers)


def test_the_agent_signs_where_the_public_half_is_named(
    ada: Signer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    socket = tmp_path / "agent"
    with subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.DEVNULL) as agent:
        try:
            monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
            add = f"until test -S '{socket}'; do sleep 0.1; done; ssh-add -q '{ada.key}'"
            subprocess.run(["sh", "-c", add], check=True, timeout=10)
            ada.key.unlink()
            signed = sign(TEXT, ada.key.with_suffix(".pub"))
        finally:
            agent.terminate()
    assert verify(TEXT, signed, allowed(tmp_path, ada.line())) == "ada@example.test"


def test_others_do_not_count(ada: Signer, eve: Signer, tmp_path: Path) -> None:
    signers = allowed(tmp_path, ada.line())
    assert f"is not by any of {signers}" in refused(TEXT, sign(TEXT, eve.key), signers)


def test_nor_does_one_of_another_text_or_for_something_else(ada: Signer, tmp_path: Path) -> None:
    signers = allowed(tmp_path, ada.line())
    assert "signature" in refused(TEXT + b" ", sign(TEXT, ada.key), signers)
    argv = ["ssh-keygen", "-Y", "sign", "-n", "git", "-f", str(ada.key)]
    for_git = subprocess.run(argv, input=TEXT, capture_output=True, check=True).stdout
    assert f"for {NAMESPACE}" in refused(TEXT, for_git, signers)
    of_git = allowed(tmp_path, ada.line(options='namespaces="git"'))
    assert f"for {NAMESPACE}" in refused(TEXT, sign(TEXT, ada.key), of_git)


def test_nor_does_one_of_a_key_that_is_too_old(ada: Signer, tmp_path: Path) -> None:
    signers = allowed(tmp_path, ada.line(options='valid-before="20200101"'))
    assert f"is not by any of {signers}" in refused(TEXT, sign(TEXT, ada.key), signers)


@pytest.mark.parametrize("signature", [b"", b"nothing", b"\xff\0"])
def test_nor_does_what_is_none(signature: bytes, ada: Signer, tmp_path: Path) -> None:
    assert "is not " in refused(TEXT, signature, allowed(tmp_path, ada.line()))


def test_without_signers_nothing_counts(ada: Signer, tmp_path: Path) -> None:
    signed = sign(TEXT, ada.key)
    assert "is no file of allowed signers" in refused(TEXT, signed, tmp_path / "none")
    assert "is not by any of" in refused(TEXT, signed, allowed(tmp_path))


def test_nobody_is_asked_for_a_passphrase(tmp_path: Path) -> None:
    protected = Signer(tmp_path, "protected", "passphrase")
    with pytest.raises(SlipwayError, match="ssh-add, and KEY names its public half"):
        sign(TEXT, protected.key)
    with pytest.raises(SlipwayError, match="is no file of a key"):
        sign(TEXT, tmp_path / "none")


def test_an_archive_has_to_be_signed_where_signers_are_named(
    ada: Signer, eve: Signer, tmp_path: Path
) -> None:
    made, signers = Maker(tmp_path / "made"), allowed(tmp_path, ada.line())

    def provider(path: Path, by: Path | None = signers) -> ArchiveProvider:
        return ArchiveProvider(lock(tmp_path / "cache"), str(path), by)

    for path in (made(), made(sign=lambda text: sign(text, eve.key))):
        with pytest.raises(SlipwayError, match=f"signature of {path}: is not "):
            _ = provider(path).key
        assert provider(path, by=None).key == KEY
    trusted = provider(made(sign=lambda text: sign(text, ada.key)))
    assert ensure(trusted, trusted.cache, silent).made


def test_what_was_noted_without_a_signature_is_not_enough_later(
    ada: Signer, tmp_path: Path
) -> None:
    path, signers = Maker(tmp_path / "made")(), allowed(tmp_path, ada.line())
    unsigned = ArchiveProvider(lock(tmp_path / "cache"), str(path))
    ensure(unsigned, unsigned.cache, silent)
    unsigned.note()
    path.unlink()
    assert ArchiveProvider(lock(tmp_path / "cache"), str(path)).key == KEY
    with pytest.raises(SlipwayError):
        _ = ArchiveProvider(lock(tmp_path / "cache"), str(path), signers).key
