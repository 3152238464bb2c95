"""Where voxels are."""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Mapping, Tuple

import numpy as np

from ._errors import GeometryError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_UNITS = {"millimeter": "mm", "micrometer": "um", "nanometer": "nm", "meter": "m", "unknown": ""}
_CODES = ("RL", "AP", "SI")


@dataclass(frozen=True, eq=False, repr=False)
class Grid:
    """How many voxels there are, and where they stand.

    Parameters
    ----------
    shape : (int, int, int)
        Numbers of voxels along x, y, z: the file's axes i, j, k.
    affine : array_like, (4, 4) or (3, 4)
        Takes an index (i, j, k) to a place (x, y, z): to the right, anterior, superior (RAS), in ``unit``. A whole index is the centre
        of a voxel.
    unit : str
        Of lengths: ``"mm"``, or what the file says (``"um"``); ``""`` where it says none.

    Raises
    ------
    GeometryError
        Not three extents of 1 or more; an affine with other numbers than finite ones, or one that is singular.

    Examples
    --------
    >>> import numpy as np, reslice
    >>> grid = reslice.Grid((512, 512, 120), np.diag([0.5, 0.5, 1.5, 1]))
    >>> grid.spacing
    (0.5, 0.5, 1.5)
    >>> grid
    Grid(512 x 512 x 120 voxels of 0.5 x 0.5 x 1.5 mm, RAS, first at 0, 0, 0)
    """

    shape: Tuple[int, int, int]
    affine: NDArray[np.float64]
    unit: str = field(default="mm")

    def __post_init__(self) -> None:
        try:
            shape = tuple(int(extent) for extent in self.shape)
            affine = np.array(self.affine, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise GeometryError(f"a grid takes a shape (x, y, z) and an affine (4, 4): {error}") from None
        if len(shape) != 3 or min(shape, default=0) < 1:
            raise GeometryError(f"the shape of a grid is {tuple(self.shape)}, expected three extents (x, y, z) of 1 or more")
        if affine.shape == (3, 4):
            affine = np.vstack([affine, [0.0, 0.0, 0.0, 1.0]])
        if affine.shape != (4, 4):
            raise GeometryError(f"the affine of a grid has shape {affine.shape}, expected (4, 4)")
        if not np.isfinite(affine).all() or not np.array_equal(affine[3], [0.0, 0.0, 0.0, 1.0]):
            raise GeometryError("the affine of a grid has numbers that are not finite, or a last row that is not 0, 0, 0, 1")
        if np.linalg.matrix_rank(affine[:3, :3]) < 3:
            raise GeometryError(f"the affine of a grid is singular: {affine[:3, :3].tolist()}")
        affine.flags.writeable = False
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "affine", affine)

    @classmethod
    def of(cls, source: Any) -> Grid:
        """The grid of a file, a volume, an image of nibabel, SimpleITK or xarray, or of a pair (shape, affine)."""
        from ._adapt import grid_of

        if isinstance(source, Grid):
            return source
        if isinstance(source, (str, os.PathLike)):
            from ._answers import info

            return info(source).grid
        if isinstance(source, tuple) and len(source) == 2:
            return cls(source[0], source[1])
        return grid_of(source)

    @classmethod
    def _of_json(cls, grid: Mapping[str, Any]) -> Grid:
        name = str(grid["unit"])
        unit = _UNITS.get(name, name)
        return cls(tuple(grid["shape"]), np.array([*grid["index_to_world"], [0, 0, 0, 1]], dtype=np.float64), unit)

    @property
    def spacing(self) -> Tuple[float, float, float]:
        """Step along x, y, z, in ``unit``: the lengths of the affine's columns."""
        x, y, z = (float(step) for step in np.sqrt((self.affine[:3, :3] ** 2).sum(axis=0)))
        return x, y, z

    @property
    def origin(self) -> Tuple[float, float, float]:
        """Place of the centre of voxel (0, 0, 0): x, y, z in ``unit``."""
        x, y, z = (float(place) for place in self.affine[:3, 3])
        return x, y, z

    @property
    def axcodes(self) -> Tuple[str, str, str]:
        """Where the axes run to: ``("R", "A", "S")`` is to the right, anterior, superior."""
        direction = self.affine[:3, :3] / np.array(self.spacing)
        best = max(itertools.permutations(range(3)), key=lambda rows: sum(abs(direction[r, c]) for c, r in enumerate(rows)))
        first, second, third = (_CODES[row][int(direction[row, column] < 0)] for column, row in enumerate(best))
        return first, second, third

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Grid):
            return NotImplemented
        return self.shape == other.shape and self.unit == other.unit and np.array_equal(self.affine, other.affine)

    def __hash__(self) -> int:
        return hash((self.shape, self.unit, self.affine.tobytes()))

    def __repr__(self) -> str:
        shape = " x ".join(str(extent) for extent in self.shape)
        spacing = " x ".join(number(step) for step in self.spacing)
        origin = ", ".join(number(place) for place in self.origin)
        unit = f" {self.unit}" if self.unit else ""
        return f"Grid({shape} voxels of {spacing}{unit}, {''.join(self.axcodes)}, first at {origin})"

    def _repr_html_(self) -> str:
        from ._html import grid_table

        return grid_table({"grid": self})

    def _given(self) -> Tuple[Tuple[int, int, int], list[list[float]], str]:
        return self.shape, self.affine[:3].tolist(), self.unit or "unknown"


def number(value: float) -> str:
    """A length as people read it."""
    text = f"{value:.6g}"
    return "0" if text == "-0" else text


def affine_of(affine: ArrayLike) -> NDArray[np.float64]:
    """An affine (4, 4) that has been looked at."""
    return Grid((1, 1, 1), np.asarray(affine, dtype=np.float64)).affine
