"""Large files over HTTPS: what has come stays when something breaks, and is gone on with."""

from __future__ import annotations

import base64
import http.client
import json
import netrc
import os
import re
import shutil
import ssl
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NoReturn, TypeVar
from urllib.parse import SplitResult, unquote, urljoin, urlsplit, urlunsplit

import urllib3
from urllib3.exceptions import HTTPError
from urllib3.util import Retry

from slipway.bundle.progress import Progress
from slipway.errors import Problem, SlipwayError
from slipway.files import write_whole
from slipway.oci.blobs import CHUNK, is_full
from slipway.oci.model import readable
from slipway.waiting import allowed

Found = TypeVar("Found")

TRIES = 6
"""How often in a row something is tried of which too little comes."""

ENOUGH = 1 << 20
"""Bytes that have to come for a try to have been worth it."""

LONGEST_WAIT = 600.0
"""Seconds for which a server may ask to be left alone."""

CONNECT_SECONDS = 15.0

QUIET_SECONDS = 60.0
"""How long nothing, or next to nothing, may come."""

LEAST = 1 << 16
"""Bytes in that time that are more than next to nothing."""

MOST_REDIRECTS = 10

_REDIRECTS = (301, 302, 303, 307, 308)
_PASSING = (408, 425, 429, 500, 502, 503, 504)
"""Answers that may be others soon."""


class Broken(Exception):
    """Why a request came to nothing, for users.

    ``again`` says that it may go better soon, or ``after`` so many seconds; ``lacking`` that a
    server answers and has no such file, and ``refused`` that it does not give it to who asks.
    """

    def __init__(
        self,
        what: str,
        fix: str = "",
        *,
        again: bool = False,
        after: float | None = None,
        lacking: bool = False,
        refused: bool = False,
    ) -> None:
        super().__init__(what)
        self.fix = fix
        self.again = again
        self.after = after
        self.lacking = lacking
        self.refused = refused


@dataclass(frozen=True)
class Login:
    """Who asks."""

    user: str
    password: str = field(repr=False)


