"""Voxels in memory, with their place."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional, Tuple

import numpy as np

from ._adapt import check_sitk, set_sitk_grid
from ._errors import OptionError
from ._grid import Grid, affine_of

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray
    from typing_extensions import Unpack

    from ._answers import Result
    from ._options import FileOptions, PathLike


@dataclass(frozen=True, eq=False, repr=False)
class Image:
    """An array and its affine.

    Parameters
    ----------
    data : numpy.ndarray
        Axes x, y, z (the file's i, j, k), then time and others; components of a voxel last, where ``vector``.
    affine : array_like, (4, 4)
        From an index (i, j, k) to RAS mm. A whole index is the centre of a voxel.
    vector : bool
        The last axis holds components of a voxel, such as red, green and blue.
    unit : str
        Of the affine: ``"mm"``, ``"um"``, or what a file says; ``""`` where it says none.

    Examples
    --------
    >>> import numpy as np, reslice
    >>> image = reslice.Image(np.zeros((4, 5, 6), np.int16), np.diag([2, 2, 3, 1]))
    >>> image
    Image(int16, Grid(4 x 5 x 6 voxels of 2 x 2 x 3 mm, RAS, first at 0, 0, 0))
    >>> np.asarray(image).shape
    (4, 5, 6)
    """

    data: NDArray[Any]
    affine: NDArray[np.float64]
    vector: bool = False
    unit: str = "mm"

    def __post_init__(self) -> None:
        object.__setattr__(self, "data", np.asanyarray(self.data))
        object.__setattr__(self, "affine", affine_of(self.affine))
        if self.data.ndim < 3 + self.vector:
            raise OptionError(f"an image takes axes x, y, z, and this array has shape {self.data.shape}")

    @property
    def grid(self) -> Grid:
        """Shape and affine together."""
        x, y, z = self.data.shape[:3]
        return Grid((x, y, z), self.affine, self.unit)

    @property
    def shape(self) -> Tuple[int, ...]:
        """Of the array: x, y, z, and what is behind them."""
        return self.data.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the samples."""
        return self.data.dtype

    def __array__(self, dtype: Optional[DTypeLike] = None, copy: Optional[bool] = None) -> NDArray[Any]:
        if copy:
            return np.array(self.data, dtype=dtype)
        return np.asarray(self.data, dtype=dtype)

    def __repr__(self) -> str:
        more = "".join(f" x {extent}" for extent in self.data.shape[3:])
        return f"Image({self.data.dtype}{more}, {self.grid})"

    def _repr_html_(self) -> str:
        from ._html import image_html

        return image_html(self)

    def _like(self, data: NDArray[Any], grid: Grid) -> Image:
        return Image(data, grid.affine, self.vector, grid.unit)

    def to_nibabel(self) -> Any:
        """A ``nibabel.Nifti1Image`` with sform and qform of this affine; truth is 0 and 1, and half precision single."""
        if self.vector:
            raise OptionError("nibabel has no images of vectors\nhint: take one component")
        nibabel: Any = importlib.import_module("nibabel")
        data = _stored(self.data)
        image = nibabel.Nifti1Image(data, self.affine, dtype=data.dtype)
        image.header.set_xyzt_units({"um": "micron", "m": "meter"}.get(self.unit, self.unit if self.unit == "mm" else "unknown"))
        return image

    def to_sitk(self) -> Any:
        """A ``SimpleITK.Image`` in the same place: its world is LPS, and its arrays have axes z, y, x."""
        check_sitk(self.grid)
        if self.data.ndim != 3 + self.vector:
            raise OptionError(f"SimpleITK takes three axes here, and the array has shape {self.data.shape}")
        axes = (2, 1, 0, 3) if self.vector else (2, 1, 0)
        sitk: Any = importlib.import_module("SimpleITK")
        image = sitk.GetImageFromArray(_stored(self.data).transpose(axes), isVector=self.vector)
        set_sitk_grid(image, self.grid)
        return image

    def to_zarr(self, path: PathLike, **options: Unpack[FileOptions]) -> Result:
        """Write an OME-Zarr image; options are those of :func:`reslice.resample` (``chunk=``, ``codec=``, ``pyramid=``)."""
        from ._jobs import resample

        return resample(self, path, **options)


def _stored(data: NDArray[Any]) -> NDArray[Any]:
    """Samples of a type that images of other packages have."""
    if data.dtype.kind == "b":
        return data.view(np.uint8)
    if data.dtype.kind == "f" and data.dtype.itemsize == 2:
        return data.astype(np.float32)
    return data if data.dtype.isnative else data.astype(data.dtype.newbyteorder("="))
