"""An app whose project is a folder of its repository."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from slipway.apps.app import JibBuild, Sourced
from slipway.apps.builders.order import Order
from slipway.apps.source import project
from slipway.apps.source.git import Mirror
from slipway.apps.source.working_copy import heads_of
from tests.support.apps import reason
from tests.support.git_samples import commit, git
from tests.support.maven_samples import write
from tests.support.sources import app_of, get, sourced, told

POM = "services/orders/pom.xml"
FOLDER = "services/orders"
PARENT = "<parent><artifactId>all</artifactId>{}</parent>"
ALL = "<artifactId>all</artifactId>"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A repository with two services and nothing to build above them."""
    commit(tmp_path / "shop", {POM: "1", "services/web/Dockerfile": "", "README": ""})
    return tmp_path / "shop"


def test_a_folder_is_what_the_app_is_made_of(shop: Path, tmp_path: Path) -> None:
    [app] = sourced(get(tmp_path / "cache", app_of(shop, folder=FOLDER)))
    assert (app.project, app.whole) == (FOLDER, False)
    assert app.tree == git(shop, "rev-parse", f"HEAD:{FOLDER}")
    assert Path(app.checkout, app.project, "pom.xml").read_text() == "1"


def test_a_commit_elsewhere_is_no_other_source(shop: Path, tmp_path: Path) -> None:
    first = git(shop, "rev-parse", "HEAD")
    before = get(tmp_path / "cache", app_of(shop, folder=FOLDER))
    commit(shop, {"services/web/Dockerfile": "FROM x", "README": "more"})

    after = get(tmp_path / "cache", app_of(shop, folder=FOLDER))

    assert (before.fetched, after.fetched) == ([str(shop)], [])
    same = [(app.tree, app.commit) for got in (before, after) for app in sourced(got)]
    assert same[0] == same[1]
    assert same[0][1] == first
    changed = commit(shop, {POM: "2"})
    last = get(tmp_path / "cache", app_of(shop, folder=FOLDER))
    [app] = sourced(last)
    assert (app.commit, last.fetched) == (changed, [str(shop)])
    assert app.tree != same[0][0]


def test_a_merge_of_what_is_elsewhere_is_no_other_commit(shop: Path, tmp_path: Path) -> None:
    first = git(shop, "rev-parse", "HEAD")
    commit(shop, {"README": "feature"}, "feature/x")
    commit(shop, {"services/web/Dockerfile": "FROM x"}, "main")
    git(shop, "merge", "-q", "--no-edit", "feature/x")
    [app] = sourced(get(tmp_path / "cache", app_of(shop, folder=FOLDER)))
    assert app.commit == first


def test_folders_of_one_repository_share_all_that_is_fetched(shop: Path, tmp_path: Path) -> None:
    got = get(
        tmp_path / "cache",
        app_of(shop, folder=FOLDER, name="orders"),
        app_of(shop, folder="services/web", name="web"),
        app_of(shop, name="all"),
    )
    apps = sourced(got)
    assert {app.checkout for app in apps} == {apps[0].checkout}
    assert len({app.tree for app in apps}) == 3
    assert len(list((tmp_path / "cache" / "git").iterdir())) == 1


def test_a_saved_file_counts_in_the_folder_alone(shop: Path, tmp_path: Path) -> None:
    [first] = sourced(get(tmp_path / "cache", app_of(shop, folder=FOLDER)))

    def saved(name: str, text: str) -> Sourced:
        (shop / name).write_text(text)
        heads = heads_of(Mirror(str(shop), tmp_path / "cache"))
        [app] = sourced(told(tmp_path / "cache", {shop: heads}, app_of(shop, folder=FOLDER)))
        return app

    outside = saved("README", "saved")
    assert (outside.tree, outside.commit) == (first.tree, first.commit)
    inside = saved(POM, "saved")
    assert inside.tree != first.tree
    assert Path(inside.checkout, POM).read_text() == "saved"


@pytest.mark.parametrize(
    "folder", ["a", "a/b/c d", "dienste/Aufträge (neu)", "-x", "a: b", "x tree 1", "*", "a.git"]
)
def test_a_folder_may_have_any_name(tmp_path: Path, folder: str) -> None:
    head = commit(tmp_path / "shop", {f"{folder}/pom.xml": "1", "other/pom.xml": ""})
    commit(tmp_path / "shop", {"other/pom.xml": "2"})
    [app] = sourced(get(tmp_path / "cache", app_of(tmp_path / "shop", folder=folder)))
    assert not app.failed, app.failed
    assert app.tree == git(tmp_path / "shop", "rev-parse", f"HEAD:{folder}")
    assert (app.project, app.commit) == (folder, head)


