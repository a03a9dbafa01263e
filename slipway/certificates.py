"""Certificates for TLS: those of an authority kept on this machine, and checks of others'.

The authority is for one machine's users: they install its root once and then trust every host
that it certifies. It is not limited to certain names, as the root would have to be installed anew
for each name that is added; its key is as good as its file's protection.
"""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from slipway.errors import Problem, SlipwayError
from slipway.files import settle

ROOT_LIFE = timedelta(days=3650)
LEAF_LIFE = timedelta(days=397)
"""The longest that browsers take, with a day to spare (Apple, HT211025: 398 days)."""

RENEW_BEFORE = timedelta(days=30)
"""How long before its end a certificate is made anew."""

CLOCK_SKEW = timedelta(hours=1)
"""How far a client's clock may be behind."""

ROOT_FILE = "root.crt"
KEY_FILE = "root.key"


PARTS = ("certificate", "key")
"""Of which a pair consists."""


@dataclass(frozen=True)
class Pair:
    """A certificate, its chain behind it, and its private key, as PEM."""

    certificate: str
    key: str = field(repr=False)


@dataclass(frozen=True)
class Fault:
    """Why a pair will not do: ``part`` is the one of PARTS that is wrong."""

    part: str
    what: str
    fix: str


class Authority:
    """A certificate authority: a root that users trust, and its key."""

    def __init__(self, root: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self._root = root
        self._key = key

    @classmethod
    def make(cls) -> Self:
        """A new one, which nobody trusts yet and which is kept nowhere."""
        key = ec.generate_private_key(ec.SECP256R1())
        title = f"Slipway on {platform.node() or 'this machine'}"[:64]
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, title)])
        now = _now()
        root = (
            _builder(name, name, key.public_key(), key.public_key())
            .not_valid_before(now - CLOCK_SKEW)
            .not_valid_after(now + ROOT_LIFE)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .sign(key, hashes.SHA256())
        )
        return cls(root, key)

    @classmethod
    def load(cls, folder: Path) -> Self | None:
        """The one that is kept in ``folder``; None when there is none.

        Raises SlipwayError when it cannot be used.
        """
        if not folder.exists():
            return None
        fix = f"move {folder} away; the next run makes an authority that users have to trust anew"
        try:
            root = x509.load_pem_x509_certificate((folder / ROOT_FILE).read_bytes())
            key = serialization.load_pem_private_key((folder / KEY_FILE).read_bytes(), None)
        except (OSError, ValueError, TypeError) as error:
            what = f"the certificate authority cannot be read: {error}"
            raise SlipwayError(Problem(str(folder), what, fix)) from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not _belong(root, key):
            what = f"{KEY_FILE} is not the key of {ROOT_FILE}"
            raise SlipwayError(Problem(str(folder), what, fix))
        if root.not_valid_after_utc - RENEW_BEFORE < _now():
            what = f"the certificate authority ends on {root.not_valid_after_utc:%Y-%m-%d}"
            raise SlipwayError(Problem(str(folder), what, fix))
        if root.not_valid_before_utc > _now():
            begin = f"{root.not_valid_before_utc:%Y-%m-%d %H:%M}"
            what = f"the certificate authority begins on {begin} UTC, which is still to come"
            fix = f"set this machine's clock; if that was wrong when it was made, {fix}"
            raise SlipwayError(Problem(str(folder), what, fix))
        return cls(root, key)

    @classmethod
    def keep(cls, folder: Path) -> Self:
        """The one that is kept in ``folder``, made when there is none.

        Raises SlipwayError when it cannot be used or written.
        """
        if found := cls.load(folder):
            return found
        made = cls.make()
        try:
            folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".ca-") as scratch:
                ready = Path(scratch) / "ca"
                ready.mkdir(mode=0o700)
                _write(ready / ROOT_FILE, made.root, 0o644)
                _write(ready / KEY_FILE, key_text(made._key), 0o600)
                try:
                    settle(ready, folder)
                except OSError:
                    if not folder.exists():  # else another run was faster
                        raise
        except OSError as error:
            what = f"the certificate authority cannot be written: {error.strerror}"
            raise SlipwayError(Problem(str(folder), what)) from error
        return cls.load(folder) or made

    @property
    def root(self) -> str:
        """The root's certificate as PEM: what users install."""
        return _text(self._root)

    @property
    def fingerprint(self) -> str:
        """The root's SHA-256 fingerprint as browsers show it."""
        return self._root.fingerprint(hashes.SHA256()).hex(":").upper()

    def issue(self, *names: str) -> Pair:
        """A new certificate for hosts, by their names or addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        organization = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Slipway")
        begin = _now() - CLOCK_SKEW
        end = min(begin + LEAF_LIFE, self._root.not_valid_after_utc)
        leaf = (
            _builder(
                x509.Name([organization]),
                self._root.subject,
                key.public_key(),
                self._key.public_key(),
            )
            .not_valid_before(begin)
            .not_valid_after(end)
            .add_extension(x509.SubjectAlternativeName([*map(_general, names)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return Pair(_text(leaf), key_text(key))

    def stands_by(self, pair: Pair, *names: str) -> bool:
        """Whether a pair is this authority's for these hosts alone, and not yet to be renewed."""
        return is_issued(pair, self.root, *names)


