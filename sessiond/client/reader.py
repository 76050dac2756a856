"""One reader of an attached session: what waits for it, with a bound.

Records wait in order. Tokens that follow one another are merged, and of presence only the newest
waits. A reader that leaves more than `CAPACITY` records or `BYTES` of them waiting falls behind:
what comes then passes it by, and when it has read half of what waits, the events after the last
one that it was given are asked for again. So a slow reader costs a bound of memory and loses no
event, and the session's own state stays current meanwhile. Tokens that passed it by do not come
again; `AttachedSession.turns` has the whole text.
"""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Generic, TypeVar

from sessiond.client.updates import Presence, Reset, Token, Update
from sessiond.errors import SessiondError
from sessiond.session.events import Record

CAPACITY = 1000
BYTES = 1024 * 1024
"""A megabyte is two of the largest events, and thousands of usual ones."""

Wanted_co = TypeVar("Wanted_co", covariant=True)


class _Text:
    """Tokens of one turn that wait, as one."""

    def __init__(self, token: Token) -> None:
        self.turn_id = token.turn_id
        self.offset = token.offset
        self.end = token.offset + len(token.text)
        self._pieces = [token.text]

    def is_followed_by(self, token: Token) -> bool:
        return token.turn_id == self.turn_id and token.offset == self.end

    def merge(self, token: Token) -> None:
        self._pieces.append(token.text)
        self.end += len(token.text)

    def token(self) -> Token:
        return Token(self.turn_id, self.offset, "".join(self._pieces))


class _Newest:
    """The newest presence; it keeps the place of the first one that waits."""

    def __init__(self, presence: Presence) -> None:
        self.presence = presence


class Reader(AsyncIterator[Wanted_co], Generic[Wanted_co]):
    """An asynchronous iterator over a session's updates, for one reader at a time.

    It ends when the session is left, and raises what ended the session otherwise.
    """

    def __init__(self, seq: int, *, durable: bool, on_room: Callable[[], None]) -> None:
        """Begin after `seq`; `on_room` is called when a reader that fell behind may go on."""
        self.seq = seq
        self.behind = False
        self._durable = durable
        self._on_room = on_room
        self._waiting: deque[tuple[Record | Reset | _Text | _Newest, int]] = deque()
        self._records = 0
        self._bytes = 0
        self._newest: _Newest | None = None
        self._something = asyncio.Event()
        self._ended = False
        self._failure: SessiondError | None = None

    @property
    def waiting(self) -> int:
        """How many events wait to be read."""
        return self._records

    @property
    def roomy(self) -> bool:
        """Whether half of what may wait is free."""
        return self._records <= CAPACITY // 2 and self._bytes <= BYTES // 2

    def offer(self, update: Update, size: int = 0) -> None:
        """Let an update wait, `size` bytes of it; never waits itself."""
        if isinstance(update, Record):
            if self.behind or update.seq <= self.seq:
                return
            if self._records >= CAPACITY or (self._records and self._bytes + size > BYTES):
                self.behind = True
                return
            self.seq = update.seq
            self._put(update, size)
        elif isinstance(update, Reset):
            self.behind = False
            self.seq = update.seq
            self._put(update, 0)
        elif not self._durable and not self.behind:
            self._put_passing(update)

    def end(self, failure: SessiondError | None = None) -> None:
        """Let the iteration end after what waits."""
        if not self._ended:
            self._ended = True
            self._failure = failure
            self._something.set()

    def __aiter__(self) -> Reader[Wanted_co]:
        return self

    async def __anext__(self) -> Wanted_co:
        while not self._waiting:
            if self._ended:
                if self._failure is not None:
                    raise self._failure
                raise StopAsyncIteration
            self._something.clear()
            await self._something.wait()
        return self._take()

    def _put(self, update: Record | Reset, size: int) -> None:
        self._waiting.append((update, size))
        self._records += 1
        self._bytes += size
        self._something.set()

    def _put_passing(self, update: Token | Presence) -> None:
        if isinstance(update, Presence):
            if self._newest is not None:
                self._newest.presence = update
                return
            self._newest = _Newest(update)
            self._waiting.append((self._newest, 0))
        else:
            last = self._waiting[-1][0] if self._waiting else None
            if isinstance(last, _Text) and last.is_followed_by(update):
                last.merge(update)
                return
            self._waiting.append((_Text(update), 0))
        self._something.set()

    def _take(self) -> Wanted_co:
        update, size = self._waiting.popleft()
        taken: object = update
        if isinstance(update, _Text):
            taken = update.token()
        elif isinstance(update, _Newest):
            self._newest = None
            taken = update.presence
        else:
            self._records -= 1
            self._bytes -= size
            if self.behind and self.roomy:
                self._on_room()
        return taken  # type: ignore[return-value]


class Readers:
    """The readers of one session. One that nobody holds any more costs nothing."""

    def __init__(self) -> None:
        self._known: list[weakref.ref[Reader[Any]]] = []

    def __len__(self) -> int:
        return len(self._known)

    def __iter__(self) -> Iterator[Reader[Any]]:
        for known in tuple(self._known):
            reader = known()
            if reader is not None:
                yield reader

    def add(self, reader: Reader[Any]) -> None:
        """Show one more reader what comes."""
        self._known.append(weakref.ref(reader, self._known.remove))

    def offer(self, update: Update, size: int) -> None:
        """Let an update wait for each of them."""
        for reader in self:
            reader.offer(update, size)

    def go_back(self) -> int:
        """Take up those that fell behind and have room again; return after which seq."""
        behind = [reader for reader in self if reader.behind and reader.roomy]
        for reader in behind:
            reader.behind = False
        return min(reader.seq for reader in behind)

    def end(self, failure: SessiondError | None) -> None:
        """Let their iterations end after what waits."""
        for reader in self:
            reader.end(failure)
        self._known.clear()
