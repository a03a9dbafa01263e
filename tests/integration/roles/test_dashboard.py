"""The page of all environments: made with a host, removed without one."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml

from slipway.kube.client import Object
from tests.support.app_cluster import KINDS, FakeApi
from tests.support.checkout import PROJECT
from tests.support.playbooks import play

PLAY = [
    {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "tasks": [
            {
                "ansible.builtin.import_role": {"name": "dashboard"},
                "vars": {"slipway_dashboard_host": host},
                "check_mode": check,
            }
            for host in ("all.test", "")
            for check in (True, False, False)
        ],
    }
]

NEEDED = {
    "v1": [*KINDS["v1"], ("Namespace", "namespaces", False)],
    "networking.k8s.io/v1": [("Ingress", "ingresses", True)],
    "rbac.authorization.k8s.io/v1": [
        ("ClusterRole", "clusterroles", False),
        ("ClusterRoleBinding", "clusterrolebindings", False),
    ],
}


def with_its_pod(api: FakeApi, obj: Object) -> None:
    """A Deployment gets a pod, which outlives it for a while."""
    if obj["kind"] == "Deployment":
        owners = [{"kind": "ReplicaSet", "name": "dashboard-1"}]
        space = obj["metadata"]["namespace"]
        api.put("pods", {"metadata": {"name": "p", "namespace": space, "ownerReferences": owners}})


def test_the_page_comes_with_its_host_and_goes_with_it(
    api: FakeApi, kubeconfig: Path, tmp_path: Path
) -> None:
    api.kinds = {**KINDS, **NEEDED}
    api.on_apply = with_its_pod
    (tmp_path / "play.yml").write_text(json.dumps(PLAY))
    variables = {
        "slipway_kubeconfig": str(kubeconfig),
        "slipway_project_dir": str(PROJECT),
        **yaml.safe_load((PROJECT / "group_vars/all/versions.yml").read_text()),
    }
    command = ("--inventory=localhost,", f"--extra-vars={json.dumps(variables)}", "play.yml")
    done = play(*command, folder=tmp_path, SLIPWAY_SHOW_TASKS="true")
    assert done.returncode == 0, done.stdout
    # Of a check, a run and another one, the last has nothing to do.
    results = re.findall(r"TASK \[dashboard : Have .*\n(\w+): \[localhost\]", done.stdout)
    assert results == ["changed", "changed", "ok"] * 2, done.stdout
    assert (
        "PATCH",
        "/apis/apps/v1/namespaces/slipway-dashboard/deployments/dashboard",
    ) in api.writes
    assert [*api.objects] == [("pods", "slipway-dashboard", "p")]
