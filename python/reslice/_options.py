"""Options: their names and types, and the words of the command that they become. The command's own parser says what those mean."""

from __future__ import annotations

import difflib
import inspect
import operator
import os
import re
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Literal, Mapping, Sequence, Tuple, TypedDict, TypeVar, Union

import numpy as np

from ._errors import OptionError
from ._grid import Grid

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

PathLike = Union[str, "os.PathLike[str]"]
#: One number for all axes, or three along x, y, z.
Triple = Union[float, Sequence[float], str]
#: A file, or a file and what it does not say of itself: ``("0GenericAffine.mat", "inverse")``.
Transform = Union[PathLike, Tuple[Any, ...]]
#: One index, or a range without its end.
Pick = Union[int, slice, Tuple[int, int], str]


class GridOptions(TypedDict, total=False):
    """The target grid."""

    spacing: Triple
    shape: int | Sequence[int] | str
    scale: Triple
    isotropic: bool | float
    like: Any
    grid: Any | Literal["source", "transformed"]
    align: Literal["origin", "edges", "center"]
    orient: str
    region: str | Sequence[slice | Tuple[int, int]]


class ValueOptions(TypedDict, total=False):
    """The values of the target."""

    interpolation: str
    labels: bool
    antialias: bool
    outside: float | Literal['edge', 'nan']
    rounding: Literal["nearest", "truncate"]
    dtype: DTypeLike
    raw: bool
    transforms: Sequence[Transform]
    transform_list: PathLike
    reorient_vectors: bool


class SourceOptions(TypedDict, total=False):
    """What of the source is read."""

    level: int
    spacing_in: Triple
    channel: Pick
    time: Pick


class MemoryOptions(TypedDict, total=False):
    """What work may take."""

    memory: int | str
    threads: int
    scratch: PathLike
    disk_check: bool


class ViewOptions(GridOptions, ValueOptions, MemoryOptions, total=False):
    """Options of a target without a file."""


class FileOptions(GridOptions, ValueOptions, SourceOptions, MemoryOptions, total=False):
    """Options of a target in a file."""

    chunk: int | Sequence[int] | str
    shard: int | Sequence[int] | str
    codec: str
    ome: Literal["0.5", "0.6", "0.4"]
    gzip: str
    pyramid: bool | int
    method: Literal["mean", "mode", "gaussian", "stride"]
    overwrite: bool
    in_place: bool
    parents: bool
    resume: bool
    restart: bool
    rank: Tuple[int, int] | str
    io: Literal["auto", "mmap", "pread"]
    report: PathLike
    report_json: PathLike
    preview: PathLike


def _triple(value: Any) -> str:
    return value if isinstance(value, str) else ",".join(repr(float(x)) for x in np.atleast_1d(value))


def _counts(value: Any) -> str:
    if isinstance(value, str):
        return value
    each = value if isinstance(value, (list, tuple, np.ndarray)) else [value]
    return ",".join(str(operator.index(x)) for x in each)


def _range(value: Any) -> str:
    if isinstance(value, (int, str, np.integer)):
        return str(value)
    if isinstance(value, slice):
        if value.step not in (None, 1) or value.start is None or value.stop is None:
            raise OptionError(f"{value} is no range with a begin and an end, and no step")
        value = (value.start, value.stop)
    first, end = value
    return f"{operator.index(first)}:{operator.index(end)}"


def _region(value: Any) -> str:
    return value if isinstance(value, str) else ",".join(_range(axis) for axis in value)


def _dtype(value: Any) -> str:
    """A name of numpy's, or one of the command's that numpy does not have for another type."""
    if isinstance(value, str):
        if value in ("i8", "u8"):
            kind = "int" if value == "i8" else "uint"
            what = f"dtype={value!r} has 8 bits for the command, and 8 bytes for numpy"
            raise OptionError(f"{what}\nhint: dtype='{kind}8' or dtype='{kind}64'")
        if re.fullmatch("[uif](16|32|64)|same", value):
            return value
    return str(np.dtype(value).name)


def _outside(value: Any) -> str:
    return value if isinstance(value, str) else repr(float(value))


def _path(value: Any) -> str:
    path = os.fspath(value)
    if isinstance(path, bytes):
        path = os.fsdecode(path)
    return str(path)


def _memory(value: Any) -> str:
    return value if isinstance(value, str) else str(operator.index(value))


def _rank(value: Any) -> str:
    return value if isinstance(value, str) else "{}/{}".format(*(operator.index(x) for x in value))


def transform_word(value: Any) -> str:
    """A transform as the command takes it: ``0GenericAffine.mat,inverse``."""
    if isinstance(value, (str, os.PathLike)):
        return _path(value)
    if not isinstance(value, tuple) or not value:
        raise OptionError(f"a transform is a file or a tuple such as ('0GenericAffine.mat', 'inverse'), not {value!r}")
    return ",".join([_path(value[0]), *map(str, value[1:])])


