"""Pictures show what was said, and nothing else."""

from __future__ import annotations

from xml.etree import ElementTree

from docs import pictures

SVG = "{http://www.w3.org/2000/svg}"
XHTML = "{http://www.w3.org/1999/xhtml}"


def test_a_terminal_shows_every_line_as_it_was_said() -> None:
    said = (
        "$ make up\n==> 0:01 phase 1 of 2: <Nodes> & more\n    changed: [a] b : c\n\nAfter 0:09\n"
    )
    root = ElementTree.fromstring(pictures.terminal(said, "A run"))
    lines = root.findall(f"{SVG}text")
    assert [line.text or "" for line in lines] == said.splitlines()
    assert [line.get("class") for line in lines] == ["command", "phase", "changed", None, "phase"]


def test_a_terminal_is_as_large_as_what_it_shows() -> None:
    small = ElementTree.fromstring(pictures.terminal("a\n", ""))
    large = ElementTree.fromstring(pictures.terminal("a" * 100 + "\na\n", ""))
    sizes = [
        [int(size) for size in (each.get("viewBox") or "").split()[2:]] for each in (small, large)
    ]
    assert sizes[1][0] - sizes[0][0] >= 99 * pictures.WIDTH - 1
    assert sizes[1][1] - sizes[0][1] == pictures.HEIGHT


def test_the_page_is_the_dashboard_s_own_with_the_environments_that_were_listed() -> None:
    listed = (
        "$ make list\nAPP  BRANCH  COMMIT   AGE  STATE      URL             LAST FAILURE\n"
        "shop  main  3dc0dac  18s  ready 1/1  http://a.test/  -\n"
    )
    root = ElementTree.fromstring(pictures.page(listed))
    cells = [
        "".join(cell.itertext()) for cell in root.iter() if cell.tag in (f"{XHTML}td", f"{XHTML}th")
    ]
    assert cells[-7:] == ["shop", "main", "3dc0dac", "18s", "ready 1/1", "http://a.test/", "-"]
