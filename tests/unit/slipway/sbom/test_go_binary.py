"""What programs of Go were made of."""

from __future__ import annotations

import pytest

from slipway.sbom.go_binary import go_packages
from slipway.sbom.packages import Package
from tests.support.sbom_samples import go_program

MODULES = [
    "path\texample.com/tool/cmd/tool",
    "mod\texample.com/tool\t(devel)\t",
    "dep\tgithub.com/BurntSushi/toml\tv1.4.0\th1:abc=",
    "dep\texample.com/old\tv1.0.0",
    "=>\texample.com/new\tv1.1.0\th1:def=",
    "dep\texample.com/local\tv0.0.0",
    "=>\t./local\t(devel)\t",
    "build\tCGO_ENABLED=0",
]

FOUND = [
    Package("golang", "stdlib", "1.26.6"),
    Package("golang", "github.com/BurntSushi/toml", "v1.4.0"),
    Package("golang", "example.com/new", "v1.1.0"),
]


def test_it_is_go_s_library_and_the_modules_that_were_published() -> None:
    assert go_packages(go_program("go1.26.6", MODULES)) == FOUND


def test_a_program_that_was_published_itself_is_one_of_them() -> None:
    modules = ["mod\tk8s.io/kubernetes\tv1.36.3\th1:abc="]
    assert go_packages(go_program("go1.26.6 X:nodwarf5", modules))[1:] == [
        Package("golang", "k8s.io/kubernetes", "v1.36.3")
    ]


def test_one_that_has_the_mark_as_a_text_of_its_own_is_read_all_the_same() -> None:
    text = b"\xff Go buildinf:" + bytes(40)
    for before in (bytes(12) + text, bytes(5) + text):  # where the mark may be, and elsewhere
        assert go_packages(go_program("go1.26.6", MODULES, before)) == FOUND


@pytest.mark.parametrize(
    "program",
    [
        b"",
        b"\x7fELF of C",
        b"\xff Go buildinf:",
        b"\xff Go buildinf:\x08\x00" + bytes(64),
        b"\xff Go buildinf:\x08\x02" + bytes(16) + b"\xff" * 64,
        go_program("go1.26.6", MODULES)[:-80],
        go_program("devel", MODULES),
        go_program("go1.26.6", ["=>"])[:60],
    ],
)
def test_what_is_no_program_of_go_has_none(program: bytes) -> None:
    assert go_packages(program) == []


def test_a_list_that_makes_no_sense_gives_what_does() -> None:
    modules = ["=>\texample.com/new\tv1.1.0", "dep", "dep\tonly", "", "what\tever\tv1"]
    assert go_packages(go_program("go1.26.6", modules)) == [
        Package("golang", "stdlib", "1.26.6"),
        Package("golang", "example.com/new", "v1.1.0"),
    ]
