"""What is read of a pom, whoever wrote it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from slipway.apps.source.pom import LONGEST, Parent, Pom

MODULES = "<modules><module>web</module></modules>"


def pom(text: str) -> Pom:
    return Pom(f"<project>{text}</project>".encode())


def test_modules_are_those_of_the_project() -> None:
    found = pom("<modules>\n<module> core\n</module><module/><module>web</module></modules>")
    assert found.modules() == ["core", "web"]
    assert pom("<modules><module><![CDATA[web]]></module></modules>").modules() == ["web"]


@pytest.mark.parametrize(
    "text",
    [
        f"<!-- {MODULES} -->",
        f"<modules><!-- <module>web</module> --></modules><!-- <!- {MODULES} -->",
        f"<description><![CDATA[{MODULES}]]></description>",
        f"<build><plugins><plugin><configuration>{MODULES}</configuration></plugin></plugins></build>",
        f"<parent>{MODULES}</parent>",
        f"<?note {MODULES}?>",
        "<description>&lt;modules>&lt;module>web&lt;/module>&lt;/modules></description>",
        f'<properties note="{MODULES.replace("<", "&lt;")}"/>',
        "<modules/>",
        f"<profiles><profile><id>all</id>{MODULES}</profile></profiles>",
    ],
)
def test_what_looks_like_a_module_is_none(text: str) -> None:
    assert pom(text).modules() == []


def profile(name: str, activation: str = "") -> str:
    modules = f"<modules><module>{name}</module></modules>"
    return f"<profile><id>{name}</id><activation>{activation}</activation>{modules}</profile>"


PROFILES = "".join(
    [
        profile("named"),
        profile("usual", "<activeByDefault> true </activeByDefault>"),
        profile("other", "<property><name>fast</name></property>"),
    ]
)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], ["usual"]),
        (["-X", "-Dnamed"], ["usual"]),
        (["-Pnamed"], ["named"]),
        (["-P", "named,other"], ["named", "other"]),
        (["-X", "--activate-profiles", "+named"], ["named"]),
        (["--activate-profiles=?other"], ["other"]),
        (["-P!usual"], ["usual"]),
        (["-P"], ["usual"]),
    ],
)
def test_modules_of_a_profile_count_when_it_is_chosen(
    arguments: Sequence[str], expected: list[str]
) -> None:
    assert pom(f"<profiles>{PROFILES}</profiles>").modules(arguments) == expected


def test_a_profile_may_be_chosen_by_what_is_not_set() -> None:
    absent = profile("absent", "<property><name>!fast</name></property>")
    found = pom(f"{MODULES}<profiles>{PROFILES}{absent}</profiles>")
    assert found.modules() == ["web", "absent"]


@pytest.mark.parametrize(
    ("text", "parent"),
    [
        ("", None),
        ("<!-- <parent><artifactId>all</artifactId></parent> -->", None),
        ("<parent><artifactId>all</artifactId></parent>", Parent("all", None)),
        ("<parent><artifactId>all</artifactId><relativePath/></parent>", Parent("all", "")),
        (
            "<parent><artifactId>all</artifactId><relativePath> ../x </relativePath></parent>",
            Parent("all", "../x"),
        ),
    ],
)
def test_the_parent_and_where_it_is(text: str, parent: Parent | None) -> None:
    assert pom(f"<artifactId>web</artifactId>{text}").parent == parent
    assert pom(f"<artifactId>web</artifactId>{text}").artifact == "web"


def test_packaging_is_that_of_the_project() -> None:
    assert pom("<packaging> war\n</packaging>").packaging == "war"
    assert pom("<build><x><packaging>war</packaging></x></build>").packaging == "jar"


def test_texts_are_those_of_everything_but_the_parent_and_comments() -> None:
    text = (
        "../r<parent><relativePath>../p</relativePath></parent><a b='../b'>../a<c>../c</c>../t</a>"
    )
    texts = {each for each in pom(f"{text}<!-- ../x --><d><![CDATA[../d]]></d>").texts() if each}
    assert texts == {f"../{name}" for name in "rabctd"}


@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        ("utf-8", "按钮"),
        ("utf-16", "按钮"),
        ("iso-8859-1", "Größe"),
        ("windows-1251", "кнопка"),
        ("gb2312", "按钮"),
        ("shift_jis", "ソ"),
        ("big5", "功"),
        ("no-such-one", "x"),
    ],
)
def test_a_pom_may_have_any_encoding(encoding: str, name: str) -> None:
    head = f'<?xml version="1.0" encoding="{encoding}"?>\n'
    text = f"{head}<project><name>{name}</name>{MODULES}</project>"
    codec = encoding if encoding != "no-such-one" else "ascii"
    assert Pom(text.encode(codec)).modules() == ["web"]
    wrong = Pom(b"<project><name>\xff</name>" + MODULES.encode() + b"</project>")
    assert wrong.modules() == ["web"]


def test_entities_that_maven_knows_are_no_mistake() -> None:
    assert pom(f"<developer>Andr&eacute;&nbsp;&#233;&amp;</developer>{MODULES}").modules() == [
        "web"
    ]


LAUGHS = "".join(f"<!ENTITY a{n + 1} '{f'&a{n};' * 10}'>" for n in range(12))
DEFAULT = f"<!ATTLIST x y CDATA '{'z' * 100_000}'>"


@pytest.mark.parametrize(
    "content",
    [
        f"<!DOCTYPE project [<!ENTITY a0 'x'>{LAUGHS}]><project><name>&a12;</name>{{}}</project>",
        f"<!DOCTYPE project [{DEFAULT}]><project>{'<x/>' * 100_000}{{}}</project>",
        "<!DOCTYPE project [<!ENTITY x SYSTEM '/etc/passwd'>]><project>&x;{}</project>",
        "<project>{}",
        "{}<project/>",
        "#if(1)<project>{}</project>#end",
        "<a>" * 100_000 + "{}",
        "",
        f"<project>{{}}{' ' * LONGEST}</project>",
    ],
)
def test_what_is_no_xml_or_too_much_says_nothing(content: str) -> None:
    found = Pom(content.format(MODULES).encode())
    assert (found.modules(), found.artifact, found.parent, found.packaging) == ([], "", None, "jar")
    assert "".join(found.texts())[:50] == content.format(MODULES)[:50]


def test_no_more_is_read_of_a_file_than_counts(tmp_path: Path) -> None:
    with (tmp_path / "pom.xml").open("wb") as file:
        file.truncate(1 << 40)
    assert Pom.read(tmp_path / "pom.xml").modules() == []


def test_a_reference_to_another_file_is_not_followed() -> None:
    text = f"<!DOCTYPE project SYSTEM 'file:///etc/passwd'><project>{MODULES}</project>"
    assert Pom(text.encode()).modules() == ["web"]