def test_what_is_unknown_to_git_has_no_tree_whatever_its_name(shop: Path, tmp_path: Path) -> None:
    mirror = Mirror(str(shop), tmp_path / "cache")
    mirror.fetch(["main"])
    head = git(shop, "rev-parse", "HEAD")
    assert mirror.trees([f"{head}:x\u2028 tree 1", f"{head}:{POM}"]) == [None, None]
    assert mirror.trees([f"{head}:x\u2028y", head])[1] is not None


def test_a_link_to_a_folder_is_followed(shop: Path, tmp_path: Path) -> None:
    (shop / "current").symlink_to(FOLDER)
    commit(shop, {})
    head = commit(shop, {POM: "2"})
    [app] = sourced(get(tmp_path / "cache", app_of(shop, folder="current")))
    assert (app.project, app.commit) == (FOLDER, head)
    assert app.tree == git(shop, "rev-parse", f"HEAD:{FOLDER}")


def test_a_link_to_the_top_is_the_whole_repository(shop: Path, tmp_path: Path) -> None:
    (shop / "here").symlink_to(".")
    commit(shop, {})
    wanted = app_of(shop, folder="here"), app_of(shop, name="plain")
    linked, plain = (
        (app.project, app.whole, app.tree, app.commit)
        for app in sourced(get(tmp_path / "cache", *wanted))
    )
    assert linked == plain
    assert plain[0] == "."


@pytest.mark.parametrize("folder", ["library", "library/deep"])
def test_a_submodule_is_known_by_its_own_tree(tmp_path: Path, folder: str) -> None:
    library, shop = tmp_path / "library", tmp_path / "shop"
    commit(library, {"deep/pom.xml": "1"})
    commit(shop, {"README": ""})
    allowed = ["-c", "protocol.file.allow=always"]
    git(shop, *allowed, "submodule", "add", "../library", "library")
    git(shop, "commit", "-qam", "library")
    wanted = app_of(shop, folder=folder)
    [first] = sourced(get(tmp_path / "cache", wanted))
    inside = folder.removeprefix("library").lstrip("/")
    assert first.tree == git(library, "rev-parse", f"HEAD:{inside}")

    commit(shop, {"README": "more"})
    [elsewhere] = sourced(get(tmp_path / "cache", wanted))
    commit(library, {"deep/pom.xml": "2"})
    git(shop / "library", "pull", "-q")
    commit(shop, {})
    [newer] = sourced(get(tmp_path / "cache", wanted))

    assert first.tree == elsewhere.tree != newer.tree
    assert (
        Path(newer.checkout, newer.project)
        .joinpath("deep/pom.xml".removeprefix(f"{inside}/"))
        .read_text()
        == "2"
    )


def test_a_folder_that_is_not_there_is_told_with_those_that_are(shop: Path, tmp_path: Path) -> None:
    (shop / "away").symlink_to("/etc")
    (shop / "lost").symlink_to("nowhere")
    head = commit(shop, {})[:7]
    commit(shop, {"new/pom.xml": ""}, "feature/x")
    wanted = ["services/order", "Services/Orders", POM, "away", "lost", "new"]
    found = get(
        tmp_path / "cache",
        *(app_of(shop, folder=folder) for folder in wanted),
        app_of(shop, "feature/x", folder="new"),
        app_of(shop, folder=FOLDER),
    ).apps
    where, there = f"{shop}, branch main at {head}:", "pom.xml or Dockerfile is in"
    both = f"{there} services/orders, services/web"
    assert [reason(app) for app in found[:6]] == [
        f"{where} has no folder services/order\n    fix: did you mean services/orders? {both}",
        f"{where} has no folder Services/Orders\n    fix: did you mean services/orders? {both}",
        f"{where} has a file {POM}, not a folder\n    fix: did you mean services/orders? {both}",
        f"{where} has a link away that leads out of it\n    fix: {both}",
        f"{where} has no folder lost\n    fix: {both}",
        f"{where} has no folder new\n    fix: {both}",
    ]
    assert {app.failed.step for app in found if app.failed} == {"source"}
    assert not any(app.failed for app in found[6:])


