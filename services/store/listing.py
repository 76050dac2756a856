"""The order of a list: newest activity first, ties by id, from entries that are read by position.

An entry stands at a position, t, and says when its session was last active. The position lags:
lastActive is t or later, by less than 250 ms, so that not every change moves the entry. Entries
are read in the order of their keys, newest position first. What is still unread has positions up
to the next key's t, hence lastActive below t + 250; an entry may be placed once it is not below
that. So the order is exact, and only a quarter of a second is read beyond a page.

        read, placed            read, kept back          unread
    |--------------------------|-----------------------|------------------> older
                         t + 250 ms                 t of the next key
"""

from __future__ import annotations

from bisect import bisect_right
from operator import itemgetter
from typing import Generic, NamedTuple, TypeVar

LAG_MS = 250
"""By how much lastActive may exceed an entry's position; always by less."""

T = TypeVar("T")


class Place(NamedTuple):
    """Where a session stands in its list. Smaller places come first."""

    age: int
    session_id: str

    @classmethod
    def of(cls, last_active_ms: int, session_id: str) -> Place:
        """Return the place of a session that was last active then."""
        return cls(-last_active_ms, session_id)

    @property
    def last_active_ms(self) -> int:
        """When the session was last active."""
        return -self.age

    @property
    def read_after(self) -> tuple[int, str]:
        """The key `(position_ms, session_id)` after which every later place is to be found.

        A later place has lastActive, and so its position, at or below this one's.
        """
        return (self.last_active_ms + 1, "\U0010ffff")


class Placing(Generic[T]):
    """Takes entries in the order of their keys and gives them back in the order of the list.

    `after` is the place where an earlier page ended: it and all before it are left out.
    """

    def __init__(self, after: Place | None = None) -> None:
        self._after = after
        self._kept: list[tuple[Place, T]] = []

    def add(self, place: Place, value: T) -> None:
        """Take an entry that was read."""
        if self._after is None or place > self._after:
            self._kept.append((place, value))

    def placed(self, unread_ms: int | None) -> list[tuple[Place, T]]:
        """Return what can be placed now, in order.

        `unread_ms` is an upper bound of the positions not yet read: the last one read will do.
        None: there are none.
        """
        kept = self._kept
        kept.sort(key=itemgetter(0))  # they came nearly in order, which takes one pass
        age = None if unread_ms is None else -(unread_ms + LAG_MS)
        placeable = len(kept) if age is None else bisect_right(kept, age, key=_age)
        placed, self._kept = kept[:placeable], kept[placeable:]
        return placed


def _age(kept: tuple[Place, object]) -> int:
    return kept[0].age
