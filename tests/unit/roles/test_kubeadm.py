"""What kubeadm is told: of workers, how long it may wait, and the control plane's safe defaults."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from slipway.on_node import node_config
from tests.support.checkout import PROJECT
from tests.support.role_templates import rendered, variables

TEMPLATES = {
    "init": PROJECT / "roles/kubeadm/templates/init.yaml.j2",
    "join": PROJECT / "roles/kubeadm/templates/join.yaml.j2",
}


API_SERVER = PROJECT / "roles/kubeadm/files"


def configurations(command: str, inventory: str, **more: Any) -> list[dict[str, Any]]:
    """What kubeadm reads at ``command``."""
    files = [{"content": path.read_text()} for path in sorted(API_SERVER.glob("*.yaml"))]
    found = {
        "kubeadm_look_result": {"control_groups": 2},
        "__kubeadm_token": {"stdout": "abcdef.0123456789abcdef"},
        "__kubeadm_api_server_files": files,
    }
    known = variables(inventory, "kubeadm", **found | more)
    return list(yaml.safe_load_all(str(rendered(TEMPLATES[command].read_text(), known))))


def configuration(command: str, inventory: str, **more: Any) -> dict[str, Any]:
    """The first document of it."""
    return configurations(command, inventory, **more)[0]


def component(name: str, **more: Any) -> dict[str, Any]:
    """What a part of the control plane is told."""
    found: dict[str, Any] = configurations("init", "local", **more)[1][name]
    return found


def flags(name: str) -> dict[str, str]:
    """Its flags, by name."""
    return {each["name"]: each["value"] for each in component(name)["extraArgs"]}


def test_a_control_plane_without_workers_runs_the_services() -> None:
    assert configuration("init", "single")["nodeRegistration"]["taints"] == []


@pytest.mark.parametrize("inventory", ["local", "lab"])
def test_a_control_plane_with_workers_has_kubeadm_s_own_taint(inventory: str) -> None:
    assert "taints" not in configuration("init", inventory)["nodeRegistration"]


@pytest.mark.parametrize("command", ["init", "join"])
@pytest.mark.parametrize(("factor", "limit"), [(1, "1.0m"), ("2", "2.0m"), (15, "15.0m")])
def test_kubeadm_waits_as_long_as_the_variable_says(
    command: str, factor: object, limit: str
) -> None:
    told = configuration(command, "single", slipway_wait_factor=factor)
    assert told["timeouts"]["kubernetesAPICall"] == limit
    assert len(told["timeouts"]) == 6


@pytest.mark.parametrize("command", ["init", "join"])
@pytest.mark.parametrize(("version", "ignored"), [(1, ["SystemVerification"]), (2, [])])
def test_a_machine_may_have_control_groups_of_either_version(
    command: str, version: int, ignored: list[str]
) -> None:
    told = configuration(command, "lab", kubeadm_look_result={"control_groups": version})
    assert told["nodeRegistration"]["ignorePreflightErrors"] == ignored


def test_a_worker_joins_as_no_control_plane() -> None:
    told = configuration("join", "ha", inventory_hostname="slipway-ha-worker-1")
    assert "controlPlane" not in told


def test_a_further_control_plane_joins_as_one_at_its_own_address() -> None:
    told = configuration("join", "ha", inventory_hostname="slipway-ha-2", node_address="192.0.2.12")
    assert told["controlPlane"]["localAPIEndpoint"]["advertiseAddress"] == "192.0.2.12"


def test_all_control_planes_without_workers_run_the_services() -> None:
    groups = {"control_plane": ["a", "b", "c"], "workers": []}
    for command in ("init", "join"):
        told = configuration(command, "ha", groups=groups, inventory_hostname="b")
        assert told["nodeRegistration"]["taints"] == []


@pytest.mark.parametrize(("inventory", "elects"), [("local", False), ("ha", True)])
def test_several_control_planes_elect_which_one_acts(inventory: str, *, elects: bool) -> None:
    named = configurations("init", inventory)[1]["controllerManager"]["extraArgs"]
    assert ("leader-elect" in {each["name"] for each in named}) is not elects


def named(name: str, states: dict[str, str]) -> Any:
    """What a variable of the role is while control planes are in these states."""
    known = variables("ha", "kubeadm")
    known["groups"] = {"control_plane": [*known["hostvars"]]}
    for host, state in states.items():
        known["hostvars"][host]["kubeadm_look_result"] = {"state": state}
    return rendered(f"{{{{ {name} }}}}", known)


@pytest.mark.parametrize(
    ("states", "founder"),
    [
        (("bare", "bare", "bare"), "slipway-ha-1"),
        (("member", "bare", "bare"), "slipway-ha-1"),
        (("bare", "member", "member"), "slipway-ha-2"),
        (("begun", "bare", "member"), "slipway-ha-3"),
    ],
)
def test_the_first_control_plane_makes_the_cluster_unless_another_has_it(
    states: tuple[str, ...], founder: str
) -> None:
    hosts = ("slipway-ha-1", "slipway-ha-2", "slipway-ha-3")
    found = dict(zip(hosts, states, strict=True))
    assert named("__kubeadm_founder", found) == founder
    joining = [host for host, state in found.items() if state != "member" and host != founder]
    assert named("__kubeadm_joining", found) == joining


def test_a_control_plane_that_joins_has_the_others_key_of_secrets() -> None:
    own: list[dict[str, Any]] = variables("ha", "kubeadm")["__kubeadm_api_server_files"]
    files = [{**each, "content": "own"} for each in own]
    given = {"__kubeadm_keys": {"secrets": "theirs"}, "__kubeadm_api_server_files": files}
    joined = rendered(
        "{{ __kubeadm_joined_api_server_files }}", variables("ha", "kubeadm", **given)
    )
    found = {each["path"]: each for each in joined}
    assert found.keys() == {each["path"] for each in own}
    secrets = found["/etc/kubernetes/api-server/encryption.yaml"]
    assert (secrets["content"], secrets["secret"], secrets.get("once")) == ("theirs", True, None)


def test_every_file_of_the_api_server_is_one_that_it_reads() -> None:
    read = {value for value in flags("apiServer").values() if "/api-server/" in value}
    there = {f"/etc/kubernetes/api-server/{path.name}" for path in API_SERVER.glob("*.yaml")}
    assert read == there
    known = variables("local", "kubeadm")["__kubeadm_api_server_files"]
    assert {(each["path"], each["mode"]) for each in known} == {(path, "0600") for path in there}
    assert [each["path"] for each in known if each.get("once")] == [
        "/etc/kubernetes/api-server/encryption.yaml"
    ]


def test_the_api_server_starts_anew_when_a_file_that_it_reads_is_another() -> None:
    one, other = ([{"content": text}] for text in ("one", "other"))
    before = component("apiServer", __kubeadm_api_server_files=one)
    after = component("apiServer", __kubeadm_api_server_files=other)
    assert before["extraEnvs"] != after["extraEnvs"]


@pytest.mark.parametrize("name", ["apiServer", "controllerManager", "scheduler"])
def test_no_part_of_the_control_plane_may_be_profiled(name: str) -> None:
    assert flags(name)["profiling"] == "false"


def test_clients_of_tls_before_1_3_have_ciphers_that_nobody_has_broken() -> None:
    told = flags("apiServer")
    assert told["tls-min-version"] == "VersionTLS12"
    for cipher in told["tls-cipher-suites"].split(","):
        assert cipher.startswith("TLS_ECDHE_")
        assert "GCM" in cipher or "CHACHA20" in cipher


def loaded(name: str) -> dict[str, Any]:
    """A file that the API server reads."""
    found: dict[str, Any] = yaml.safe_load((API_SERVER / f"{name}.yaml").read_text())
    return found


def test_secrets_are_written_with_a_key_and_read_without_one() -> None:
    [rule] = loaded("encryption")["resources"]
    assert rule["resources"] == ["secrets"]
    assert [list(provider) for provider in rule["providers"]] == [["secretbox"], ["identity"]]
    assert rule["providers"][0]["secretbox"]["keys"][0]["secret"] == node_config.RANDOM


def level(verb: str, resource: str, *, group: str = "", user: str = "kubernetes-admin") -> str:
    """How much of a request is written down."""
    groups = ["system:nodes"] if user.startswith("system:node:") else []
    if user.startswith("system:serviceaccount:"):
        groups = [f"system:serviceaccounts:{user.split(':')[2]}"]
    for rule in loaded("audit")["rules"]:
        kinds = rule.get("resources")
        if "nonResourceURLs" in rule or verb not in rule.get("verbs", [verb]):
            continue
        if user not in rule.get("users", [user]):
            continue
        if "userGroups" in rule and not set(groups) & set(rule["userGroups"]):
            continue
        if kinds and not any(
            each["group"] == group and resource in each.get("resources", [resource])
            for each in kinds
        ):
            continue
        return str(rule["level"])
    raise AssertionError("no rule fits")


@pytest.mark.parametrize("verb", ["get", "list", "watch", "create", "update", "patch", "delete"])
@pytest.mark.parametrize("resource", ["secrets", "configmaps", "serviceaccounts/token"])
@pytest.mark.parametrize("user", ["kubernetes-admin", "system:node:a", "system:kube-scheduler"])
def test_who_uses_what_is_secret_is_written_down_and_its_content_is_not(
    verb: str, resource: str, user: str
) -> None:
    assert level(verb, resource, user=user) == "Metadata"


@pytest.mark.parametrize(
    ("verb", "resource", "group", "user", "wanted"),
    [
        ("create", "pods/exec", "", "kubernetes-admin", "Metadata"),
        ("get", "pods/exec", "", "kubernetes-admin", "Metadata"),
        ("create", "pods", "", "kubernetes-admin", "Metadata"),
        ("delete", "deployments", "apps", "kubernetes-admin", "Metadata"),
        ("list", "pods", "", "kubernetes-admin", "Metadata"),
        ("list", "pods", "", "system:serviceaccount:shop:default", "Metadata"),
        ("create", "clusterrolebindings", "rbac.authorization.k8s.io", "system:node:a", "Request"),
        ("get", "pods", "", "system:node:a", "None"),
        ("patch", "nodes/status", "", "system:node:a", "None"),
        ("patch", "nodes/status", "", "kubernetes-admin", "Metadata"),
        ("update", "leases", "coordination.k8s.io", "system:node:a", "None"),
        ("create", "events", "", "system:node:a", "None"),
        ("watch", "services", "", "system:kube-proxy", "None"),
        ("watch", "services", "", "system:serviceaccount:kube-system:kube-proxy", "None"),
    ],
)
def test_what_changes_something_is_written_down_and_what_components_read_is_not(
    verb: str, resource: str, group: str, user: str, wanted: str
) -> None:
    assert level(verb, resource, group=group, user=user) == wanted


def test_only_bodies_of_rules_about_rights_are_written_down() -> None:
    bodies = [rule for rule in loaded("audit")["rules"] if "Request" in rule["level"]]
    kinds = {kind["group"] for rule in bodies for kind in rule["resources"]}
    assert kinds == {"rbac.authorization.k8s.io", "admissionregistration.k8s.io"}


def test_a_worker_shows_its_token_where_root_alone_reads_it() -> None:
    told = configuration("join", "local")
    assert "abcdef" not in str(told)
    known = variables("local", "kubeadm", __kubeadm_token={"stdout": "abcdef.0123456789abcdef"})
    known["__kubeadm_cluster"] = {"server": "https://192.0.2.11:6443"}
    template = PROJECT / "roles/kubeadm/templates/discovery.yaml.j2"
    found = yaml.safe_load(str(rendered(template.read_text(), known)))
    [user] = found["users"]
    [context] = found["contexts"]
    assert user["user"]["token"] == "abcdef.0123456789abcdef"
    assert context["name"] == found["current-context"]
    assert context["context"] == {"cluster": found["clusters"][0]["name"], "user": user["name"]}
    tasks = yaml.safe_load((PROJECT / "roles/kubeadm/tasks/join_cluster.yml").read_text())
    files = [file for task in tasks for file in task.get("node_config", {}).get("files", [])]
    assert {file["mode"] for file in files} == {"0600"}
    assert all(task.get("no_log") for task in tasks if "node_config" in task)
