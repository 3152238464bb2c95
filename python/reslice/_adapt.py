"""Images of other packages: their voxels and grids on the way in, the same class on the way out.

A package is imported only where an image of it was given: what made the image has it loaded.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Tuple

import numpy as np

from ._errors import GeometryError, OptionError
from ._grid import Grid, affine_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

#: From RAS to LPS and back, which is ITK's world.
_LPS = np.diag([-1.0, -1.0, 1.0])
_SPATIAL = ("x", "y", "z")


@dataclass(frozen=True)
class Taken:
    """An image of any class. ``data`` has axes x, y, z, outer ones, and components where ``vector``."""

    data: NDArray[Any]
    grid: Grid
    vector: bool
    name: str
    #: Makes an image of the same class of new data and a new grid.
    back: Callable[["NDArray[Any]", Grid], Any]
    #: Raises where the class cannot hold a grid.
    check: Callable[[Grid], None] = lambda grid: None
    #: What has to live for as long as ``data`` is read.
    owner: Any = None
    #: Steps of the outer axes in the order of ``data``; that of time is in seconds.
    steps: Tuple[float, ...] = ()
    #: Whether the image says that it holds labels.
    is_label: bool = False

    def given(self) -> Dict[str, Any]:
        """What the compiled module takes: axes outer (slowest first), components, z, y, x."""
        data = self.data if self.vector else self.data[..., np.newaxis]
        outer = data.ndim - 4
        axes = [*range(2 + outer, 2, -1), 3 + outer, 2, 1, 0]
        shape, affine, unit = self.grid._given()
        steps = [*self.steps[:outer], *[1.0] * (outer - len(self.steps))][::-1]
        return {
            "array": data.transpose(axes),
            "affine": affine,
            "unit": unit,
            "name": self.name,
            "outer": outer_names(outer),
            "steps": steps,
            "is_timed": bool(self.steps),
            "owner": self.owner,
        }


def outer_names(outer: int) -> List[str]:
    """Names of outer axes, slowest first: the first one behind z is time."""
    return (["t", "c"] + [f"d{axis}" for axis in range(6, 4 + outer)])[:outer][::-1]


def taken(image: Any, affine: Optional[ArrayLike] = None) -> Taken:
    """Takes an image apart.

    Raises
    ------
    GeometryError
        It has no affine, and none is given; or it has one, and another is given.
    OptionError
        Samples or axes that are not resampled.
    """
    from ._image import Image

    module = type(image).__module__.partition(".")[0]
    if isinstance(image, np.ma.MaskedArray):
        raise OptionError("the mask of an array would be lost\nhint: array.filled(value) says what stands behind it")
    if isinstance(image, np.ndarray):
        if affine is None:
            raise GeometryError(
                "an array does not say where its voxels are\nhint: affine=, (4, 4) from (i, j, k) to RAS mm; "
                "np.diag([sx, sy, sz, 1]) for steps alone"
            )
        grid = Grid(_shape(image), affine_of(affine))
        return Taken(_samples(image), grid, False, "an array", lambda data, grid: Image(data, grid.affine, unit=grid.unit))
    if module == "xarray":
        return _of_xarray(image, affine)
    if affine is not None and isinstance(image, (list, tuple)):
        raise OptionError(f"a {type(image).__name__} is no array\nhint: np.asarray makes one of it")
    if affine is not None:
        raise GeometryError("the image has an affine of its own\nhint: leave out affine=, or give its array")
    if isinstance(image, Image):
        return Taken(_samples(image.data), image.grid, image.vector, "an image", image._like)
    if module == "nibabel" or (hasattr(image, "dataobj") and hasattr(image, "affine")):
        return _of_nibabel(image)
    if module == "SimpleITK":
        return _of_sitk(image)
    raise OptionError(f"{type(image).__name__} is no array and no image of nibabel, SimpleITK or xarray")


def grid_of(image: Any) -> Grid:
    """The grid of an image, without a look at its voxels."""
    grid = getattr(image, "grid", None)
    if isinstance(grid, Grid):
        return grid
    module = type(image).__module__.partition(".")[0]
    if module == "xarray":
        return _of_xarray(image, None).grid
    if module == "SimpleITK":
        return _sitk_grid(image)
    if hasattr(image, "affine") and hasattr(image, "shape"):
        if image.affine is None:
            raise GeometryError("the image has no affine")
        return Grid(_shape(image), image.affine, _nibabel_unit(image))
    raise OptionError(f"{type(image).__name__} says no grid: a Grid, a path, an image or (shape, affine) does")


def _shape(image: Any) -> Tuple[int, int, int]:
    shape = tuple(int(extent) for extent in image.shape)
    if len(shape) < 3:
        raise OptionError(f"an image of shape {shape} has no three axes x, y, z\nhint: array[..., np.newaxis] has")
    if min(shape) < 1:
        raise OptionError(f"an image of shape {shape} has no voxels")
    return shape[0], shape[1], shape[2]


def _samples(data: NDArray[Any]) -> NDArray[Any]:
    """Samples of a type that is resampled, in the machine's byte order, so many whole samples apart."""
    if not data.flags.aligned or any(stride % data.itemsize for stride in data.strides):
        # A field of packed records.
        data = np.ascontiguousarray(data)
    if data.dtype.kind == "b":
        return data.view(np.uint8)
    if data.dtype.kind not in "uif" or data.dtype.itemsize > 8:
        raise OptionError(
            f"samples of type {data.dtype} are not resampled\nhint: resample the parts as an integer or float type of 8 to 64 bits"
        )
    if data.dtype.itemsize == 2 and data.dtype.kind == "f":
        return data.astype(np.float32)
    return data if data.dtype.isnative else data.astype(data.dtype.newbyteorder("="))


