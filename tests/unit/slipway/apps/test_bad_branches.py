"""What one branch's files can do wrong fails that app, in words that help, and no other app."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from slipway.apps.deploy.content import objects
from slipway.apps.deploy.deploy import Outcome, deploy
from slipway.apps.manifests.documents import Fault
from slipway.errors import Problem
from slipway.kube.client import Kube, Object, Unreachable
from tests.support.app_cluster import FakeApi, rolled_out_at_once
from tests.support.apps import built, reason
from tests.support.contents import fake_helm

MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\n"
DEFINITION = (
    "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n"
    "metadata: {name: boats.example.org}\n"
)
DEPLOYMENT = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: cache}\n"
LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


class Case(NamedTuple):
    """A bad manifest, and parts of what is said of it."""

    text: str
    parts: tuple[str, ...]


CASES = {
    "a word that is tagged as a number": Case(
        f"{MAP}data:\n  x: !!int x\n", ("odd.yaml:6:", "'x' is not a whole number", "in quotes")
    ),
    "a word that is tagged as a truth": Case("x: !!bool maybe", (":1:", "not true or false")),
    "a tag of Python": Case("x: !!python/object:os.system {}", (":1:", "python/object:os.system")),
    "a value that Ansible Vault encrypted": Case(
        f"{MAP}data:\n  x: !vault |\n    $ANSIBLE_VAULT;1.1;AES256\n    6231\n",
        ("odd.yaml:6:", "Ansible Vault", "slipway_secrets", "docs/secrets.md"),
    ),
    "a set": Case("!!set {a, b}", (":1:", "!!set is no tag of Kubernetes' YAML")),
    "binary": Case(f"{MAP}data: {{x: !!binary aGk=}}", (":5:", "!!binary is no tag")),
    "an alias of itself": Case("a:\n- &a [*a]\n", (":2:", "*a is an alias inside what it")),
    "an alias of itself by a merge": Case("a: &a\n  <<: *a\n", (":2:", "alias inside")),
    "an alias of nothing": Case("a: *b\n", (":1:", "nothing has the anchor &b")),
    "a billion laughs": Case(LAUGHS, ("with all that its aliases stand for", "write less")),
    "a long text a thousand times": Case(
        f"a: &a {'x' * 100_000}\nb: [{', '.join(['*a'] * 1000)}]", (":2:", "aliases stand for")
    ),
    "lists in lists": Case("[" * 10_000 + "]" * 10_000, (":1:", "more than 100 deep")),
    "mappings in mappings": Case(
        "".join("  " * depth + "a:\n" for depth in range(200)), (":101:", "more than 100 deep")
    ),
    "keys in keys": Case("? " * 10_000, (":1:", "more than 100 deep")),
    "a number of 10,000 digits": Case(f"{MAP}data: {{x: {'9' * 10_000}}}", (":5:", "whole number")),
    "a number of 80 digits": Case(f"{MAP}data: {{x: 0x{'f' * 80}}}", (":5:", "whole number")),
    "infinity": Case(f"{MAP}data: {{x: .inf}}", (":5:", "'.inf' is not a number that JSON")),
    "a key that is a list": Case("{[a]: b}", (":1:", "a key that is no text")),
    "a key that is empty": Case("~: b", (":1:", "a key that is no text")),
    "one key twice": Case(f"{MAP}kind: Secret\n", (":5:", "the key kind", "after line 2")),
    "a merge of a text": Case("a: 1\n<<: words\n", (":2:", "merges (<<) what is no mapping")),
    "a NUL": Case(f"{MAP}data: {{x: '\0'}}", ("is not YAML", "control characters")),
    "metadata that are a list": Case(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: [name]\n", ("usable metadata.name",)
    ),
    "a name of two lines": Case(
        'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: "a\\nb"}\n', ("usable metadata.name",)
    ),
    "no kind": Case("apiVersion: v1\nmetadata: {name: a}\n", ("lacks a usable kind",)),
    "a version that is a number": Case(
        "apiVersion: 1\nkind: ConfigMap\nmetadata: {name: a}\n", ("usable apiVersion",)
    ),
    "labels that are a list": Case(
        f"{MAP}  labels: [x]\n", ("ConfigMap settings", "metadata.labels is a list", "a mapping")
    ),
    "a label that is a number": Case(
        f"{MAP}  labels: {{version: 1}}\n", ("metadata.labels.version is the number 1", "quotes")
    ),
    "an annotation that is a mapping": Case(
        f"{MAP}  annotations: {{a: {{}}}}\n", ("metadata.annotations.a is a mapping",)
    ),
    "a namespace that is a list": Case(f"{MAP}  namespace: [x]\n", ("namespace is a list",)),
    "data that are a number": Case(
        f"{MAP}data: {{zip: 01067}}\n", ("settings: data.zip is the number 567", "in quotes")
    ),
    "text of a Secret that is true or false": Case(
        f"{MAP}".replace("ConfigMap", "Secret") + "stringData: {debug: yes}\n",
        ("stringData.debug is a boolean", "in quotes"),
    ),
    "labels, variables and nodes of pods by numbers": Case(
        f"{DEPLOYMENT}spec:\n  selector: {{}}\n  template:\n    metadata: {{labels: {{v: 1.10}}}}\n"
        "    spec:\n      nodeSelector: {zone: 0x1F}\n      containers:\n"
        "      - {name: a, env: [{name: B}, {name: C, value: on}]}\n",
        (
            "spec.template.metadata.labels.v is the number 1.1: it must be text",
            "spec.template.spec.nodeSelector.zone is the number 31",
            "spec.template.spec.containers[0].env[1].value is a boolean",
        ),
    ),
    "data that are a list": Case(f"{MAP}data: [x]\n", ("data is a list: it must be a mapping",)),
    "a definition without a spec": Case(DEFINITION, ("lacks spec, which is a mapping",)),
    "a definition without names": Case(
        f"{DEFINITION}spec: {{group: example.org, scope: Namespaced, versions: []}}\n",
        ("lacks spec.names",),
    ),
    "a definition of a version that is text": Case(
        f"{DEFINITION}spec: {{group: e.org, scope: Cluster, names: {{kind: B}}, versions: [v1]}}",
        ("spec.versions[0] is text: it must be a mapping",),
    ),
    "a Deployment without a spec": Case(DEPLOYMENT, ("Deployment cache: lacks spec",)),
    "a Deployment without a selector": Case(f"{DEPLOYMENT}spec: {{}}\n", ("lacks spec.selector",)),
    "items of a list that are text": Case(
        "apiVersion: v1\nkind: List\nitems: [x]\n", ("is no Kubernetes object",)
    ),
    "Slipway's own label": Case(
        f"{MAP}  labels: {{app.kubernetes.io/managed-by: slipway}}\n",
        ("app.kubernetes.io/managed-by: slipway", "remove it"),
    ),
    "an annotation of Slipway's own": Case(
        f"{MAP}  annotations: {{slipway.internal/owner: quote-main/quote}}\n",
        ("metadata.annotations: slipway.internal/owner: quote-main/quote", "remove it"),
    ),
    "pods that wear the labels of another app's": Case(
        f"{DEPLOYMENT}spec:\n  selector: {{}}\n  template:\n    metadata:\n"
        "      labels: {app.kubernetes.io/managed-by: slipway}\n",
        ("spec.template.metadata.labels: app.kubernetes.io/managed-by: slipway",),
    ),
    "another app's namespace": Case(
        f"{MAP}  namespace: quote-main\n", ("wants to be in namespace quote-main",)
    ),
    "a loop that does not end": Case(
        "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}"
        "{% endfor %}{% endfor %}{% endfor %}",
        ("odd.yaml:1: it takes",),
    ),
    "a text of 10 GB": Case('{{ "a" * 10**10 }}', ("it needs more than 512 MB of memory",)),
    "a text of 10 GB by a filter": Case('{{ "a"|center(10**10) }}', ("512 MB",)),
    "a text that is too long": Case(
        '{% for a in range(99999) %}{{ "a" * 1000 }}{% endfor %}', ("more than 16 MB of text",)
    ),
    "a call that Jinja does not expect": Case("{{ cycler() }}", ("at least one item",)),
    "a template that calls itself": Case(
        "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}", ("nested too deeply",)
    ),
    "brackets in brackets": Case("{{ " + "(" * 10_000, ("nested too deeply",)),
    "a way out of the sandbox": Case("{{ ''.__class__.__mro__ }}", ("__class__",)),
}


@pytest.fixture(autouse=True)
def controllers(api: FakeApi) -> None:
    """Deployments are ready at once."""
    api.on_apply = rolled_out_at_once


def beside_a_healthy_app(kube: Kube, api: FakeApi, **changes: Any) -> str:
    """Why an app with these settings fails; a healthy one beside it is served."""
    outcome: Outcome = deploy(
        kube,
        [built("odd", **changes), built("quote")],
        "nginx",
        secrets={},
        ca_dir=Path("/nonexistent"),
        seconds=5,
        say=print,
    )
    odd, healthy = outcome.apps
    assert not healthy.failed
    assert ("ingresses", "quote-main", "quote") in api.objects
    assert ("deployments", "odd-main", "odd") not in api.objects
    assert odd.failed
    assert odd.failed.step == "deploy"
    return odd.failed.reason


@pytest.mark.parametrize("name", CASES)
def test_a_bad_manifest_fails_its_app_alone(
    kube: Kube, api: FakeApi, tmp_path: Path, name: str
) -> None:
    text, parts = CASES[name]
    (tmp_path / "odd.yaml").write_text(text)
    began = time.monotonic()
    why = beside_a_healthy_app(
        kube, api, manifests=[{"source": "odd.yaml"}], checkout=str(tmp_path)
    )
    assert time.monotonic() - began < 60
    assert "odd.yaml" in why
    assert all(part in why for part in parts), why
    assert "unexpected" not in why


def test_files_without_an_end_are_not_read(kube: Kube, api: FakeApi, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(50 << 20)
    sources = ["pipe", "folder", "loop", "large", "a\0b"]
    manifests = [{"source": source} for source in sources]
    files = [{"path": "/dev", "file": "/dev/zero"}, {"path": "/a", "source": "pipe"}]
    why = beside_a_healthy_app(
        kube, api, manifests=manifests, config_files=files, checkout=str(tmp_path)
    )
    lines = why.splitlines()
    assert len(lines) == len(sources) + len(files)
    assert sum("it is neither a file nor a folder" in line for line in lines) == 3
    assert sum("it is no regular file" in line for line in lines) == 1
    assert sum("it is larger than 16 MB" in line for line in lines) == 1
    assert all("cannot be read" in line for line in lines)


@pytest.mark.parametrize(
    ("rendered", "part"),
    [
        ("%PDF-1.7 \x01\x02", "is not YAML"),
        ("[]", "is no Kubernetes object"),
        (f"{MAP}  labels: [x]\n", "metadata.labels is a list"),
    ],
)
def test_a_chart_that_renders_rubbish_fails_its_app_alone(
    kube: Kube, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, rendered: str, part: str
) -> None:
    (tmp_path / "chart").mkdir()
    (tmp_path / "chart" / "Chart.yaml").write_text("name: chart\n")
    monkeypatch.setattr(Kube, "version", lambda _self: "v1.36.3")
    entry = {"release": "r", "source": "chart", "values": {}}
    program = fake_helm(tmp_path, rendered)
    outcome = deploy(
        kube,
        [built("odd", helm=[entry], checkout=str(tmp_path)), built("quote")],
        "nginx",
        secrets={},
        ca_dir=Path("/nonexistent"),
        seconds=5,
        say=print,
        helm=program,
    )
    assert part in reason(outcome.apps[0])
    assert not outcome.apps[1].failed


def test_what_kubernetes_takes_is_read_as_kubernetes_reads_it() -> None:
    text = (
        "--- # nothing\n---\n---\n"
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, labels: {on: 'x', 8080: y}}\n"
        "data: &data\n  2030-01-01: 2030-01-01\n  mode: !!str 0644\n  empty:\n"
        "more:\n  <<: [*data, {mode: x, other: z}]\n  own: <<\n"
        "numbers: [0o17, 0x1f, 1_000, -9223372036854775808, 1.5e+3, 1:30, =]\n---\n"
    )
    [extra] = objects("a.yaml", text)
    assert extra.where == "a.yaml:4"
    assert extra.obj == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "a", "labels": {"true": "x", "8080": "y"}},
        "data": {"2030-01-01": "2030-01-01", "mode": "0644"},
        "more": {"2030-01-01": "2030-01-01", "mode": "0644", "other": "z", "own": "<<"},
        "numbers": ["0o17", 31, 1000, -(2**63), 1500.0, "1:30", "="],
    }
    json.dumps(extra.obj)


def test_keys_that_are_doubled_are_left_to_charts() -> None:
    text = f"{MAP}data: {{a: x}}\ndata: {{a: y}}\n"
    [extra] = objects("chart", text, doubled=True)
    assert extra.obj["data"] == {"a": "y"}
    with pytest.raises(Fault, match="after line 5"):
        list(objects("a.yaml", text))


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("apps.deploy.deploy", "complete"),
        ("apps.deploy.extras", "adopted"),
        ("apps.deploy.decide", "render"),
        ("apps.deploy.deploy", "missing"),
        ("apps.deploy.rollout", "newest_pods"),
        ("kube.apply", "wait_until"),
    ],
)
def test_what_nobody_foresaw_fails_its_app_alone(
    kube: Kube, api: FakeApi, monkeypatch: pytest.MonkeyPatch, module: str, name: str
) -> None:
    def ready(api: FakeApi, obj: Object) -> None:
        if name != "newest_pods" or obj["metadata"].get("namespace") != "odd-main":
            rolled_out_at_once(api, obj)

    api.on_apply = ready
    place = sys.modules[f"slipway.{module}"]
    plain = getattr(place, name)

    def odd(*given: Any, **options: Any) -> Any:
        if "odd-main" in repr(given) or name == "wait_until":
            raise AttributeError("'list' object has no attribute 'get'")
        return plain(*given, **options)

    monkeypatch.setattr(place, name, odd)
    workload = f"{DEPLOYMENT}spec: {{selector: {{}}, replicas: 1}}\n"
    outcome = deploy(
        kube,
        [built("odd", manifests=[{"content": workload}]), built("quote")],
        "nginx",
        secrets={},
        ca_dir=Path("/nonexistent"),
        seconds=1,
        say=print,
    )
    why = reason(outcome.apps[0])
    assert "unexpected AttributeError: 'list' object has no attribute 'get'" in why
    assert not outcome.apps[1].failed
    assert ("ingresses", "quote-main", "quote") in api.objects


def test_a_request_that_the_api_drops_is_no_outage(
    kube: Kube, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Kube.apply

    def apply(self: Kube, obj: Object, **options: Any) -> Object:
        if obj["metadata"].get("namespace") == "odd-main":
            raise Unreachable(Problem("https://api", "the Kubernetes API does not answer"))
        return plain(self, obj, **options)

    monkeypatch.setattr(Kube, "apply", apply)
    monkeypatch.setattr(Kube, "version", lambda _self: "v1.36.3")
    options: dict[str, Any] = {"secrets": {}, "ca_dir": Path("/nonexistent"), "seconds": 5}
    apps = [built("odd"), built("quote")]
    outcome = deploy(kube, apps, "nginx", say=print, **options)
    assert "does not answer" in reason(outcome.apps[0])
    assert not outcome.apps[1].failed

    def version(_self: Kube) -> str:
        raise Unreachable(Problem("https://api", "it is gone"))

    monkeypatch.setattr(Kube, "version", version)
    with pytest.raises(Unreachable, match="it is gone"):
        deploy(kube, apps, "nginx", say=print, **options)
