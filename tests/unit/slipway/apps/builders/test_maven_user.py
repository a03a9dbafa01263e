"""Where the settings of a user have Maven Central."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.apps.builders.maven_user import CENTRAL, MavenUser
from slipway.bundle.download import Login, Server
from slipway.cache.layout import CacheLayout
from slipway.errors import SlipwayError
from tests.support.maven_samples import write

NAMED = 'xmlns="http://maven.apache.org/SETTINGS/1.0.0"'


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MavenUser:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    return MavenUser(tmp_path / "home", CacheLayout(tmp_path / "cache"))


def mirror(name: str, of: str) -> str:
    url = f"https://{name}.example/maven"
    return f"<mirror><id>{name}</id><mirrorOf>{of}</mirrorOf><url>{url}</url></mirror>"


def central(user: MavenUser, mirrors: str, servers: str = "", name: str = "") -> Server:
    text = f"<mirrors>{mirrors}</mirrors><servers>{servers}</servers>"
    write(user.home / ".m2", {"settings.xml": f"<settings {name}>{text}</settings>"})
    return user.central()


def test_without_settings_it_is_where_it_is(user: MavenUser) -> None:
    assert user.central() == Server(CENTRAL)


@pytest.mark.parametrize("of", ["central", "*", "external:*", "*,!internal", "other, central"])
@pytest.mark.parametrize("name", ["", NAMED])
def test_a_mirror_of_it_takes_its_place(user: MavenUser, of: str, name: str) -> None:
    assert central(user, mirror("own", of), name=name).url == "https://own.example/maven"


@pytest.mark.parametrize("of", ["other", "*,!central", "external:http:*"])
def test_a_mirror_of_others_does_not(user: MavenUser, of: str) -> None:
    assert central(user, mirror("own", of)) == Server(CENTRAL)


def test_the_mirror_of_it_alone_comes_before_that_of_all(user: MavenUser) -> None:
    mirrors = mirror("all", "*") + mirror("own", "central")
    assert central(user, mirrors).url == "https://own.example/maven"


def test_who_asks_the_mirror_is_who_the_settings_say(
    user: MavenUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "of the variable")
    others = "<server><id>other</id><username>a</username><password>b</password></server>"
    own = "<server><id>own</id><username>me</username><password>${env.TOKEN}</password></server>"
    found = central(user, mirror("own", "central"), others + own)
    assert found.login == Login("me", "of the variable")


def test_a_password_that_maven_has_encrypted_is_left_to_it(user: MavenUser, tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text("machine own.example login me password other\n")
    own = "<server><id>own</id><username>me</username><password>{COQLCE=}</password></server>"
    assert central(user, mirror("own", "central"), own).login == Login("me", "other")


def test_settings_that_cannot_be_read_are_named(user: MavenUser) -> None:
    write(user.home / ".m2", {"settings.xml": "<settings>"})
    with pytest.raises(SlipwayError, match=r"settings\.xml: cannot be read"):
        user.central()
