"""Asks the Kubernetes API as the account of its pod: /pods and /secrets are what it asks for."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from pathlib import Path

from serving import serve

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where Kubernetes puts what a pod is known by, if it has an account."""


def answer(path: str) -> str:
    """The names of the objects of its namespace, or what the API says instead."""
    if path == "/":
        return "ask for /pods or /secrets"
    namespace = (ACCOUNT / "namespace").read_text()
    request = urllib.request.Request(
        f"https://kubernetes.default.svc/api/v1/namespaces/{namespace}{path}",
        headers={"Authorization": f"Bearer {(ACCOUNT / 'token').read_text()}"},
    )
    context = ssl.create_default_context(cafile=ACCOUNT / "ca.crt")
    try:
        with urllib.request.urlopen(request, timeout=5, context=context) as response:
            objects = json.load(response)["items"]
    except urllib.error.HTTPError as error:
        return str(json.load(error)["message"])
    return "\n".join(each["metadata"]["name"] for each in objects)


serve(answer)
