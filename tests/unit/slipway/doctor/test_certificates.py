"""Which certificates of the cluster end soon, as this machine and as nodes tell it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from slipway.doctor.certificates import ANEW, RENEW, of_cluster, of_node
from slipway.doctor.findings import Result
from slipway.on_node.certificates import KUBELET
from tests.support.node_certificates import certificate, kubeconfig

YEAR, MONTH, OVER = timedelta(days=365), timedelta(days=30), timedelta(days=-3)


def told(results: Iterable[Result]) -> list[tuple[str, str]]:
    """The state of each, and how it is mended."""
    return [(str(each.state), each.fix) for each in results]


def date(left: timedelta) -> str:
    return f"{datetime.now(UTC) + left:%Y-%m-%d}"


def written(folder: Path, left: timedelta, authority: timedelta = YEAR) -> Path:
    path = folder / "lab.yaml"
    path.write_text(kubeconfig(left, authority))
    return path


@pytest.fixture(autouse=True)
def server(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What an API server shows, if one is put in."""
    shown: list[str] = []

    def ask(_address: tuple[str, int], timeout: float) -> str:
        if not shown:
            raise OSError("refused")
        return shown[0]

    monkeypatch.setattr("ssl.get_server_certificate", ask)
    return shown


def test_before_there_is_a_cluster_there_is_nothing_to_tell(tmp_path: Path) -> None:
    assert told(of_cluster(tmp_path / "none")) == []
    assert told(of_node({"certificates": {}})) == []


def test_certificates_that_last_will_do(tmp_path: Path) -> None:
    (result,) = of_cluster(written(tmp_path, YEAR))
    assert told([result]) == [("ok", "")]
    assert date(YEAR) in result.found


def test_what_ends_soon_is_told_with_its_day_and_what_mends_it(tmp_path: Path) -> None:
    (result,) = of_cluster(written(tmp_path, MONTH))
    assert told([result]) == [("warn", RENEW)]
    assert f"ends on {date(MONTH)}" in result.found
    (result,) = of_cluster(written(tmp_path, OVER))
    assert f"ended on {date(OVER)}" in result.found


def test_what_the_api_server_shows_counts_too(tmp_path: Path, server: list[str]) -> None:
    server.append(certificate(MONTH))
    (result,) = of_cluster(written(tmp_path, YEAR))
    assert "the API server's ends" in result.found


def test_an_authority_is_nothing_that_a_run_mends(tmp_path: Path) -> None:
    assert told(of_cluster(written(tmp_path, OVER, MONTH))) == [("warn", RENEW), ("warn", ANEW)]
    left = {"/etc/kubernetes/pki/ca.crt": MONTH.total_seconds()}
    assert told(of_node({"certificates": left})) == [("warn", ANEW)]


def test_of_many_that_end_the_first_is_told_and_how_many_follow() -> None:
    days = {"a": 9.0, "b": 3.5, "c": 20.0, "d": 100.0}
    left = {name: day * 86400 for name, day in days.items()}
    (result,) = of_node({"certificates": left})
    last = date(timedelta(days=20))
    assert result.found == f"b ends on {date(timedelta(days=3.5))}, and 2 more end by {last}"


@pytest.mark.parametrize(("left", "state"), [(MONTH, "ok"), (OVER, "warn")])
def test_a_kubelet_takes_care_of_its_own_until_it_is_too_late(left: timedelta, state: str) -> None:
    found = of_node({"certificates": {"a": YEAR.total_seconds(), KUBELET: left.total_seconds()}})
    assert [each for each, _fix in told(found)] == [state]
