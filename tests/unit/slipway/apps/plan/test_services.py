"""Services that apps bring along, and apps that need others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from slipway.apps.app import App, ImageBuild, Owner, Port, Reach, Service, Variable
from slipway.apps.plan.branches import Matches, Sample
from slipway.apps.plan.plan import plan
from slipway.errors import SlipwayError

DB = """
      db:
        image: docker.io/library/postgres:17
        port: 5432
        env: {POSTGRES_PASSWORD: {password: orders}}"""


def written(folder: Path, orders: str = "", more: str = "", services: str = DB) -> Path:
    path = folder / "apps.yml"
    path.write_text(f"""version: 1
defaults: {{env: {{LOG: debug}}, replicas: 2}}
apps:
  - name: orders
    git_url: /orders
    {orders}
    services:{services}
{more}""")
    return path


def found(path: Path, branches: Sequence[str] = (), problem: str = "") -> dict[str, App]:
    """The apps by their ids, with these branches of each pattern."""

    def find(samples: Sequence[Sample]) -> list[Matches]:
        return [Matches(branches, problem) for _ in samples]

    return {app.id: app for app in plan(path, find_branches=find)}


def test_a_service_is_an_app_of_an_image_beside_the_one_that_has_it(tmp_path: Path) -> None:
    db, orders = plan(written(tmp_path))
    assert (db.id, db.git_branch, db.git_url) == ("orders-main/orders-db", "main", "")
    assert db.build == ImageBuild(ref="docker.io/library/postgres:17")
    assert db.service == Service(ports={"tcp": Port(5432)})
    assert db.owner == Owner("orders", "/orders")
    assert orders.needs == [Reach("orders-db")]
    assert not orders.reach  # it is in the same namespace


def test_defaults_are_for_apps_and_not_for_what_they_bring(tmp_path: Path) -> None:
    db, orders = plan(written(tmp_path))
    assert orders.env == {"LOG": Variable("debug")}
    assert db.env == {"POSTGRES_PASSWORD": Variable(password="orders")}
    assert (orders.replicas, db.replicas) == (2, 1)


def test_what_says_where_pods_run_holds_for_services_too(tmp_path: Path) -> None:
    orders = "node_selector: {disk: fast}\n    pod_security: baseline"
    db, _orders = plan(written(tmp_path, orders))
    assert db.node_selector == {"disk": "fast"}
    assert db.pod_security == "baseline"


def test_each_environment_of_a_pattern_has_its_own(tmp_path: Path) -> None:
    apps = found(written(tmp_path, "git_branch: feature/*"), ["feature/a", "feature/b"])
    assert [*apps] == [
        "orders-feature-a/orders-db",
        "orders-feature-a/orders",
        "orders-feature-b/orders-db",
        "orders-feature-b/orders",
    ]
    db = apps["orders-feature-a/orders-db"]
    assert (db.pattern, db.family) == ("feature/*", apps["orders-feature-a/orders"].family)


def test_the_environment_of_an_unreachable_repository_keeps_its_service(tmp_path: Path) -> None:
    apps = found(written(tmp_path, "git_branch: feature/*"), ["feature/a"], "does not answer")
    assert [app.failed.reason for app in apps.values() if app.failed] == ["does not answer"] * 2


def test_one_for_all_environments_is_there_once(tmp_path: Path) -> None:
    services = f"{DB}\n        scope: cluster"
    path = written(tmp_path, "git_branch: feature/*", services=services)
    apps = found(path, ["feature/a", "feature/b"])
    assert [*apps] == [
        "orders-db-main/orders-db",
        "orders-feature-a/orders",
        "orders-feature-b/orders",
    ]
    db = apps["orders-db-main/orders-db"]
    assert (db.pattern, db.owner) == (None, None)
    assert apps["orders-feature-a/orders"].reach == [Reach("orders-db")]


def test_one_for_all_goes_with_the_last_that_has_it(tmp_path: Path) -> None:
    path = written(tmp_path, "git_branch: feature/*", services=f"{DB}\n        scope: cluster")
    assert [*found(path, [])] == ["orders-db-main/orders-db"]


def test_other_apps_and_their_services_are_used(tmp_path: Path) -> None:
    more = """  - name: reports
    git_url: /reports
    uses: [orders/db, orders]
    reach: [{app: orders, branch: main}]
    env: {PASSWORD: {password: orders, app: orders-db}}
