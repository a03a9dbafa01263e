"""Apps that cannot be had: each gives its reason, and the others do not suffer from it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from tests.support.apps_file import Apps, AppsFile
from tests.support.checkout import PROJECT
from tests.support.scenario import Run, Scenario

DOCKERFILE = "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\n"
CRASHING = f"""{DOCKERFILE}
ENTRYPOINT ["python3", "-c", "raise SystemExit('the licence has expired')"]
"""
GREETING = "src/main/java/org/example/greeter/Greeting.java"

DATABASE = """\
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {clusterIP: None, selector: {app: db}, ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  selector: {matchLabels: {app: db}}
  persistentVolumeClaimRetentionPolicy: {whenDeleted: Delete}
  template:
    metadata: {labels: {app: db}}
    spec:
      securityContext:
        runAsNonRoot: true
        runAsUser: 65532
        seccompProfile: {type: RuntimeDefault}
      containers:
        - name: db
          image: "{{ image }}"
          volumeMounts: [{name: data, mountPath: /data}]
          securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
  volumeClaimTemplates:
    - metadata: {name: data}
      spec:
        storageClassName: nowhere
        accessModes: [ReadWriteOnce]
        resources: {requests: {storage: 1Mi}}
"""
"""What gets no volume; the app beside it is sound, and serves."""

REASONS = {
    "unanswered (main), source": ["127.0.0.1", "Failed to connect"],
    "greeter (feature/lout), source": ["no branch feature/lout", "did you mean feature/loud?"],
    "torn (main), build": ['"/nothing": not found'],
    "broken (main), build": ["Greeting.java:[", "cannot find symbol"],
    "knotted (main), deploy": ["objects.yaml:1", "*knot is an alias inside what it stands for"],
    "greedy (main), deploy": ["objects.yaml:1", "it needs more than 512 MB of memory"],
    "posing (main), deploy": ["objects.yaml:1", "app.kubernetes.io/managed-by: slipway"],
    "claiming (main), deploy": [
        "StatefulSet db: does not run after",
        "claim data-db-0 is not bound: there is no StorageClass nowhere",
    ],
    "quotes (main), deploy": [
        "CrashLoopBackOff",
        "what was deployed before still serves",
        "| the licence has expired",
    ],
}
"""What the message says of each app that cannot be had."""


@dataclass(frozen=True)
class BadRun:
    """A run over an apps.yml with sound and with bad apps, and the pods before it."""

    run: Run
    apps_file: Path
    pods: dict[str, tuple[str, int]]


@pytest.fixture(scope="module")
def bad(scenario: Scenario, apps_file: AppsFile) -> Iterator[BadRun]:
    """The run; afterwards the apps are made what they were."""
    with socket.socket() as deaf:  # it has a port, and nobody listens there
        deaf.bind(("127.0.0.1", 0))
        port = deaf.getsockname()[1]
        path = apps_file.changed(lambda apps: _make_bad(apps, apps_file, port))
        pods = scenario.pods()
        yield BadRun(scenario.deploy(path), path, pods)
    run = scenario.deploy(scenario.apps_file)
    assert run.code == 0, str(run)


def _make_bad(apps: Apps, apps_file: AppsFile, port: int) -> None:
    """Add a sound app and one of each kind of bad ones; break the next version of a third."""
    greeter, quotes = (
        next(app for app in apps if app["name"] == name and app["git_branch"] == "main")
        for name in ("greeter", "quotes")
    )
    words = (PROJECT / "examples/greeter/main" / GREETING).read_text()
    quotes["git_url"] = apps_file.repository("crashing", {"Dockerfile": CRASHING})
    torn = {"Dockerfile": f"{DOCKERFILE}COPY nothing /\n"}
    broken = {GREETING: words.replace("String ", "Sting ")}
    bad = {
        "knotted": "a: &knot [*knot]\n",
        "greedy": "{{ 'a' * 10**10 }}\n",
        "posing": "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: posing\n"
        "  labels: {app.kubernetes.io/managed-by: slipway}\n",
    }
    newcomer = {"quotes.txt": "Quotation of the day\nWell begun\n"}
    claiming = {**newcomer, "objects.yaml": DATABASE}
    apps += [
        _app("unanswered", f"http://127.0.0.1:{port}/team/unanswered.git"),
        _app("greeter", greeter["git_url"], git_branch="feature/lout"),
        _app("torn", apps_file.repository("torn", torn)),
        _app("broken", apps_file.repository("broken", broken, like="greeter")),
        *(
            _app(
                name,
                apps_file.repository(name, {"objects.yaml": text}, like="quotes"),
                port=8000,
                manifests=[{"source": "objects.yaml"}],
            )
            for name, text in bad.items()
        ),
        _app(
            "claiming",
            apps_file.repository("claiming", claiming, like="quotes"),
            port=8000,
            manifests=[{"source": "objects.yaml"}],
        ),
        _app("newcomer", apps_file.repository("newcomer", newcomer, like="quotes"), port=8000),
    ]


def _app(name: str, git_url: str, **settings: object) -> dict[str, object]:
    """An app with a route of its own."""
    rule = {"path": f"/{name}/", "rewrite": "/", "expect": "Quotation of the day: Well begun"}
    return {"name": name, "git_url": git_url, "ingress": {"rules": [rule]}, **settings}


def test_each_reason_stands_in_the_one_message(bad: BadRun) -> None:
    assert bad.run.code != 0
    [message] = bad.run.failures
    places = {message.index(heading): heading for heading in REASONS}
    ends = [*sorted(places), len(message)]
    for start, end in pairwise(ends):
        for words in REASONS[places[start]]:
            assert words in message[start:end], message


def test_other_apps_are_deployed_and_what_served_still_serves(
    scenario: Scenario, bad: BadRun
) -> None:
    wrong = scenario.wrong_routes(bad.apps_file)
    assert {path: answer.status for path, answer in wrong.items()} == dict.fromkeys(
        [
            "/unanswered/",
            "/greeter/",
            "/torn/",
            "/broken/",
            "/knotted/",
            "/greedy/",
            "/posing/",
        ],
        404,
    )
    after = scenario.pods()
    assert {pod: after.get(pod) for pod in bad.pods} == bad.pods
