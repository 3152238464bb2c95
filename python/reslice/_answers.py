"""What is told: of files, of runs, of plans."""

from __future__ import annotations

import json
import os
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Callable, Mapping, Optional, Sequence, Tuple, Union

import numpy as np

from . import _reslice
from ._errors import OptionError, ReslicingWarning, in_python
from ._grid import Grid
from ._options import PathLike, Transform, transform_word

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

Json = Mapping[str, Any]
Progress = Union[bool, Callable[[int, int], Any], None]


def dtype_of(name: str) -> np.dtype[Any]:
    """The type that the command calls ``u8``, ``f32``."""
    return np.dtype({"u": "uint", "i": "int", "f": "float"}[name[0]] + name[1:])


def warn(text: str, stacklevel: int) -> str:
    """Warns in words of Python; the words."""
    told = in_python(text)
    warnings.warn(told, ReslicingWarning, stacklevel=stacklevel + 1)
    return told


@dataclass(frozen=True)
class Level:
    """One level of a multiscale image; axes x, y, z."""

    path: str
    shape: Tuple[int, int, int]
    spacing: Tuple[float, float, float]
    dtype: np.dtype[Any]
    chunk: Tuple[int, int, int]


@dataclass(frozen=True)
class Info:
    """What a file is. ``details`` is what ``reslice info --json`` prints."""

    path: str
    format: str
    grid: Grid
    dtype: np.dtype[Any]
    #: Lengths of the axes behind x, y, z, as an array has them.
    outer: Tuple[int, ...]
    #: Samples per voxel.
    components: int
    #: (factor, offset) from stored samples to real values.
    slope: Optional[Tuple[float, float]]
    is_label: bool
    raw_bytes: int
    stored_bytes: Optional[int]
    levels: Tuple[Level, ...]
    warnings: Tuple[str, ...]
    details: Json = field(repr=False)

    def _repr_html_(self) -> str:
        from ._html import grid_table

        return grid_table({"grid": self.grid}, {"file": self.path, "format": self.format, "samples": str(self.dtype)})


@dataclass(frozen=True)
class Plan:
    """What a run would do. ``str`` is what ``--dry-run`` prints; ``summary`` is what it prints as JSON."""

    path: str
    grid: Grid
    source_grid: Grid
    dtype: np.dtype[Any]
    interpolation: str
    #: Of the target, before compression.
    raw_bytes: int
    #: Of the whole process, what it holds already included.
    projected_bytes: int
    #: What each pass is for: ``resample``, ``unpack``, ``pack``, ``pyramid``.
    passes: Tuple[str, ...]
    warnings: Tuple[str, ...]
    text: str = field(repr=False)
    summary: Json = field(repr=False)

    def __str__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        from ._html import plan_html

        return plan_html(self)


@dataclass(frozen=True)
class Result:
    """What a run did. ``summary`` is what ``--summary`` writes."""

    path: str
    grid: Grid
    source_grid: Grid
    dtype: np.dtype[Any]
    interpolation: str
    rounding: str
    #: Target voxels that look outside the source, of one volume.
    outside: int
    #: Samples that an integer type could not hold, and became its smallest or largest number.
    clipped: int
    #: NaNs that became 0 in an integer type.
    nans: int
    #: Highest resident memory of the process in the run.
    peak_bytes: int
    #: What the process held before.
    held_bytes: int
    seconds: float
    warnings: Tuple[str, ...]
    #: As it should be, and good to know.
    notes: Tuple[str, ...]
    #: An earlier run had stored all or some of it.
    resumed: bool
    text: str = field(repr=False)
    summary: Json = field(repr=False)

    def __str__(self) -> str:
        return f"{self.text}\n{self.source_grid}\n{self.grid}"

    def _repr_html_(self) -> str:
        from ._html import grid_table

        rows = {"file": self.path, "samples": str(self.dtype), "interpolation": self.interpolation, "run": self.text}
        return grid_table({"source": self.source_grid, "target": self.grid}, rows, self.warnings)


