"""Images of a registry by their digests, as far as one platform needs them.

Spoken is the protocol of OCI's distribution specification. Whoever asks gets a token where the
registry wants one (RFC 6750, and Docker's documentation of tokens).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit, urlunsplit

import urllib3

from slipway.bundle.download import Broken, Server, origin
from slipway.oci.model import (
    DOCKER_INDEX,
    INDEX,
    MANIFEST,
    MOST_JSON,
    Descriptor,
    Manifest,
    parsed,
    platform_of,
    typed,
)

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"

_ACCEPTED = {"Accept": ", ".join((INDEX, DOCKER_INDEX, MANIFEST, DOCKER_MANIFEST))}
_SEPARATE = "have the lock or the registry corrected"

MOST_PAGES = 100
"""How many pages a list of tags may have."""

_NEXT = re.compile(r'<([^>]+)>\s*;\s*rel="?next"?')
_CHALLENGE = re.compile(r"\s*Bearer\s+(.*)", re.IGNORECASE)
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True)
class Found:
    """The manifest of an image for a platform, as it came, and what it says."""

    descriptor: Descriptor
    text: bytes
    manifest: Manifest

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """What else the image consists of, each once."""
        return tuple(dict.fromkeys((self.manifest.config, *self.manifest.layers)))


@dataclass(frozen=True)
class Repository:
    """A repository of images; ``server`` is where its manifests and blobs are below."""

    server: Server
    _tokens: dict[str, str] = field(default_factory=dict, repr=False, compare=False)

    def find(self, digest: str, platform: str) -> Found:
        """The image of an index or of a manifest; Broken when there is none for the platform."""
        text, kind = self._text(digest)
        try:
            entries = parsed(text, dict).get("manifests")
            if entries is None:
                found = Found(Descriptor(kind, digest, len(text)), text, Manifest.of(text))
                if (own := self._platform(found)) != platform:
                    raise _lacking(platform, [own])
                return found
            descriptor = _chosen(typed(entries, list, "manifests"), platform)
            text = self._text(descriptor.digest)[0]
            return Found(descriptor, text, Manifest.of(text))
        except ValueError as error:
            raise Broken(f"has no image that can be read at {digest}: {error}") from error

    def check(self, name: str) -> None:
        """Raise Broken unless who asks is given the image of a tag or of a digest.

        Registries that count what is fetched do not count this.
        """
        with self._at(f"manifests/{name}").asked(_ACCEPTED, "HEAD"):
            pass

    def digest_of(self, tag: str) -> str:
        """The digest of what a tag stands for now, an index or a manifest."""
        with self._at(f"manifests/{tag}").asked(_ACCEPTED) as response:
            return _digest(response.read(MOST_JSON + 1))

    def tags(self) -> list[str]:
        """All tags, on however many pages they are listed."""
        page, found = self._at("tags/list"), list[str]()
        for _ in range(MOST_PAGES):
            with page.asked() as response:
                text, link = response.read(MOST_JSON + 1), response.headers.get("Link", "")
            try:
                found += typed(parsed(text, dict).get("tags"), list, "tags")
            except ValueError as error:
                raise Broken(f"has no list of tags that can be read: {error}") from error
            following = _NEXT.search(link)
            if following is None:
                return found
            page = self._beside(page, following[1])
        raise Broken(f"has more than {MOST_PAGES} pages of tags")

    def blob(self, digest: str) -> Server:
        """Where a blob is."""
        return self._at(f"blobs/{digest}")

    def _platform(self, found: Found) -> str:
        """What an image is for by its config, which alone says so where it is in no index."""
        with self.blob(found.manifest.config.digest).asked() as response:
            config = _read(response, found.manifest.config.digest)
        return platform_of(parsed(config, dict))

    def _text(self, digest: str) -> tuple[bytes, str]:
        """A manifest or an index, and its media type."""
        with self._at(f"manifests/{digest}").asked(_ACCEPTED) as response:
            text = _read(response, digest)
            kind = response.headers.get("Content-Type", "")
        try:
            return text, str(parsed(text, dict).get("mediaType") or kind)
        except ValueError as error:
            raise Broken(f"has no manifest that can be read at {digest}: {error}") from error

    def _at(self, rest: str) -> _RegistryServer:
        server = self.server
        url = f"{server.url}/{rest}"
        return _RegistryServer(url, server.login, server.ca, server.seconds, self._tokens)

    def _beside(self, page: _RegistryServer, target: str) -> _RegistryServer:
        """The page that one leads on to, which is of the same registry."""
        url = urljoin(page.url, target)
        if origin(url) != origin(page.url):
            raise Broken("leads on to another registry for more tags")
        return replace(page, url=url)


def _digest(text: bytes) -> str:
    return f"sha256:{hashlib.sha256(text).hexdigest()}"


def _read(response: urllib3.BaseHTTPResponse, digest: str) -> bytes:
    """What an answer has, which is to have this digest."""
    text = response.read(MOST_JSON + 1)
    if (found := _digest(text)) != digest:
        raise Broken(f"gives something else ({found}) for {digest}", _SEPARATE)
    return text


def _lacking(platform: str, offered: Iterable[str]) -> Broken:
    named = ", ".join(sorted(offered)) or "nothing"
    return Broken(f"has no image for {platform}; it has {named}", _SEPARATE)


def _chosen(entries: list[Any], platform: str) -> Descriptor:
    """The entry of an index for a platform."""
    offered = dict(_platforms(entries))
    if platform not in offered:
        raise _lacking(platform, offered)
    return offered[platform]


def _platforms(entries: list[Any]) -> Iterator[tuple[str, Descriptor]]:
    """What an index offers; what is said about images (attestations) is for unknown/unknown."""
    for entry in reversed(entries):  # of two for the same, the first one counts
        said = platform_of(typed(entry, dict, "an entry of manifests").get("platform"))
        if said != "unknown/unknown":
            yield said, Descriptor.of(entry)


@dataclass(frozen=True)
class _RegistryServer(Server):
    """A registry, which may want a token in place of a password; tokens are by who takes them."""

    tokens: dict[str, str] = field(default_factory=dict, repr=False, compare=False)

    def _authorization(self, url: str) -> dict[str, str]:
        token = self.tokens.get(str(origin(url)))
        return {"Authorization": f"Bearer {token}"} if token else super()._authorization(url)

    def _satisfied(self, response: urllib3.BaseHTTPResponse, url: str) -> bool:
        """Get the token that an answer wants, if it wants one."""
        found = _CHALLENGE.match(response.headers.get("WWW-Authenticate", ""))
        wanted = dict(_PARAMETER.findall(found[1])) if found else {}
        if not wanted.get("realm", "").startswith(("https://", "http://")):
            return False
        self.tokens[str(origin(url))] = self._token(wanted, url)
        return True

    def _token(self, wanted: Mapping[str, str], url: str) -> str:
        """A token of the place that a registry names, which alone is told who asks."""
        parts = urlsplit(wanted["realm"])
        query = urlencode({name: wanted[name] for name in ("service", "scope") if name in wanted})
        place = urlunsplit(parts._replace(query="&".join(filter(None, (parts.query, query)))))
        is_own = origin(url) == origin(self.url)
        is_safe = parts.scheme == "https" or origin(self.url)[0] == "http"
        login = self.login if is_own and is_safe else None
        server = Server(place, login, self.ca, self.seconds)
        try:
            with server.asked() as response:
                said = parsed(response.read(MOST_JSON + 1), dict)
            return typed(said.get("token") or said.get("access_token"), str, "token")
        except ValueError as error:
            raise Broken(f"{server} gives no token that can be read: {error}") from error
        except Broken as broken:  # that there is nothing does not mean that there is no image
            what = f"no token of {server}: {broken}"
            raise Broken(
                what, broken.fix, again=broken.again, after=broken.after, refused=broken.refused
            ) from broken
