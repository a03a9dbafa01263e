"""Image recipes: what they may say and what becomes of it."""

from __future__ import annotations

from pathlib import Path
from textwrap import indent

import pytest

from slipway.architecture import Architecture
from slipway.bundle.recipes import Recipe, recipes
from slipway.errors import SlipwayError
from slipway.oci import ImageStore

AMD64, ARM64 = Architecture.AMD64, Architecture.ARM64

VERSIONS = {"tool": "1.2.3", "python": "3.13"}

TOOL = """
ref: registry.example/tool:v{tool}
packages: ["python{python}-minimal"]
binaries: {tool: /usr/bin/tool}
files: {tool.conf: /etc/tool.conf}
entrypoint: [/usr/bin/tool, --verbose]
env: {LANG: C.UTF-8}
user: "65532:65532"
ports: [8080]
"""


def write(folder: Path, name: str, text: str) -> None:
    """Enter the recipe ``name`` into the table."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "images.yml").open("a") as table:
        table.write(f"{name}:\n{indent(text.strip(), '  ')}\n")


def said(recipe: Recipe) -> dict[str, object]:
    """What of a recipe's words counts for its image."""
    found = recipe.content[0]
    assert isinstance(found, dict)
    return found


def test_versions_are_filled_in_wherever_they_stand(tmp_path: Path) -> None:
    write(tmp_path, "tool", TOOL)
    (recipe,) = recipes(tmp_path, VERSIONS, AMD64)
    assert (recipe.name, recipe.ref) == ("tool", "registry.example/tool:v1.2.3")
    assert recipe.packages == ["python3.13-minimal"]


def test_the_name_of_the_processor_is_filled_in_as_well(tmp_path: Path) -> None:
    write(tmp_path, "a", "ref: a\nenv: {JAVA_HOME: '/jvm-{tool}-{architecture}'}")
    homes = [
        recipe.env["JAVA_HOME"]
        for architecture in (AMD64, ARM64)
        for recipe in recipes(tmp_path, VERSIONS, architecture)
    ]
    assert homes == ["/jvm-1.2.3-amd64", "/jvm-1.2.3-arm64"]


def test_they_are_sorted_by_name(tmp_path: Path) -> None:
    write(tmp_path, "b", "ref: b")
    write(tmp_path, "a", "ref: a")
    assert [recipe.name for recipe in recipes(tmp_path, VERSIONS, AMD64)] == ["a", "b"]


def test_every_unknown_key_and_version_is_named_at_once(tmp_path: Path) -> None:
    write(tmp_path, "a", "ref: a:{aa}\nusr: root\nname: a")
    write(tmp_path, "b", "ref: b:{tool}\nenv: {HOME: '/{bb}'}")
    write(tmp_path, "c", "ref: c:{tool}\nnodes: some")
    with pytest.raises(SlipwayError) as caught:
        recipes(tmp_path, VERSIONS, AMD64)
    found = [(each.where.split()[-1], each.what) for each in caught.value.problems]
    assert found == [
        ("a", "unknown key name"),
        ("a", "unknown key usr"),
        ("a", "'aa' is not in slipway_versions"),
        ("b", "'bb' is not in slipway_versions"),
        ("c", "unknown nodes"),
    ]
    assert "entrypoint" in caught.value.problems[0].fix


def test_the_image_is_what_the_recipe_says(tmp_path: Path) -> None:
    write(tmp_path / "images", "tool", TOOL)
    (tmp_path / "images" / "tool.conf").write_text("verbose")
    binary = tmp_path / "tool"
    binary.write_bytes(b"binary")
    (recipe,) = recipes(tmp_path / "images", VERSIONS, AMD64)
    layers = recipe.layers(None, {"tool": binary})
    assert len(layers) == 2, "one for the binaries, one for the files that change more often"
    image = ImageStore(tmp_path / "store").add_image(recipe.ref, layers, recipe.config(ARM64))
    assert (image.ref, image.platform) == ("registry.example/tool:v1.2.3", "linux/arm64")
    config = recipe.config(ARM64)
    assert config.entrypoint == ["/usr/bin/tool", "--verbose"]
    assert config.env["LANG"] == "C.UTF-8"
    assert config.env["PATH"].endswith("/usr/bin:/sbin:/bin")
    assert (config.user, tuple(config.ports)) == ("65532:65532", (8080,))


def test_a_recipe_of_packages_alone_has_one_layer(tmp_path: Path) -> None:
    archive = tmp_path / "packages.tar"
    archive.write_bytes(b"\0" * 10240)
    assert len(Recipe(name="a", folder=tmp_path).layers(archive, {})) == 1
    assert Recipe(name="a", folder=tmp_path).layers(None, {}) == []


def test_what_is_only_made_when_it_is_asked_for_changes_no_key_of_the_others(
    tmp_path: Path,
) -> None:
    write(tmp_path, "tool", "ref: a")
    (recipe,) = recipes(tmp_path, VERSIONS, AMD64)
    assert not {"over", "suite", "below"} & {*said(recipe)}
    write(tmp_path, "more", "ref: b\nover: tool\nbelow: [usr]")
    more, again = recipes(tmp_path, VERSIONS, AMD64)
    assert again.content == recipe.content
    assert {"over", "below"} < {*said(more)}
