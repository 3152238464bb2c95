"""Exceptions. Each is also the built-in exception that such a failure usually is."""

from __future__ import annotations

import errno as _errno
import os
import re
from typing import Optional, Sequence

__all__ = [
    "FormatError",
    "GeometryError",
    "MemoryLimitError",
    "OptionError",
    "ReslicingError",
    "ReslicingWarning",
    "StoppedError",
    "StorageError",
]


class ReslicingError(Exception):
    """Anything that went wrong in reslice.

    Attributes
    ----------
    hint : str or None
        The way out, where there is one.
    """

    hint: Optional[str] = None


class OptionError(ReslicingError, ValueError):
    """An option, or what it asks for, makes no sense."""


class GeometryError(OptionError):
    """A grid or an affine that is none, or none given where there has to be one."""


class FormatError(ReslicingError, ValueError):
    """A file that is damaged, or not what its format asks for, or of a kind that is not read."""


class StorageError(ReslicingError, OSError):
    """A file or store that cannot be reached, read or written, or that is there already. ``errno`` and ``filename`` are set where they are known."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class MemoryLimitError(ReslicingError, MemoryError):
    """The memory given is too little. The message has the smallest that works."""


class StoppedError(ReslicingError):
    """The progress callback returned ``False``. What was stored by then is kept, and the same call goes on with it."""


class ReslicingWarning(UserWarning):
    """What is worth knowing of a source, a target or a run: the way out is in the text."""


_CLASSES = {
    cls.__name__: cls
    for cls in (ReslicingError, OptionError, FormatError, StorageError, MemoryLimitError, StoppedError)
}

_FLAGS = "antialias|overwrite|resume|restart|raw|parents|in-place|reorient-vectors"
_VALUES = {
    "memory": r"[\d.]+[KMGT]?i?B?",
    "threads": r"\d+",
    "align": "origin|edges|center",
    "outside": r"edge|nan|-?\d[\d.]*",
    "interp": r"(?:nearest|linear|cubic|bspline\d?|lanczos\d?|sinc-\w+|gaussian|label-gaussian|label|mean|mode|min|max|median|auto)",
    "rounding": "nearest|truncate",
    "dtype": r"[uif]\d+",
    "gzip": "bgzf|single|none",
    "chunk": r"\d+",
    "level": r"\d+",
    "isotropic": r"\d[\d.]*",
    "spacing": r"\d[\d.,]*",
    "transform": r"[^\s;]+",
}
_NAMES = {"interp": "interpolation", "size": "shape", "transform": "transforms"}


def in_python(text: str) -> str:
    """A text of the command in words of Python: ``--align edges`` becomes ``align='edges'``."""

    def named(match: re.Match[str]) -> str:
        option = match.group(1)
        name = _NAMES.get(option, option.replace("-", "_"))
        if option == "no-disk-check":
            return "disk_check=False"
        if re.fullmatch(_FLAGS, option):
            return f"{name}=True"
        value = re.match(rf"[ =]({_VALUES[option]})(?![\w-])", text[match.end() :]) if option in _VALUES else None
        if value is None:
            return f"{name}="
        given = value.group(1).rstrip(".,")
        taken.append((match.end(), match.end() + 1 + len(given)))
        if option == "transform":
            return f"transforms=[{given!r}]"
        return f"{name}={given}" if re.fullmatch(r"-?\d+(\.\d+)?", given) else f"{name}={given!r}"

    taken: list[tuple[int, int]] = []
    parts: list[str] = []
    at = 0
    for match in re.finditer(r"(?<![\w-])--([a-z][a-z-]*)", text):
        if match.start() < at:
            continue
        parts.append(text[at : match.start()])
        before = len(taken)
        parts.append(named(match))
        at = taken[-1][1] if len(taken) > before else match.end()
    parts.append(text[at:])
    return "".join(parts)


def raised(
    kind: str,
    text: str,
    *,
    hint: Optional[str] = None,
    causes: Sequence[str] = (),
    errno: Optional[int] = None,
    path: Optional[str | os.PathLike[str]] = None,
) -> ReslicingError:
    """The exception for a failure; called by the compiled module."""
    cls = _CLASSES.get(kind, ReslicingError)
    hint = None if hint is None else in_python(hint)
    lines = [in_python(text), *(f"caused by: {in_python(cause)}" for cause in causes)]
    if hint is not None:
        lines.append(f"hint: {hint}")
    error = cls("\n".join(lines))
    error.hint = hint
    if isinstance(error, OSError):
        error.errno = _errno.EIO if errno is None else errno
        error.filename = None if path is None else os.fspath(path)
        error.strerror = text
    return error
