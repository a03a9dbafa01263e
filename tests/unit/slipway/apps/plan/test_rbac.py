"""What an app of apps.yml may have of the Kubernetes API."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.apps.app import App, RbacRule
from slipway.apps.plan.plan import plan
from slipway.errors import SlipwayError

APPS = """version: 1
apps:
  - name: web
    git_url: /web
    rbac: [{rules}]
{more}"""

READ = "verbs: [get, list, watch]"
WRITE = "verbs: [create, delete]"


def planned(folder: Path, rules: str, more: str = "") -> App:
    """The app with these rules and these further lines."""
    path = folder / "apps.yml"
    path.write_text(APPS.format(rules=rules, more="".join(f"    {line}\n" for line in [more])))
    [app] = plan(path)
    return app


def told(folder: Path, rules: str, more: str = "") -> list[str]:
    """What is wrong with them; every problem has a fix."""
    with pytest.raises(SlipwayError) as caught:
        planned(folder, rules, more)
    assert all(each.fix for each in caught.value.problems)
    return [f"{each.where.partition(' ')[2]}: {each.what}" for each in caught.value.problems]


def test_rules_are_those_of_a_role(tmp_path: Path) -> None:
    named = "{api_groups: [apps], resources: [deployments], resource_names: [web], verbs: [get]}"
    app = planned(tmp_path, f"{{resources: [pods, pods/log], {READ}, x-why: logs}}, {named}")
    assert app.rbac == [
        RbacRule(resources=["pods", "pods/log"], verbs=["get", "list", "watch"]),
        RbacRule(
            api_groups=["apps"], resources=["deployments"], resource_names=["web"], verbs=["get"]
        ),
    ]


@pytest.mark.parametrize(
    "rule",
    [
        f"resources: [secrets, services, endpoints, serviceaccounts], {READ}",
        "resources: [configmaps, events, pods, secrets], verbs: [create, update, patch, delete]",
        "resources: [pods/exec, pods/eviction], verbs: [create]",
        f"api_groups: [networking.k8s.io], resources: [ingresses, networkpolicies], {READ}",
        f"api_groups: ['', apps, batch], resources: [pods, deployments, jobs], {WRITE}",
        "api_groups: [apps], resources: [deployments/scale], verbs: [patch]",
        f"api_groups: [coordination.k8s.io], resources: [leases], {WRITE}",
        f"api_groups: [example.org], resources: [widgets, services], {WRITE}",
        f"api_groups: [metrics.k8s.io], resources: [pods], {READ}",
    ],
)
def test_what_stays_in_the_environment_is_taken(tmp_path: Path, rule: str) -> None:
    assert planned(tmp_path, f"{{{rule}}}").rbac


@pytest.mark.parametrize(
    ("group", "resource"),
    [
        ("''", "serviceaccounts"),
        ("''", "serviceaccounts/token"),
        ("''", "services"),
        ("''", "endpoints"),
        ("''", "namespaces"),
        ("''", "resourcequotas"),
        ("''", "limitranges"),
        ("''", "persistentvolumeclaims"),
        ("''", "pods/binding"),
        ("discovery.k8s.io", "endpointslices"),
        ("networking.k8s.io", "ingresses"),
        ("networking.k8s.io", "networkpolicies"),
        ("rbac.authorization.k8s.io", "roles"),
        ("rbac.authorization.k8s.io", "rolebindings"),
        ("gateway.networking.k8s.io", "httproutes"),
        ("k8s.nginx.org", "virtualservers"),
    ],
)
@pytest.mark.parametrize("verb", ["create", "update", "patch", "delete", "deletecollection"])
def test_what_leads_out_of_the_environment_is_told(
    tmp_path: Path, group: str, resource: str, verb: str
) -> None:
    rule = f"{{api_groups: [{group}], resources: [{resource}], verbs: [get, {verb}]}}"
    assert told(tmp_path, rule) == [
        f"apps[0].rbac[0].resources[0]: who may {verb} {resource} gets out of its environment"
    ]


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (f"resources: ['*'], {READ}", "apps[0].rbac[0].resources[0]: is '*'"),
        (f"api_groups: ['*'], resources: [pods], {READ}", "apps[0].rbac[0].api_groups[0]: is '*'"),
        ("resources: [pods], verbs: ['*']", "apps[0].rbac[0].verbs[0]: is '*'"),
        ("resources: [pods/*], verbs: [get]", "apps[0].rbac[0].resources[0]: is 'pods/*'"),
        ("resources: [pods], verbs: [escalate]", "apps[0].rbac[0].verbs[0]: is 'escalate'"),
        ("resources: [pods], verbs: [bind]", "apps[0].rbac[0].verbs[0]: is 'bind'"),
        ("resources: [pods], verbs: [impersonate]", "apps[0].rbac[0].verbs[0]: is 'impersonate'"),
        ("resources: [pods], verbs: []", "apps[0].rbac[0].verbs: "),
        ("resources: [], verbs: [get]", "apps[0].rbac[0].resources: "),
        ("resources: [pods]", "apps[0].rbac[0]: lacks the key verbs"),
        ("verbs: [get]", "apps[0].rbac[0]: lacks the key resources"),
        (f"resources: [pods], {READ}, groups: [x]", "apps[0].rbac[0].groups: unknown key"),
        (f"resources: Pod, {READ}", "apps[0].rbac[0].resources: "),
        (f"resources: [Pod], {READ}", "apps[0].rbac[0].resources[0]: is 'Pod'"),
        (
            f"resources: [deployments], {READ}",
            "apps[0].rbac[0].resources[0]: deployments are in the group apps",
        ),
        (
            f"api_groups: [apps], resources: [pods/log], {READ}",
            "apps[0].rbac[0].resources[0]: pods/log are in the group ''",
        ),
        (
            f"resources: [nodes], {READ}",
            "apps[0].rbac[0].resources[0]: nodes are in no namespace, and these rights are for one",
        ),
    ],
)
def test_what_says_nothing_or_too_much_is_told(tmp_path: Path, rule: str, said: str) -> None:
    [found] = told(tmp_path, f"{{{rule}}}")
    assert found.startswith(said)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    rules = f"{{resources: [nodes, services], {WRITE}}}, {{resources: [jobs], {READ}}}"
    assert len(told(tmp_path, rules, "service_account: reader")) == 4


def test_an_account_of_the_manifests_is_another_one(tmp_path: Path) -> None:
    assert told(tmp_path, f"{{resources: [pods], {READ}}}", "service_account: reader") == [
        "apps[0].rbac: is for an account of its own, and service_account names reader"
    ]


@pytest.mark.parametrize("resource", ["pods", "pods/exec"])
def test_who_can_push_gets_no_pods_where_any_are_taken(tmp_path: Path, resource: str) -> None:
    rule = f"{{resources: [{resource}], verbs: [create]}}"
    [found] = told(tmp_path, rule, "pod_security: privileged")
    assert "who can push would have nodes" in found
    assert planned(tmp_path, rule, "pod_security: baseline").rbac
    assert planned(tmp_path, f"{{resources: [pods], {READ}}}", "pod_security: privileged").rbac
