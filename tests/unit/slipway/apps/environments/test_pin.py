"""What was rolled back stays so until there is something new to run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from slipway import certificates
from slipway.apps.app import Variable
from slipway.kube.client import Kube
from slipway.kube.workloads import template_of
from tests.support.app_cluster import FakeApi
from tests.support.versions import back, deployment_controller, live, run, version


@pytest.fixture(autouse=True)
def controllers(api: FakeApi) -> None:
    """Deployments have ReplicaSets and are ready at once."""
    api.on_apply = deployment_controller


def test_the_next_run_leaves_it_there_and_says_so(
    kube: Kube, api: FakeApi, capsys: pytest.CaptureFixture[str]
) -> None:
    run(kube, version(1))
    run(kube, version(2))
    back(kube)
    outcome = run(kube, version(2))
    assert not outcome.changed
    assert live(api) == ("1", "1", True)
    assert outcome.apps[0].held == "1" * 40
    assert "greeter (main): held at commit 1111111" in capsys.readouterr().out


def test_a_commit_that_gives_the_same_pod_does_not_end_the_hold(kube: Kube, api: FakeApi) -> None:
    run(kube, version(1))
    run(kube, version(2))
    back(kube)
    renamed = structs.replace(version(2), commit="f" * 40)
    assert run(kube, renamed).changed
    assert live(api) == ("1", "1", True)
    assert not run(kube, renamed).changed


def test_what_is_not_the_pod_is_still_applied(kube: Kube, api: FakeApi) -> None:
    run(kube, version(1))
    run(kube, version(2))
    back(kube)
    run(kube, version(2, replicas=3))
    assert live(api) == ("1", "1", True)
    assert api.named("deployments", "greeter-main", "greeter")["spec"]["replicas"] == 3


@pytest.mark.parametrize("replicas", [3, {"min": 2, "max": 5}])
def test_what_is_held_with_a_volume_stays_one_pod(kube: Kube, api: FakeApi, replicas: Any) -> None:
    run(kube, version(1, volumes={"data": {"path": "/srv"}}))
    run(kube, version(2))
    back(kube)
    newer = version(2, replicas=replicas)
    run(kube, newer)
    deployment = api.named("deployments", "greeter-main", "greeter")["spec"]
    assert (deployment["replicas"], deployment["strategy"]) == (1, {"type": "Recreate"})
    assert ("horizontalpodautoscalers", "greeter-main", "greeter") not in api.objects
    assert not run(kube, newer).changed


@pytest.mark.parametrize(
    "change",
    [
        {"image": "apps.slipway.internal/greeter:main-3", "commit": "3" * 40},
        {"env": {"GREETING": Variable("Bye")}},
    ],
)
def test_another_source_or_configuration_ends_the_hold(
    kube: Kube, api: FakeApi, change: dict[str, Any]
) -> None:
    run(kube, version(1))
    run(kube, version(2))
    back(kube)
    new = structs.replace(version(2), **change)
    assert run(kube, new).changed
    assert live(api) == (new.image[-1], new.commit[0], False)
    assert not run(kube, new).changed


def test_a_hold_that_is_over_does_not_come_back(kube: Kube, api: FakeApi) -> None:
    for number in (1, 2):
        run(kube, version(number))
    back(kube)
    run(kube, version(1))  # the source was taken back as well
    assert live(api) == ("1", "1", False)
    run(kube, version(2))
    assert live(api) == ("2", "2", False)


def test_a_renewed_certificate_does_not_end_the_hold_but_reaches_what_is_held(
    kube: Kube, api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = (version(n, certificate={"path": "/tls", "password": "store"}) for n in (1, 2))
    for each in (old, new):
        run(kube, each, ca_dir=tmp_path / "ca")
    back(kube)
    assert not run(kube, new, ca_dir=tmp_path / "ca").changed
    before = template_of(api.named("deployments", "greeter-main", "greeter"))
    later = datetime.now(UTC) + timedelta(days=370)
    monkeypatch.setattr(certificates, "_now", lambda: later)
    assert run(kube, new, ca_dir=tmp_path / "ca").changed
    assert live(api) == ("1", "1", True)
    after = template_of(api.named("deployments", "greeter-main", "greeter"))
    assert (before["spec"], before != after) == (after["spec"], True)
    assert not run(kube, new, ca_dir=tmp_path / "ca").changed


def test_one_goes_back_to_the_version_before_and_not_to_an_older_certificate(
    kube: Kube, api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = (version(n, certificate={"path": "/tls", "password": "store"}) for n in (1, 2))
    for each in (old, new):
        run(kube, each, ca_dir=tmp_path / "ca")
    later = datetime.now(UTC) + timedelta(days=370)
    monkeypatch.setattr(certificates, "_now", lambda: later)
    run(kube, new, ca_dir=tmp_path / "ca")
    back(kube)
    assert live(api) == ("1", "1", True)
    assert not run(kube, new, ca_dir=tmp_path / "ca").changed
