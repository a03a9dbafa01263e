"""An app's config files as an object that never changes: other content has another name.

Thus pods of the version before keep their own configuration, also when they restart or are rolled
back to, and new content rolls the pods of this app because their volume differs.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from slipway.apps.app import App, ConfigFile
from slipway.apps.manifests.labels import metadata
from slipway.kube.client import CONFIG_MAPS, Object
from slipway.kube.objects import digest

_LONGEST = 200
"""Characters of a file's name in its key, which may have 253."""


def config_keys(app: App) -> dict[str, ConfigFile]:
    """The app's config files by their key: a number, for uniqueness, and the file's name."""
    files = sorted(app.config_files, key=lambda file: file.path)
    return {
        f"{number}-{re.sub('[^-._a-zA-Z0-9]', '_', file.path.rsplit('/', 1)[-1])[:_LONGEST]}": file
        for number, file in enumerate(files)
    }


def config_map(app: App) -> Object | None:
    """The app's config files but for secret ones in one ConfigMap; None when it has none."""
    files = {key: file for key, file in config_keys(app).items() if not file.is_secret}
    if not files:
        return None
    data = {key: file.content for key, file in files.items() if file.binary is None}
    binary = {
        key: b64encode(file.binary).decode()
        for key, file in files.items()
        if file.binary is not None
    }
    return {
        "apiVersion": CONFIG_MAPS.api_version,
        "kind": CONFIG_MAPS.kind,
        "metadata": metadata(app, f"{app.name}-{digest([data, binary] if binary else data)[:10]}"),
        "immutable": True,
        **({"data": data} if data else {}),
        **({"binaryData": binary} if binary else {}),
    }


def configurations(pod: Mapping[str, Any]) -> set[str]:
    """The names of the objects that a pod has its configuration and its secrets from."""
    volumes = pod.get("volumes", [])
    variables = [each for container in pod["containers"] for each in container.get("env", [])]
    sources = [each.get("valueFrom", {}) for each in variables]
    return {
        *(volume["configMap"]["name"] for volume in volumes if "configMap" in volume),
        *(volume["secret"]["secretName"] for volume in volumes if "secret" in volume),
        *(source["secretKeyRef"]["name"] for source in sources if "secretKeyRef" in source),
    }
