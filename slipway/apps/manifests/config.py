"""An app's config files as an object that never changes: other content has another name.

Thus pods of the version before keep their own configuration, also when they restart or are rolled
back to, and new content rolls the pods of this app because their volume differs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from slipway.apps.manifests.labels import metadata
from slipway.apps.records import App
from slipway.kube import CONFIG_MAPS, Object
from slipway.objects import digest


def config_keys(app: App) -> dict[str, Mapping[str, str]]:
    """The app's config files by ConfigMap key: a number, for uniqueness, and the file's name."""
    files = sorted(app["config_files"], key=lambda file: str(file["path"]))
    return {
        f"{number}-{re.sub('[^-._a-zA-Z0-9]', '_', file['path'].rsplit('/', 1)[-1])}": file
        for number, file in enumerate(files)
    }


def config_map(app: App) -> Object | None:
    """The app's config files in one ConfigMap; None when it has none."""
    data = {key: file["content"] for key, file in config_keys(app).items()}
    if not data:
        return None
    return {
        "apiVersion": CONFIG_MAPS.api_version,
        "kind": CONFIG_MAPS.kind,
        "metadata": metadata(app, f"{app['name']}-{digest(data)[:10]}"),
        "immutable": True,
        "data": data,
    }
