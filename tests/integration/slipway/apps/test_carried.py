"""What manifests and charts name, from a registry that asks who comes; all tools are real."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slipway.apps.app import App, Built
from slipway.apps.builders.architectures import Images
from slipway.apps.builders.build import Settings
from slipway.apps.carried import Finder, build_all
from slipway.apps.deploy.content import complete
from slipway.apps.deploy.helm import Helm, helm_program
from slipway.architecture import Architecture
from slipway.cache.layout import CacheLayout
from slipway.oci import ImageStore
from slipway.secrets import Secrets
from tests.support.apps import reason, sourced
from tests.support.oci_samples import Layout
from tests.support.real_bundle import real_bundle, sandboxes_of_charts
from tests.support.registries import PASSWORD, USER, push, served

CHART = "apiVersion: v2\nname: more\nversion: 1.0.0\n"
WORKLOAD = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: NAME}
spec:
  selector: {matchLabels: {app: NAME}}
  template:
    metadata: {labels: {app: NAME}}
    spec: {containers: [{name: it, image: IMAGE, imagePullPolicy: Always}]}
"""
SECRETS = Secrets({"pull": PASSWORD, "guess": "something else"})


def workload(name: str, image: str) -> str:
    return WORKLOAD.replace("NAME", name).replace("IMAGE", image)


class Bench:
    """A cache, and the tools of the bundle."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.cache = CacheLayout(root / "cache")
        self.helm = Helm(helm_program(real_bundle()), sandboxes_of_charts(), "v1.36.3")
        self.said: list[str] = []

    def build(self, *apps: App) -> Images:
        """What the step gives."""
        settings = Settings(self.cache.root, real_bundle(), {}, secrets=SECRETS)
        finder = Finder(self.cache, self.helm)
        return build_all(apps, settings, finder, check=False, say=self.said.append)

    def app(self, name: str, tagged: str, by_digest: str, user: str = USER) -> App:
        """An app of an image, whose manifest names it by its tag, and whose chart by its digest."""
        password = "pull" if user == USER else "guess"
        files = {
            "more.yaml": workload("more", tagged),
            "chart/Chart.yaml": CHART,
            "chart/templates/all.yaml": workload("charted", "{{ .Values.image }}"),
        }
        for place, text in files.items():
            path = self.root / "checkout" / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        changes: dict[str, Any] = {
            "git_url": "",
            "checkout": str(self.root / "checkout"),
            "build": {"tool": "image", "ref": tagged},
            "registry_auth": {
                tagged.partition("/")[0]: {"user": user, "password": password},
            },
            "manifests": [{"source": "more.yaml"}],
            "helm": [{"release": "r", "source": "chart", "values": {"image": by_digest}}],
        }
        return sourced(name, **changes)


def test_images_of_manifests_and_charts_come_with_the_login_once(tmp_path: Path) -> None:
    bench, layout = Bench(tmp_path), Layout()
    index = layout.index(layout.image(b"more", Architecture.here()))
    program = real_bundle() / "tools" / "docker-registry"
    with served(program, tmp_path / "registry", asks=True) as registry:
        digest = push(f"http://{registry}", "team/more", layout, index, tag="1", asks=True)
        names = f"{registry}/team/more:1", f"{registry}/team/more@{digest}"
        app = bench.app("web", *names)
        first = bench.build(app, bench.app("guessing", *names, user="somebody"))
    [web, guessing] = first.apps
    assert isinstance(web, Built), bench.said
    assert not web.failed, reason(web)
    assert reason(guessing)
    store = ImageStore(bench.cache.images)
    assert {*store.images()} == web.images
    stored = f"apps.slipway.internal/{registry.replace(':', '-')}/team/more:"
    images = [
        extra.obj["spec"]["template"]["spec"]["containers"][0]
        for extra in complete(web, {}, bench.helm).extras
    ]
    assert [each["image"].rpartition("-")[0] for each in images] == [
        f"{stored}1",
        f"{stored}{digest[7:19]}",
    ]
    assert {each["imagePullPolicy"] for each in images} == {"IfNotPresent"}
    assert all(len(image.layers) == 2 for image in store.images().values())

    again = bench.build(app)
    assert (again.apps, again.built) == ([web], [])


def test_what_a_registry_refuses_is_said_with_its_place(tmp_path: Path) -> None:
    bench, layout = Bench(tmp_path), Layout()
    index = layout.index(layout.image(b"more", Architecture.here()))
    program = real_bundle() / "tools" / "docker-registry"
    with served(program, tmp_path / "registry", asks=True) as registry:
        digest = push(f"http://{registry}", "team/more", layout, index, tag="1", asks=True)
        by_digest = f"{registry}/team/more@{digest}"
        lacking = bench.app("web", f"{registry}/team/more:1", by_digest)
        lacking.manifests[0].content = workload("more", f"{registry}/team/more:2")
        lacking.manifests[0].source = None
        [app] = bench.build(lacking).apps
    assert reason(app).startswith(
        f"manifests[0]:1: Deployment more: container it: names {registry}/team/more:2, which "
        "cannot be fetched: "
    )
    assert "not found" in reason(app)
    assert reason(app).count("cannot be fetched") == 1
