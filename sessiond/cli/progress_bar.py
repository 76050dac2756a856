"""A bar on stderr that says how far something came; on a terminal only."""

from __future__ import annotations

from types import TracebackType
from typing import BinaryIO, Final, Self, TextIO, cast

_WIDTH: Final = 32
_CLEAR: Final = "\r\x1b[K"


class ProgressBar:
    """How much of `total` is done; a context manager, which leaves the line empty.

    The unit is the caller's: bytes of the files that are read through it, or records.
    """

    def __init__(self, file: TextIO, total: int) -> None:
        self._file = file
        self._total = total
        self._done = 0
        self._shown = -1
        self._on = file.isatty() and total > 0

    def __enter__(self) -> Self:
        """Return the bar."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the line empty."""
        self.clear()

    def through(self, file: BinaryIO) -> BinaryIO:
        """Return the file, so that what is read of it counts."""
        return cast("BinaryIO", _Counted(file, self))

    def add(self, size: int) -> None:
        """Count so much more."""
        self._done += size
        percent = min(100, 100 * self._done // self._total) if self._on else -1
        if percent != self._shown:
            self._shown = percent
            filled = _WIDTH * percent // 100
            self._file.write(f"\r{'#' * filled}{'.' * (_WIDTH - filled)} {percent:3} %")
            self._file.flush()

    def clear(self) -> None:
        """Empty the line, so that something else can stand there."""
        if self._shown >= 0:
            self._shown = -1
            self._file.write(_CLEAR)
            self._file.flush()


class _Counted:
    """A file that tells a bar what is read of it."""

    def __init__(self, file: BinaryIO, bar: ProgressBar) -> None:
        self._file = file
        self._bar = bar

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._bar.add(len(data))
        return data