#: The command's name of an option, and how its value is written.
_VALUED: Dict[str, Tuple[str, Callable[[Any], str]]] = {
    "spacing": ("spacing", _triple),
    "shape": ("size", _counts),
    "scale": ("scale", _triple),
    "align": ("align", str),
    "orient": ("orient", lambda codes: "".join(codes)),
    "region": ("region", _region),
    "interpolation": ("interp", str),
    "outside": ("outside", _outside),
    "rounding": ("rounding", str),
    "dtype": ("dtype", _dtype),
    "transform_list": ("transform-list", _path),
    "level": ("level", lambda level: str(operator.index(level))),
    "spacing_in": ("spacing-in", _triple),
    "channel": ("channel", _range),
    "time": ("time", _range),
    "memory": ("memory", _memory),
    "threads": ("threads", lambda threads: str(operator.index(threads))),
    "scratch": ("scratch", _path),
    "chunk": ("chunk", _counts),
    "shard": ("shard", _counts),
    "codec": ("codec", str),
    "ome": ("ome", str),
    "gzip": ("gzip", str),
    "method": ("method", str),
    "rank": ("rank", _rank),
    "io": ("io", str),
    "report": ("report", _path),
    "report_json": ("report-json", _path),
    "preview": ("preview", _path),
}
_FLAGS = ("antialias", "raw", "reorient_vectors", "overwrite", "in_place", "parents", "resume", "restart")
#: Those whose value may be left out, and what they take otherwise.
_OPTIONAL: Dict[str, Callable[[Any], str]] = {
    "isotropic": lambda step: repr(float(step)),
    "pyramid": lambda levels: str(operator.index(levels)),
}
_OTHERS = ("like", "grid", "labels", "transforms", "disk_check", *_OPTIONAL)


def refuse_of_files(options: Mapping[str, Any]) -> None:
    """Raises where something picks what of a file is read, and there is an image."""
    for name in SourceOptions.__annotations__:
        if options.get(name) is not None:
            hint = "give another affine" if name == "spacing_in" else "index the array"
            raise OptionError(f"{name}= says what of a file is read, and this is an image in memory\nhint: {hint}")


def refuse_others(options: Mapping[str, Any], kind: type, why: str) -> None:
    """Raises where an option is none of this kind."""
    for name, value in options.items():
        if name in FileOptions.__annotations__ and name not in kind.__annotations__ and value is not None:
            raise OptionError(f"{name}= {why}\nhint: leave it out, or call reslice.resample")


def words(options: Mapping[str, Any]) -> List[str]:
    """The options as words of the command. ``like`` and ``grid`` are left to :func:`target_grid` where they are no path.

    Raises
    ------
    OptionError
        An option that there is not, or a value that cannot be one.
    """
    found: List[str] = []
    for name, value in options.items():
        if value is None:
            continue
        try:
            found += _words(name, value)
        except (TypeError, ValueError) as error:
            if isinstance(error, OptionError):
                raise
            raise OptionError(f"{name}={value!r}: {error}") from None
    if options.get("labels"):
        if options.get("interpolation") not in (None, "label"):
            raise OptionError("labels=True takes interpolation='label'\nhint: leave out one of the two")
        if options.get("interpolation") is None:
            found.append("--interp=label")
    return found


def _words(name: str, value: Any) -> List[str]:
    if name in _VALUED:
        option, written = _VALUED[name]
        return [f"--{option}={written(value)}"]
    if name in _FLAGS:
        return [f"--{name.replace('_', '-')}"] if value else []
    if name in _OPTIONAL:
        if value is True or value is False:
            return [f"--{name}"] if value else []
        return [f"--{name}={_OPTIONAL[name](value)}"]
    if name == "transforms":
        if isinstance(value, (str, os.PathLike)):
            raise OptionError(f"transforms={value!r} is one, and a list of them is taken\nhint: transforms=[{value!r}]")
        return [f"--transform={transform_word(one)}" for one in value]
    if name == "disk_check":
        return [] if value else ["--no-disk-check"]
    if name == "like":
        return [f"--like={_path(value)}"] if isinstance(value, (str, os.PathLike)) else []
    if name == "grid":
        return [f"--grid={value}"] if isinstance(value, str) else []
    if name in _OTHERS:
        return []
    near = difflib.get_close_matches(name, [*_VALUED, *_FLAGS, *_OTHERS], 1)
    raise OptionError(f"there is no option {name!r}" + (f"\nhint: {near[0]}=" if near else ""))


def target_grid(options: Mapping[str, Any]) -> Grid | None:
    """The grid that is given as such, where one is.

    Raises
    ------
    OptionError
        Beside another option that decides the grid.
    """
    like = options.get("like")
    grid = options.get("grid")
    given = {"like": None if isinstance(like, (str, os.PathLike)) else like, "grid": None if isinstance(grid, str) else grid}
    named = [name for name, value in given.items() if value is not None]
    if not named:
        return None
    others = ("spacing", "shape", "scale", "isotropic", "align", "orient", "like", "grid")
    rivals = [name for name in others if options.get(name) is not None and name != named[0]]
    if rivals:
        raise OptionError(f"{named[0]}= takes a grid as it is: {rivals[0]}= cannot go with it\nhint: leave out one of the two")
    return Grid.of(given[named[0]])


F = TypeVar("F", bound=Callable[..., Any])


def keywords(*kinds: type) -> Callable[[F], F]:
    """Shows the options of a function one by one, for ``help`` and for completion."""

    def shown(function: F) -> F:
        signature = inspect.signature(function)
        kept = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
        names: Dict[str, Any] = {}
        for kind in kinds:
            names.update(kind.__annotations__)
        have = {p.name for p in kept}
        new = [inspect.Parameter(n, inspect.Parameter.KEYWORD_ONLY, default=None) for n in names if n not in have]
        function.__signature__ = signature.replace(parameters=[*kept, *new])  # type: ignore[attr-defined]
        return function

    return shown
