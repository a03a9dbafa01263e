"""Have the bundles in the cache: see ``plugins/modules/bundle.py`` for the documentation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slipway.action_plugin import SlipwayAction
from slipway.architecture import Architecture
from slipway.bundle.archive import ArchiveProvider
from slipway.bundle.choice import Choice, chosen
from slipway.bundle.provider import Bundle, bundle_path, ensure


class ActionModule(SlipwayAction):
    """Checks bundles in the cache against their manifests and has them where need be."""

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return where the bundles are and whether one was made just now."""
        named = [*map(Architecture.of, args["architectures"])] or [Architecture.here()]
        choices = chosen(args, named, self.say)
        paths = {
            each.value: str(bundle_path(choice.provider, choice.provider.cache))
            for each, choice in choices.items()
        }
        made = [self._have(each, choice).made for each, choice in choices.items()]
        return {"changed": any(made), "ansible_facts": {"bundle_dirs": paths}}

    def _have(self, architecture: Architecture, choice: Choice) -> Bundle:
        """Have the bundle for an architecture."""
        provider, say = choice.provider, self._saying_of(architecture)
        why = f"the bundle comes {choice.why}"
        bundle = ensure(provider, provider.cache, say, check=self.check_mode, why=why)
        if isinstance(provider, ArchiveProvider) and not self.check_mode:
            provider.note()
        return bundle

    def _saying_of(self, architecture: Architecture) -> Callable[[str], None]:
        """How to say what is done for other machines than this one's kind."""
        if architecture is Architecture.here():
            return self.say
        return lambda text: self.say(f"{architecture}: {text}")
