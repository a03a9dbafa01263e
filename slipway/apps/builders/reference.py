"""Images of registries, by their references: nothing is built, they come as they are."""

from __future__ import annotations

from pathlib import Path

from slipway.apps.app import BuildxBuild, ImageBuild
from slipway.apps.builders.logins import Logins, registry_of
from slipway.apps.builders.order import Builder, Order

RECIPE = "image 1"
"""Changes whenever the same image would be stored as another one."""


def identity(build: ImageBuild, logins: Logins) -> str:
    """What makes it the same image: the reference, and who asks for it.

    What was fetched with a login is only for those who have it.
    """
    login = logins.get(registry_of(build.ref))
    return f"{login.user}@{build.ref}" if login else build.ref


class Referenced:
    """Has the builder of Dockerfiles fetch images: it knows registries, and keeps what it has."""

    doing = "fetch"

    def __init__(self, dockerfiles: Builder[BuildxBuild]) -> None:
        self._dockerfiles = dockerfiles

    def build(self, order: Order[ImageBuild]) -> Path:
        """As Builder; SlipwayError when the registry does not give the image."""
        checkout = order.scratch / "checkout"
        checkout.mkdir()
        (checkout / "Dockerfile").write_text(f"FROM {order.build.ref}\n")
        return self._dockerfiles.build(
            Order(
                label=order.label,
                repository=order.repository,
                checkout=checkout,
                build=BuildxBuild(),
                base=None,
                secrets={},
                scratch=order.scratch,
                images=order.images,
                platform=order.platform,
                logins=order.logins,
            )
        )
