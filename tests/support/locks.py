"""A project whose locks are to say newer versions, and upstream as it publishes them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from slipway.bundle.bump import Bump, Proposal, write
from slipway.bundle.mirrors import mirrors
from slipway.bundle.published import Published
from slipway.errors import SlipwayError
from tests.support.upstreams import INDEX, Upstream, image_for

OLD, ONE, TWO = "0" * 64, "1" * 64, "2" * 64

VERSIONS = """\
# The lock.
slipway_versions:
  kubernetes: 1.36.3
  tool: 1.0.0  # the newest that works
  server: "1.9"
  go: 1.26.6
  debian: trixie
"""

UPSTREAM = f"""\
# What upstream publishes.
releases:
  kubernetes: https://dl.test/stable-{{minor}}.txt
  tool: https://api.test/tool/releases?per_page=100
  server: registry.test/server
  go: https://go.test/?mode=json
files:
  kubernetes:
    - url: https://dl.test/v{{version}}/{{architecture}}/kubelet
      sums: https://dl.test/v{{version}}/{{architecture}}/kubelet.sha256
      place: bin/kubelet
      sha256:
        1.36.3:
          amd64: {OLD}
          arm64: {OLD}
  tool:
    # All of it in one.
    - url: https://dl.test/tool-{{version}}-{{architecture}}.tgz
      sums: https://dl.test/tool-{{version}}/SHA256SUMS
      members:
        bin/tool: tool
      sha256:
        1.0.0:
          amd64: {OLD}
          arm64: {OLD}
images:
  registry.test/server:v1.9: sha256:{OLD}  # an index
"""

COMPONENTS = """\
kubernetes:
  module: k8s.io/kubernetes
  binaries: {bin/kubelet: k8s.io/kubernetes/cmd/kubelet}
tool:
  module: example.com/Tool
  binaries: {bin/tool: example.com/Tool}
server:
  binaries: {image/server: slipway/bundle/server}
"""

IMAGES = 'server: {ref: "registry.test/server:v{server}", binaries: {server: /server}}\n'


class Locks:
    """A project, and upstream as it has newer versions of all that is locked."""

    def __init__(self, root: Path, served: Upstream) -> None:
        self.root = root
        self.served = served
        self.said: list[str] = []
        for name, text in {
            "group_vars/all/versions.yml": VERSIONS,
            "bundle/upstream.yml": UPSTREAM,
            "bundle/go/components.yml": COMPONENTS,
            "images/images.yml": IMAGES,
        }.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        self.put("/dl/stable-1.36.txt", "v1.36.4")
        for architecture, text in (("amd64", ONE), ("arm64", TWO)):
            self.put(f"/dl/v1.36.4/{architecture}/kubelet.sha256", text)
        names = ["v2.0.0", "v1.2.0", "v1.10.0-rc.1", "api/v1.11.0", "v1.1.0", "v1.0.0"]
        listed: list[dict[str, Any]] = [{"tag_name": each} for each in names]
        listed.append({"tag_name": "v1.3.0", "prerelease": True})
        listed.append({"tag_name": "v1.4.0", "draft": True})
        self.put("/api/tool/releases", json.dumps(listed))
        sums = f"{ONE}  tool-1.2.0-amd64.tgz\n{TWO} *dist/tool-1.2.0-arm64.tgz\n{OLD}  other\n"
        self.put("/dl/tool-1.2.0/SHA256SUMS", sums)
        for module in ("k8s.io/kubernetes/@v/v1.36.4", "example.com/!tool/@v/v1.2.0"):
            self.put(f"/go/{module}.info", "{}")
        self.put("/v2/server/tags/list", json.dumps({"tags": ["v1.9", "v1.10", "v2.0", "latest"]}))
        self.digest = self.put_image("v1.10", "amd64", "arm64")
        self.put("/dl/go/", json.dumps([go_release("1.27.0"), go_release("1.26.7")]))

    def put(self, path: str, text: str) -> None:
        """Have upstream say something at a path."""
        self.served.files[path] = text.encode()

    def put_image(self, tag: str, *architectures: str) -> str:
        """Have an image at upstream for these architectures; give its digest."""
        layout, index = image_for(*architectures)
        digest = self.served.put_image("server", layout, index)
        self.served.files[f"/v2/server/manifests/{tag}"] = index
        self.served.kinds[f"/v2/server/manifests/{tag}"] = INDEX
        return digest

    @property
    def mirrors(self) -> dict[str, str]:
        """Where upstream is."""
        url = self.served.url
        return {
            "dl.test": f"{url}/dl",
            "api.test": f"{url}/api",
            "go.test": f"{url}/dl/go",
            "registry.test": url,
        }

    def proposals(self, *wanted: str) -> list[Proposal]:
        """What is proposed."""
        proxies = [f"{self.served.url}/go"]
        published = Published(mirrors(self.mirrors, {}), proxies, self.said.append)
        self.bump = Bump(self.root, published)
        return self.bump.proposals(wanted)

    def bumped(self, *wanted: str) -> Sequence[str]:
        """What is refused when the locks are written."""
        found = self.proposals(*wanted)
        write(self.bump.changes(found))
        return [str(problem) for each in found for problem in each.problems]

    def refused(self, *wanted: str) -> str:
        """What is told of the locks or of what is wanted, before anybody is asked."""
        before = [self.versions, self.upstream]
        with pytest.raises(SlipwayError) as caught:
            self.proposals(*wanted)
        assert [self.versions, self.upstream] == before
        assert self.served.asked == []
        return str(caught.value)

    @property
    def versions(self) -> str:
        """The lock of versions."""
        return (self.root / "group_vars/all/versions.yml").read_text()

    @property
    def upstream(self) -> str:
        """The lock of sums."""
        return (self.root / "bundle/upstream.yml").read_text()


def go_release(version: str, *architectures: str) -> dict[str, Any]:
    """A release of Go's with archives for architectures, or for all."""
    files = [
        {"os": "linux", "arch": each, "kind": "archive", "sha256": ONE}
        for each in architectures or ("amd64", "arm64")
    ]
    return {"version": f"go{version}", "stable": True, "files": files}
