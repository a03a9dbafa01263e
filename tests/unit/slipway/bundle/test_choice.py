"""Which provider a run has each of its bundles from, and the line that says why."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from slipway.architecture import Architecture
from slipway.bundle import upstream as upstream_module
from slipway.bundle.archive import ArchiveProvider
from slipway.bundle.choice import Choice, chosen
from slipway.bundle.download import Login
from slipway.bundle.registry import Found, Repository
from slipway.bundle.source import SourceProvider
from slipway.bundle.upstream import UpstreamProvider
from slipway.errors import SlipwayError
from tests.support.bundles import Maker, bundle, silent
from tests.support.file_servers import Fault
from tests.support.upstreams import HERE, REF, Project, Upstream, upstream

AMD64, ARM64 = Architecture.AMD64, Architecture.ARM64


def args(**changes: Any) -> dict[str, Any]:
    """The options of a module; nothing is named."""
    return {
        "provider": "auto",
        "archive": [],
        "signers": "",
        "login": {},
        "mirrors": {},
        "signatures": "off",
        "secrets": {"files": "password"},
        "project": "/srv/slipway",
        "versions": {"kubernetes": "1.36.3", "jre": 21},
        "cache": "/var/cache/slipway",
        "strict": False,
        **changes,
    }


def only(found: dict[Architecture, Choice]) -> Choice:
    """The choice of one."""
    (choice,) = found.values()
    return choice


@pytest.mark.parametrize(
    ("provider", "place", "kind", "why"),
    [
        ("source", "/x", SourceProvider, "from source, as bundle_provider says so"),
        ("auto", "/x", ArchiveProvider, "from the archive /x, as slipway_bundle names it"),
        ("archive", "/x", ArchiveProvider, "from the archive /x, as slipway_bundle names it"),
        (
            "auto",
            "https://ada:secret@files.test/x?token=secret",
            ArchiveProvider,
            "from the archive https://files.test/x, as slipway_bundle names it",
        ),
    ],
)
def test_an_archive_that_is_named_comes_first(
    provider: str, place: str, kind: type, why: str
) -> None:
    choice = only(chosen(args(provider=provider, archive=[place]), [ARM64], silent))
    assert isinstance(choice.provider, kind)
    assert choice.why == why
    assert choice.provider.versions == {"kubernetes": "1.36.3", "jre": "21"}
    assert choice.provider.cache.root == Path("/var/cache/slipway")


def test_an_archive_that_is_wanted_and_not_named_is_told() -> None:
    with pytest.raises(SlipwayError, match="bundle_provider: is archive, and none is named"):
        chosen(args(provider="archive"), [AMD64], silent)


def test_signers_and_login_go_with_it() -> None:
    login = {"user": "ada", "password": "files"}
    given = args(archive=["/x"], signers="/etc/signers", login=login)
    provider = only(chosen(given, [AMD64], silent)).provider
    assert isinstance(provider, ArchiveProvider)
    assert provider.signers == Path("/etc/signers")
    assert provider.login == Login("ada", "password")


@pytest.mark.parametrize(
    ("login", "words"),
    [
        ({"user": "ada"}, "has other keys than user and password"),
        ({"user": "ada", "password": "files", "host": "x"}, "has other keys"),
        ({"user": "ada", "password": "none"}, "password: is not in slipway_secrets"),
    ],
)
def test_a_login_that_cannot_be_is_told(login: dict[str, str], words: str) -> None:
    with pytest.raises(SlipwayError, match=words):
        chosen(args(archive=["/x"], login=login), [AMD64], silent)


@pytest.fixture
def made(tmp_path: Path) -> Maker:
    return Maker(tmp_path)


def test_what_is_made_from_source_is_for_its_architecture_and_strict_if_that_is_wanted() -> None:
    found = chosen(args(provider="source", strict=True), [ARM64, AMD64], silent)
    providers = [choice.provider for choice in found.values()]
    assert [*found] == [ARM64, AMD64]
    assert all(isinstance(each, SourceProvider) and each.strict for each in providers)
    assert [getattr(each, "architecture", None) for each in providers] == [ARM64, AMD64]


def test_of_several_archives_each_serves_its_own_and_what_nobody_wants_is_left(
    made: Maker,
) -> None:
    of_arm, of_amd = (str(made(platform=f"linux/{each}")) for each in (ARM64, AMD64))
    for wanted in ([AMD64, ARM64], [AMD64]):
        found = chosen(args(provider="archive", archive=[of_arm, f" {of_amd}"]), wanted, silent)
        places = {each: getattr(choice.provider, "place", "") for each, choice in found.items()}
        assert places == {each: {AMD64: of_amd, ARM64: of_arm}[each] for each in wanted}


def test_where_archives_alone_are_wanted_one_that_is_lacking_is_told(made: Maker) -> None:
    archive = made(platform="linux/amd64")
    given = args(provider="archive", archive=[str(archive)])
    with pytest.raises(SlipwayError) as caught:
        chosen(given, [AMD64, ARM64], silent)
    (problem,) = caught.value.problems
    assert problem.where == "slipway_bundle"
    assert problem.what == f"has no archive for linux/arm64: {archive} is for linux/amd64"
    assert "make bundle ARCH=arm64 OUT=..." in problem.fix


def test_archives_of_which_none_is_wanted_are_told(made: Maker) -> None:
    archive = made(platform="linux/s390x")
    with pytest.raises(SlipwayError, match="is for linux/s390x") as caught:
        chosen(args(archive=[str(archive)]), [AMD64, ARM64], silent)
    assert len(caught.value.problems) == 2


def test_all_archives_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    places = [f"{tmp_path}/a", f"{tmp_path}/b"]
    with pytest.raises(SlipwayError) as caught:
        chosen(args(archive=places), [AMD64], silent)
    assert [problem.where for problem in caught.value.problems] == places


@pytest.fixture
def served() -> Iterator[Upstream]:
    with upstream() as served:
        yield served


@pytest.fixture
def project(tmp_path: Path, served: Upstream, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setattr(upstream_module, "SECONDS", 30.0)  # for a machine that has much to do
    return Project(tmp_path / "project", served)


def choices(project: Project, *architectures: Architecture, **changes: Any) -> list[Choice]:
    """What a run of a project chooses for each architecture."""
    project.source()
    own = {"project": project.root, "cache": project.root / "cache", "versions": project.versions}
    given = args(**own, mirrors=project.mirrors, **changes)
    return [*chosen(given, architectures, project.said.append).values()]


def choice(project: Project, **changes: Any) -> Choice:
    """What it chooses for this machine."""
    (found,) = choices(project, project.architecture, **changes)
    return found


def test_without_an_archive_upstream_comes_first_if_it_answers(project: Project) -> None:
    found = choice(project)
    assert isinstance(found.provider, UpstreamProvider)
    assert found.why == "from upstream, as no archive is named and it answers"


def test_a_part_of_upstream_is_enough(project: Project, served: Upstream) -> None:
    del project.lock["files"]
    served.faults["/tool/1.0.0/tool"] = [Fault(503)]
    assert isinstance(choice(project).provider, UpstreamProvider)


def test_without_any_answer_it_is_source_with_the_reason(project: Project) -> None:
    [tool] = project.lock["files"]["tool"]
    tool["sha256"] = {"0.9.0": tool["sha256"]["1.0.0"]}
    project.mirrors = dict.fromkeys(project.mirrors, "http://localhost:1")
    found = choice(project)
    assert isinstance(found.provider, SourceProvider)
    why = "from source, as no archive is named and upstream has nothing: localhost:1: Connection re"
    assert found.why.startswith(why)


def test_of_what_no_lock_knows_nobody_is_asked(project: Project, served: Upstream) -> None:
    project.lock = {}
    found = choice(project)
    assert isinstance(found.provider, SourceProvider)
    assert served.asked == []


def test_the_bundle_of_source_that_is_there_asks_nobody(project: Project, served: Upstream) -> None:
    source = project.source()
    bundle(source.cache.bundles / source.key[:16])
    assert isinstance(choice(project).provider, SourceProvider)
    assert served.asked == []


def test_a_bundle_whose_parts_are_there_asks_nobody(project: Project, served: Upstream) -> None:
    source = project.source()
    for part in source.parts:
        bundle(source.cache.bundle_parts / part.folder)
    found = choice(project)
    assert found.why == "from source, as no archive is named and its parts are in the cache"
    assert served.asked == []


def test_the_bundle_of_upstream_that_is_there_asks_nobody(
    project: Project, served: Upstream
) -> None:
    provider = project.provider()
    bundle(provider.cache.bundles / provider.key[:16])
    found = choice(project)
    assert isinstance(found.provider, UpstreamProvider)
    assert found.why == "from upstream, as no archive is named"
    assert served.asked == []


def test_upstream_by_name_is_asked_when_it_is_needed(project: Project, served: Upstream) -> None:
    found = choice(project, provider="upstream")
    assert isinstance(found.provider, UpstreamProvider)
    assert found.why == "from upstream, as bundle_provider says so"
    assert served.asked == []
    assert not found.provider.hurried
    assert REF in found.provider.offer.images


def test_a_mirror_that_is_none_is_told(project: Project) -> None:
    project.mirrors["dl.test"] = "none"
    with pytest.raises(SlipwayError, match="is at none, which is no address"):
        choice(project, provider="upstream")


def test_each_kind_of_machine_has_its_own_way_and_line(project: Project, served: Upstream) -> None:
    """What is in the cache for one of them says nothing of the other, nor what upstream has."""
    del project.lock["files"]
    project.lock["images"][REF] = project.put_image("amd64")
    project.architecture = ARM64
    assert [each.why for each in choices(project, AMD64, ARM64)] == [
        "from upstream, as no archive is named and it answers",
        "from source, as no archive is named and upstream has nothing: "
        f"{served.url.removeprefix('http://')}: has no image for linux/arm64; it has linux/amd64",
    ]
    source = project.source()
    bundle(source.cache.bundles / source.key[:16])
    found = choices(project, AMD64, ARM64)
    assert [type(each.provider) for each in found] == [UpstreamProvider, SourceProvider]
    assert found[1].why == "from source, as no archive is named and its parts are in the cache"


def test_upstream_is_asked_for_each_kind_of_machine_at_the_same_time(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    all_ask, find = Barrier(2, timeout=10), Repository.find

    def together(repository: Repository, digest: str, platform: str) -> Found:
        all_ask.wait()
        return find(repository, digest, platform)

    monkeypatch.setattr(Repository, "find", together)
    del project.lock["files"]
    project.lock["images"][REF] = project.put_image("amd64", "arm64")
    found = choices(project, AMD64, ARM64)
    assert [type(each.provider) for each in found] == [UpstreamProvider, UpstreamProvider]


def test_an_archive_serves_what_it_was_made_for_and_the_others_come_from_elsewhere(
    project: Project, made: Maker
) -> None:
    project.lock["images"][REF] = project.put_image("amd64", "arm64")
    archive = made(platform="linux/arm64")
    own, other = choices(project, AMD64, ARM64, archive=[str(archive)])
    assert isinstance(own.provider, UpstreamProvider)
    assert own.provider.source.architecture is AMD64
    assert own.why == "from upstream, as no archive is for amd64 and it answers"
    assert isinstance(other.provider, ArchiveProvider)
    assert (other.provider.place, other.provider.source.architecture) == (str(archive), ARM64)
    assert other.why == f"from the archive {archive}, as slipway_bundle names it"


def test_who_has_nothing_made_asks_nobody(project: Project, served: Upstream) -> None:
    provider = project.provider()
    bundle(provider.cache.bundles / provider.key[:16])
    own = {"project": project.root, "cache": project.root / "cache", "versions": project.versions}
    found = chosen(args(**own), [*Architecture], silent, ask=False)
    assert found[HERE].provider.key == provider.key
    assert served.asked == []