def shown(url: str) -> str:
    """An address without what opens it: a password, or a query, which may be a signature."""
    try:
        parts = urlsplit(url)
    except ValueError:  # as of "https://[::1"
        return f"{url.partition('://')[0]}://..."
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def is_here(host: str) -> bool:
    """Whether a host is this machine, so that nobody is on the way to it."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def login_of(url: str) -> Login | None:
    """Who asks for an address: whom it names, or whom the file ``~/.netrc`` does.

    Raises SlipwayError when that cannot be read.
    """
    parts = urlsplit(url)
    if parts.username:
        return Login(unquote(parts.username), unquote(parts.password or ""))
    place = Path(os.environ.get("NETRC") or "~/.netrc").expanduser()
    try:
        found = netrc.netrc(place).authenticators(parts.hostname or "")
    except FileNotFoundError:
        return None
    except netrc.NetrcParseError as error:  # its text may have a part of a password
        raise SlipwayError(Problem(f"{place}:{error.lineno}", "is not as netrc(5) says")) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SlipwayError(Problem(str(place), f"cannot be read: {error}")) from error
    return Login(found[0], found[2] or "") if found else None


@dataclass(frozen=True)
class Server:
    """Where a file is: its address, and who asks there, and nowhere that it leads on to.

    ``ca`` is a file of authorities that are trusted beside this machine's, and ``seconds`` is how
    long it may take to be reached and to say more, if not as long as others.
    """

    url: str
    login: Login | None = None
    ca: str = ""
    seconds: float | None = None

    def __str__(self) -> str:
        return shown(self.url)

    @contextmanager
    def asked(
        self, headers: Mapping[str, str] | None = None, method: str = "GET"
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        """The answer, to be read; Broken when it is not one of 200, 206 and 416, or breaks off."""
        with self._found(headers or {}, method) as response:
            try:
                yield response
            except HTTPError as error:
                _raise(error, self.seconds)

    def _found(self, headers: Mapping[str, str], method: str) -> urllib3.BaseHTTPResponse:
        """The answer, wherever the address leads on to."""
        url, satisfied = self.url, False
        for _ in range(MOST_REDIRECTS):
            response = self._asked(url, {**headers, **self._authorization(url)}, method)
            if response.status == 401 and not satisfied:
                satisfied = self._satisfied(response, url)
                if satisfied:
                    response.close()
                    continue
            if response.status not in _REDIRECTS:
                return self._good(response, url)
            response.close()
            target = _joined(url, response.headers.get("Location", ""))
            if urlsplit(url).scheme == "https" and urlsplit(target).scheme == "http":
                raise Broken(f"leads on to {shown(target)}, which is not protected")
            url = target
        raise Broken(f"leads on from one address to another, {MOST_REDIRECTS} times")

    def _authorization(self, url: str) -> dict[str, str]:
        if self.login is None or origin(url) != origin(self.url):
            return {}
        return {"Authorization": _basic(self.login)}

    def _satisfied(self, response: urllib3.BaseHTTPResponse, url: str) -> bool:
        """Whether more is told now of who asks, as an answer of ``url`` wants it."""
        return False

    def _asked(self, url: str, headers: Mapping[str, str], method: str) -> urllib3.BaseHTTPResponse:
        parts = urlsplit(url)
        plain = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment=""))
        sent = {"User-Agent": "slipway", "Accept-Encoding": "identity"}
        timeout = urllib3.Timeout(
            connect=self.seconds or allowed(CONNECT_SECONDS),
            read=self.seconds or allowed(QUIET_SECONDS),
        )
        try:
            return _manager(parts, self.ca, timeout).request(
                method,
                plain,
                headers={**sent, **headers},
                redirect=False,
                retries=False,
                preload_content=False,
                decode_content=False,
            )
        except urllib3.exceptions.ProxySchemeUnknown as error:
            raise Broken("the proxy of the environment is none of HTTP", _PROXY_LOGIN) from error
        except ValueError as error:  # also urllib3's own, and a host that no name server may have
            raise Broken("is no address of a file", "correct the address") from error
        except HTTPError as error:
            _raise(error, self.seconds)

    def _good(self, response: urllib3.BaseHTTPResponse, url: str) -> urllib3.BaseHTTPResponse:
        status = response.status
        if status in (200, 206, 416):
            return response
        response.close()
        elsewhere = "" if url == self.url else f" at {shown(url)}"
        what = f"HTTP {status} {response.reason or ''}".rstrip() + elsewhere
        if status in (401, 403):
            raise Broken(f"{what}: {self._refused()}", _LOGIN, refused=True)
        if status in (404, 410):
            raise Broken(f"{what}: there is no such file", "correct the address", lacking=True)
        if status == 407:
            raise Broken(f"{what}: the proxy wants to know who asks", _PROXY_LOGIN)
        after = _seconds_after(response)
        if status not in _PASSING or (after or 0) > LONGEST_WAIT:
            later = f"; it asks to be left alone for {after:.0f} s" if after else ""
            raise Broken(f"{what}{later}", "run again later; what has come stays")
        raise Broken(what, "run again later; what has come stays", again=True, after=after)

    def _refused(self) -> str:
        if self.login is None:
            return "it wants to know who asks"
        return f"it does not give it to {self.login.user}"


def _basic(login: Login) -> str:
    return f"Basic {base64.b64encode(f'{login.user}:{login.password}'.encode()).decode()}"


_LOGIN = "give the login in ~/.netrc, for an archive as slipway_bundle_login, or in slipway_mirrors"
_PROXY_LOGIN = "write https_proxy=http://USER:PASSWORD@HOST:PORT"


def origin(url: str) -> tuple[str, str | None, int | None]:
    """What of an address says whom it asks."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port


def _seconds_after(response: urllib3.BaseHTTPResponse) -> float | None:
    """What Retry-After says, as a number or as a date."""
    try:
        return Retry().get_retry_after(response)
    except HTTPError:  # it says something else
        return None


def _joined(url: str, location: str) -> str:
    """Where an address leads on to."""
    try:
        target = urljoin(url, location)
        is_one = urlsplit(target).scheme in ("http", "https") and origin(target)[1]
    except ValueError:
        is_one = None
    if not is_one:
        raise Broken("leads on to what is no address of a file")
    return target


def _manager(parts: SplitResult, ca: str, timeout: urllib3.Timeout) -> urllib3.PoolManager:
    """What asks, by the proxies of the environment and with the authorities of this machine."""
    trust = _trust(ca) if parts.scheme == "https" else None
    proxy = urllib.request.getproxies().get(parts.scheme, "")
    if not proxy or urllib.request.proxy_bypass(parts.netloc.rpartition("@")[2]):
        return urllib3.PoolManager(ssl_context=trust, timeout=timeout)
    way = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    user = Login(unquote(way.username), unquote(way.password or "")) if way.username else None
    address = urlunsplit(way._replace(netloc=way.netloc.rpartition("@")[2]))
    return urllib3.ProxyManager(
        address,
        proxy_headers={"Proxy-Authorization": _basic(user)} if user else None,
        ssl_context=trust,
        timeout=timeout,
    )