def test_a_repository_without_any_project_says_so(tmp_path: Path) -> None:
    commit(tmp_path / "shop", {"a/file": ""})
    [app] = get(tmp_path / "cache", app_of(tmp_path / "shop", folder="b")).apps
    assert reason(app).endswith("fix: no folder of it has a pom.xml or a Dockerfile")


def test_a_check_says_of_a_folder_what_a_run_has_said(shop: Path, tmp_path: Path) -> None:
    apps = app_of(shop, folder=FOLDER), app_of(shop, folder="nowhere")
    ran = get(tmp_path / "cache", *apps).apps
    assert get(tmp_path / "cache", *apps, check=True).apps == ran


NEEDS_MORE = {
    "a parent in the next folder": {POM: PARENT.format(""), "services/pom.xml": ALL},
    "a parent at the top": {
        POM: PARENT.format("<relativePath>../../pom.xml</relativePath>"),
        "pom.xml": ALL,
    },
    "a parent's folder": {
        POM: PARENT.format("<relativePath>../../parent</relativePath>"),
        "parent/pom.xml": ALL,
    },
    "a parent of another name": {
        POM: PARENT.format("<relativePath> ../base.xml </relativePath>"),
        "services/base.xml": f"<project>{ALL}</project>",
    },
    "the parent of a parent": {
        POM: PARENT.format("<relativePath>own/pom.xml</relativePath>"),
        f"{FOLDER}/own/pom.xml": ALL
        + "<parent><artifactId>top</artifactId><relativePath>../../pom.xml</relativePath></parent>",
        "services/pom.xml": "<artifactId>top</artifactId>",
    },
    "a module elsewhere": {POM: "<modules><module>../web</module></modules>"},
    "a folder of its own base": {POM: "<directory>${project.basedir}/../shared</directory>"},
    "a folder of another base": {POM: "<directory>${project.parent.basedir}/../x</directory>"},
    "an argument of a module": {
        POM: "",
        f"{FOLDER}/part/pom.xml": "<argLine>-javaagent:../../../agent.jar</argLine>",
    },
    "a path as it stands": {POM: "<script><![CDATA[cp ../web/x .]]></script>"},
    "a pom that is no XML": {POM: "< ../x"},
    "a parent that is no XML": {POM: PARENT.format(""), "services/pom.xml": "<"},
    "settings of Maven at the top": {POM: "", ".mvn/maven.config": "-Pci"},
    "settings that name others": {POM: "", f"{FOLDER}/.mvn/maven.config": "-s\n../settings.xml"},
}


@pytest.mark.parametrize("case", NEEDS_MORE)
def test_a_maven_project_may_need_more_than_its_folder(tmp_path: Path, case: str) -> None:
    write(tmp_path, NEEDS_MORE[case])
    assert project.needs_more(tmp_path / FOLDER, tmp_path, "web (main)")


def test_what_needs_more_is_made_of_the_whole_repository(shop: Path, tmp_path: Path) -> None:
    write(shop, NEEDS_MORE["a parent at the top"])
    commit(shop, {})
    [first] = sourced(get(tmp_path / "cache", app_of(shop, folder=FOLDER)))
    head = commit(shop, {"README": "2"})
    [app] = sourced(get(tmp_path / "cache", app_of(shop, folder=FOLDER, build={"tool": "jib"})))
    assert (app.whole, app.project, app.commit) == (True, FOLDER, head)
    assert app.tree == git(shop, "rev-parse", "HEAD^{tree}") != first.tree


ENOUGH = {
    "no parent": {POM: "", "pom.xml": ALL},
    "a parent from a repository": {
        POM: PARENT.format("<relativePath/>"),
        "services/pom.xml": ALL,
    },
    "a parent that is not at its usual place": {POM: PARENT.format(""), "pom.xml": ALL},
    "another project at the parent's usual place": {
        POM: PARENT.format(""),
        "services/pom.xml": "<artifactId>other</artifactId>",
    },
    "a parent in the folder": {
        POM: ALL,
        f"{FOLDER}/part/pom.xml": PARENT.format("<relativePath>../pom.xml</relativePath>"),
    },
    "a path that stays": {POM: "<a>${basedir}/part/../src</a>", f"{FOLDER}/part/x": ""},
    "words in a comment": {POM: "<!-- <module>../web</module> -->"},
    "a parent in a comment": {POM: f"<!-- {PARENT.format('')} -->", "services/pom.xml": ALL},
    "words of a project beside": {
        POM: PARENT.format(""),
        "services/pom.xml": f"<!-- {ALL} --><artifactId>x</artifactId>",
    },
    "dots that are no path": {POM: "<a>[1,2..3]</a><b>and so on... 1..2</b>"},
    "settings of its own": {
        POM: "",
        f"{FOLDER}/.mvn/maven.config": "-Pci",
        ".mvn/maven.config": "-Pother",
    },
}


