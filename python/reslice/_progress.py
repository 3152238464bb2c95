"""How far work has come, shown by tqdm or told to a callback."""

from __future__ import annotations

import importlib
import sys
from types import TracebackType
from typing import Any, Callable, Optional, Type, Union

from ._errors import OptionError

Look = Optional[Callable[[int, int], Any]]


class Shown:
    """Context in which progress is shown; gives what the compiled module calls."""

    def __init__(self, progress: Union[bool, Callable[[int, int], Any], None], name: str) -> None:
        self._bar: Any = None
        self._name = name
        self._look: Look = None
        if progress is True:
            self._look = self._show
        elif callable(progress):
            self._look = progress
        elif progress not in (None, False):
            raise OptionError(f"progress={progress!r}: True, or a callable of (done, total), is taken")

    def __enter__(self) -> Look:
        return self._look

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def _show(self, done: int, total: int) -> None:
        if self._bar is None:
            self._bar = _tqdm(total, self._name)
        self._bar.total = total
        self._bar.update(done - self._bar.n)


def _tqdm(total: int, name: str) -> Any:
    try:
        auto: Any = importlib.import_module("tqdm.auto")
    except ImportError:
        return _Lines(total, name)
    return auto.tqdm(total=total, desc=name, unit="block")


class _Lines:
    """Where there is no tqdm: a line for each tenth."""

    def __init__(self, total: int, name: str) -> None:
        self.total, self.n, self._name, self._told = total, 0, name, 0

    def update(self, steps: int) -> None:
        self.n += steps
        tenth = 10 * self.n // max(self.total, 1)
        if tenth > self._told:
            self._told = tenth
            print(f"{self._name}: {10 * tenth} %", file=sys.stderr)

    def close(self) -> None:
        """Nothing is left to be told."""
