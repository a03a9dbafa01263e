"""A kubeconfig is fetched anew before its certificate ends."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from plugins.filter.ends_soon import ends_soon
from tests.support.node_certificates import kubeconfig


@pytest.mark.parametrize(("days", "soon"), [(365, False), (61, False), (59, True), (-3, True)])
def test_it_ends_soon_when_less_than_two_months_are_left(
    tmp_path: Path, days: int, soon: bool
) -> None:
    path = tmp_path / "lab.yaml"
    path.write_text(kubeconfig(timedelta(days=days)))
    assert ends_soon(str(path)) is soon


def test_one_that_is_not_there_or_has_no_certificate_does_not(tmp_path: Path) -> None:
    assert not ends_soon(str(tmp_path / "none"))
    (tmp_path / "token.yaml").write_text("users:\n- user: {token: secret}\n")
    assert not ends_soon(str(tmp_path / "token.yaml"))
