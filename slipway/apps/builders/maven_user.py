"""What the user of this machine has set up for Maven, which holds in sandboxes as well.

That is all of the machine that a build gets to see: settings with their mirrors, proxies and
servers, options of the JVM, the authorities that are trusted, and a few variables.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import ssl
import warnings
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from cryptography import x509
from cryptography.hazmat.primitives.serialization import NoEncryption
from cryptography.hazmat.primitives.serialization.pkcs12 import (
    PKCS12Certificate,
    serialize_java_truststore,
)

from slipway.apps.builders.sandbox import IN
from slipway.bundle.download import Login, Server, login_of
from slipway.cache.layout import CacheLayout
from slipway.errors import Problem, SlipwayError
from slipway.files import replacing

OPTIONS = ("MAVEN_OPTS", "JDK_JAVA_OPTIONS", "JAVA_TOOL_OPTIONS")
"""The variables by which a JVM is told its options."""

GLOBAL_SETTINGS = "/etc/maven/settings.xml"
"""Where Debian's Maven has the settings that hold for all users."""

CENTRAL = "https://repo.maven.apache.org/maven2"
"""Where Maven Central is."""

_PROXIES = ("http_proxy", "https_proxy", "no_proxy")

VARIABLES = (
    *OPTIONS,
    *("MAVEN_ARGS", "LANG", "LC_ALL", "TZ", "SOURCE_DATE_EPOCH"),
    *(spelt for name in _PROXIES for spelt in (name, name.upper())),
)
"""The variables of this process that a build gets, beside those that the settings name."""

SETTINGS = ("settings.xml", "settings-security.xml", "toolchains.xml")
"""The files in ``~/.m2`` that Maven reads."""

JAVA_AUTHORITIES = "/etc/ssl/certs/java/cacerts"
AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
"""Where Debian has the authorities that are trusted, for Java and for others."""

_ELSEWHERE = (AUTHORITIES, "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")

_ENVIRONMENT = re.compile(r"\$\{env\.(\w+)\}")
"""A variable that settings name."""

_ENCRYPTED = re.compile(r".*\{.+\}.*", re.DOTALL)
"""A password as Maven encrypts it."""

_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)

_STORE = re.compile(r"(?<=-Djavax\.net\.ssl\.trustStore=)\S+|(?<=-Djavax\.net\.ssl\.keyStore=)\S+")
"""The file that an option names for certificates or keys."""


