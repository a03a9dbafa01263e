"""What connects the pods of all nodes."""

from __future__ import annotations

from pathlib import Path

from slipway.nodes.placed import INSTALLED

ROLE = Path(__file__).parents[3] / "roles" / "pod_network"


def test_routes_are_made_with_slipway_s_nft_and_the_machine_s_ip() -> None:
    unit = (ROLE / "templates/pod-routes.service.j2").read_text()
    (path,) = (line for line in unit.splitlines() if line.startswith("Environment=PATH="))
    first, *others = path.removeprefix("Environment=PATH=").split(":")
    assert first == INSTALLED["nft"]
    assert {"/usr/sbin", "/usr/bin"} <= {*others}