"""
    *_, reports = plan(written(tmp_path, more=more))
    assert reports.needs == [Reach("orders-db"), Reach("orders")]
    assert reports.reach == [Reach("orders", "main"), Reach("orders-db")]


@pytest.mark.parametrize(
    ("uses", "said"),
    [
        (
            "[orders/bd]",
            "apps[1].uses[0]: there is no service bd of orders\n    fix: write orders-db",
        ),
        ("[order]", "there is no app order\n    fix: write orders"),
        ("[reports]", "is the app itself"),
        ("[Orders]", "must be the name of an app, or app/service"),
        ("[orders/db/x]", "must be the name of an app, or app/service"),
        ("orders", "apps[1].uses: is 'orders', which YAML reads as text"),
    ],
)
def test_what_is_not_there_is_told(tmp_path: Path, uses: str, said: str) -> None:
    more = f"  - name: reports\n    git_url: /reports\n    uses: {uses}\n"
    with pytest.raises(SlipwayError) as caught:
        plan(written(tmp_path, more=more))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("services", "said"),
    [
        ("\n      db: {port: 1}", "apps[0].services.db: lacks the key image"),
        ("\n      db: {image: redis:8}", "apps[0].services.db: lacks the key port"),
        ("\n      Db: {image: redis:8, port: 1}", "must be a DNS label"),
        ("\n      db: {image: redis:8, port: 1, git_url: /x}", "services.db.git_url: unknown key"),
        ("\n      db: {image: redis:8, port: 1, scope: all}", "choose environment or cluster"),
        (f"\n      {'d' * 44}: {{image: redis:8, port: 1}}", "and may have 50"),
        (
            "\n      db: {image: redis:8, port: 1, env: {A: {secret: none}}}",
            "apps[0].services.db.env.A.secret: names the secret none",
        ),
        (
            "\n      db: {image: redis:8, port: 1, env: {A: {password: x, app: orders}}}",
            "apps[0].services.db.env.A.app: there is no app orders that has passwords",
        ),
        (
            "\n      db: {image: redis:8, port: 1, env: {DB_PASSWORD: hunter22}}",
            "is a secret by its name",
        ),
        (
            "\n      db: {image: redis:8, port: 1, security: {run_as_user: 0}}",
            "apps[0].services.db.security.run_as_user: is root",
        ),
    ],
)
def test_a_service_that_is_none_is_told_with_its_place(
    tmp_path: Path, services: str, said: str
) -> None:
    with pytest.raises(SlipwayError) as caught:
        plan(written(tmp_path, services=services), secrets=["other"])
    assert said in str(caught.value)


def test_numbers_are_to_the_letter_in_services_too(tmp_path: Path) -> None:
    services = "\n      db: {image: redis:8, port: 1, env: {PIN: 01067}}"
    db, _orders = plan(written(tmp_path, services=services))
    assert db.env == {"PIN": Variable("01067")}


def test_a_name_that_two_have_is_told(tmp_path: Path) -> None:
    more = "  - {name: orders-db, git_url: /db, namespace: orders-main}\n"
    with pytest.raises(SlipwayError) as caught:
        plan(written(tmp_path, more=more))
    assert "orders-db in namespace orders-main is also at apps.yml" in str(caught.value)


def test_apps_that_wait_for_one_another_are_told(tmp_path: Path) -> None:
    more = "  - {name: reports, git_url: /reports, uses: [orders]}\n"
    with pytest.raises(SlipwayError) as caught:
        plan(written(tmp_path, "uses: [reports]", more))
    assert "orders needs reports needs orders" in str(caught.value)
