"""Resampling: from file to file, and from array to array."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Tuple, TypeVar, overload

import numpy as np

from . import _reslice
from ._adapt import Taken, taken
from ._answers import Plan, Progress, Result, dtype_of, warn
from ._errors import OptionError, in_python
from ._grid import Grid
from ._image import Image
from ._options import FileOptions, ViewOptions, keywords, refuse_of_files, refuse_others, target_grid, words
from ._progress import Shown
from ._volume import Volume

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from typing_extensions import Unpack

    from ._options import PathLike

T = TypeVar("T")
Call = Tuple[List[str], Optional[Dict[str, Any]], Any]


def _call(source: Any, target: PathLike, options: Mapping[str, Any], affine: Optional[ArrayLike]) -> Call:
    """What the compiled module takes."""
    found = words(options)
    grid = target_grid(options)
    given = None
    if isinstance(source, (str, os.PathLike)):
        if affine is not None:
            raise OptionError("affine= is for arrays, and a file has one of its own")
        name = os.fsdecode(os.fspath(source))
        wants = options.get("resume")
        if wants is None and not any(options.get(name) for name in ("overwrite", "restart", "in_place", "rank")):
            found.append("--resume")
    else:
        refuse_of_files(options)
        image = source if isinstance(source, Taken) else taken(source, affine)
        given, name = image.given(), image.name
        if image.is_label:
            _check_labels(options)
            found = ["--interp=label" if word == "--interp=auto" else word for word in found]
        if options.get("resume"):
            raise OptionError("resume=True is for files: whether an array is the same as before cannot be known")
    found += ["--", name, os.fsdecode(os.fspath(target))]
    return found, given, None if grid is None else grid._given()


def _check_labels(options: Mapping[str, Any]) -> None:
    """Raises where an image says that it holds labels and no method was chosen, as for a file that says so."""
    if not options.get("labels") and options.get("interpolation") is None:
        raise OptionError("the image holds labels, and linear interpolation makes new ones\nhint: labels=True, or interpolation='nearest'")


@keywords(FileOptions)
def resample(
    source: Any,
    target: PathLike,
    *,
    affine: Optional[ArrayLike] = None,
    progress: Progress = None,
    **options: Unpack[FileOptions],
) -> Result:
    """Resample a file, of any size, into another, in fixed memory.

    Every option means what the option of that name of the command means (``reslice resample --help``; ``interpolation`` is ``--interp``, ``shape``
    is ``--size``, ``disk_check=False`` is ``--no-disk-check``). What is not given is kept from the source. Triples are x, y, z: the file's axes i, j, k.

    Parameters
    ----------
    source : path-like or image
        A file, folder or URL; or an :class:`Image`, an image of nibabel, SimpleITK or xarray, an array with ``affine=``.
    target : path-like
        ``.nii``, ``.nii.gz``, ``.hdr`` or ``.zarr``; complete as soon as it has this name.
    spacing, shape, scale, isotropic, like, grid
        One of them says the target grid: steps in the source's unit (mm for NIfTI), numbers of voxels, factors on them, one step for all axes
        (``True``: the smallest), the grid of a file or image, a :class:`Grid`.
    align : {"origin", "edges", "center"}
        What keeps its place: the first voxel's centre, the outer faces, the middle.
    orient : str
        Axis codes, such as ``"RAS"``; ``region``: source voxels to crop to, ``"0:10,0:10,5:9"`` or three slices.
    interpolation : str
        ``"linear"`` if not given; ``labels=True`` is ``"label"``. Others: docs/interpolation.md.
    antialias : bool
        Stretch the kernel along down-sampled axes.
    outside : float, "edge" or "nan"
        Value beyond the source, in real units; 0 if not given.
    rounding : {"nearest", "truncate"}
        How sums become integers; SimpleITK truncates.
    dtype : dtype-like
        Type of the target; the source's if not given.
    transforms : sequence
        Files, or tuples such as ``("0GenericAffine.mat", "inverse")``; the first one meets the target point first, as in antsApplyTransforms.
    memory : int or str
        Bytes, or ``"512MiB"``: what may be used beside what the process holds already. Half of what is left to the job, if not given.
    threads : int
        The CPUs that the process may use, if not given.
    resume : bool
        Go on with what an unfinished run of the same job has stored, and be content with a finished one: the default for files, but with ``overwrite``,
        ``restart``, ``in_place`` or ``rank``.
    report, report_json, preview : path-like
        A page for a browser with pictures before and after, its figures as JSON, the target's middle planes as PNG (docs/report.md).
    progress : bool or callable
        ``True`` shows a bar (of tqdm, if that is there); a callable gets (done, total) ten times a second, and stops the run by ``False``.

    Returns
    -------
    Result
        Grids, warnings, ``peak_bytes``.

    Raises
    ------
    OptionError, GeometryError, FormatError, StorageError, MemoryLimitError
        Each is also the built-in exception of that kind.
    KeyboardInterrupt
        Within a second; what is stored is kept, and the same call goes on with it.

    Examples
    --------
    >>> import reslice
    >>> done = reslice.resample("scan.nii.gz", "fine.nii.gz", spacing=0.5, memory="256MiB")
    >>> done.grid.shape
    (80, 80, 80)
    """
    call = _call(source, target, options, affine)
    with Shown(progress, os.path.basename(os.fsdecode(os.fspath(target)))) as look:
        told: Dict[str, Any] = json.loads(_reslice.resample(*call, look))
    summary = told["summary"]
    done = [one["done"] for one in summary["passes"] if one["done"]]
    warned = [*summary["warnings"], *(text for is_warning, text in told["remarks"] if is_warning)]
    notes = [*told["notes"], *(text for is_warning, text in told["remarks"] if not is_warning)]
    return Result(
        path=summary["output"],
        grid=Grid._of_json(summary["target"]),
        source_grid=Grid._of_json(summary["source"]),
        dtype=dtype_of(summary["target_dtype"]),
        interpolation=summary["interpolation"],
        rounding=options.get("rounding") or "nearest",
        outside=summary["outside"]["outside"],
        clipped=sum(one["clipped_below"] + one["clipped_above"] for one in done),
        nans=sum(one["nans"] for one in done),
        peak_bytes=told["peak_bytes"],
        held_bytes=told["held_bytes"],
        seconds=told["seconds"],
        warnings=tuple(warn(text, 3) for text in warned),
        notes=tuple(in_python(text) for text in notes),
        resumed=summary["stored_before"] > 0 or summary["target_state"]["state"] == "finished_before",
        text=told["outcome"],
        summary=summary,
    )


@keywords(FileOptions)
def plan(
    source: Any, target: PathLike, *, affine: Optional[ArrayLike] = None, **options: Unpack[FileOptions]
) -> Plan:
    """Say what :func:`resample` would do with the same arguments. Nothing is written.

    Returns
    -------
    Plan
        ``grid``, ``raw_bytes``, ``projected_bytes``; ``print(plan)`` has the schedule and what more memory would buy.

    Examples
    --------
    >>> import reslice
    >>> plan = reslice.plan("scan.nii.gz", "fine.nii.gz", spacing=(0.5, 0.5, 1))
    >>> plan.grid.shape, plan.raw_bytes
    ((80, 80, 40), 512000)
    """
    told: Dict[str, Any] = json.loads(_reslice.plan(*_call(source, target, options, affine)))
    summary = told["summary"]
    dtype = dtype_of(summary["target_dtype"])
    return Plan(
        path=summary["output"],
        grid=Grid._of_json(summary["target"]),
        source_grid=Grid._of_json(summary["source"]),
        dtype=dtype,
        interpolation=summary["interpolation"],
        raw_bytes=summary["voxels"] * summary["components"] * dtype.itemsize,
        projected_bytes=told["projected_bytes"],
        passes=tuple(one["kind"] for one in summary["passes"]),
        warnings=tuple(in_python(text) for text in summary["warnings"]),
        text=in_python(told["text"]),
        summary=summary,
    )


@overload
def resample_array(
    image: NDArray[Any],
    affine: ArrayLike,
    *,
    out: Optional[NDArray[Any]] = None,
    **options: Unpack[ViewOptions],
) -> Image: ...


@overload
def resample_array(
    image: T, affine: None = None, *, out: Optional[NDArray[Any]] = None, **options: Unpack[ViewOptions]
) -> T: ...


@keywords(ViewOptions)
def resample_array(
    image: Any,
    affine: Optional[ArrayLike] = None,
    *,
    out: Optional[NDArray[Any]] = None,
    **options: Unpack[ViewOptions],
) -> Any:
    """Resample voxels in memory: the same class comes back, with its affine.

    Parameters
    ----------
    image : numpy.ndarray, Image, or image of nibabel, SimpleITK or xarray
        Arrays have axes x, y, z (i, j, k), then time and others. Nothing is copied that has a type of 8 to 64 bits.
    affine : array_like, (4, 4)
        For an array: from (i, j, k) to RAS mm. Others have theirs. xarray: coordinates x, y, z are taken for RAS.
    out : numpy.ndarray, optional
        Where the voxels go; of the target's shape and type.
    **options
        Grid, values, memory and threads as for :func:`resample`.

    Returns
    -------
    Image, or the class of ``image``
        An array comes back as :class:`Image`.

    Examples
    --------
    >>> import numpy as np, reslice
    >>> ramp = np.arange(8, dtype=np.float32).reshape(2, 2, 2)
    >>> fine = reslice.resample_array(ramp, np.diag([2, 2, 2, 1]), spacing=1, outside="edge")
    >>> fine.shape, fine.grid.spacing
    ((4, 4, 4), (1.0, 1.0, 1.0))
    >>> fine.data[:, 0, 0]
    array([0., 2., 4., 4.], dtype=float32)
    """
    refuse_others(options, ViewOptions, "is for targets in files")
    source = taken(image, affine)
    volume = Volume._of_call(*_call(source, "array.zarr", options, None), source.name, None)
    for text in volume.warnings:
        warn(text, 3)
    source.check(volume.grid)
    data = volume._whole(out)
    if getattr(image, "dtype", None) == np.bool_ and options.get("dtype") is None:
        data = data.astype(np.bool_)
    return source.back(data, volume.grid)
