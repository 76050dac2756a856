"""Keys that remember all their values: what the in-memory reference stands on."""

from __future__ import annotations

import asyncio
import bisect
import itertools
from collections.abc import Mapping
from typing import NamedTuple

from services.store.answers import RevisionCompacted
from sessiond.errors import Unavailable

Key = tuple[str | int, ...]
"""A kind of thing, then its ids in the order that sorts them."""


class Change(NamedTuple):
    """What one revision wrote; None where it deleted."""

    revision: int
    written: Mapping[Key, bytes | None]


class History:
    """Ordered keys with a value at each revision.

    Attributes:
        revision: the present one.
        oldest: the oldest one that can be read.
    """

    def __init__(self) -> None:
        self.revision = 1
        self.oldest = 1
        self._keys: list[Key] = []  # every key ever written, sorted
        self._values: dict[Key, list[tuple[int, bytes | None]]] = {}
        self._changes: list[Change] = []
        self._moved = asyncio.Event()  # another one after every revision

    def get(self, key: Key, revision: int | None = None) -> bytes | None:
        """Return a key's value at a revision, or now."""
        values = self._values.get(key, ())
        if revision is None:
            return values[-1][1] if values else None
        passed = bisect.bisect_right(values, revision, key=lambda value: value[0])
        return values[passed - 1][1] if passed else None

    def written(self, key: Key, revision: int | None = None) -> int:
        """Return at which revision a key was last written, up to this one or now; 0 for never."""
        values = self._values.get(key, [])
        if revision is not None:
            values = values[: bisect.bisect_right(values, revision, key=lambda value: value[0])]
        return values[-1][0] if values else 0

    def range(
        self, prefix: Key, revision: int | None = None, *, after: Key | None = None
    ) -> list[tuple[Key, bytes]]:
        """Return what stands under a prefix at a revision, or now, in the order of keys."""
        if after is None:
            start = bisect.bisect_left(self._keys, prefix)
        else:
            start = bisect.bisect_right(self._keys, after)
        found = []
        for key in itertools.islice(self._keys, start, None):
            if key[: len(prefix)] != prefix:
                break
            value = self.get(key, revision)
            if value is not None:
                found.append((key, value))
        return found

    def check(self, revision: int) -> None:
        """Raise unless this revision can be read."""
        if revision < self.oldest:
            raise RevisionCompacted
        if revision > self.revision:
            raise Unavailable

    def write(self, written: Mapping[Key, bytes | None]) -> None:
        """Write at a new revision; None deletes. To delete what is absent does nothing."""
        self.revision += 1
        done = {
            key: value
            for key, value in written.items()
            if value is not None or self.get(key) is not None
        }
        for key, value in done.items():
            if key not in self._values:
                bisect.insort(self._keys, key)
            self._values.setdefault(key, []).append((self.revision, value))
        self._changes.append(Change(self.revision, done))
        self._moved.set()
        self._moved = asyncio.Event()

    def compact(self) -> None:
        """Forget everything before the present revision."""
        self.oldest = self.revision
        self._changes = [change for change in self._changes if change.revision >= self.oldest]

    async def moved(self) -> None:
        """Wait for the next revision."""
        await self._moved.wait()

    async def change_after(self, revision: int) -> Change:
        """Return what the first revision after this one did; wait if there is none yet."""
        while True:
            if revision + 1 < self.oldest:
                raise RevisionCompacted
            place = bisect.bisect_right(self._changes, revision, key=lambda change: change.revision)
            if place < len(self._changes):
                return self._changes[place]
            await self.moved()
