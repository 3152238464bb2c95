"""Volumes that are not in memory: made, block by block, when they are sliced."""

from __future__ import annotations

import json
import operator
import os
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Tuple

import numpy as np

from . import _reslice
from ._adapt import taken
from ._answers import Level, dtype_of, info, warn
from ._errors import GeometryError, OptionError, in_python
from ._grid import Grid
from ._image import Image
from ._options import MemoryOptions, SourceOptions, ViewOptions, keywords, refuse_of_files, target_grid, words

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike, NDArray
    from typing_extensions import Unpack

#: Names no file: its ending says that values are real ones, slope applied.
_TARGET = "volume.zarr"
#: A stream up to this is unpacked for a picture.
_SMALL_BYTES = 256 << 20


class _OpenOptions(SourceOptions, MemoryOptions, total=False):
    """Options of :func:`open`."""


class Volume:
    """A volume on disk, or what resampling makes of one, as an array that is read when it is sliced.

    Axes are x, y, z (the file's i, j, k), then time and others, then components. A slice comes as a new numpy array in Fortran order; beside that,
    decoded chunks and pieces under way stay within ``memory``. Values are real ones (slope applied). Threads may share a volume; so may children
    of a fork, unless it is behind a URL. Streams (``.nii.gz``) are unpacked into a nameless file in ``scratch=`` with the first slice.

    Attributes
    ----------
    grid : Grid
        Shape (x, y, z) and affine (RAS).
    shape : tuple of int
        As numpy has it.
    dtype : numpy.dtype
    levels : tuple of Level
        Of a multiscale image.
    warnings : tuple of str
    """

    def __init__(self, *_: Any) -> None:
        raise TypeError("reslice.open makes volumes")

    grid: Grid
    shape: Tuple[int, ...]
    dtype: np.dtype[Any]
    source: str
    format: str
    warnings: Tuple[str, ...]
    _lazy: _reslice.Lazy
    _outer: Tuple[int, ...]
    _components: int
    _base: Optional[_Base]
    #: What the compiled module reads, and what that is a view of.
    _given: Optional[Dict[str, Any]]
    _was_read: bool

    @classmethod
    def _of_call(
        cls, found: List[str], given: Optional[Dict[str, Any]], grid: Any, source: str, base: Optional["_Base"]
    ) -> Volume:
        self = object.__new__(cls)
        self._lazy = _reslice.Lazy(found, given, grid)
        self._given = given
        told = json.loads(self._lazy.described)
        self.grid = Grid._of_json(told["grid"])
        self.dtype = dtype_of(told["dtype"])
        self._outer = tuple(axis["len"] for axis in reversed(told["outer"]))
        self._components = told["components"]
        self.shape = (*self.grid.shape, *self._outer, *((self._components,) if self._components > 1 else ()))
        self.source, self.format = source, told["format"]
        self.warnings = tuple(in_python(text) for text in told["warnings"])
        self._base = base
        self._was_read = False
        return self

    @property
    def affine(self) -> NDArray[np.float64]:
        """(4, 4), from (i, j, k) to RAS."""
        return self.grid.affine

    @property
    def levels(self) -> Tuple[Level, ...]:
        """Of a multiscale image, finest first; looked up when they are asked for."""
        return info(self._base.name).levels if self._base is not None and self._base.given is None else ()

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of samples."""
        return int(np.prod(self.shape, dtype=object))

    @property
    def nbytes(self) -> int:
        """Bytes that all samples would take."""
        return self.size * self.dtype.itemsize

    @property
    def is_at_hand(self) -> bool:
        """Whether a slice needs no look at the whole file first."""
        return self._was_read or "gzip" not in self.format or self.nbytes <= _SMALL_BYTES

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        more = "".join(f" x {extent}" for extent in self.shape[3:])
        return f"Volume({self.dtype}{more}, {self.grid}, of {self.source})"

    def _repr_html_(self) -> str:
        from ._html import volume_html

        return volume_html(self)

    def __getitem__(self, key: Any) -> Any:
        """Integers, slices with any step, and ``...``, as numpy takes them."""
        axes = _axes(key, self.shape)
        squeezed = tuple(axis for axis, index in enumerate(axes) if isinstance(index, int))
        ranges = [range(index, index + 1) if isinstance(index, int) else range(*index.indices(n)) for index, n in zip(axes, self.shape)]
        array = self._box(ranges)
        if squeezed:
            array = array.squeeze(axis=squeezed)
        return array[()] if array.ndim == 0 else array

    def __array__(self, dtype: Optional[DTypeLike] = None, copy: Optional[bool] = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("a volume is made when it is read: there is nothing to be shared without a copy")
        return np.asarray(self._whole(None), dtype=dtype)

    def load(self) -> Image:
        """All of it, in memory, with its affine."""
        return Image(self._whole(None), self.grid.affine, self._components > 1, self.grid.unit)

    @keywords(ViewOptions)
    def resampled(self, onto: Any = None, /, **options: Unpack[ViewOptions]) -> Volume:
        """This volume on another grid, as a volume: each slice is made of what it needs of the source.

        The values are those of the file that :func:`reslice.resample` makes with the same options.

        Parameters
        ----------
        onto : Grid, path, image or (shape, affine), optional
            The grid, in the place of ``spacing=`` and the other options of the grid.
        **options
            Grid, values, memory and threads as for :func:`reslice.resample`.

        Examples
        --------
        >>> import reslice
        >>> fine = reslice.open("scan.nii.gz").resampled(spacing=0.5)
        >>> fine.shape
        (80, 80, 80)
        >>> fine[10:14, 20, 30:32].shape
        (4, 2)
        """
        if self._base is None:
            raise OptionError("this volume is resampled already\nhint: give all options to one call of resampled")
        every: Dict[str, Any] = {**self._base.options, **options}
        if onto is not None:
            every["like"] = onto
        target = target_grid(every)
        call = [*words(every), "--", self._base.name, _TARGET]
        volume = Volume._of_call(call, self._base.given, None if target is None else target._given(), self.source, None)
        for text in volume.warnings:
            warn(text, 3)
        return volume

    def _box(self, ranges: List[range]) -> NDArray[Any]:
        """What is at these indices, axis by axis."""
        inner, outer = ranges[:3], ranges[3 : 3 + len(self._outer)]
        components = ranges[-1] if self._components > 1 else range(1)
        lengths = [len(each) for each in ranges]
        if 0 in lengths:
            return np.empty(lengths, self.dtype, order="F")
        steps = {each.step for each in (*inner, components)}
        if steps == {1} and all(len(each) == 1 for each in outer) and len(components) == self._components:
            return self._read(self._volume([each[0] for each in outer]), inner).reshape(lengths, order="F")
        into = np.empty([*map(len, (*inner, *outer)), len(components)], self.dtype, order="F")
        self._fill(into, inner, outer, components)
        return into.reshape(lengths, order="F")

    def _fill(self, into: NDArray[Any], inner: List[range], outer: List[range], components: range) -> None:
        """Fills an array with axes x, y, z, outer ones, components."""
        along_z = [inner[2]] if inner[2].step == 1 else [range(z, z + 1) for z in inner[2]]
        for places in np.ndindex(*(len(each) for each in outer)):
            volume = self._volume([each[place] for each, place in zip(outer, places)])
            at = 0
            for z in along_z:
                spans = [_span(inner[0]), _span(inner[1]), z]
                part = self._read(volume, spans)
                steps = tuple(_within(each) for each in inner[:2])
                into[(slice(None), slice(None), slice(at, at + len(z)), *places)] = part[steps][..., list(components)]
                at += len(z)

    def _volume(self, places: List[int]) -> int:
        """The number of a volume: the axis behind z runs fastest."""
        number = 0
        for place, extent in zip(reversed(places), reversed(self._outer)):
            number = number * extent + place
        return number

    def _read(self, volume: int, spans: List[range]) -> NDArray[Any]:
        """A box of one volume: axes x, y, z, components."""
        x, y, z = spans
        read = self._lazy.read(volume, [z.start, y.start, x.start], [z.stop, y.stop, x.stop])
        self._was_read = True
        return read.view(self.dtype).reshape((self._components, len(z), len(y), len(x))).transpose(3, 2, 1, 0)

    def _whole(self, out: Optional[NDArray[Any]]) -> NDArray[Any]:
        ranges = [range(extent) for extent in self.shape]
        if out is None:
            return self._box(ranges)
        if out.shape != self.shape or out.dtype != self.dtype:
            raise OptionError(f"out= has shape {out.shape} of {out.dtype}, and the target {self.shape} of {self.dtype}")
        outer = ranges[3 : 3 + len(self._outer)]
        into = out if self._components > 1 else out[..., np.newaxis]
        self._fill(into, ranges[:3], outer, range(self._components))
        return out


class _Base:
    """What other volumes are made of."""

    def __init__(self, name: str, given: Optional[Dict[str, Any]], options: Mapping[str, Any]) -> None:
        self.name, self.given, self.options = name, given, options


def _axes(key: Any, shape: Tuple[int, ...]) -> List[int | slice]:
    """An index for each axis.

    Raises
    ------
    IndexError
        More of them than axes, one that is out of bounds, or one of another kind.
    """
    keys = list(key) if isinstance(key, tuple) else [key]
    dots = [at for at, one in enumerate(keys) if one is Ellipsis]
    if len(dots) > 1:
        raise IndexError("an index can have a single ellipsis ('...')")
    at = dots[0] if dots else len(keys)
    missing = len(shape) - (len(keys) - len(dots))
    if missing < 0:
        raise IndexError(f"too many indices: the volume has {len(shape)} axes, and {len(keys) - len(dots)} were given")
    keys[at : at + len(dots)] = [slice(None)] * missing
    axes: List[int | slice] = []
    for axis, (one, extent) in enumerate(zip(keys, shape)):
        if isinstance(one, slice):
            axes.append(one)
            continue
        if isinstance(one, (bool, np.bool_)) or not hasattr(one, "__index__") or isinstance(one, np.ndarray):
            raise IndexError(f"a volume takes integers, slices and '...', not {type(one).__name__}: read a box, and index that")
        index = operator.index(one)
        if not -extent <= index < extent:
            raise IndexError(f"index {index} is out of bounds for axis {axis} with size {extent}")
        axes.append(index % extent)
    return axes


def _span(indices: range) -> range:
    """The run of indices that a range with a step lies in."""
    return range(min(indices[0], indices[-1]), max(indices[0], indices[-1]) + 1)


def _within(indices: range) -> slice:
    """The range within its span."""
    if indices.step > 0:
        return slice(None, None, indices.step)
    return slice(None, None, indices.step) if len(indices) > 1 else slice(None)


@keywords(_OpenOptions)
def open(source: Any, affine: Optional[ArrayLike] = None, **options: Unpack[_OpenOptions]) -> Volume:
    """Open a volume of any size without reading it.

    Parameters
    ----------
    source : path-like or image
        A file, folder or URL; or an :class:`Image`, an image of nibabel, SimpleITK or xarray, an array with ``affine=``.
    affine : array_like, (4, 4)
        For an array: from (i, j, k) to RAS mm.
    level : int
        Of a multiscale image; 0 is the finest.
    memory : int or str
        What slices may use beside what the process holds now and the arrays that are handed out: half for decoded chunks, half for pieces under way.
    threads : int
    scratch : path-like
        Folder for unpacked streams; the system's folder for temporary files if not given.

    Returns
    -------
    Volume

    Examples
    --------
    >>> import reslice
    >>> volume = reslice.open("scan.nii.gz")
    >>> volume
    Volume(int16, Grid(40 x 40 x 20 voxels of 1 x 1 x 2 mm, RAS, first at 0, 0, 0), of scan.nii.gz)
    >>> volume[10:14, 20, 5].shape
    (4,)
    """
    given: Optional[Dict[str, Any]] = None
    if isinstance(source, (str, os.PathLike)):
        if affine is not None:
            raise GeometryError("affine= is for arrays, and a file has one of its own")
        name = os.fsdecode(os.fspath(source))
    else:
        refuse_of_files(options)
        image = taken(source, affine)
        given, name = image.given(), image.name
    volume = Volume._of_call([*words(options), "--", name, _TARGET], given, None, name, _Base(name, given, dict(options)))
    for text in volume.warnings:
        warn(text, 3)
    return volume


