"""What there is of an environment beside its apps."""

from __future__ import annotations

from slipway.apps.manifests.environment import quota_of
from tests.support.apps import planned

USUAL = {"pods": "20", "limits.memory": "16Gi", "count/jobs.batch": "5"}


def test_the_quota_of_a_namespace_is_the_sum_of_what_each_app_may_have() -> None:
    apps = [planned(), planned("quotes"), planned("shop", quota={"pods": "5"})]
    hard = quota_of(apps, USUAL)
    assert (hard["pods"], hard["limits.memory"], hard["count/jobs.batch"]) == ("45", "48Gi", "15")


def test_what_is_to_add_no_pods_lives_on_what_the_others_have() -> None:
    app, service = planned(), planned("greeter-db", quota={"pods": "0"})
    assert quota_of([app, service], USUAL) == quota_of([app], USUAL)