def is_issued(pair: Pair, root: str, *names: str) -> bool:
    """Whether a pair is for these hosts alone, of a root's authority, and not yet to be renewed."""
    try:
        leaf = x509.load_pem_x509_certificate(pair.certificate.encode())
        leaf.verify_directly_issued_by(x509.load_pem_x509_certificate(root.encode()))
    except (ValueError, TypeError, InvalidSignature):
        return False
    lasting = leaf.not_valid_after_utc - RENEW_BEFORE > _now()
    return lasting and {*_names(leaf)} == {*names} and not [*faults(pair, names[0])]


def faults(pair: Pair, host: str) -> Iterator[Fault]:
    """Why a pair cannot be served for a host; nothing of the key is told."""
    leaf = _leaf(pair.certificate)
    if leaf is None:
        fix = "give the host's certificate and those that it depends on, as PEM"
        yield Fault("certificate", "holds no PEM certificate", fix)
    else:
        yield from _leaf_faults(leaf, host)
    try:
        key = serialization.load_pem_private_key(pair.key.encode(), None)
    except TypeError:
        yield Fault("key", "is a key with a password", "take the password off the key")
    except ValueError:
        yield Fault("key", "holds no PEM private key", "give the certificate's private key as PEM")
    else:
        if leaf is not None and not _belong(leaf, key):
            fix = "give the key of the first certificate, which is the host's own"
            yield Fault("key", "is not the key of the certificate", fix)


def from_secrets(names: Mapping[str, str], secrets: Mapping[str, str]) -> Pair:
    """The pair of which ``names`` has the name of the secret of each part."""
    return Pair(secrets[names["certificate"]], secrets[names["key"]])


def chain(certificate: str) -> list[str]:
    """The single certificates of a PEM text, in its order."""
    return [_text(each) for each in x509.load_pem_x509_certificates(certificate.encode())]


def _leaf_faults(leaf: x509.Certificate, host: str) -> Iterator[Fault]:
    names = _names(leaf)
    if not any(_matches(name, host) for name in names):
        what = f"is for {', '.join(names) or 'no host'}, not for {host}"
        yield Fault("certificate", what, f"give one with {host} in its subjectAltName")
    begin, end = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    if end <= _now():
        yield Fault("certificate", f"ended on {end:%Y-%m-%d}", "give one that is renewed")
    if begin > _now():
        what = f"begins on {begin:%Y-%m-%d %H:%M} UTC"
        yield Fault("certificate", what, "wait until then, or correct this machine's clock")


def _leaf(certificate: str) -> x509.Certificate | None:
    """The first certificate of a chain that can be read to its end."""
    try:
        return x509.load_pem_x509_certificates(certificate.encode())[0]
    except ValueError:
        return None


def _names(leaf: x509.Certificate) -> list[str]:
    """The hosts that a certificate is for; clients no longer heed its subject."""
    try:
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    names = [name.lower() for name in found.value.get_values_for_type(x509.DNSName)]
    return [*names, *map(str, found.value.get_values_for_type(x509.IPAddress))]


def _general(name: str) -> x509.GeneralName:
    """A host's name or address as certificates have it."""
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _matches(name: str, host: str) -> bool:
    """Whether a name, in which ``*`` stands for one whole label, is that of the host (RFC 6125)."""
    return name == host or (name.startswith("*.") and name[2:] == host.partition(".")[2])


def _belong(certificate: x509.Certificate, key: PrivateKeyTypes) -> bool:
    """Whether a key is a certificate's."""
    return _public(certificate.public_key()) == _public(key.public_key())


def _public(key: PublicKeyTypes) -> bytes:
    """A public key in the form in which certificates hold it."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_bytes(serialization.Encoding.DER, form)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    issuer_key: ec.EllipticCurvePublicKey,
) -> x509.CertificateBuilder:
    """What every certificate here has."""
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(identifier, critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    """What a key is for: an authority's for certificates, a server's for its handshakes."""
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _text(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def key_text(key: ec.EllipticCurvePrivateKey) -> str:
    """A private key as PEM, without a password."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def _write(path: Path, text: str, mode: int) -> None:
    """Write a file that nobody ever sees with more rights than ``mode``."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _now() -> datetime:
    return datetime.now(UTC)
