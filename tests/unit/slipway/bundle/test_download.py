"""Downloads: from servers that are really there, and that break, refuse, wait and change."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from types import SimpleNamespace

import pytest

from slipway.bundle import download
from slipway.bundle.download import Broken, Download, Login, Server, login_of, shown
from slipway.errors import SlipwayError
from tests.support.file_servers import Fault, Served, proxy, served

pytestmark = pytest.mark.usefixtures("as_nobody")

CONTENT = bytes(range(256)) * 4096
"""1 MiB, of which every part is where it belongs or is noticed."""


@pytest.fixture
def file() -> Iterator[Served]:
    with served(CONTENT) as file:
        yield file


class Run:
    """A download to a folder, as each run begins it anew."""

    def __init__(self, folder: Path, url: str, login: Login | None = None) -> None:
        self.part = folder / "part"
        self.said: list[str] = []
        self._server = Server(url, login)

    def __call__(self, needed: int = 0) -> bytes:
        Download(self._server, self.part, self.said.append).run(needed)
        return self.part.read_bytes()

    def fails(self) -> Broken:
        """Why it came to nothing."""
        with pytest.raises(Broken) as caught:
            self()
        return caught.value


@pytest.fixture
def run(tmp_path: Path, file: Served) -> Run:
    return Run(tmp_path, file.url)


def test_all_of_it_comes_and_is_not_asked_for_again(run: Run, file: Served) -> None:
    assert run() == CONTENT
    assert run() == CONTENT
    assert len(file.asked) == 1
    assert run.said[-1].startswith(f"{file.url}: downloaded 1.0 MB in ")


def test_after_a_cut_it_goes_on_where_it_was(run: Run, file: Served, waits: list[float]) -> None:
    file.faults = [Fault(cut=1000), Fault(cut=500)]
    assert run() == CONTENT
    assert file.begun_at == ["", "bytes=1000-", "bytes=1500-"]
    assert waits == [1.0, 2.0]
    assert f"{file.url}: goes on after 1.5 kB" in run.said


def test_the_next_run_goes_on_where_the_one_before_gave_up(
    run: Run, file: Served, waits: list[float]
) -> None:
    file.faults = [Fault(cut=1000)] + [Fault(503)] * 5
    assert "503" in str(run.fails())
    assert run() == CONTENT
    assert file.begun_at[-1] == "bytes=1000-"


def test_breaks_after_much_has_come_are_not_counted(tmp_path: Path, waits: list[float]) -> None:
    with served(CONTENT * 12) as file:
        file.faults = [Fault(cut=len(CONTENT))] * 10
        assert Run(tmp_path, file.url)() == CONTENT * 12
    assert waits == [1.0] * 10


def test_breaks_after_little_has_come_are(tmp_path: Path, waits: list[float]) -> None:
    with served(CONTENT * 12) as file:
        file.faults = [Fault(cut=len(CONTENT) // 2)] * 10
        assert "ended early" in str(Run(tmp_path, file.url).fails())
    assert len(file.asked) == download.TRIES


@pytest.mark.parametrize(
    ("tag", "modified", "sent"),
    [
        ('"one"', "Sun, 29 Nov 2026 06:00:00 GMT", '"one"'),
        ('W/"one"', "Sun, 29 Nov 2026 06:00:00 GMT", "Sun, 29 Nov 2026 06:00:00 GMT"),
        ('W/"one"', "", None),
        ("", "", None),
    ],
)
def test_a_part_is_asked_for_of_the_same_content(
    tag: str, modified: str, sent: str | None, run: Run, file: Served, waits: list[float]
) -> None:
    file.tag, file.modified = tag, modified
    file.faults = [Fault(cut=1000)]
    assert run() == CONTENT
    assert file.asked[1][1].get("If-Range") == sent


def test_a_file_that_was_changed_meanwhile_begins_anew(
    run: Run, file: Served, waits: list[float]
) -> None:
    file.faults = [Fault(cut=1000)] + [Fault(503)] * 5
    run.fails()
    file.content, file.tag = b"another", '"two"'
    assert run() == b"another"
    assert any("begins anew" in line for line in run.said)


@pytest.mark.parametrize("size", [500, 1000, 2000])
def test_so_does_one_without_a_tag_that_has_another_length(
    size: int, run: Run, file: Served, waits: list[float]
) -> None:
    file.tag = ""
    file.faults = [Fault(cut=1000)] + [Fault(503)] * 5
    run.fails()
    file.content = bytes(size)
    assert run() == bytes(size)


def test_one_that_is_another_each_time_is_given_up(
    run: Run, file: Served, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "ENOUGH", 1)
    file.ranges = False
    file.faults = [Fault(cut=size) for size in range(1000, 100_000, 1000)]
    assert "another file each time" in str(run.fails())
    assert len(file.asked) < 20


def test_a_server_that_gives_no_parts_is_asked_for_all(
    run: Run, file: Served, waits: list[float]
) -> None:
    file.ranges = False
    file.faults = [Fault(cut=1000)]
    assert run() == CONTENT
    assert any("gives no parts" in line for line in run.said)


def test_a_server_that_gives_small_parts_is_asked_for_all_of_them(
    run: Run, file: Served, waits: list[float]
) -> None:
    file.most = 100_000
    file.faults = [Fault(cut=1000)]
    assert run() == CONTENT
    assert waits == [1.0]
    assert file.begun_at[1:3] == ["bytes=1000-", "bytes=101000-"]


def test_a_server_that_tells_no_length_is_taken_at_its_word(run: Run, file: Served) -> None:
    file.length = False
    assert run() == CONTENT
    assert run() == CONTENT
    assert len(file.asked) == 1


def test_a_part_that_turns_out_to_be_all_is_taken(run: Run, file: Served) -> None:
    run()
    note = run.part.with_suffix(".json")
    note.write_text(json.dumps({**json.loads(note.read_text()), "total": None}))
    assert run() == CONTENT
    assert file.begun_at == ["", f"bytes={len(CONTENT)}-"]


def test_what_nobody_noted_is_not_gone_on_with(run: Run, file: Served) -> None:
    run()
    run.part.write_bytes(b"of something else")
    run.part.with_suffix(".json").write_text("{")
    assert run() == CONTENT


def test_a_proxy_that_answers_with_a_part_of_its_own_is_not_believed(
    run: Run, file: Served, waits: list[float]
) -> None:
    file.faults = [Fault(cut=1000), Fault(206, {"Content-Range": "bytes 5-9/10"})]
    assert run() == CONTENT
    file.faults = [Fault(cut=1000), Fault(206), Fault(416)]
    run.part.unlink()
    assert run() == CONTENT


@pytest.mark.parametrize(
    ("status", "headers", "waited"),
    [
        (429, {"Retry-After": "7"}, 7.0),
        (503, {"Retry-After": "0"}, 1.0),
        (503, {"Retry-After": "soon"}, 1.0),
        (500, {}, 1.0),
        (408, {}, 1.0),
        (504, {}, 1.0),
    ],
)
def test_who_asks_for_patience_gets_it(
    status: int,
    headers: dict[str, str],
    waited: float,
    run: Run,
    file: Served,
    waits: list[float],
) -> None:
    file.faults = [Fault(status, headers)]
    assert run() == CONTENT
    assert waits == [waited]
    assert f"HTTP {status}" in run.said[0]
    assert run.said[0].endswith(f"; again in {waited:.0f} s")


def test_retry_after_may_be_a_date(run: Run, file: Served, waits: list[float]) -> None:
    file.faults = [Fault(429, {"Retry-After": formatdate(time.time() + 60, usegmt=True)})]
    assert run() == CONTENT
    assert 50 < waits[0] <= 61


def test_nobody_waits_for_an_hour(run: Run, file: Served, waits: list[float]) -> None:
    file.faults = [Fault(429, {"Retry-After": "3600"})]
    assert "left alone for 3600 s" in str(run.fails())
    assert waits == []


def test_tries_have_an_end_and_their_waits_grow(run: Run, file: Served, waits: list[float]) -> None:
    file.faults = [Fault(502)] * 100
    assert str(run.fails()) == "HTTP 502 Bad Gateway"
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0]
    assert not run.part.exists()


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (404, "there is no such file"),
        (410, "there is no such file"),
        (401, "wants to know who asks"),
        (403, "wants to know who asks"),
        (407, "the proxy wants to know"),
        (418, "HTTP 418"),
        (304, "HTTP 304"),
    ],
)
def test_what_will_be_no_other_is_told_at_once(
    status: int, words: str, run: Run, file: Served, waits: list[float]
) -> None:
    file.faults = [Fault(status)]
    broken = run.fails()
    assert words in str(broken)
    assert broken.fix
    assert waits == []


def test_a_login_is_told_to_the_server_and_to_nobody_else(tmp_path: Path, file: Served) -> None:
    file.login = "ada:pässword"
    with served(CONTENT) as other:
        file.faults = [Fault(), Fault(302, {"Location": other.url})]
        of = Login("ada", "pässword")
        assert Run(tmp_path, file.url, of)() == CONTENT
        (tmp_path / "part").unlink()
        assert Run(tmp_path, file.url, of)() == CONTENT
        assert "Authorization" not in other.asked[0][1]


def test_a_wrong_login_is_told_with_its_name_alone(tmp_path: Path, file: Served) -> None:
    file.login = "ada:password"
    broken = Run(tmp_path, file.url, Login("ada", "secret")).fails()
    assert "ada" in str(broken)
    assert "secret" not in f"{broken}{broken.fix}{Login('ada', 'secret')}"


@pytest.mark.parametrize(
    ("url", "netrc", "expected"),
    [
        ("https://files.test/x", "machine files.test login ada password p", Login("ada", "p")),
        ("https://other.test/x", "machine files.test login ada password p", None),
        ("https://other.test/x", "default login eve password q", Login("eve", "q")),
        (
            "https://bob:s%40@files.test/x",
            "machine files.test login a password p",
            Login("bob", "s@"),
        ),
        ("https://files.test/x", None, None),
    ],
)
def test_who_asks_is_in_the_address_or_in_netrc(
    url: str, netrc: str | None, expected: Login | None, tmp_path: Path
) -> None:
    if netrc is not None:
        (tmp_path / "netrc").write_text(f"{netrc}\n")
    assert login_of(url) == expected


def test_a_netrc_that_cannot_be_read_is_told_without_what_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text("machine files.test login ada\n secret word\n")
    with pytest.raises(SlipwayError) as caught:
        login_of("https://files.test/x")
    assert str(caught.value).startswith(f"{tmp_path}/netrc:")
    assert "secret" not in str(caught.value)


def test_an_address_is_shown_without_what_opens_it() -> None:
    assert shown("https://ada:secret@files.test:8443/x?sig=abc#d") == "https://files.test:8443/x"


def test_where_it_leads_on_to_is_followed_but_not_out_of_https_or_for_ever(
    tmp_path: Path, file: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.faults = [Fault(307, {"Location": "/elsewhere"})]
    assert Run(tmp_path / "a", file.url)() == CONTENT
    assert [path for path, _headers in file.asked] == ["/bundle.tar.zst", "/elsewhere"]
    file.faults = [Fault(302, {"Location": file.url})] * 20
    assert "leads on" in str(Run(tmp_path / "b", file.url).fails())
    for target in (
        "file:///etc/passwd",
        "https:///x",
        "ftp://localhost/x",
        "http://[::1/",
        "http://a:b/",
    ):
        file.faults = [Fault(302, {"Location": target})]
        assert "no address of a file" in str(Run(tmp_path / "c", file.url).fails())
    with served(CONTENT, tmp_path) as secure:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "server.crt"))
        secure.faults = [Fault(302, {"Location": file.url})]
        assert "not protected" in str(Run(tmp_path / "d", secure.url).fails())


def test_https_is_by_the_authorities_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    with served(CONTENT, tmp_path) as file:
        broken = Run(tmp_path, file.url).fails()
        assert "not trusted here: self-signed certificate" in str(broken)
        assert "SSL_CERT_FILE" in broken.fix
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "server.crt"))
        assert Run(tmp_path, file.url)() == CONTENT
    assert waits == []


@pytest.mark.parametrize("url", ["http://localhost:port/x", "http://a..b/x", "http:///x"])
def test_what_is_no_address_is_told(url: str, tmp_path: Path, waits: list[float]) -> None:
    assert str(Run(tmp_path, url).fails()) == "is no address of a file"
    assert waits == []


def test_a_proxy_of_another_kind_is_told(
    tmp_path: Path, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "socks5h://localhost:1080")
    assert "none of HTTP" in str(Run(tmp_path, "https://files.test/x").fails())
    assert waits == []


def test_an_expired_certificate_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    with served(CONTENT, tmp_path, days=-1) as file:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "server.crt"))
        broken = Run(tmp_path, file.url).fails()
    assert "certificate has expired" in str(broken)
    assert "renewed" in broken.fix
    assert waits == []


def test_nobody_there_is_tried_for_a_while(
    tmp_path: Path, file: Served, waits: list[float]
) -> None:
    free = file.url
    with served(b"") as gone:
        free = gone.url
    assert "refused" in str(Run(tmp_path, free).fails())
    assert len(waits) == 5


def test_silence_has_an_end(
    run: Run, file: Served, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "QUIET_SECONDS", 0.2)
    file.faults = [Fault(cut=1000, pause=2)]
    assert run() == CONTENT
    assert "nothing came for 0 s" in run.said[0]
    assert file.begun_at == ["", "bytes=1000-"]


def test_next_to_nothing_is_as_good_as_silence(
    run: Run, file: Served, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = iter(range(0, 100_000, 61))
    clock = SimpleNamespace(monotonic=lambda: next(moments), sleep=waits.append)
    monkeypatch.setattr(download, "time", clock)
    monkeypatch.setattr(download, "CHUNK", 1000)
    assert "came in 61 s" in str(run.fails())


def test_how_far_it_is_is_said_in_bytes_and_seconds(
    run: Run, file: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slipway.bundle.progress.SECONDS", 0.0)
    monkeypatch.setattr(download, "CHUNK", 1000)
    run()
    assert run.said[0] == f"{file.url}: downloaded 1.0 kB of 1.0 MB in 0 s"


def test_without_room_nothing_is_fetched(run: Run, file: Served) -> None:
    with pytest.raises(SlipwayError, match=r"free; it takes .*\n.*make room there"):
        run(needed=1 << 60)
    assert not run.part.exists()


def test_a_proxy_of_the_environment_is_asked_with_its_login(
    tmp_path: Path, file: Served, monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    with proxy(file, "ada:s@") as way:
        monkeypatch.setenv("http_proxy", f"http://ada:s%40@localhost:{way.port}")
        assert Run(tmp_path / "a", "http://files.test/x")() == CONTENT
        assert way.asked == ["files.test"]
        monkeypatch.setenv("no_proxy", "localhost")
        assert Run(tmp_path / "b", file.url)() == CONTENT
        assert way.asked == ["files.test"]


def test_a_proxy_that_wants_to_know_who_asks_is_told(
    tmp_path: Path, file: Served, monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    with proxy(file, "ada:s@") as way:
        for scheme in ("http", "https"):
            monkeypatch.setenv(f"{scheme}_proxy", f"localhost:{way.port}")
            broken = Run(tmp_path, f"{scheme}://files.test/x").fails()
            assert "the proxy wants to know who asks" in str(broken)
            assert "https_proxy" in broken.fix
    assert waits == []
