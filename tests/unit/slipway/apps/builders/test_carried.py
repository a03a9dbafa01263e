"""What an archive carries of one repository's builds is for builds of that repository alone."""

from __future__ import annotations

from pathlib import Path

from slipway.apps.builders.carried import artifacts

TOP = Path("bundle")


def test_no_two_repositories_have_the_same_folder() -> None:
    urls = [f"https://{host}/team/{name}.git" for host in ("a", "b") for name in ("x", "y")]
    urls += ["git@a:team/x.git", "/srv/team/x.git", "/x.git"]
    assert len({artifacts(TOP, url) for url in urls}) == len(urls)


def test_a_sample_has_its_folder_wherever_the_checkout_is() -> None:
    one, another = (f"/{place}/.slipway/examples/greeter.git" for place in ("home/a", "srv"))
    assert artifacts(TOP, one) == artifacts(TOP, another)


def test_each_folder_is_below_the_bundle() -> None:
    for url in ("/", "/x", "https://a/..", "git@a:..", ".."):
        assert artifacts(TOP, url).resolve().is_relative_to(Path("bundle/maven").resolve())
