"""What a pom says, as far as it counts before Maven reads it.

Anybody may have written it: it is read within bounds, and no entity that it declares is resolved.
One that is no XML says nothing here. Maven, which is told of it then, says what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

LONGEST = 2 << 20
"""How many bytes of a pom are read; those that people write have some thousands."""

_ENCODINGS = (None, "iso-8859-1")
"""What a pom is read in: what it says itself or, where that is unknown, each byte a character."""

_PROFILES = ("-P", "--activate-profiles")
"""Maven's arguments that name profiles."""


@dataclass(frozen=True)
class Parent:
    """Which project a pom goes on from; ``path`` is None where it does not say where that is."""

    artifact: str
    path: str | None


class Pom:
    """A project as its own pom has it, without what that inherits."""

    def __init__(self, content: bytes) -> None:
        trees = (_tree(content, each) for each in _ENCODINGS if len(content) <= LONGEST)
        root = next((tree for tree in trees if tree is not None), None)
        self._root = Element("project") if root is None else root
        self._raw = content.decode(errors="replace") if root is None else ""

    @classmethod
    def read(cls, path: Path) -> Pom:
        """The pom in a file."""
        with path.open("rb") as file:
            return cls(file.read(LONGEST + 1))

    @property
    def artifact(self) -> str:
        """The artifact's name."""
        return _text(self._root, "artifactId")

    @property
    def packaging(self) -> str:
        """What Maven makes of it."""
        return _text(self._root, "packaging") or "jar"

    @property
    def parent(self) -> Parent | None:
        """The project that it inherits from."""
        element = self._root.find("parent")
        if element is None:
            return None
        path = element.find("relativePath")
        return Parent(_text(element, "artifactId"), None if path is None else _text(path, "."))

    def modules(self, arguments: Sequence[str] = ()) -> list[str]:
        """The modules that Maven builds with it when it is called with these arguments.

        Of profiles those count that are chosen by name or by a property that is not set, and
        otherwise those of the default.
        """
        named = set(_profiles(arguments))
        profiles = self._root.findall("profiles/profile")
        chosen = [
            each
            for each in profiles
            if _text(each, "id") in named or _text(each, "activation/property/name").startswith("!")
        ]
        usual = [each for each in profiles if _text(each, "activation/activeByDefault") == "true"]
        elements = [self._root, *(chosen or usual)]
        names = [_text(name, ".") for each in elements for name in each.findall("modules/module")]
        return [name for name in names if name]

    def has(self, element: str, text: str) -> bool:
        """Whether it has an element of this name and text, at any place."""
        return any(_text(each, ".") == text for each in self._root.iter(element))

    def texts(self) -> Iterator[str]:
        """All texts and attributes but those of its parent; if it is no XML, all of it."""
        yield self._raw
        left = [self._root]
        while left:
            element = left.pop()
            yield from (element.text or "", element.tail or "", *element.attrib.values())
            is_top = element is self._root
            left += (each for each in element if not (is_top and each.tag == "parent"))


def _tree(content: bytes, encoding: str | None) -> Element | None:
    """The tree of an XML document, None if it is none."""
    builder = TreeBuilder()
    parser = expat.ParserCreate(encoding)
    # Entities of HTML, which Maven knows, are left out and no mistake.
    parser.UseForeignDTD(True)
    parser.StartDoctypeDeclHandler = _refuse_declarations
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(content, True)
        return builder.close()
    except (expat.ExpatError, ValueError, LookupError):
        return None


def _refuse_declarations(_name: str, _system: object, _public: object, own: bool) -> None:
    """A few declarations of a document's own may make a text that no memory can hold."""
    if own:
        raise ValueError("it declares what it is made of")


def _text(element: Element, path: str) -> str:
    """The text of the element at a path, empty where there is none."""
    return (element.findtext(path) or "").strip()


def _profiles(arguments: Sequence[str]) -> Iterator[str]:
    """The profiles that Maven's arguments choose."""
    for flag, argument in pairwise(["", *arguments, ""]):
        glued = next((each for each in _PROFILES if flag.startswith(each)), flag)
        if glued in _PROFILES:
            names = flag.removeprefix(glued).removeprefix("=") or argument
            yield from (name.lstrip("+?") for name in names.split(","))