@dataclass(frozen=True)
class Comparison:
    """How far two files are apart. True where both have as many voxels and none differs by more than the tolerance."""

    agrees: bool
    #: Voxels are in the same places, within 1e-4 voxel.
    same_geometry: bool
    #: "index": voxels of the same index were compared; "place": values of B at the places of A's voxels. Nothing where none were.
    by: Optional[str]
    compared: Optional[int]
    different: Optional[int]
    max_difference: Optional[float]
    mean_difference: Optional[float]
    #: Mean of B - A.
    mean_signed_difference: Optional[float]
    psnr_db: Optional[float]
    #: Index (i, j, k) in A of the voxel whose values are farthest apart.
    largest_at: Optional[Tuple[int, int, int]]
    warnings: Tuple[str, ...]
    details: Json = field(repr=False)

    def __bool__(self) -> bool:
        return self.agrees


@dataclass(frozen=True)
class Verification:
    """Whether a file is complete. True where it is."""

    ok: bool
    path: str
    chunks: int
    bad: int
    missing: int
    problems: Tuple[str, ...]
    seconds: float
    details: Json = field(repr=False)

    def __bool__(self) -> bool:
        return self.ok


def info(path: PathLike) -> Info:
    """Say what a file is, without reading a voxel.

    Parameters
    ----------
    path : path-like
        NIfTI, NRRD, MetaImage, MGH, DICOM file or folder, Zarr folder, archive (.ozx) or URL.

    Returns
    -------
    Info
        Grid (x, y, z; RAS), type, levels, sizes.

    Raises
    ------
    FormatError, StorageError

    Examples
    --------
    >>> import reslice
    >>> about = reslice.info("scan.nii.gz")
    >>> about.grid.shape, str(about.dtype)
    ((40, 40, 20), 'int16')
    """
    told: Json = json.loads(_reslice.info(_text(path)))
    levels = (told.get("zarr") or {}).get("levels") or told.get("levels") or []
    return Info(
        path=told["file"],
        format=told["format"],
        grid=Grid._of_json(told["grid"]),
        dtype=dtype_of(told["dtype"]),
        outer=tuple(axis["len"] for axis in reversed(told["outer"])),
        components=told["components"],
        slope=tuple(told["slope"]) if told["slope"] else None,
        is_label=told["is_label"],
        raw_bytes=told["raw_bytes"],
        stored_bytes=told["stored_bytes"],
        levels=tuple(
            Level(at["path"], tuple(at["shape"]), tuple(at["spacing"]), dtype_of(at["dtype"]), tuple(at["chunk"]))
            for at in levels
        ),
        warnings=tuple(in_python(text) for text in told["warnings"]),
        details=told,
    )


def compare(
    a: PathLike,
    b: PathLike,
    *,
    atol: float = 0.0,
    by: Optional[str] = None,
    memory: int | str | None = None,
    threads: Optional[int] = None,
) -> Comparison:
    """Compare two files voxel by voxel, in bounded memory: real values, slopes applied.

    Parameters
    ----------
    a, b : path-like
        Files of any format that is read.
    atol : float
        Differences up to this are none, in real units.
    by : {"index", "place"}, optional
        Compare voxels of the same index, or A's voxels with values of B at the same places of the world: labels of the nearest
        voxel, anything else by linear interpolation. Default: index where the numbers of voxels are the same, else place.
    memory : int or str, optional
        Bytes, or ``"512MiB"``: what may be used beside what the process holds already.
    threads : int, optional

    Returns
    -------
    Comparison
        True in an ``if`` where the voxels agree; ``same_geometry`` says whether they are in the same places.

    Examples
    --------
    >>> import reslice
    >>> bool(reslice.compare("scan.nii.gz", "scan.nii.gz"))
    True
    """
    told: Json = json.loads(_reslice.compare(_text(a), _text(b), float(atol), by, _memory(memory), threads))
    found: Json = told["comparison"]
    differences: Json = found["differences"] or {}
    largest: Json = differences.get("largest") or {}
    return Comparison(
        agrees=told["agrees"],
        same_geometry=found["geometry"]["same"],
        by=found["by"],
        compared=differences.get("compared"),
        different=differences.get("different"),
        max_difference=differences.get("max_difference"),
        mean_difference=differences.get("mean_difference"),
        mean_signed_difference=differences.get("mean_signed_difference"),
        psnr_db=differences.get("psnr_db"),
        largest_at=tuple(largest["index"]) if largest else None,
        warnings=tuple(warn(text, 2) for text in found["warnings"]),
        details=found,
    )