#: Units as headers and coordinates have them, and as grids have them.
_UNITS = {"mm": "mm", "millimeter": "mm", "um": "um", "micron": "um", "micrometer": "um", "nm": "nm", "nanometer": "nm", "meter": "m", "m": "m"}
_SECONDS = {"sec": 1.0, "msec": 1e-3, "usec": 1e-6}


def _nibabel_units(image: Any) -> Tuple[str, str]:
    """Of lengths and of time, as a header of NIfTI states them."""
    header: Any = getattr(image, "header", None)
    return header.get_xyzt_units() if hasattr(header, "get_xyzt_units") else ("unknown", "unknown")


def _nibabel_unit(image: Any) -> str:
    """The unit of the affine; mm where none is stated, as nibabel has it."""
    return _UNITS.get(_nibabel_units(image)[0], "mm")


def _nibabel_steps(image: Any) -> Tuple[float, ...]:
    """Steps of the axes behind z, where the header states that of time."""
    second = _SECONDS.get(_nibabel_units(image)[1])
    zooms = tuple(float(step) for step in image.header.get_zooms()[3:]) if second else ()
    return (zooms[0] * second, *zooms[1:]) if second and zooms and all(np.isfinite(zooms)) and zooms[0] > 0 else ()


def _is_label(image: Any) -> bool:
    header: Any = getattr(image, "header", None)
    return hasattr(header, "get_intent") and header.get_intent("code")[0] == 1002


def _of_nibabel(image: Any) -> Taken:
    if image.affine is None:
        raise GeometryError("the image has no affine\nhint: give its array and affine=")
    data = np.asanyarray(image.dataobj)
    if data.dtype == np.float64 and image.get_data_dtype() != np.float64:
        # Scaled on reading: as the command does where it applies a slope.
        data = data.astype(np.float32)
    grid = Grid(_shape(image), image.affine, _nibabel_unit(image))

    def back(data: NDArray[Any], grid: Grid) -> Any:
        header = None if image.header is None else image.header.copy()
        codes = {}
        if header is not None and hasattr(header, "set_data_dtype"):
            header.set_data_dtype(data.dtype)
        if header is not None and hasattr(header, "set_slope_inter"):
            codes = {name: int(header[f"{name}_code"]) for name in ("sform", "qform")}
            header.set_slope_inter(1, 0)
        made = type(image)(data, grid.affine, header)
        if any(codes.values()):
            made.set_sform(grid.affine, codes["sform"])
            made.set_qform(grid.affine, codes["qform"])
        return made

    steps = _nibabel_steps(image)
    return Taken(_samples(data), grid, False, "an image of nibabel", back, owner=image, steps=steps, is_label=_is_label(image))


def _sitk_grid(image: Any) -> Grid:
    if image.GetDimension() != 3:
        raise OptionError(f"an image of SimpleITK with {image.GetDimension()} axes, expected 3\nhint: take its volumes one by one")
    linear = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    affine = np.eye(4)
    affine[:3, :3] = _LPS @ linear
    affine[:3, 3] = _LPS @ np.array(image.GetOrigin())
    return Grid(image.GetSize(), affine)


