"""Resample 3-D volumes of any size, in a fixed amount of memory.

Arrays and triples have axes x, y, z: the file's i, j, k. Affines take an index to a place to the right, anterior, superior (RAS), in mm, unless
a file has another unit. See docs/python.md.

Parts are loaded when they are first used, so that the command begins at once.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, List

from ._reslice import VERSION as __version__

if TYPE_CHECKING:
    from ._answers import Comparison, Info, Level, Plan, Result, Verification, compare, info, transform_points, verify
    from ._errors import (
        FormatError,
        GeometryError,
        MemoryLimitError,
        OptionError,
        ReslicingError,
        ReslicingWarning,
        StoppedError,
        StorageError,
    )
    from ._grid import Grid
    from ._image import Image
    from ._jobs import plan, resample, resample_array
    from ._volume import Volume, open

__all__ = [
    "Comparison",
    "FormatError",
    "GeometryError",
    "Grid",
    "Image",
    "Info",
    "Level",
    "MemoryLimitError",
    "OptionError",
    "Plan",
    "ReslicingError",
    "ReslicingWarning",
    "Result",
    "StoppedError",
    "StorageError",
    "Verification",
    "Volume",
    "__version__",
    "compare",
    "info",
    "open",
    "plan",
    "resample",
    "resample_array",
    "transform_points",
    "verify",
]

_PARTS = {
    "_answers": "Comparison Info Level Plan Result Verification compare info transform_points verify",
    "_errors": "FormatError GeometryError MemoryLimitError OptionError ReslicingError ReslicingWarning StoppedError StorageError",
    "_grid": "Grid",
    "_image": "Image",
    "_jobs": "plan resample resample_array",
    "_volume": "Volume open",
}
_PART_OF = {name: part for part, names in _PARTS.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name not in _PART_OF:
        raise AttributeError(f"module 'reslice' has no attribute {name!r}")
    found = getattr(importlib.import_module(f".{_PART_OF[name]}", __name__), name)
    globals()[name] = found
    return found


def __dir__() -> List[str]:
    return __all__
