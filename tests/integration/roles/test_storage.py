"""The scripts by which a node makes and removes the folder of a volume."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support.storage import objects


def script(name: str, volume: Path) -> None:
    """Run a script of the ConfigMap for a volume."""
    text = objects()["ConfigMap"]["data"][name]
    subprocess.run(["sh", "-c", text], env={"VOL_DIR": str(volume)}, check=True)


def test_a_volume_is_for_pods_of_any_user_and_for_nobody_else_of_the_node(tmp_path: Path) -> None:
    volume = tmp_path / "volumes" / "pvc-1_shop-main_shop-data"
    volume.parent.mkdir()
    for _ in ("once", "once more"):
        script("setup", volume)
    assert (volume.parent.stat().st_mode & 0o777, volume.stat().st_mode & 0o777) == (0o700, 0o777)
    (volume / "deep").mkdir()
    (volume / "deep/file").write_text("x")
    (volume.parent / "other").mkdir()
    script("teardown", volume)
    assert [each.name for each in volume.parent.iterdir()] == ["other"]