@dataclass(frozen=True)
class MavenUser:
    """The user, at ``home``."""

    home: Path
    cache: CacheLayout

    @classmethod
    def here(cls, cache: CacheLayout) -> MavenUser:
        """The one that runs this."""
        return cls(Path.home(), cache)

    @property
    def _files(self) -> dict[str, Path]:
        """What is copied, by the name below ``/in``."""
        own = {f"home/.m2/{name}": self.home / ".m2" / name for name in SETTINGS}
        own["home/.mavenrc"] = self.home / ".mavenrc"
        stores = [Path(path) for name in OPTIONS for path in _STORE.findall(_variable(name))]
        own |= {f"stores/{_name_of(path)}": path for path in stores}
        return {name: path for name, path in own.items() if path.is_file()}

    def give(self, folder: Path) -> None:
        """Put the user's files into a folder that becomes ``/in``."""
        for name, path in self._files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / name)

    def environment(self) -> dict[str, str]:
        """The variables that a build gets."""
        text = "".join(
            path.read_text(errors="replace")
            for name, path in self._files.items()
            if name.endswith(SETTINGS)
        )
        names = {*VARIABLES, *_ENVIRONMENT.findall(text)}
        found = {name: os.environ[name] for name in sorted(names) if name in os.environ}
        return {name: _with_stores(name, value) for name, value in found.items()}

    def readable(self) -> dict[str, Path]:
        """What a build may read, by the place where Debian's Maven and Java look for it."""
        maven = shutil.which("mvn")
        own = Path(maven).resolve().parent.parent / "conf" if maven else Path("/etc/maven")
        found = {
            GLOBAL_SETTINGS: own / "settings.xml",
            AUTHORITIES: _authorities(),
            JAVA_AUTHORITIES: self._java_authorities(),
        }
        return {place: path for place, path in found.items() if path and _is_public(path)}

    def central(self) -> Server:
        """Where this user's Maven finds Maven Central: at the mirror of it, if there is one.

        Raises SlipwayError when settings cannot be read.
        """
        own = self.home / ".m2" / SETTINGS[0]
        files = [own, self.readable().get(GLOBAL_SETTINGS)]
        settings = [_settings(path) for path in files if path and path.is_file()]
        mirrors = [each for root in settings for each in root.iterfind("{*}mirrors/{*}mirror")]
        fitting = [each for each in mirrors if _is_of_central(_said(each, "mirrorOf"))]
        fitting.sort(key=lambda each: _said(each, "mirrorOf") != "central")
        if not fitting:
            return Server(CENTRAL)
        url, name = _said(fitting[0], "url"), _said(fitting[0], "id")
        servers = (each for root in settings for each in root.iterfind("{*}servers/{*}server"))
        login = next((_login(each) for each in servers if _said(each, "id") == name), None)
        return Server(url, login or login_of(url))

    def repositories(self) -> list[Path]:
        """The user's own local repository, if there is one, which builds look into."""
        path = self.home / ".m2" / "repository"
        return [path] if path.is_dir() and _is_public(path) else []

    def state(self) -> Mapping[str, str]:
        """What changes when what the user has set up does."""
        files = {**self._files, **self.readable()}
        return {name: _digest(path) for name, path in sorted(files.items())}

    def _java_authorities(self) -> Path | None:
        """Those that this machine's Java trusts; without one, those that the machine does."""
        java = os.environ.get("JAVA_HOME") or shutil.which("java")
        if java:
            home = Path(java).resolve()
            home = home if home.is_dir() else home.parent.parent
            own = home / "lib" / "security" / "cacerts"
            return own.resolve() if own.is_file() else None
        return self._made_for_java(_authorities())

    def _made_for_java(self, authorities: Path | None) -> Path | None:
        """A file with certificates as Java reads them."""
        if authorities is None:
            return None
        made = self.cache.certificates / f"{_digest(authorities)}.p12"
        if not made.exists():
            named = [
                PKCS12Certificate(each, f"{number}".encode())
                for number, each in enumerate(_certificates(authorities.read_bytes()))
            ]
            made.parent.mkdir(parents=True, exist_ok=True)
            with replacing(made) as file:
                file.write(serialize_java_truststore(named, NoEncryption()))
        return made


def _settings(path: Path) -> Element:
    try:
        return ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise SlipwayError(Problem(str(path), f"cannot be read: {error}")) from error


def _said(element: Element, name: str) -> str:
    """What settings say of something, with variables of this process for what they name so."""
    said = (element.findtext(f"{{*}}{name}") or "").strip()
    return _ENVIRONMENT.sub(lambda found: os.environ.get(found[1], found[0]), said)


def _is_of_central(mirror_of: str) -> bool:
    """Whether a mirror is one of Maven Central, among others that it may be of."""
    of = [each.strip() for each in mirror_of.split(",")]
    return "!central" not in of and not {"central", "*", "external:*"}.isdisjoint(of)


def _login(server: Element) -> Login | None:
    """Who asks a server; a password that Maven has encrypted is no other program's."""
    user, password = _said(server, "username"), _said(server, "password")
    return Login(user, password) if user and not _ENCRYPTED.fullmatch(password) else None


def _variable(name: str) -> str:
    return os.environ.get(name, "")


def _with_stores(name: str, value: str) -> str:
    """A variable's value, in which the files of options are where a build finds them."""
    if name not in OPTIONS:
        return value
    return _STORE.sub(lambda found: f"{IN}/stores/{_name_of(Path(found[0]))}", value)


def _name_of(store: Path) -> str:
    return f"{hashlib.sha256(str(store).encode()).hexdigest()[:12]}-{store.name}"


def _authorities() -> Path | None:
    """The file of the authorities that this machine trusts."""
    given = os.environ.get(ssl.get_default_verify_paths().openssl_cafile_env)
    return next(
        (Path(path) for path in (given, *_ELSEWHERE) if path and Path(path).is_file()), None
    )


def _certificates(pem: bytes) -> Iterator[x509.Certificate]:
    """The certificates of a file, but for those that are too old-fashioned to be read."""
    for each in _CERTIFICATE.findall(pem):
        with suppress(ValueError), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield x509.load_pem_x509_certificate(each)


def _is_public(path: Path) -> bool:
    """Whether the user of sandboxes can read a file or enter a folder."""
    with suppress(OSError):
        wanted = 0o005 if path.is_dir() else 0o004
        return os.geteuid() != 0 or path.stat().st_mode & wanted == wanted
    return False


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
