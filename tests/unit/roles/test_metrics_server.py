"""What of the cluster measures what is used: whom it believes, and what believes it."""

from __future__ import annotations

from typing import Any

import yaml

from slipway.kube.apply import in_order
from tests.support.checkout import PROJECT, VERSIONS
from tests.support.role_templates import rendered, variables


def objects() -> list[dict[str, Any]]:
    """The objects of the role."""
    path = PROJECT / "roles/metrics_server/templates/metrics-server.yml.j2"
    known = variables("lab", "metrics_server", __metrics_server_image_digest="sha256:0")
    return [*yaml.safe_load_all(str(rendered(path.read_text(), known)))]


def one(kind: str) -> dict[str, Any]:
    """The one object of a kind."""
    [found] = [each for each in objects() if each["kind"] == kind]
    return found


def test_nobody_is_believed_without_a_certificate() -> None:
    assert "insecureSkipTLSVerify" not in one("APIService")["spec"]
    [container] = one("Deployment")["spec"]["template"]["spec"]["containers"]
    arguments = dict(each.removeprefix("--").partition("=")[::2] for each in container["args"])
    assert "kubelet-insecure-tls" not in arguments
    assert arguments["kubelet-certificate-authority"].endswith("serviceaccount/ca.crt")


def test_it_serves_by_the_certificate_that_the_api_service_gets() -> None:
    service = one("APIService")["spec"]["service"]
    template = one("Deployment")["spec"]["template"]
    [volume] = template["spec"]["volumes"]
    assert volume["secret"]["secretName"] == f"{service['name']}-certificate"
    assert one("Service")["metadata"] == service
    assert one("Service")["spec"]["selector"].items() <= template["metadata"]["labels"].items()


def test_it_runs_the_image_of_the_lock_and_may_nothing() -> None:
    pod = one("Deployment")["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert container["image"].endswith(f"metrics-server:v{VERSIONS['metrics_server']}")
    assert pod["securityContext"]["runAsNonRoot"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_the_api_goes_before_what_serves_it() -> None:
    """Kubernetes removes no namespace while an API of the cluster leads nowhere."""
    assert in_order(objects())[-1]["kind"] == "APIService"
