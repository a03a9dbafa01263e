"""Records of apps, as the steps of a run hand them on: the one place where tests spell one."""

from __future__ import annotations

from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def planned(name: str = "greeter", branch: str = "main", **changes: Any) -> dict[str, Any]:
    """An app as the plan leaves it."""
    namespace = changes.pop("namespace", f"{name}-{branch}")
    rule = {
        "host": "demo.slipway.test",
        "path": f"/{name}/{branch}/",
        "path_type": "Prefix",
        "rewrite": "/",
        "expect": "Hello",
        "tls": None,
    }
    return {
        "id": f"{namespace}/{name}",
        "name": name,
        "namespace": namespace,
        "git_url": "https://git.example.org/greeter.git",
        "git_branch": branch,
        "git_auth": None,
        "git_path": ".",
        "branch_slug": branch,
        "pattern": None,
        "build": {"tool": None},
        "base_image": {},
        "port": 8080,
        "replicas": 1,
        "health_path": "/health",
        "probes": {},
        "resources": {},
        "env": {"GREETING": {"value": "Hello"}},
        "config_files": [
            {"path": "/config/application.properties", "content": "a=1\n", "template": True}
        ],
        "manifests": [],
        "helm": [],
        "service_account": None,
        "security": {},
        "node_selector": {},
        "ingress": {
            "websocket": False,
            "max_body_size": "1m",
            "timeout": "60s",
            "rules": [rule],
        },
        **changes,
    }


def built(name: str = "greeter", branch: str = "main", **changes: Any) -> dict[str, Any]:
    """An app as the build leaves it."""
    image = f"apps.slipway.internal/{name}:{branch}-{COMMIT[:12]}"
    return planned(name, branch, **{"commit": COMMIT, "project": ".", "image": image, **changes})
