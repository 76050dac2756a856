"""An export that comes in pieces, cut into its header and its events, with bounded memory."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from sessiond.errors import InvalidArgument, PayloadTooLarge

MOST_BYTES = 16 * 1024 * 1024
"""The longest event that is read. The longest that is written is 12 MiB: 1 MiB, all escaped."""

# What is looked at for one event is at most so much longer than the event.
_PIECE = 64 * 1024

# A string in full, a bracket, or the beginning of a string whose end is still to come.
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{}"]', re.DOTALL)
# What is left of a string: to its end, or as far as the bytes go.
_INSIDE = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_EVENTS = re.compile(rb"[ \t\r\n]*:[ \t\r\n]*\[")
_PERHAPS_EVENTS = re.compile(rb"[ \t\r\n]*:?[ \t\r\n]*")
_SPACE = re.compile(rb"[ \t\r\n]*")
_BETWEEN = re.compile(rb"[ \t\r\n,]*")


class Splitter:
    """Takes the bytes of an export as they come, and gives the JSON of its objects.

    The first is the header, all others are events. Which of the two forms it is, one document or
    one object a line, is seen from the header: whether it holds `events`.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._at = 0  # what lies before it was looked at
        self._open = 0  # and of a string that begins there, what lies before this; 0 for none
        self._depth = 0
        self._next: Callable[[], bytes | None] = self._header

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what is complete by now.

        Raises:
            InvalidArgument: it is no export.
            PayloadTooLarge: one object of it is longer than any may be.
        """
        for start in range(0, len(data), _PIECE):
            self._buffer += data[start : start + _PIECE]
            while (found := self._next()) is not None:
                yield found
            if len(self._buffer) > MOST_BYTES:
                raise PayloadTooLarge("An event of the export is longer than any event may be.")

    def finish(self) -> None:
        """Return if the export ended where it came to its end.

        Raises:
            InvalidArgument: it was cut off.
        """
        whole = self._next in (self._line, self._nothing)
        if not whole or _SPACE.fullmatch(self._buffer, self._at) is None:
            raise InvalidArgument(detail="The export ends in its middle.")

    # --- what comes next -----------------------------------------------------------------------

    def _header(self) -> bytes | None:
        if not self._at and not self._begins():
            return None
        for token, end in self._tokens():
            if token == b'"events"' and self._depth == 1:
                opened = _EVENTS.match(self._buffer, end)
                if opened is not None:
                    header = bytes(self._buffer[: end - len(token)]).rstrip().removesuffix(b",")
                    self._drop(opened.end())
                    self._next = self._element
                    return header + b"}"
                if _PERHAPS_EVENTS.fullmatch(self._buffer, end) is not None:
                    self._at = end - len(token)
                    return None
            if self._closed(token):
                self._next = self._line
                return self._taken(end)
        return None

    def _line(self) -> bytes | None:
        return self._object(_SPACE)

    def _element(self) -> bytes | None:
        if not self._at:
            self._drop(self._end_of(_BETWEEN))
            if self._buffer[:1] == b"]":
                self._drop(1)
                self._next = self._tail
                return self._tail()
        return self._object(_BETWEEN)

    def _tail(self) -> bytes | None:
        self._drop(self._end_of(_SPACE))
        if self._buffer[:1] == b"}":
            self._drop(1)
            self._next = self._nothing
            return self._nothing()
        if self._buffer:
            raise InvalidArgument(detail="After its events the export must end.")
        return None

    def _nothing(self) -> bytes | None:
        self._drop(self._end_of(_SPACE))
        if self._buffer:
            raise InvalidArgument(detail="After its events the export must end.")
        return None

    # --- bytes ---------------------------------------------------------------------------------

    def _object(self, before: re.Pattern[bytes]) -> bytes | None:
        if not self._at:
            self._drop(self._end_of(before))
            if not self._begins():
                return None
        for token, end in self._tokens():
            if self._closed(token):
                return self._taken(end)
        return None

    def _begins(self) -> bool:
        """Whether an object begins here; nothing else may."""
        self._drop(self._end_of(_SPACE))
        if self._buffer and self._buffer[:1] != b"{":
            raise InvalidArgument(detail="This is no export of a session.")
        return bool(self._buffer)

    def _tokens(self) -> Iterator[tuple[bytes, int]]:
        """Yield the strings and brackets that were not looked at yet, and where they end."""
        if self._open:
            self._open = end = self._end_of(_INSIDE, self._open)
            if self._buffer[end : end + 1] != b'"':
                return
            token = bytes(self._buffer[self._at : end + 1])
            self._at, self._open = end + 1, 0
            yield token, end + 1
        for found in _TOKEN.finditer(bytes(self._buffer), self._at):
            if found[0] == b'"':
                self._at, self._open = found.start(), found.end()
                return
            self._at = found.end()
            yield found[0], found.end()

    def _closed(self, token: bytes) -> bool:
        """Count a bracket; whether it is the one that closes the object."""
        if token in (b"{", b"["):
            self._depth += 1
        elif token in (b"}", b"]"):
            self._depth -= 1
            return self._depth == 0
        return False

    def _taken(self, end: int) -> bytes:
        found = bytes(self._buffer[:end])
        self._drop(end)
        return found

    def _drop(self, end: int) -> None:
        del self._buffer[:end]
        self._at = self._open = self._depth = 0

    def _end_of(self, pattern: re.Pattern[bytes], at: int = 0) -> int:
        found = pattern.match(self._buffer, at)
        return found.end() if found else at
