"""The command line: `llmeter`, or `python -m llmeter`."""

from __future__ import annotations

import sys

from . import _core


def main() -> int:
    """Carries out the command line of this process; gives its exit code."""
    return _core.cli(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
