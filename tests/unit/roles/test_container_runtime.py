"""containerd's configuration, in the version that a node's containerd reads."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

from slipway.nodes.placed import INSTALLED
from tests.support.checkout import VERSIONS
from tests.support.container_runtime import ROLE, rendered

CRI_2 = "io.containerd.grpc.v1.cri"
CRI_3 = {"images": "io.containerd.cri.v1.images", "runtime": "io.containerd.cri.v1.runtime"}


@pytest.mark.parametrize("in_containers", [True, False])
def test_both_versions_say_the_same(in_containers: bool) -> None:
    two, three = (tomllib.loads(rendered(version, in_containers)) for version in (2, 3))
    assert (two["version"], three["version"]) == (2, 3)
    cri = two["plugins"][CRI_2]
    images, runtime = (three["plugins"][name] for name in CRI_3.values())
    pause = f"registry.k8s.io/pause:{VERSIONS['pause']}"
    assert cri["sandbox_image"] == images["pinned_images"]["sandbox"] == pause
    assert cri["registry"] == images["registry"]
    assert cri["containerd"] == runtime["containerd"]
    assert cri["containerd"]["runtimes"]["runc"]["options"]["SystemdCgroup"] is True
    assert cri["restrict_oom_score_adj"] is runtime["restrict_oom_score_adj"] is in_containers
    assert [cri["cni"]["bin_dir"]] == runtime["cni"]["bin_dirs"]
    assert cri["cni"]["conf_dir"] == runtime["cni"]["conf_dir"]


@pytest.mark.parametrize(
    ("containerd", "version"), [("1.7.24", 2), ("2.0.0", 3), ("2.4.2", 3), ("10.0.1", 3)]
)
def test_a_node_gets_the_version_that_its_containerd_reads(containerd: str, version: int) -> None:
    variables: dict[str, Any] = yaml.safe_load((ROLE / "vars/main.yml").read_text())
    templar = Templar(DataLoader(), variables={"slipway_versions": {"containerd": containerd}})
    chosen = templar.template(trust_as_template(variables["__container_runtime_config"]))
    assert chosen == f"config-{version}.toml.j2"
    assert (ROLE / "templates" / chosen).is_file()


def test_cni_s_plugins_find_slipway_s_nft_before_the_machine_s() -> None:
    unit = (ROLE / "templates/containerd.service.j2").read_text()
    (path,) = (line for line in unit.splitlines() if line.startswith("Environment=PATH="))
    first, *others = path.removeprefix("Environment=PATH=").split(":")
    assert first == INSTALLED["nft"]
    assert {INSTALLED["bin"], "/usr/sbin", "/usr/bin"} <= {*others}
