"""A registry on this machine that asks who comes, with the image of a sample, and apps of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slipway.oci import ImageStore
from tests.support import registries
from tests.support.apps_file import AppsFile
from tests.support.oci_samples import Layout, digest_of
from tests.support.scenario import Run, Scenario

NAME = "team/quotes"
SERVED = "images.slipway.test"
SECRETS = {"pull": registries.PASSWORD, "guess": "something else"}


@dataclass
class Shelf:
    """A registry that asks who comes, with the image of a sample; it can be closed."""

    scenario: Scenario
    apps_file: AppsFile
    address: str
    digest: str
    closing: ExitStack

    def deploy(self, *, variables: dict[str, Any] | None = None, **apps: Any) -> Run:
        """Deploy apps, each by its settings, beside those of the cluster."""
        entries = [
            {
                "name": name,
                "port": 8000,
                "ingress": {"host": SERVED, "rules": [{"path": f"/{name}/", "rewrite": "/"}]},
                **settings,
            }
            for name, settings in apps.items()
        ]
        changed = self.apps_file.changed(lambda there: there.extend(entries))
        return self.scenario.play(
            "playbooks/apps.yml",
            slipway_apps_file=changed,
            slipway_secrets=SECRETS,
            **(variables or {}),
        )

    def login(self, user: str = registries.USER) -> dict[str, Any]:
        """The registry_auth of somebody; only one user knows the password."""
        password = "pull" if user == registries.USER else "guess"
        return {self.address: {"user": user, "password": password}}


@contextmanager
def shelf(scenario: Scenario, apps_file: AppsFile, folder: Path) -> Iterator[Shelf]:
    """A registry with its files in a new folder; in the end the apps are what they were."""
    program = scenario.bundle / "tools" / "docker-registry"
    with ExitStack() as closing:
        address = closing.enter_context(registries.served(program, folder, asks=True))
        url = f"http://{address}"
        digest = registries.push(url, NAME, *image_of(scenario), tag="1", asks=True)
        yield Shelf(scenario, apps_file, address, digest, closing)
    undone = scenario.deploy(scenario.apps_file)
    assert undone.code == 0, str(undone)


def image_of(scenario: Scenario) -> tuple[Layout, bytes]:
    """An image of the sample of a cluster that none of its nodes has, and its index."""
    store = ImageStore(scenario.cache / "images")
    ref = next(ref for ref in store.images() if "/quotes:" in ref)
    return layout_of(store, ref, Labels={"team": "quotes"})


def layout_of(store: ImageStore, ref: str, **settings: Any) -> tuple[Layout, bytes]:
    """An image of a store as it would be pushed, and its index.

    With other ``settings`` in its config, it is another image for nodes.
    """
    image = store.images()[ref]
    layout = Layout()

    def content(digest: str) -> bytes:
        return (store.root / "blobs/sha256" / digest.removeprefix("sha256:")).read_bytes()

    def add(text: bytes) -> dict[str, Any]:
        digest = digest_of(text)
        layout.files[f"blobs/sha256/{digest.removeprefix('sha256:')}"] = text
        return {"digest": digest, "size": len(text)}

    for layer in image.layers:
        add(content(layer.digest))
    config = json.loads(content(image.config_digest))
    config["config"] = {**config.get("config", {}), **settings}
    manifest = json.loads(content(image.manifest_digest))
    manifest["config"] |= add(json.dumps(config).encode())
    kind = {"mediaType": image.manifest.media_type}
    return layout, layout.index(kind | add(json.dumps(manifest).encode()))
