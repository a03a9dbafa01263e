"""What the API server checks of what some of its users write, beyond their rights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slipway.kube.client import POLICIES, POLICY_BINDINGS, Object
from slipway.kube.objects import of_kind

NO_TOKEN = (
    "request.kind.kind != 'Secret' || !has(object.type) || "
    "object.type != 'kubernetes.io/service-account-token'"
)
"""That an object is no Secret which is filled with the token of an account, for good."""


def checked(
    about: Mapping[str, Any], who: str, users: str, rules: Mapping[str, str], whom: str
) -> tuple[Object, Object]:
    """A policy and its binding, which refuse what is not as all ``rules`` say.

    Those and ``users``, a condition called ``who``, are in CEL; rules are by what they refuse, and
    ``whom`` says in the answer for whom that is not.
    """
    everything = {
        **{name: ["*"] for name in ("apiGroups", "apiVersions", "resources")},
        "operations": ["CREATE", "UPDATE"],
    }
    spec = {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [everything]},
        "matchConditions": [{"name": who, "expression": users}],
        "validations": [
            {"expression": rule, "message": f"{what} not for {whom}", "reason": "Forbidden"}
            for what, rule in rules.items()
        ],
    }
    binding = {"policyName": about["name"], "validationActions": ["Deny"]}
    return of_kind(POLICIES, dict(about), spec), of_kind(POLICY_BINDINGS, dict(about), binding)
