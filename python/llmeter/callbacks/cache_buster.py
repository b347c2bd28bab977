"""A callback against the prompt caches of servers."""

from __future__ import annotations

from ._native import native
from .base import Callback

__all__ = ["CacheBuster"]


@native
class CacheBuster(Callback):
    """Makes every prompt begin differently, so that no server answers from its prompt cache.

    The core does it, as part of a run.

    Args:
        seed: what the prefixes follow from; by default every run draws one.
    """

    def __init__(self, seed: int | None = None):
        self.seed = seed
