"""The text of a running turn, in its owner's memory: what was written, and how much is stored."""

from __future__ import annotations

from collections.abc import Sequence

from sessiond.errors import InvalidArgument
from sessiond.session.limits import KIB
from sessiond.session.state import Turn

PIECE = 32 * KIB
"""Characters that are stored at once: at most 128 KiB, which fit beside a full commit's records."""


class TurnText:
    """A running turn's text so far. All lengths and offsets are in Unicode code points.

    It grows at its end and never changes otherwise. What is beyond `stored` is not yet in etcd.
    """

    def __init__(self, turn: Turn, drafts: Sequence[tuple[int, str]] = ()) -> None:
        """Begin with what is stored: pieces in order, each with its offset.

        Raises:
            ValueError: the pieces leave a hole, which is a fault of ours.
        """
        self.turn = turn
        self.length = 0
        self.bytes = 0
        self._text = ""
        self._newest: list[str] = []
        self._newest_from = 0
        for offset, text in drafts:
            if offset != self.length:
                raise ValueError(f"a draft begins at {offset}, not at {self.length}")
            self._append(text)
        self.stored = self.length
        self.pieces = len(drafts)

    @property
    def text(self) -> str:
        """All of it."""
        if self._newest:
            self._text += "".join(self._newest)
            self._newest.clear()
            self._newest_from = self.length
        return self._text

    @property
    def unstored(self) -> int:
        """How many characters are not yet stored."""
        return self.length - self.stored

    def after(self, offset: int) -> str:
        """Return what stands after so many characters."""
        if offset >= self._newest_from:
            # A reader that keeps up wants the end, which is short: the whole is left alone.
            return "".join(self._newest)[offset - self._newest_from :]
        return self.text[offset:]

    def write(self, offset: int, text: str, *, limit: int) -> bool:
        """Take what is new of a piece; False when the whole would be longer than `limit` bytes.

        Raises:
            InvalidArgument: the piece would leave a hole.
        """
        if offset < 0 or offset > self.length:
            raise InvalidArgument.of("offset", f"must be 0 to {self.length}, what is there so far")
        new = text[self.length - offset :]
        if self.bytes + len(new.encode()) > limit:
            return False
        if new:
            self._append(new)
        return True

    def store(self) -> tuple[int, int, str]:
        """Return the next piece to be stored: its number, its offset, and its text."""
        return self.pieces + 1, self.stored, self.after(self.stored)[:PIECE]

    def keep(self, upto: int) -> None:
        """Note that one more piece is stored, and with it the first `upto` characters."""
        _ = self.text  # joins what came since, once for each stored piece
        self.stored = upto
        self.pieces += 1

    def _append(self, text: str) -> None:
        self._newest.append(text)
        self.length += len(text)
        self.bytes += len(text.encode())
