"""Pictures of a run and of the page of all environments, as SVG, from what was said.

``docs/pictures/up.txt`` is what a run of ``make up`` said, ``list.txt`` what ``make list`` said
after it. They are taken anew by hand when that has changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html import escape
from pathlib import Path

from slipway.apps.environments.rows import Row
from slipway.dashboard.page import as_page

FOLDER = Path(__file__).parent / "pictures"
UP, LIST = FOLDER / "up.txt", FOLDER / "list.txt"

WIDTH, HEIGHT, SIZE, MARGIN = 7.25, 17, 12, 14
"""Of a character, of a line, of letters, and around the text, in pixels."""

LINES = (
    (re.compile(r"\$ "), "command"),
    (re.compile(r"==> "), "phase"),
    (re.compile(r" *changed: "), "changed"),
    (re.compile(r"After |.*: ok=\d"), "phase"),
)
"""What lines begin with, and the class that they get."""

TERMINAL = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">
<title>{title}</title>
<style>
rect {{ fill: #1b1f24; }}
text {{ font: {size}px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace;
  fill: #c9d1d9; white-space: pre; }}
.command {{ fill: #fff; font-weight: bold; }}
.phase {{ fill: #79c0ff; }}
.changed {{ fill: #e3b341; }}
</style>
<rect width="100%" height="100%" rx="6"/>
{lines}
</svg>
"""

PAGE = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">
<title>The page of all environments</title>
<rect width="100%" height="100%" rx="6" fill="#fff" stroke="#d0d7de"/>
<foreignObject width="100%" height="100%">
{page}
</foreignObject>
</svg>
"""
PAGE_SIZE = (1100, 370)


def documents() -> Iterator[tuple[Path, str]]:
    """Every picture, with its text."""
    yield FOLDER / "up.svg", terminal(UP.read_text(encoding="utf-8"), "A run of make up")
    yield FOLDER / "environments.svg", page(LIST.read_text(encoding="utf-8"))


def terminal(text: str, title: str) -> str:
    """A terminal that shows ``text``."""
    shown = text.splitlines()
    return TERMINAL.format(
        title=escape(title),
        size=SIZE,
        width=round(max(map(len, shown)) * WIDTH) + 2 * MARGIN,
        height=len(shown) * HEIGHT + 2 * MARGIN,
        lines="\n".join(_line(line, number) for number, line in enumerate(shown)),
    )


def _line(line: str, number: int) -> str:
    kind = next((f' class="{name}"' for start, name in LINES if start.match(line)), "")
    y = MARGIN + (number + 1) * HEIGHT - 4
    return f'<text x="{MARGIN}" y="{y}"{kind}>{escape(line, quote=False)}</text>'


def page(listed: str) -> str:
    """The page as it shows the environments that ``make list`` said."""
    now = datetime(2026, 11, 28, 22, 13, 18, tzinfo=UTC)
    _command, _headings, *lines = listed.splitlines()
    html = as_page([_row(line, now) for line in lines], now)
    style = re.search(r"<style>.*?</style>", html, re.DOTALL)
    body = re.search(r"<body>(.*)</body>", html, re.DOTALL)
    assert style and body
    # Whatever the reader's colours are, the picture's ground is white.
    inner = style[0].replace("light dark", "light") + body[1].replace("<br>", "<br/>")
    whole = f'<body xmlns="http://www.w3.org/1999/xhtml">{inner}</body>'
    width, height = PAGE_SIZE
    return PAGE.format(width=width, height=height, page=whole)


def _row(line: str, now: datetime) -> Row:
    app, branch, commit, age, state, url, _failure = re.split(r"  +", line.strip())
    created = now - timedelta(seconds=int(age.removesuffix("s")))
    return Row(
        id=f"{app} {branch}",
        app=app,
        branch=branch,
        commit=commit,
        created=created.strftime("%Y-%m-%dT%H:%M:%SZ"),
        state=state,
        urls=(url,),
        failure=None,
    )