def _trust(ca: str) -> ssl.SSLContext:
    """The authorities of this machine, and those of a file."""
    context = ssl.create_default_context()
    if ca:
        try:
            context.load_verify_locations(Path(ca).expanduser())
        except OSError as error:  # also ssl's own
            what = f"has no certificates: {error.strerror or error}"
            raise SlipwayError(Problem(ca, what, "name a file of them in PEM")) from error
    return context


def _raise(error: HTTPError, seconds: float | None) -> NoReturn:
    """Say what broke in a request that may take ``seconds``, by the error at the bottom of it."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            fix = (
                "have the server's certificate renewed"
                if "expired" in cause.verify_message
                else "SSL_CERT_FILE names authorities, ca in slipway_mirrors one mirror's; "
                "or add its own to those of this machine"
            )
            what = f"its certificate is not trusted here: {cause.verify_message}"
            raise Broken(what, fix) from error
        if "failed: 407" in str(cause):  # of a tunnel, as http.client words it
            raise Broken("the proxy wants to know who asks (HTTP 407)", _PROXY_LOGIN) from error
    if isinstance(error, urllib3.exceptions.ReadTimeoutError):
        what = f"nothing came for {seconds or allowed(QUIET_SECONDS):.0f} s"
        raise Broken(what, again=True) from error
    if any(isinstance(cause, TimeoutError) for cause in causes):
        what = f"no connection within {seconds or allowed(CONNECT_SECONDS):.0f} s"
        raise Broken(
            what, "can this machine reach it? is there a proxy to name?", again=True
        ) from error
    if any(isinstance(cause, http.client.IncompleteRead) for cause in causes):
        raise Broken("the connection ended early", again=True) from error
    system = [each for each in causes if isinstance(each, OSError) and each.strerror]
    what = str(system[-1].strerror) if system else "the connection broke"
    by_proxy = isinstance(error, urllib3.exceptions.ProxyError)
    raise Broken(f"{what}, of the proxy" if by_proxy else what, again=True) from error


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error, and those that it came of."""
    found: list[BaseException] = [error]
    for each in found:
        more = [*each.args, each.__cause__, each.__context__]
        found += [one for one in more if isinstance(one, BaseException) and one not in found]
    return iter(found)


def persistently(
    act: Callable[[], Found],
    say: Callable[[str], None],
    *,
    tries: int,
    size: Callable[[], int] = lambda: 0,
) -> Found:
    """Do something until it does not break; ``size`` tells how many bytes it has got so far.

    Raises Broken with the last reason when it does not get on.
    """
    failed = 0
    while True:
        before = size()
        try:
            return act()
        except Broken as broken:
            failed = 1 if size() - before >= ENOUGH else failed + 1
            if not broken.again or failed >= tries:
                raise
            seconds = max(2.0 ** (failed - 1), broken.after or 0)
            say(f"{broken}; again in {seconds:.0f} s")
            time.sleep(seconds)


def asked_of(
    server: Server, ask: Callable[[], Found], say: Callable[[str], None], *, tries: int
) -> Found:
    """An answer of a server, which is asked persistently; Broken names its host."""
    try:
        return persistently(ask, lambda line: say(f"{server}: {line}"), tries=tries)
    except Broken as broken:
        what = f"{urlsplit(server.url).netloc.rpartition('@')[2]}: {broken}"
        raise Broken(what, broken.fix, lacking=broken.lacking) from broken


