"""What an app keeps outlives its pods, comes from other branches, goes to files, and ends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from slipway.kube.client import NAMESPACES, PODS, VOLUME_CLAIMS
from tests.support.scenario import Run, wait_for
from tests.support.shelves import NAME, Shelf

MAIN, NEXT = "memo-main", "memo-next"
WRITE = "import pathlib; pathlib.Path('{path}').write_text('{text}')"
READ = "import pathlib; print(*(p.read_text() for p in pathlib.Path('{path}').glob('*')))"


def memo(shelf: Shelf, branch: str = "main", **volumes: Any) -> dict[str, Any]:
    """An app on a branch, with these volumes beside the one that a new branch has of main."""
    data = {"path": "/var/lib/memo", "from": {"branch": "main"}}
    return {
        "name": "memo",
        "image": f"{shelf.address}/{NAME}:1",
        "git_branch": branch,
        "registry_auth": shelf.login(),
        "volumes": {"data": data, **volumes},
    }


def write(shelf: Shelf, path: str, text: str) -> None:
    program = WRITE.format(path=path, text=text)
    shelf.scenario.python_in_pod(MAIN, "deployment/memo", program)


def read(shelf: Shelf, namespace: str = MAIN) -> str:
    """What the files of the volume say."""
    program = READ.format(path="/var/lib/memo")
    return shelf.scenario.python_in_pod(namespace, "deployment/memo", program)


def data(shelf: Shelf, state: str, path: Path) -> Run:
    """Save the volume of main, or load it."""
    return shelf.scenario.play(
        "playbooks/data.yml",
        __apps_data_state=state,
        apps_data_app="memo",
        apps_data_branch="main",
        apps_data_file=path,
    )


def volumes_of(shelf: Shelf, namespace: str) -> set[str]:
    """The claims of a namespace for which there are volumes."""
    found = json.loads(shelf.scenario.kubectl("get", "pv", "--output=json"))["items"]
    claims = [each["spec"]["claimRef"] for each in found]
    return {each["name"] for each in claims if each["namespace"] == namespace}


@pytest.fixture(scope="module")
def deployed(shelf: Shelf) -> Iterator[Shelf]:
    """The app on main, with something in its volume."""
    run = shelf.deploy(memo=memo(shelf))
    assert run.code == 0, str(run)
    write(shelf, "/var/lib/memo/first", "one")
    yield shelf
    shelf.scenario.kube.delete(NAMESPACES, NEXT)  # it has a volume that is kept


def test_data_is_still_there_after_the_pod_was_lost(deployed: Shelf) -> None:
    kube = deployed.scenario.kube
    labels = "app.kubernetes.io/name=memo"
    [pod] = kube.list(PODS, namespace=MAIN, labels=labels).items
    kube.delete(PODS, pod["metadata"]["name"], MAIN)
    name = pod["metadata"]["name"]
    wait_for(lambda: kube.get(PODS, name, MAIN), lambda found: found is None)
    deployed.scenario.kubectl("rollout", "status", "--namespace", MAIN, "deployment/memo")
    assert read(deployed) == "one"
    again = deployed.deploy(memo=memo(deployed))
    assert (again.code, set(again.changed.values())) == (0, {0}), str(again)


def test_data_goes_to_a_file_and_comes_back(deployed: Shelf, tmp_path: Path) -> None:
    path = tmp_path / "memo.tar.zst"
    run = data(deployed, "saved", path)
    assert run.code == 0, str(run)
    write(deployed, "/var/lib/memo/second", "two")
    spoiled = tmp_path / "spoiled.tar.zst"
    spoiled.write_bytes(path.read_bytes()[:-5])
    run = data(deployed, "loaded", spoiled)
    assert run.code != 0
    assert str(spoiled) in str(run)
    assert sorted(read(deployed).split()) == ["one", "two"]
    run = data(deployed, "loaded", path)
    assert run.code == 0, str(run)
    assert read(deployed) == "one"
    assert not [
        pod["metadata"]["name"]
        for pod in deployed.scenario.kube.list(PODS, namespace=MAIN).items
        if pod["metadata"]["name"].startswith("slipway-data-")
    ]


def test_a_new_branch_has_the_data_and_leaves_what_it_is_to_keep(deployed: Shelf) -> None:
    """One that names a StorageClass that there is none of fails beside it, and says so."""
    kept = {"path": "/var/lib/kept", "keep": True}
    lost = {"data": {"path": "/var/lib/memo", "class": "none-such"}}
    run = deployed.deploy(
        memo=memo(deployed),
        next=memo(deployed, "next", kept=kept),
        lost={**memo(deployed), "name": "lost", "volumes": lost},
    )
    assert run.code != 0
    failures = json.dumps(run.failures)
    assert "claim lost-data is not bound: there is no StorageClass none-such" in failures, str(run)
    assert "memo (" not in failures, str(run)
    assert read(deployed, NEXT) == "one"
    assert volumes_of(deployed, NEXT) == {"memo-data", "memo-kept"}

    run = deployed.deploy(memo=memo(deployed))
    assert run.code == 0, str(run)
    assert "volume kept is kept" in run.output, str(run)
    wait_for(lambda: volumes_of(deployed, NEXT), lambda found: found == {"memo-kept"})
    claims = deployed.scenario.kube.list(VOLUME_CLAIMS, namespace=NEXT).items
    assert [claim["metadata"]["name"] for claim in claims] == ["memo-kept"]
    assert read(deployed) == "one"