def _of_sitk(image: Any) -> Taken:
    sitk: Any = importlib.import_module("SimpleITK")
    grid = _sitk_grid(image)
    vector = image.GetNumberOfComponentsPerPixel() > 1
    view = sitk.GetArrayViewFromImage(image)
    data = view.transpose(2, 1, 0, 3) if vector else view.transpose(2, 1, 0)

    def back(data: NDArray[Any], grid: Grid) -> Any:
        array = data.transpose(2, 1, 0, 3) if vector else data.transpose(2, 1, 0)
        made = sitk.GetImageFromArray(array, isVector=vector)
        set_sitk_grid(made, grid, image.GetDirection())
        return made

    # Its view does not keep an image alive.
    return Taken(_samples(data), grid, vector, "an image of SimpleITK", back, check_sitk, owner=image)


def check_sitk(grid: Grid) -> None:
    """Raises where ITK refuses a grid: it has no sheared ones."""
    direction = grid.affine[:3, :3] / np.array(grid.spacing)
    if not np.allclose(direction.T @ direction, np.eye(3), atol=1e-4):
        raise GeometryError("the grid is sheared, which SimpleITK cannot hold\nhint: give the array and affine=")


def set_sitk_grid(image: Any, grid: Grid, like: Any = None) -> None:
    """Spacing, origin and direction of an image of SimpleITK; a direction that is `like` up to rounding is that."""
    spacing = np.array(grid.spacing)
    direction = _LPS @ (grid.affine[:3, :3] / spacing)
    if like is not None and np.allclose(direction.ravel(), like, atol=1e-9):
        direction = np.array(like)
    image.SetSpacing([float(step) for step in spacing])
    image.SetOrigin([float(place) for place in _LPS @ grid.affine[:3, 3]])
    image.SetDirection([float(x) for x in direction.ravel()])


def _of_xarray(array: Any, affine: Optional[ArrayLike]) -> Taken:
    names = {str(name).lower(): name for name in array.dims}
    if not all(name in names for name in _SPATIAL):
        raise OptionError(f"an array of xarray with dimensions {array.dims}, expected x, y and z among them")
    spatial = [names[name] for name in _SPATIAL]
    outer = [name for name in array.dims if name not in spatial]
    turned = array.transpose(*spatial, *outer)
    data = _samples(np.asarray(turned.data))
    places = [_steps(array, name) for name in spatial] if affine is None else []
    if affine is None:
        matrix = np.diag([*(step for _, step in places), 1.0])
        matrix[:3, 3] = [first for first, _ in places]
    else:
        matrix = affine_of(affine)
    grid = Grid(_shape(data), matrix, _xarray_unit(array, spatial))

    def check(grid: Grid) -> None:
        linear = grid.affine[:3, :3]
        if affine is None and not np.array_equal(linear, np.diag(np.diag(linear))):
            raise GeometryError("coordinates cannot say a grid that is turned\nhint: give the array's values and affine=")

    def back(data: NDArray[Any], grid: Grid) -> Any:
        coords = {key: value for key, value in array.coords.items() if not set(value.dims) & set(spatial)}
        attrs = dict(array.attrs)
        if affine is None:
            for axis, name in enumerate(spatial):
                along = grid.affine[axis, 3] + grid.affine[axis, axis] * np.arange(grid.shape[axis])
                coords[name] = (name, along, dict(array.coords[name].attrs))
        else:
            attrs["affine"] = grid.affine.tolist()
        made = type(array)(data, dims=[*spatial, *outer], coords=coords, attrs=attrs, name=array.name)
        return made.transpose(*array.dims)

    return Taken(data, grid, False, "an array of xarray", back, check)


def _xarray_unit(array: Any, names: List[Any]) -> str:
    """The unit that the coordinates state, all of them the same one; mm else."""
    units = {str(array.coords[name].attrs.get("units", "")) for name in names if name in array.coords}
    return _UNITS.get(units.pop(), "mm") if len(units) == 1 else "mm"


def _steps(array: Any, name: Any) -> Tuple[float, float]:
    """First place and step of a coordinate."""
    hint = "\nhint: give it coordinates with one step, or affine="
    if name not in array.coords or array.sizes[name] < 2:
        raise GeometryError(f"dimension {name!r} has no two coordinates, so its step is not known{hint}")
    places = np.asarray(array.coords[name].values, dtype=np.float64)
    step = (places[-1] - places[0]) / (len(places) - 1)
    if not step or not np.allclose(places, places[0] + step * np.arange(len(places)), rtol=0, atol=1e-4 * abs(step)):
        raise GeometryError(f"the coordinates of dimension {name!r} have no one step{hint}")
    return float(places[0]), float(step)