@dataclass
class Download:
    """One file on its way to ``part``, with a note beside it of what it is a part of."""

    server: Server
    part: Path
    say: Callable[[str], None]
    _begun_anew: int = 0

    def run(self, needed: int) -> None:
        """Have all of it, with room for ``needed`` bytes more on the same file system.

        Raises Broken when it cannot be had, and SlipwayError when there is no room. What has come
        stays for the next time.
        """
        self.part.parent.mkdir(parents=True, exist_ok=True)
        try:
            persistently(
                lambda: self._finish(needed),
                self._told,
                tries=TRIES,
                size=lambda: self._size,
            )
        except OSError as error:
            if not is_full(error):
                raise
            raise self._no_room("has no room left") from error

    def remove(self) -> None:
        """Remove what has come."""
        for path in (self.part, self._note):
            path.unlink(missing_ok=True)

    @property
    def _note(self) -> Path:
        return self.part.with_suffix(".json")

    @property
    def _size(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _noted(self) -> dict[str, Any]:
        """What the part is of: ``total`` bytes, and a ``validator`` of that content."""
        try:
            found: dict[str, Any] = json.loads(self._note.read_bytes())
        except (OSError, ValueError):
            return {}
        return found

    def _finish(self, needed: int) -> None:
        """Have all of it, in as many parts as it is given in."""
        while not self._go_on(needed):
            pass

    def _go_on(self, needed: int) -> bool:
        """Have what comes in one answer; whether that is all."""
        have, noted = self._size, self._noted()
        if not noted:
            self.remove()
            have = 0
        if have and noted["total"] == have:
            return True
        headers = {"Range": f"bytes={have}-"} if have else {}
        if have and noted["validator"]:
            headers["If-Range"] = noted["validator"]
        with self.server.asked(headers) as response:
            first, total = _range_of(response)
            if first and first == have and noted["total"] in (None, total):
                self._told(f"goes on after {readable(have)}")
            elif first or response.status == 416:
                if response.status == 416 and total == have and noted["total"] is None:
                    return True
                self._begin_anew()
                raise Broken("it has another file now", again=True)
            elif have:
                self._begin_anew()
                self._told("begins anew: it has another file now, or gives no parts")
            write_whole(self._note, json.dumps({"total": total, "validator": _validator(response)}))
            self._check_room(needed + (total or 0) - self._size)
            return self._receive(response, total)

    def _begin_anew(self) -> None:
        self._begun_anew += 1
        if self._begun_anew > TRIES:
            raise Broken("it has another file each time", "have it publish one file, and leave it")
        self.remove()

    def _check_room(self, needed: int) -> None:
        free = shutil.disk_usage(self.part.parent).free
        if free < needed:
            raise self._no_room(f"has {readable(free)} free; it takes {readable(needed)}")

    def _no_room(self, what: str) -> SlipwayError:
        stays = f"{what}, and {readable(self._size)} have come, which stay"
        return SlipwayError(Problem(str(self.part.parent), stays, "make room there, and run again"))

    def _receive(self, response: urllib3.BaseHTTPResponse, total: int | None) -> bool:
        """Write what comes to the end of the part; whether that is all."""
        before = self._size
        progress = Progress("downloaded", total or 0, self._told, before)
        pace = _Pace()
        with self.part.open("ab") as file:
            while chunk := response.read1(CHUNK):
                file.write(chunk)
                progress.add(len(chunk))
                pace.add(len(chunk))
        if total is None:
            write_whole(self._note, json.dumps({**self._noted(), "total": self._size}))
        elif self._size > total:
            self._begin_anew()
            raise Broken("more came than it says that there is", again=True)
        elif self._size == before:
            raise Broken("nothing came", again=True)
        elif self._size < total:
            return False
        if self._size >= ENOUGH:
            self._told(str(progress))
        return True

    def _told(self, line: str) -> None:
        self.say(f"{self.server}: {line}")


class _Pace:
    """Sees that what comes is more than next to nothing."""

    def __init__(self) -> None:
        self._since, self._size = time.monotonic(), 0

    def add(self, size: int) -> None:
        """Note what has come; Broken when it is too little for the time."""
        self._size += size
        if (passed := time.monotonic() - self._since) < allowed(QUIET_SECONDS):
            return
        if self._size < LEAST:
            raise Broken(f"only {readable(self._size)} came in {passed:.0f} s", again=True)
        self._since, self._size = time.monotonic(), 0


def _range_of(response: urllib3.BaseHTTPResponse) -> tuple[int, int | None]:
    """The first byte that is answered, and how many there are in all, if the server says that."""
    if response.status == 200:
        length = response.headers.get("Content-Length", "")
        return 0, int(length) if length.isdecimal() else None
    told = response.headers.get("Content-Range", "")
    parts = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", told)
    if parts is None:  # of a part that is not told, nothing can be made
        return (-1, None) if response.status == 206 else (0, None)
    return int(parts[1] or 0), int(parts[2]) if parts[2] != "*" else None


def _validator(response: urllib3.BaseHTTPResponse) -> str:
    """What tells this content from others: a strong tag or else a date (RFC 9110, 13.1.5)."""
    tag = response.headers.get("ETag", "")
    if tag and not tag.startswith("W/"):
        return tag
    return response.headers.get("Last-Modified", "")
