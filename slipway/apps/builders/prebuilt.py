"""Images that somebody else has built, taken out of their archives as they are."""

from __future__ import annotations

from pathlib import Path

from slipway.apps.app import PrebuiltBuild, Sourced
from slipway.apps.builders.bases import file_identity
from slipway.apps.builders.order import Order
from slipway.apps.source.commands import git
from slipway.apps.source.git import Mirror
from slipway.apps.source.project import found
from slipway.errors import Problem, SlipwayError

RECIPE = "prebuilt 1"
"""Changes whenever the same archive would become another image."""


def identity(app: Sourced, build: PrebuiltBuild, mirror: Mirror) -> str:
    """What makes it the same archive.

    That is git's hash of one in the repository, and place, size and time of one elsewhere. Raises
    SlipwayError when there is none.
    """
    archive = Path(build.archive)
    if archive.is_absolute():
        return file_identity(archive, app.label)
    checkout = Path(app.checkout)
    place = found(checkout, str(Path(app.project, archive)), app.label)
    try:
        if place:
            project = (checkout / app.project).resolve()
            is_own = place.is_relative_to(project)
            at, top = (app.tree, project) if is_own else (app.commit, checkout.resolve())
            name = f"{at}:{place.relative_to(top).as_posix()}"
            hashed = git("--git-dir", mirror.path, "rev-parse", "--verify", name, what=mirror.url)
            return hashed.strip()
    except SlipwayError:  # it is not git's, as what is in a submodule
        pass
    where = "its repository" if app.project == "." else app.project
    raise SlipwayError(Problem(app.label, f"has no file {archive} in {where}"))


class Prebuilt:
    """Takes archives as they are."""

    doing = "import"

    def build(self, order: Order[PrebuiltBuild]) -> Path:
        """The archive itself."""
        return (order.project / order.build.archive).resolve()
