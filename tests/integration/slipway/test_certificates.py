"""Certificates as OpenSSL makes and takes them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from slipway.certificates import Authority, Pair, faults

HOST = "demo.slipway.test"


def told(pair: Pair, host: str = HOST) -> list[tuple[str, str]]:
    return [(fault.part, fault.what) for fault in faults(pair, host)]


@pytest.fixture
def authority() -> Authority:
    return Authority.make()


def test_openssl_accepts_a_certificate_as_a_servers(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "root").write_text(authority.root)
    (tmp_path / "leaf").write_text(authority.issue(HOST).certificate)
    strict = ["-x509_strict", "-purpose", "sslserver", "-verify_hostname", HOST]
    assert openssl(tmp_path, "verify", *strict, "-CAfile", "root", "leaf") == "leaf: OK\n"


@pytest.mark.parametrize(
    ("names", "host", "good"),
    [
        (["a.test", HOST], HOST, True),
        (["*.slipway.test"], HOST, True),
        (["Demo.Slipway.Test"], HOST, True),
        (["*.slipway.test"], "a.b.slipway.test", False),
        (["*.slipway.test"], "slipway.test", False),
        (["slipway.test"], HOST, False),
        (["*.test"], HOST, False),
    ],
)
def test_names_that_cover_a_host(tmp_path: Path, names: list[str], host: str, good: bool) -> None:
    pair = self_signed(tmp_path, *names)
    shown = ", ".join(names).lower()
    wrong = [] if good else [("certificate", f"is for {shown}, not for {host}")]
    assert told(pair, host) == wrong


def test_a_subject_alone_covers_nothing(tmp_path: Path) -> None:
    assert told(self_signed(tmp_path)) == [("certificate", f"is for no host, not for {HOST}")]


def test_what_is_no_certificate_or_key(authority: Authority, tmp_path: Path) -> None:
    pair, other = authority.issue(HOST), authority.issue(HOST)
    assert told(Pair("garbage", "garbage")) == [
        ("certificate", "holds no PEM certificate"),
        ("key", "holds no PEM private key"),
    ]
    assert told(Pair(pair.certificate, other.key)) == [("key", "is not the key of the certificate")]
    torn = pair.certificate + pair.certificate[:200]
    assert told(Pair(pair.certificate + other.certificate, pair.key)) == []
    assert told(Pair(other.certificate + pair.certificate, pair.key)) == [
        ("key", "is not the key of the certificate")
    ]
    assert told(Pair(torn.replace("A", "?"), pair.key))[0][0] == "certificate"
    locked = openssl(tmp_path, "pkcs8", "-topk8", "-passout", "pass:x", stdin=pair.key)
    assert told(Pair(pair.certificate, locked)) == [("key", "is a key with a password")]


def test_keys_of_other_kinds_will_do(tmp_path: Path) -> None:
    assert told(self_signed(tmp_path, HOST, kind="rsa:2048")) == []
    assert told(self_signed(tmp_path, HOST, kind="ed25519")) == []


def self_signed(folder: Path, *names: str, kind: str = "rsa:2048") -> Pair:
    """A certificate as OpenSSL makes it."""
    given = ["-addext", "subjectAltName=" + ",".join(f"DNS:{name}" for name in names)]
    key = folder / "own.key"
    certificate = openssl(
        folder,
        *("req", "-x509", "-newkey", kind, "-nodes", "-keyout", str(key)),
        *("-subj", f"/CN={HOST}", "-days", "90", *(given if names else [])),
    )
    return Pair(certificate, key.read_text())


def openssl(folder: Path, *arguments: str, stdin: str = "") -> str:
    return subprocess.run(
        ["openssl", *arguments], input=stdin, cwd=folder, capture_output=True, text=True, check=True
    ).stdout
