"""The certificate authority, and what is said of certificates that are not its own."""

from __future__ import annotations

import shutil
import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.x509 import load_pem_x509_certificate

from slipway import certificates
from slipway.certificates import KEY_FILE, ROOT_FILE, Authority, Pair, chain, faults
from slipway.errors import SlipwayError

HOST = "demo.slipway.test"


def at(monkeypatch: pytest.MonkeyPatch, days: int) -> None:
    """Let so many days pass."""
    later = datetime.now(UTC) + timedelta(days=days)
    monkeypatch.setattr(certificates, "_now", lambda: later)


def told(pair: Pair, host: str = HOST) -> list[tuple[str, str]]:
    return [(fault.part, fault.what) for fault in faults(pair, host)]


@pytest.fixture
def authority() -> Authority:
    return Authority.make()


def test_an_authority_is_made_once_and_kept_to_its_owner(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "ca"
    assert Authority.load(folder) is None
    first = Authority.keep(folder)
    assert Authority.keep(folder).root == first.root == (folder / ROOT_FILE).read_text()
    modes = {path: path.stat().st_mode & 0o777 for path in (folder, *folder.iterdir())}
    assert modes == {folder: 0o700, folder / ROOT_FILE: 0o644, folder / KEY_FILE: 0o600}
    assert [path.name for path in folder.parent.iterdir()] == ["ca"]


def test_of_two_runs_that_make_an_authority_one_wins(tmp_path: Path) -> None:
    together = threading.Barrier(4)
    roots: list[str] = []

    def keep() -> None:
        together.wait()
        roots.append(Authority.keep(tmp_path / "ca").root)

    threads = [threading.Thread(target=keep) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert roots == [(tmp_path / "ca" / ROOT_FILE).read_text()] * 4


@pytest.mark.parametrize("name", [ROOT_FILE, KEY_FILE])
def test_an_authority_that_is_broken_is_not_replaced(tmp_path: Path, name: str) -> None:
    Authority.keep(tmp_path / "ca")
    (tmp_path / "ca" / name).write_text("broken")
    with pytest.raises(SlipwayError, match=r"cannot be read.*\n +fix: move .*/ca away"):
        Authority.keep(tmp_path / "ca")
    (tmp_path / "ca" / name).unlink()
    with pytest.raises(SlipwayError, match="No such file"):
        Authority.keep(tmp_path / "ca")
    other = tmp_path / "other"
    Authority.keep(other)
    shutil.copy(other / name, tmp_path / "ca" / name)
    with pytest.raises(SlipwayError, match=r"root.key is not the key of root.crt"):
        Authority.keep(tmp_path / "ca")


def test_an_authority_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SlipwayError, match="the certificate authority cannot be written: "):
        Authority.keep(tmp_path / "file" / "ca")


def test_an_authority_lasts_ten_years(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Authority.keep(tmp_path / "ca")
    at(monkeypatch, 3600)
    assert Authority.load(tmp_path / "ca")
    at(monkeypatch, 3640)
    with pytest.raises(SlipwayError, match=r"the certificate authority ends on 20"):
        Authority.load(tmp_path / "ca")


def test_an_authority_that_begins_after_the_clock_was_set_back_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Authority.keep(tmp_path / "ca")
    at(monkeypatch, -1)
    with pytest.raises(SlipwayError, match=r"begins on 20.*\n +fix: set this machine's clock"):
        Authority.load(tmp_path / "ca")


def test_clients_that_trust_the_root_accept_a_certificate(
    authority: Authority, tmp_path: Path
) -> None:
    pair = authority.issue(HOST)
    assert shake_hands(authority.root, pair, HOST, tmp_path) == HOST
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        shake_hands(authority.root, pair, "other.slipway.test", tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer"):
        shake_hands(Authority.make().root, pair, HOST, tmp_path)


def shake_hands(root: str, pair: Pair, host: str, folder: Path) -> str:
    """The name that a client asked for; raises what the client says of the certificate."""
    (folder / "crt").write_text(pair.certificate)
    (folder / "key").write_text(pair.key)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(folder / "crt", folder / "key")
    asked: list[str] = []
    server.sni_callback = lambda _socket, name, _context: asked.append(str(name))
    client = ssl.create_default_context(cadata=root)
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    ours, theirs = socket.socketpair()
    with ours, theirs:

        def serve() -> None:
            # What the client does not like ends the server's handshake too; the client tells.
            try:
                server.wrap_socket(theirs, server_side=True).close()
            except ssl.SSLError:
                theirs.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            client.wrap_socket(ours, server_hostname=host).close()
        finally:
            thread.join(5)
    [name] = asked
    return name


def test_a_certificate_lasts_no_longer_than_browsers_take(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaf = load_pem_x509_certificate(authority.issue(HOST).certificate.encode())
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc <= timedelta(days=397)
    at(monkeypatch, 3400)
    late = load_pem_x509_certificate(authority.issue(HOST).certificate.encode())
    root = load_pem_x509_certificate(authority.root.encode())
    assert late.not_valid_after_utc == root.not_valid_after_utc


def test_a_certificate_is_good_until_thirty_days_before_its_end(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = authority.issue(HOST)
    assert authority.stands_by(pair, HOST)
    at(monkeypatch, 366)
    assert authority.stands_by(pair, HOST)
    at(monkeypatch, 368)
    assert not authority.stands_by(pair, HOST)


def test_a_certificate_is_for_all_its_names_and_addresses(
    authority: Authority, tmp_path: Path
) -> None:
    names = (HOST, "orders.orders-main.svc", "172.28.1.20")
    pair = authority.issue(*names)
    for name in names:
        shake_hands(authority.root, pair, name, tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        shake_hands(authority.root, pair, "172.28.1.21", tmp_path)
    assert authority.stands_by(pair, *reversed(names))
    assert not authority.stands_by(pair, *names[:2])
    assert not authority.stands_by(pair, *names, "172.28.1.21")


def test_what_an_authority_does_not_stand_by(authority: Authority) -> None:
    pair, other = authority.issue(HOST), authority.issue("other.slipway.test")
    assert not authority.stands_by(pair, "other.slipway.test")
    assert not Authority.make().stands_by(pair, HOST)
    assert not authority.stands_by(Pair(pair.certificate, other.key), HOST)
    assert not authority.stands_by(Pair("", ""), HOST)
    assert not authority.stands_by(Pair(pair.certificate, "broken"), HOST)


def test_the_key_is_not_shown(authority: Authority) -> None:
    assert "PRIVATE" not in repr(authority.issue(HOST))


def test_days_on_which_a_certificate_does_not_hold(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = authority.issue(HOST)
    at(monkeypatch, 400)
    [(part, what)] = told(pair)
    assert part == "certificate"
    assert what.startswith("ended on 20")
    at(monkeypatch, -3)
    [(part, what)] = told(pair)
    assert what.startswith("begins on 20")


def test_a_chain_is_taken_apart(authority: Authority) -> None:
    pair = authority.issue(HOST)
    assert chain(f"# leaf\n{pair.certificate}\n{authority.root}") == [
        pair.certificate,
        authority.root,
    ]