def verify(
    path: PathLike, *, memory: int | str | None = None, threads: Optional[int] = None, progress: Progress = None
) -> Verification:
    """Say whether a file is complete: every chunk there, decodable, of the right size.

    Parameters
    ----------
    path : path-like
        A NIfTI file, or a Zarr array, image or plate.
    memory, threads, progress
        As for :func:`reslice.resample`.

    Returns
    -------
    Verification
        True in an ``if`` where it is complete.

    Examples
    --------
    >>> import reslice
    >>> reslice.verify("scan.nii.gz").ok
    True
    """
    from ._progress import Shown

    with Shown(progress, "verify") as look:
        told: Json = json.loads(_reslice.verify(_text(path), _memory(memory), threads, look))
    arrays = told["arrays"]
    problems = [*told["problems"], *(problem for array in arrays for problem in array["problems"])]
    return Verification(
        ok=told["ok"],
        path=told["file"],
        chunks=sum(array["chunks"] for array in arrays),
        bad=sum(array["bad"] for array in arrays),
        missing=sum(array["missing"] for array in arrays),
        problems=tuple(": ".join(filter(None, (problem["chunk"], problem["what"]))) for problem in problems),
        seconds=told["seconds"],
        details=told,
    )


def transform_points(
    points: ArrayLike,
    transforms: Sequence[Transform],
    *,
    inverse: bool = False,
    lps: bool = False,
    source: Optional[PathLike] = None,
    target: Optional[PathLike] = None,
) -> NDArray[np.float64]:
    """Send points through transforms, from target world to source world, as resampling looks things up.

    Parameters
    ----------
    points : array_like, (n, 3)
        x, y, z in RAS mm.
    transforms : sequence
        Files, or tuples such as ``("0GenericAffine.mat", "inverse")``; the first one meets the points first, as in antsApplyTransforms.
    inverse : bool
        Go the other way: the inverses, last one first. That of a displacement field is found point by point; a warning counts the points
        for which it does not settle.
    lps : bool
        Points are LPS, as ITK and ANTs have them.
    source, target : path-like, optional
        The images that a single FSL matrix is of (``-in`` and ``-ref``).

    Returns
    -------
    numpy.ndarray, (n, 3), float64
        NaN where a field of positions says that a point has no place.

    Examples
    --------
    >>> import reslice
    >>> reslice.transform_points([[0.0, 0.0, 0.0]], ["shift.txt"])
    array([[1., 2., 3.]])
    >>> reslice.transform_points([[1.0, 2.0, 3.0]], ["shift.txt"], inverse=True)
    array([[0., 0., 0.]])
    """
    array = np.array(points, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] != 3:
        raise OptionError(f"points of shape {array.shape}, expected (n, 3)")
    if isinstance(transforms, (str, os.PathLike)):
        raise OptionError(f"transforms={transforms!r} is one, and a list of them is taken\nhint: [{transforms!r}]")
    if (source is None) != (target is None):
        raise OptionError("source= and target= go together")
    chain = [_inverted(one) for one in reversed(transforms)] if inverse else list(transforms)
    sign = np.array([-1.0, -1.0, 1.0]) if lps else np.ones(3)
    ends = None if source is None or target is None else (_text(source), _text(target))
    sent, told = _reslice.points(array * sign, [transform_word(one) for one in chain], ends)
    for text in told:
        warn(text, 2)
    # No negative zeros.
    return sent * sign + 0.0


def _inverted(transform: Transform) -> Transform:
    parts = transform if isinstance(transform, tuple) else (transform,)
    kept = tuple(part for part in parts[1:] if part != "inverse")
    return (parts[0], *kept) if len(kept) < len(parts) - 1 else (*parts, "inverse")


def _text(path: PathLike) -> str:
    text = os.fspath(path)
    return os.fsdecode(text)


def _memory(memory: int | str | None) -> Optional[str]:
    return None if memory is None else str(memory)
