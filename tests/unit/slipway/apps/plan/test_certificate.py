"""Certificates that apps show themselves, as apps.yml asks for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from slipway.apps.app import App, Certificate
from slipway.apps.plan.bounds import Bounds
from slipway.apps.plan.plan import plan
from slipway.errors import SlipwayError


def planned(folder: Path, *others: dict[str, Any], bounds: Bounds | None = None, **app: Any) -> App:
    """The app of a file with one, and with others."""
    path = folder / "apps.yml"
    entry = {"name": "orders", "git_url": "/orders", **app}
    path.write_text(yaml.safe_dump({"version": 1, "apps": [entry, *others]}))
    return plan(path, domain="slipway.test", bounds=bounds or Bounds())[0]


def test_one_that_asks_for_no_more_has_what_is_usual(tmp_path: Path) -> None:
    assert planned(tmp_path).certificate is None
    found = planned(tmp_path, certificate={}).certificate
    assert found == Certificate(path="/etc/slipway/tls", password="keystore")


def test_hosts_are_filled_in_for_each_branch(tmp_path: Path) -> None:
    hosts = ["orders.slipway.test", "{{ branch_slug }}.{{ domain }}"]
    found = planned(tmp_path, git_branch="feature/Login", certificate={"hosts": hosts}).certificate
    assert found
    assert found.hosts == ["orders.slipway.test", "feature-login.slipway.test"]


def test_no_host_is_certified_that_is_not_the_operators(tmp_path: Path) -> None:
    bounds = Bounds(suffixes=["slipway.test"])
    hosts = ["orders.slipway.test", "bank.example", "{{ branch }}.example"]
    with pytest.raises(SlipwayError) as caught:
        planned(tmp_path, bounds=bounds, certificate={"hosts": hosts})
    assert [problem.what for problem in caught.value.problems] == [
        f"{host} is no host of this cluster's" for host in ("bank.example", "main.example")
    ]


def test_its_password_is_one_that_other_apps_may_have(tmp_path: Path) -> None:
    env = {"PASSWORD": {"password": "keystore", "app": "orders"}}
    client = {"name": "client", "git_url": "/client", "env": env}
    assert planned(tmp_path, client, certificate={})
    with pytest.raises(SlipwayError, match="orders has no password keystore"):
        planned(tmp_path, client, certificate={"password": "store"})


def test_a_port_speaks_http_unless_it_says_otherwise(tmp_path: Path) -> None:
    assert planned(tmp_path).scheme == "http"
    assert planned(tmp_path, scheme="https").scheme == "https"
