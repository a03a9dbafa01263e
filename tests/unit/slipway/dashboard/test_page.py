"""The list of environments as a page."""

from __future__ import annotations

from html.parser import HTMLParser

from slipway.apps.environments.rows import rows
from slipway.dashboard.page import as_page
from tests.support.environments import FAILURE, NOW, note, notes


class Page(HTMLParser):
    """A page's elements, links and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str | None] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note."""
        self.tags.append(tag)
        if tag == "a":
            self.links.append(dict(attrs)["href"])

    def handle_data(self, data: str) -> None:
        """Note."""
        self.text.append(data)


def test_the_page_has_everything_and_takes_nothing_for_markup() -> None:
    evil = '<script>alert("x")</script>'
    failure = {**FAILURE, "step": evil, "reason": f"&amp; {evil}"}
    urls = [f'http://demo.test/"{evil}']
    about = note(app=evil, branch=evil, commit=evil, urls=urls, failing=True, failure=failure)
    page = Page(as_page(rows([], notes(main=about)), NOW))
    assert "script" not in page.tags
    assert page.links == urls
    assert page.text.count(evil) == 2  # app and branch
    assert f"&amp; {evil}" in page.text
    assert {"html", "title", "h1", "table", "th", "time", "meta"} - {*page.tags} == {"time"}
    assert "failed, never deployed" in page.text


def test_an_empty_page_has_no_table() -> None:
    page = Page(as_page([], NOW))
    assert "table" not in page.tags
    assert any("0 environments" in text for text in page.text)


def test_where_an_app_without_a_route_is_reached_is_shown_and_no_link() -> None:
    page = Page(as_page(rows([], notes(main=note(urls=["web.web-main.svc:80"]))), NOW))
    assert page.links == []
    assert "web.web-main.svc:80" in page.text
