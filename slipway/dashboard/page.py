"""The rows as a page that needs no script and no style of others; it renews itself."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from html import escape

from slipway.apps.environments.rows import Failure, Row, age

REFRESH_SECONDS = 10

_HEADINGS = ("App", "Branch", "Commit", "Age", "State", "Address", "Last failure")

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { margin: 2rem; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid #8886; padding: .4rem .8rem .4rem 0; text-align: left;
  vertical-align: top; }
.failed { font-weight: bold; }
pre { margin: .2rem 0; white-space: pre-wrap; }
"""


def as_page(rows: Iterable[Row], now: datetime) -> str:
    """The whole page."""
    found = list(rows)
    headings = "".join(f'<th scope="col">{heading}</th>' for heading in _HEADINGS)
    lines = "\n".join(_line(row, now) for row in found)
    count = "1 environment" if len(found) == 1 else f"{len(found)} environments"
    table = f"<table>\n<thead><tr>{headings}</tr></thead>\n<tbody>\n{lines}\n</tbody>\n</table>"
    return _document(f"<p>{count} at {now:%Y-%m-%d %H:%M:%S} UTC</p>\n{table if found else ''}")


def as_sorry(reason: str) -> str:
    """The page when the cluster does not tell."""
    return _document(f"<p>The cluster does not tell what runs: {escape(reason)}</p>")


def _document(body: str) -> str:
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="{REFRESH_SECONDS}">
<title>Environments</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>Environments</h1>
{body}
</main>
</body>
</html>
"""


def _line(row: Row, now: datetime) -> str:
    links = "<br>".join(map(_address, row.urls))
    cells = [
        escape(row.branch),
        f"<code>{escape(row.commit[:7])}</code>" if row.commit else "-",
        f'<time datetime="{escape(row.created)}">{age(row.created, now)}</time>'
        if row.created
        else "-",
        f'<span class="failed">{escape(row.state)}</span>'
        if row.state.startswith("failed")
        else escape(row.state),
        links or "-",
        _failure(row.failure, now) if row.failure else "-",
    ]
    data = "".join(f"<td>{cell}</td>" for cell in cells)
    return f'<tr><th scope="row">{escape(row.app)}</th>{data}</tr>'


def _address(url: str) -> str:
    """A route as a link; where an app without one is reached, browsers may not ask."""
    shown = escape(url)
    return f'<a href="{shown}">{shown}</a>' if "://" in url else f"<code>{shown}</code>"


def _failure(failure: Failure, now: datetime) -> str:
    head = f"{escape(failure.step)}, {age(failure.at, now)} ago"
    return f"<details><summary>{head}</summary><pre>{escape(failure.reason)}</pre></details>"
