"""Packages of Debian's archive, on machines that know nothing of its keys."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from slipway.bundle.debian import make_rootfs
from slipway.errors import SlipwayError

VERSIONS = yaml.safe_load(Path("group_vars/all/versions.yml").read_text())["slipway_versions"]
SUITE = VERSIONS["debian"]
KEYS = Path("images", f"debian-{SUITE}.asc")


@pytest.fixture
def no_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file without keys, on a machine whose package manager trusts none, as one of Ubuntu's."""
    nothing = tmp_path / "nothing.gpg"
    nothing.touch()
    (tmp_path / "trusted").mkdir()
    config = tmp_path / "apt.conf"
    config.write_text(
        f'Dir::Etc::Trusted "{nothing}";\nDir::Etc::TrustedParts "{tmp_path}/trusted";\n'
    )
    monkeypatch.setenv("APT_CONFIG", str(config))
    return nothing


def test_the_keys_that_the_project_has_are_enough(no_keys: Path, tmp_path: Path) -> None:
    with pytest.raises(SlipwayError, match=r"NO_PUBKEY|Missing key"):
        make_rootfs(SUITE, "extract", ["base-files"], tmp_path / "x.tar", no_keys)
    versions = make_rootfs(SUITE, "extract", ["base-files"], tmp_path / "x.tar", KEYS)
    assert "base-files" in versions
