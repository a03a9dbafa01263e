"""Apps, as the steps of a run hand them on: the one place where tests spell one.

``changes`` are settings in place of these, as plain data or as they are.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from slipway.apps.app import App, Built, Sourced

COMMIT = "0123456789abcdef0123456789abcdef01234567"

S = TypeVar("S", bound=App)


def planned(name: str = "greeter", branch: str = "main", **changes: Any) -> App:
    """An app as the plan leaves it."""
    return _made(App, name, branch, changes)


def sourced(name: str = "greeter", branch: str = "main", **changes: Any) -> Sourced:
    """An app whose source is in the cache."""
    source = {"commit": COMMIT, "tree": COMMIT, "checkout": "/", "project": ".", "whole": True}
    return _made(Sourced, name, branch, {**source, **changes})


def built(name: str = "greeter", branch: str = "main", **changes: Any) -> Built:
    """An app as the build leaves it."""
    image = f"apps.slipway.internal/{name}:{branch}-{COMMIT[:12]}"
    source = msgspec.to_builtins(sourced())
    own = {key: source[key] for key in Sourced.__annotations__}
    return _made(Built, name, branch, {**own, "image": image, **changes})


def reason(app: App) -> str:
    """Why an app failed; empty if it did not."""
    return app.failed.reason if app.failed else ""


def _made(stage: type[S], name: str, branch: str, changes: dict[str, Any]) -> S:
    namespace = changes.pop("namespace", f"{name}-{branch}")
    rule = {
        "host": "demo.slipway.test",
        "path": f"/{name}/{branch}/",
        "rewrite": "/",
        "expect": "Hello",
    }
    settings = {
        "id": f"{namespace}/{name}",
        "name": name,
        "namespace": namespace,
        "git_url": "https://git.example.org/greeter.git",
        "git_branch": branch,
        "branch_slug": branch,
        "port": 8080,
        "replicas": 1,
        "health_path": "/health",
        "env": {"GREETING": {"value": "Hello"}},
        "config_files": [
            {"path": "/config/application.properties", "content": "a=1\n", "template": True}
        ],
        "ingress": {
            "websocket": False,
            "max_body_size": "1m",
            "timeout": "60s",
            "rules": [rule],
        },
    }
    return msgspec.convert({**settings, **changes}, stage)
