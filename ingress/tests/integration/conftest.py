"""A fake Kubernetes API as the library's tests have it."""

from __future__ import annotations

from tests.conftest import api, kube, kubeconfig, server

__all__ = ["api", "kube", "kubeconfig", "server"]
