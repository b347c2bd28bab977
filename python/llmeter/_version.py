"""The version of the package: that of its core."""

from __future__ import annotations


def _version() -> str:
    try:
        from . import _core
    except ImportError:
        # Sources that were not built.
        return "0.0.0"
    return _core.version()


__version__ = _version()
