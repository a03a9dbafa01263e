"""Files of the bundle as ``node_config`` takes them."""

from __future__ import annotations

from plugins.filter import bundle_file
from tests.support.filters import rendered


def test_files_of_the_bundle_become_entries_for_node_config() -> None:
    expression = "['kubeadm'] | map('bundle_file', '/b', 'bin') | list"
    assert rendered(bundle_file, expression) == [
        {"path": "/usr/local/bin/kubeadm", "source": "/b/bin/kubeadm", "mode": "0755"}
    ]
