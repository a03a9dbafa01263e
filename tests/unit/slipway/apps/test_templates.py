"""Templates: plain ones are filled in here, all others by a process that can be ended."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from slipway.apps import confined, templates
from slipway.apps.templates import Unfilled, fill, mistake

KNOWN = {"name": "web", "branch": "feature/Cart", "branch_slug": "feature-cart"}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that the process apart was asked about."""
    texts: list[str] = []
    ask = confined.ASKED.ask

    def noted(request: dict[str, str]) -> dict[str, object]:
        texts.append(request["text"])
        return ask(request)

    monkeypatch.setattr(confined.ASKED, "ask", noted)
    return texts


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("no template", "no template"),
        ("{}", "{}"),
        ("{{ name }}-{{ branch_slug }}\n", "web-feature-cart\n"),
        ("{{ branch | replace('/', '-') | lower }}", "feature-cart"),
        ("{{ host | default('none') }}", "none"),
        ("{{ host if host is defined else name ~ '.test' }}", "web.test"),
        ("{% if branch == 'main' %}a{% elif name %}b{% endif %}", "b"),
        ("{{ '{%' }}x%}{{ '{{' }}", "{%x%}{{"),
    ],
)
def test_a_plain_template_needs_no_other_process(asked: list[str], text: str, filled: str) -> None:
    assert fill(text, KNOWN) == filled
    mistake(text, KNOWN)
    assert asked == []


@pytest.mark.parametrize(
    "text",
    [
        "for i in ${#list[@]}; do echo ${#i}; done #}",
        "{# a comment #}",
        "{#- a -#}\n",
        "a\r\nb\rc\n\r\n",
        "{ % { { $(a) %} }} #} {}",
        "\x1c\x85\u2028 \ufeff",
        "\n\n  \t\n",
    ],
)
@pytest.mark.parametrize(
    ("around", "filled"),
    [
        ("%s", ""),
        ("{{ name }}%s", "web"),
        ("{%% if name %%}%s{%% endif %%}", ""),
        ("{{ name[0]\r\n }}%s", "w"),
    ],
    ids=["alone", "plain", "statement", "apart"],
)
def test_what_is_neither_a_name_nor_a_statement_stays_to_the_letter(
    text: str, around: str, filled: str
) -> None:
    template = around % text
    assert mistake(template, KNOWN) is None
    assert fill(template, KNOWN) == filled + text


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("{{ branch.split('/')[1] }}", "Cart"),
        ("{% for n in range(3) %}{{ n }}{% endfor %}", "012"),
        ("{% set a = name %}{{ a * 2 }}", "webweb"),
        ("{{ branch | replace('f', 'ff') | replace('f', 'ff') }}", "ffffeature/Cart"),
        ("{{ '%s!' | format(name) }}", "web!"),
        ("{{ name | list | join('.') }}\n", "w.e.b\n"),
    ],
)
def test_whatever_says_more_goes_to_one(asked: list[str], text: str, filled: str) -> None:
    assert mistake(text, KNOWN) is None
    assert fill(text, KNOWN) == filled
    assert asked == [text, text]


def test_a_text_that_replaces_may_be_no_longer_than_it_can_grow(asked: list[str]) -> None:
    text = "{{ name | replace('w', '" + "x" * templates._LONGEST_REPLACED + "') }}"
    assert len(fill(text, KNOWN)) == templates._LONGEST_REPLACED + 2
    assert len(asked) == 1


def test_what_is_nested_deeply_is_not_compiled_here(asked: list[str]) -> None:
    text = "{% if name %}" * 60 + "x" + "{% endif %}" * 60
    assert fill(text, KNOWN) == "x"
    assert len(asked) == 1


def test_what_is_constant_is_not_computed_to_find_the_names() -> None:
    assert mistake("{{ nmae }}{{ 10 ** 9 * 'a' }}", KNOWN) is not None


def test_a_line_is_told_of_what_went_wrong_in_either_place() -> None:
    for text in ("a\n{{ nope }}", "a\n{{ name.x.y }}"):
        with pytest.raises(Unfilled, match=r"undefined|no attribute") as caught:
            fill(text, KNOWN)
        assert caught.value.line == 2


def test_after_one_that_broke_its_bounds_the_next_is_filled_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    endless = (
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}{{ name }}"
    )
    with pytest.raises(Unfilled, match=r"it takes more than 2 s of a processor's time|longer than"):
        fill(endless, KNOWN)
    assert fill("{{ name[0] }}", KNOWN) == "w"
    monkeypatch.setattr(confined, "WALL_SECONDS", 0.01)
    with pytest.raises(Unfilled, match="it takes longer than"):
        fill(endless, KNOWN)
    monkeypatch.undo()
    assert fill("{{ name[0] }}", KNOWN) == "w"


def test_values_are_in_no_argument_variable_or_file_of_the_process() -> None:
    assert fill("{{ name[0:] }}", {"name": "s3cr3t-value"}) == "s3cr3t-value"
    process = confined.ASKED._process
    assert process is not None
    place = Path(f"/proc/{process.pid}")
    seen = (place / "cmdline").read_bytes() + (place / "environ").read_bytes()
    assert b"s3cr3t-value" not in seen
    assert all("pipe:" in str((place / "fd" / number).readlink()) for number in "01")


def test_threads_and_forks_do_not_get_each_others_answers() -> None:
    texts = [f"{{{{ name[0] * {number} }}}}" for number in range(20)]
    found: dict[str, str] = {}

    def work(text: str) -> None:
        found[text] = fill(text, KNOWN)

    threads = [threading.Thread(target=work, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[text] for text in texts] == ["w" * number for number in range(20)]
    fork = os.fork()
    if fork == 0:
        os._exit(0 if fill("{{ name[1] }}", KNOWN) == "e" else 1)
    assert os.waitpid(fork, 0)[1] == 0
    assert fill("{{ name[2] }}", KNOWN) == "b"
