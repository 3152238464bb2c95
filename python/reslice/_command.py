"""The command ``reslice``, in this process: the same code as the program that ``cargo install`` makes."""

from __future__ import annotations

import sys

from . import _reslice


def main() -> int:
    """Run the command with the words of the command line; the exit code."""
    return _reslice.command(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
