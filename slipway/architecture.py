"""The processors of machines that there is a bundle for, by all their names."""

from __future__ import annotations

import platform
from enum import StrEnum

from slipway.errors import Problem, SlipwayError


class Architecture(StrEnum):
    """A processor by the name that images, Go and Debian's packages have for it."""

    AMD64 = "amd64"
    ARM64 = "arm64"

    @property
    def machine(self) -> str:
        """What the kernel calls it, and so does ``uname -m``."""
        return {Architecture.AMD64: "x86_64", Architecture.ARM64: "aarch64"}[self]

    @property
    def triplet(self) -> str:
        """What compilers of C call it with its system."""
        return f"{self.machine}-linux-gnu"

    @property
    def platform(self) -> str:
        """The platform of images for it, as ``linux/amd64``."""
        return f"linux/{self}"

    @classmethod
    def here(cls) -> Architecture:
        """That of this machine; SlipwayError when there is no bundle for it."""
        return cls.of(platform.machine())

    @classmethod
    def of(cls, name: str) -> Architecture:
        """The one with this name, the kernel's or its own.

        Raises SlipwayError when there is no bundle for it.
        """
        for each in cls:
            if name.lower() in (each, each.machine):
                return each
        fix = f"take one of {', '.join(f'{each} ({each.machine})' for each in cls)}"
        raise SlipwayError(Problem(f"processor {name}", "there is no bundle for it", fix))