@pytest.mark.parametrize("case", ENOUGH)
def test_a_maven_project_may_be_complete_in_its_folder(tmp_path: Path, case: str) -> None:
    write(tmp_path, ENOUGH[case])
    assert not project.needs_more(tmp_path / FOLDER, tmp_path, "web (main)")


@pytest.mark.parametrize(
    ("target", "whole"), [("../../shared", True), ("part", False), ("/etc", False)]
)
def test_a_link_out_of_a_maven_project_needs_the_repository(
    shop: Path, tmp_path: Path, target: str, whole: bool
) -> None:
    write(shop, {"shared/x": "", f"{FOLDER}/part/x": ""})
    (shop / FOLDER / "link").symlink_to(target)
    commit(shop, {})
    [app] = sourced(get(tmp_path / "cache", app_of(shop, folder=FOLDER)))
    assert app.whole is whole


def test_only_maven_may_need_more_than_the_folder(shop: Path, tmp_path: Path) -> None:
    commit(shop, {"pom.xml": ALL, ".mvn/x": "", "services/web/x": "../x"})
    web = app_of(shop, folder="services/web")
    orders = app_of(shop, folder=FOLDER, name="orders", build={"tool": "buildx"})
    found = sourced(get(tmp_path / "cache", web, orders))
    assert [app.whole for app in found] == [False, False]


@pytest.mark.parametrize(
    ("build", "whole"),
    [
        ({"tool": "jib", "args": ["-s", "../settings.xml"]}, True),
        ({"tool": "jib", "args": ["-s", "settings.xml"]}, False),
        ({"tool": "buildx", "args": {"A": "../x"}}, False),
    ],
)
def test_arguments_of_maven_may_name_what_is_outside(
    shop: Path, tmp_path: Path, build: dict[str, Any], whole: bool
) -> None:
    [app] = sourced(get(tmp_path / "cache", app_of(shop, folder=FOLDER, build=build)))
    assert app.whole is whole


def order(tmp_path: Path, shop: Path, *, whole: bool) -> Order[JibBuild]:
    """To build the orders of the shop."""
    mirror = Mirror(str(shop), tmp_path / "cache")
    mirror.fetch(["main"])
    checkout = mirror.lay_out(git(shop, "rev-parse", "main"))
    (tmp_path / "scratch").mkdir()
    return Order(
        "orders", "shop", checkout, JibBuild(), None, {}, tmp_path / "scratch", FOLDER, whole
    )


def files(folder: Path) -> set[str]:
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    return {name for name in names if not name.startswith(".git/")}


def test_a_build_gets_the_folder_alone_and_git_misses_nothing(shop: Path, tmp_path: Path) -> None:
    commit(shop, {f"{each}/file": "" for each in (os.fsdecode(b"\xfc"), "ä b", '"quoted"')})
    place = order(tmp_path, shop, whole=False).copy()
    assert place == tmp_path / "scratch" / "source" / FOLDER
    assert files(tmp_path / "scratch" / "source") == {POM}
    assert git(place, "rev-parse", "HEAD") == git(shop, "rev-parse", "HEAD")
    assert git(place, "status", "--porcelain") == ""
    (place / "pom.xml").write_text("changed")
    assert git(place, "status", "--porcelain") == f"M {POM}"


def test_a_build_gets_the_whole_repository_where_it_needs_that(shop: Path, tmp_path: Path) -> None:
    place = order(tmp_path, shop, whole=True).copy()
    assert place == tmp_path / "scratch" / "source" / FOLDER
    assert files(tmp_path / "scratch" / "source") == {POM, "services/web/Dockerfile", "README"}


@pytest.mark.parametrize("whole", [True, False])
def test_a_context_has_nothing_of_git(shop: Path, tmp_path: Path, whole: bool) -> None:
    place = order(tmp_path, shop, whole=whole).copy(with_git=False)
    assert [path.name for path in place.iterdir()] == ["pom.xml"]
    assert not (tmp_path / "scratch" / "source" / ".git").exists()
