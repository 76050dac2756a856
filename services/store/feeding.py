"""The change feed: what happens to all sessions, for who brings back the last cursor.

    (cursor) --> following --no longer kept--> catching up by the lists --> following

While etcd keeps what happened after a cursor, it is told as it happened. Later the keys of entries
and tombstones say which sessions were written or deleted since, and the records of these are read.
So each change is told at least once, and those of a session in order. Tombstones stand for a day:
who stays away for longer may miss deletions, and is told so by `reset`.

A watch of etcd before 3.5.13 may leave out what is compacted before it is given. So one looks now
and then whether all that was told since the last look is still kept: then nothing was left out.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from typing import Final

from services.serving.health import Health
from services.store.acquisition import living, read_records
from services.store.answers import RevisionCompacted
from services.store.beside import beside
from services.store.feed_hub import Follower, Hub
from services.store.feed_query import Cursor, FeedQuery, Place, opened, sealed
from services.store.feed_steps import Copied, Step, Telling, Told, deleted, tombstone_of
from services.store.repository import Repository
from sessiond.errors import SessionNotFound, Unauthenticated, Unavailable
from sessiond.v1 import store_pb2 as pb

MOVED_SECONDS: Final = 10.0
"""A reader to whom nothing was told for so long is told how far it has come."""

LOOK_SECONDS: Final = 10.0
"""Between two looks. Compaction leaves 30 s and more, so a reader that keeps up passes each."""

KEPT_MS: Final = 24 * 3_600_000
"""How old a cursor may be. Deletions are remembered for half an hour more, since the clock of the
Store that gave it may be ahead of ours."""


class Feeding:
    """Serves the feed. `clock` gives seconds that never go back, `now_ms` the wall clock."""

    def __init__(
        self,
        repository: Repository,
        health: Health,
        *,
        clock: Callable[[], float],
        now_ms: Callable[[], int],
    ) -> None:
        self.repository = repository
        self.clock = clock
        self.now_ms = now_ms
        self.telling = Telling(repository, now_ms=now_ms)
        self.hub = Hub(repository, self.telling)
        self._health = health

    async def follow(
        self, query: FeedQuery, *, cursor: str, seconds: float
    ) -> AsyncGenerator[pb.WatchChangesResponse, None]:
        """Yield what the proto of WatchChanges promises, for as long as the caller's token lives.

        `cursor` "" begins now. First comes where it begins.

        Raises:
            InvalidArgument: the cursor is none that a feed gave.
            Unauthenticated: `seconds`, the life of the caller's token, are over.
            SlowReader: the reader is slower than what it asked for; its cursor goes on.
            Unavailable: the part drains; the last cursor goes on elsewhere.
        """
        start = opened(cursor) if cursor else None
        async with beside(self._health.drain_begins()) as draining:
            reading = _Reading(self, query, start, self.clock() + seconds, draining)
            async with aclosing(reading.responses()) as responses:
                async for response in responses:
                    yield response
                    reading.check()


class _Reading:
    """One reader's way through the feed.

    `_place` is what the next cursor says, and up to `_sure` nothing was left out.
    """

    def __init__(
        self,
        feeding: Feeding,
        query: FeedQuery,
        start: Cursor | None,
        ends_at: float,
        draining: asyncio.Task[None],
    ) -> None:
        self._feeding = feeding
        self._repository = feeding.repository
        self._query = query
        self._start = start
        self._history_id = ""
        self._place = Place(0, 0)
        self._present = 0
        self._ends_at = ends_at
        self._draining = draining
        self._moved_at = 0.0
        self._sure = 0
        self._looked_at = 0.0

    def check(self) -> None:
        """Return if it may go on."""
        if self._draining.done():
            raise Unavailable
        if self._feeding.clock() >= self._ends_at:
            raise Unauthenticated("The token has expired.")

    async def responses(self) -> AsyncGenerator[pb.WatchChangesResponse, None]:
        """Yield everything, without an end."""
        now = self._feeding.now_ms()
        self._history_id = await self._repository.history_id()
        self._present, _ = await self._repository.instances()
        self._place = Place(self._present, now)
        if self._start is not None:
            place, history_id = self._start
            if history_id == self._history_id and place.revision <= self._present:
                self._place = place
            else:
                # etcd was replaced by one of another history: nothing says what is missing.
                yield self._reset()
        yield self._moved()
        while True:
            self._sure = self._place.revision
            try:
                async with aclosing(self._following()) as following:
                    async for response in following:
                        yield response
            except RevisionCompacted:
                async with aclosing(self._catching_up()) as caught_up:
                    async for response in caught_up:
                        yield response

    async def _following(self) -> AsyncGenerator[pb.WatchChangesResponse, None]:
        """Yield what happens after the place, as long as etcd keeps it."""
        follower = Follower(self._query.wants, self._place)
        self._draining.add_done_callback(lambda _: follower.wake.set())
        try:
            async with beside(self._approach(follower)) as approach:
                approach.add_done_callback(lambda _: follower.wake.set())
                while True:
                    follower.wake.clear()
                    while (step := follower.take()) is not None:
                        async with aclosing(self._telling(step)) as told:
                            async for response in told:
                                yield response
                        await self._look()
                    if approach.done():
                        approach.result()
                    self.check()
                    # Nothing waits: what the follower was offered and did not want is told as well.
                    self._place = follower.place
                    if self._moved_is_due:
                        yield self._moved()
                    await self._look()
                    await self._rest(follower)
        finally:
            await self._feeding.hub.leave(follower)

    async def _approach(self, follower: Follower) -> None:
        """Feed a follower from a watch of its own until it shares the hub's."""
        hub, present = self._feeding.hub, self._present
        if hub.join(follower, present=present):
            return
        revision = follower.place.revision
        async with self._repository.watch_all(after_revision=revision) as changes:
            async for each in changes:
                step = await self._feeding.telling.step(each)
                await follower.room()
                follower.offer(step)
                if hub.join(follower, present=present):
                    return

    async def _look(self) -> None:
        """Make sure that nothing was left out, when it is time.

        Raises:
            RevisionCompacted: that cannot be said.
        """
        now = self._feeding.clock()
        if now < self._looked_at + LOOK_SECONDS:
            return
        self._looked_at = now
        told = self._place.revision
        with suppress(Unavailable):  # a watch goes on without a quorum, and so does this
            await self._repository.check_kept(self._sure)
            self._sure = told

    async def _catching_up(self) -> AsyncGenerator[pb.WatchChangesResponse, None]:
        """Yield what happened after what is sure, from what stands now."""
        now = self._feeding.now_ms()
        since = self._sure
        changed = await self._repository.changed_since(since)
        too_late = now - self._place.time_ms > KEPT_MS
        self._place = Place(since, now if too_late else self._place.time_ms)
        if too_late:
            # Said once: who breaks off now has another day to come back.
            yield self._reset()
        for session_id, head in changed.tombstones:
            tombstone = tombstone_of(session_id, head)
            if tombstone is not None:
                yield self._response(deleted(session_id, tombstone))
        for session_id in changed.session_ids:
            async with aclosing(self._log(session_id, since)) as log:
                async for response in log:
                    yield response
            if self._moved_is_due:
                yield self._moved()
        self._place = Place(changed.revision, now)
        yield self._moved()

    async def _telling(self, step: Step) -> AsyncGenerator[pb.WatchChangesResponse, None]:
        """Yield a step: it is told when its last message is, so that one has the next cursor."""
        after = Place(step.revision, step.time_ms)
        for each in step.told:
            if isinstance(each, Copied):
                async with aclosing(self._log(each.session_id, None)) as log:
                    async for response in log:
                        yield response
                continue
            if each is step.told[-1]:
                self._place = after
            yield self._response(each)
        self._place = after

    async def _log(
        self, session_id: str, since: int | None
    ) -> AsyncGenerator[pb.WatchChangesResponse, None]:
        """Yield the records of a session that were written after a revision, or all.

        When a copy became visible is not known from its records: of a copy all are told. What was
        written after a revision is read for every filter, since only a record says whose the
        session was before; a copy that becomes visible was nobody's.
        """
        repository = self._repository
        with suppress(SessionNotFound):  # that it was deleted is told in its turn
            snapshot, head = await living(repository, session_id)
            if since is None and not self._query.wants_copy_of(head.user_id):
                return
            first = 1
            if since is not None and not head.meta.copied_seq:
                first = await repository.first_after(session_id, since, last_seq=head.seq)
            async with aclosing(read_records(repository, session_id, first, head.seq)) as runs:
                async for run in runs:
                    for told in await self._feeding.telling.records(
                        session_id, head, run, snapshot.revision
                    ):
                        if self._query.wants(told):
                            yield self._response(told)

    def _response(self, told: Told) -> pb.WatchChangesResponse:
        response = pb.WatchChangesResponse()
        response.CopyFrom(told.message)
        return self._at_place(response)

    def _moved(self) -> pb.WatchChangesResponse:
        return self._at_place(pb.WatchChangesResponse(moved=pb.WatchChangesResponse.Moved()))

    def _reset(self) -> pb.WatchChangesResponse:
        return self._at_place(pb.WatchChangesResponse(reset=pb.WatchChangesResponse.Reset()))

    def _at_place(self, response: pb.WatchChangesResponse) -> pb.WatchChangesResponse:
        response.cursor = sealed(Cursor(self._place, self._history_id))
        self._moved_at = self._feeding.clock()
        return response

    @property
    def _moved_is_due(self) -> bool:
        return self._feeding.clock() >= self._moved_at + MOVED_SECONDS

    async def _rest(self, follower: Follower) -> None:
        """Wait until something happens, or a word is due, or the token ends."""
        until = min(self._moved_at + MOVED_SECONDS, self._ends_at)
        with suppress(TimeoutError):
            async with asyncio.timeout(max(until - self._feeding.clock(), 0.0)):
                await follower.wake.wait()
