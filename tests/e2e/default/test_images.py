"""An image of a private registry runs as it is, and is carried to the nodes by this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from slipway.oci import ImageStore
from tests.support import registries
from tests.support.apps_file import AppsFile
from tests.support.oci_samples import Layout
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

    def deploy(self, **apps: Any) -> Run:
        """Deploy apps, each the settings of one of an image, beside those of the cluster."""
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
            "playbooks/apps.yml", slipway_apps_file=changed, slipway_secrets=SECRETS
        )

    def app(self, image: str, user: str = registries.USER) -> dict[str, Any]:
        """An app of an image of this registry."""
        login = {"user": user, "password": "pull" if user == registries.USER else "guess"}
        return {"image": f"{self.address}/{image}", "registry_auth": {self.address: login}}


@pytest.fixture(scope="module")
def shelf(scenario: Scenario, apps_file: AppsFile, tmp_path_factory: Any) -> Iterator[Shelf]:
    program = scenario.bundle / "tools" / "docker-registry"
    folder: Path = tmp_path_factory.mktemp("registry") / "own"
    with ExitStack() as closing:
        address = closing.enter_context(registries.served(program, folder, asks=True))
        store = ImageStore(scenario.cache / "images")
        ref = next(ref for ref in store.images() if "/quotes:" in ref)
        layout, index = _layout_of(store, ref)
        url = f"http://{address}"
        digest = registries.push(url, NAME, layout, index, tag="1", asks=True)
        yield Shelf(scenario, apps_file, address, digest, closing)
    undone = scenario.deploy(scenario.apps_file)
    assert undone.code == 0, undone


def _layout_of(store: ImageStore, ref: str) -> tuple[Layout, bytes]:
    """An image of a store as it would be pushed."""
    image = store.images()[ref]
    layout = Layout()
    digests = [image.manifest_digest, image.config_digest, *(each.digest for each in image.layers)]
    for digest in digests:
        name = f"blobs/sha256/{digest.removeprefix('sha256:')}"
        layout.files[name] = (store.root / name).read_bytes()
    manifest = {
        "mediaType": image.manifest.media_type,
        "digest": image.manifest_digest,
        "size": image.manifest.size,
    }
    return layout, layout.index(manifest)


def test_it_serves_also_when_its_registry_is_gone_and_another_login_is_refused(
    shelf: Shelf,
) -> None:
    good = {
        "by-tag": shelf.app(f"{NAME}:1"),
        "by-digest": shelf.app(f"{NAME}@{shelf.digest}"),
    }
    run = shelf.deploy(**good, guessed=shelf.app(f"{NAME}:1", "somebody"))
    assert run.code != 0
    assert [word for word in run.failures if "guessed (main)" in word], run
    assert SECRETS["guess"] not in f"{run.output}{run.errors}"
    address = shelf.scenario.ingress_address()
    for name in good:
        answer = shelf.scenario.ask(address, SERVED, f"/{name}/")
        assert (answer.status, bool(answer.text)) == (200, True), (name, answer)
        template = "{.items[0].spec.containers[0].image}"
        image = shelf.scenario.kubectl(
            "get", "pods", "--namespace", f"{name}-main", f"--output=jsonpath={template}"
        )
        assert image.startswith(f"apps.slipway.internal/{name}:main-"), image

    shelf.closing.close()
    again = shelf.deploy(**good)
    assert again.code == 0, again
    assert set(again.changed.values()) == {0}, again
