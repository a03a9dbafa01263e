"""Images that a manifest and a chart name are carried to the nodes by this machine."""

from __future__ import annotations

from functools import partial
from typing import Any

from slipway.oci import ImageStore
from tests.support.scenario import Scenario, wait_for
from tests.support.shelves import NAME, SECRETS, SERVED, Shelf

WORKLOAD = """\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      securityContext:
        runAsNonRoot: true
        runAsUser: 65532
        seccompProfile: {{type: RuntimeDefault}}
      containers:
        - name: quotes
          image: "{image}"
          imagePullPolicy: Always
          readinessProbe: {{httpGet: {{path: /healthz, port: 8000}}, periodSeconds: 1}}
          securityContext: {{allowPrivilegeEscalation: false, capabilities: {{drop: [ALL]}}}}
---
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec: {{selector: {{app: {name}}}, ports: [{{port: 80, targetPort: 8000}}]}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {name}
  annotations: {{nginx.org/rewrites: serviceName={name} rewrite=/}}
spec:
  rules:
    - host: {host}
      http:
        paths:
          - path: {path}/{name}/
            pathType: Prefix
            backend: {{service: {{name: {name}, port: {{number: 80}}}}}}
"""


def _app(shelf: Shelf, name: str, **registry_auth: Any) -> dict[str, Any]:
    """An app whose manifest names the image by its tag, and whose chart does by its digest."""
    host, path = SERVED, f"/{name}"
    by_tag = WORKLOAD.format(name="more", image=f"{shelf.address}/{NAME}:1", host=host, path=path)
    by_digest = WORKLOAD.format(name="charted", image="{{ .Values.image }}", host=host, path=path)
    files = {
        "deploy/more.yaml": by_tag,
        "deploy/chart/Chart.yaml": "apiVersion: v2\nname: charted\nversion: 1.0.0\n",
        "deploy/chart/templates/all.yaml": by_digest,
    }
    image = f"{shelf.address}/{NAME}@{shelf.digest}"
    return {
        "git_url": shelf.apps_file.repository(name, files, like="quotes"),
        "manifests": [{"source": "deploy/more.yaml"}],
        "helm": [{"source": "deploy/chart", "values": {"image": image}}],
        "registry_auth": registry_auth,
    }


def _on_nodes(scenario: Scenario) -> dict[str, list[str]]:
    """By node, the images of the registry that it has; nothing of nodes that have none."""
    found = {
        name: [
            line
            for line in node.check_output(
                "/usr/local/bin/ctr --namespace k8s.io images list -q"
            ).splitlines()
            if line.startswith("apps.slipway.internal/127.0.0.1-")
        ]
        for name, node in scenario.nodes.items()
    }
    return {name: images for name, images in found.items() if images}


def test_they_serve_without_a_registry_and_leave_with_their_app(shelf: Shelf) -> None:
    scenario = shelf.scenario
    carrier = _app(shelf, "carrier", **shelf.login())
    guessing = _app(shelf, "guessing", **shelf.login("somebody"))
    run = shelf.deploy(carrier=carrier, guessing=guessing)
    assert run.code != 0
    [message] = run.failures
    assert "guessing (main), build" in message
    assert "carrier (main)" not in message
    assert (
        f"deploy/more.yaml:1: Deployment more: container quotes: names {shelf.address}/{NAME}:1, "
        "which cannot be fetched"
    ) in message
    assert SECRETS["guess"] not in f"{run.output}{run.errors}"
    address = scenario.ingress_address()
    for path in ("/carrier/", "/carrier/more/", "/carrier/charted/"):
        ask = partial(scenario.ask, address, SERVED, path)
        answer = wait_for(ask, lambda answer: answer.status == 200)
        assert answer.text
    template = "{.items[*].spec.containers[0].image}"
    images = scenario.kubectl(
        "get", "pods", "--namespace", "carrier-main", f"--output=jsonpath={template}"
    ).split()
    host = shelf.address.replace(":", "-")
    stored = f"apps.slipway.internal/{host}/{NAME}:"
    assert len(images) == 3
    assert len([image for image in images if image.startswith(f"{stored}1-")]) == 1
    assert len([image for image in images if image.startswith(stored)]) == 2
    assert _on_nodes(scenario)

    shelf.closing.close()
    again = shelf.deploy(carrier=carrier)
    assert again.code == 0, str(again)
    again = shelf.deploy(carrier=carrier)
    assert again.code == 0, str(again)
    assert set(again.changed.values()) == {0}, str(again)

    always = {"apps_prune_when": "always"}
    assert shelf.deploy(variables=always).code == 0
    store = ImageStore(scenario.cache / "images")
    assert not [ref for ref in store.images() if ref.startswith(stored)]
    spaces = partial(scenario.kubectl, "get", "namespaces", "--output=name")
    wait_for(spaces, lambda names: "namespace/carrier-main" not in names.split())

    def pruned() -> dict[str, list[str]]:
        """What is left on nodes, which keep what they still have containers of."""
        assert shelf.deploy(variables=always).code == 0
        return _on_nodes(scenario)

    wait_for(pruned, lambda left: not left)
