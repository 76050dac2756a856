"""One watch of all sessions for all who follow them, and what waits for each of them.

    a follower --its own watch--> as far as the hub --> shares the hub's

Whoever comes with an old cursor has much to catch up with, and may do it slowly: etcd's flow
control bounds that. The hub's watch waits for nobody, so that etcd need not keep what a slow reader
has not taken; a follower who is slow then is sent away, and comes back with its cursor.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextvars import Context
from typing import Final

import structlog

from services.store.answers import RevisionCompacted
from services.store.feed_query import Place
from services.store.feed_steps import Copied, Step, Telling, Told
from services.store.repository import Repository
from sessiond.errors import Internal, SessiondError, SlowReader

QUEUE_BYTES: Final = 1024 * 1024
"""So much may wait for a follower before one more step is too much."""

_log = structlog.get_logger(__name__)


class Follower:
    """What waits for one reader: the messages that it wants, step by step.

    `place` is how far it was offered everything. `wake` is set when there is something new.
    """

    def __init__(self, wants: Callable[[Told | Copied], bool], place: Place) -> None:
        self.place = place
        self.wake = asyncio.Event()
        self._wants = wants
        self._waiting: deque[tuple[Step, int]] = deque()
        self._size = 0
        self._room = asyncio.Event()
        self._failure: Exception | None = None

    @property
    def full(self) -> bool:
        """Whether one more step is too much."""
        return self._size >= QUEUE_BYTES

    def offer(self, step: Step) -> None:
        """Take a step, of which there may be nothing that the reader wants."""
        if self._failure is not None or step.revision <= self.place.revision:
            return
        told = tuple(each for each in step.told if self._wants(each))
        if told and self.full:
            self.fail(SlowReader())
            return
        self.place = Place(step.revision, step.time_ms)
        if told:
            size = sum(each.message.ByteSize() for each in told if isinstance(each, Told))
            self._waiting.append((Step(step.revision, step.time_ms, told), size))
            self._size += size
            self.wake.set()

    async def room(self) -> None:
        """Wait until it is not full."""
        while self.full:
            self._room.clear()
            await self._room.wait()

    def take(self) -> Step | None:
        """Remove and return the next step; None when nothing waits.

        Raises:
            SlowReader: no more comes, and all that waited was taken.
            RevisionCompacted: what comes next is no longer kept.
            SessiondError: another reason why no more comes.
        """
        if self._waiting:
            step, size = self._waiting.popleft()
            self._size -= size
            self._room.set()
            return step
        if self._failure is not None:
            raise self._failure
        return None

    def fail(self, failure: Exception) -> None:
        """Let the reader have what waits, and then this."""
        self._failure = failure
        self.wake.set()


class Hub:
    """The watch that followers share. It runs while there is one, in a task of its own."""

    def __init__(self, repository: Repository, telling: Telling) -> None:
        self._repository = repository
        self._telling = telling
        self._followers: dict[Follower, None] = {}  # in the order in which they came
        self._task: asyncio.Task[None] | None = None
        self._revision = 0

    def join(self, follower: Follower, *, present: int) -> bool:
        """Let a follower share the watch, and return whether it has come as far as that.

        Where nobody shares one, as far as `present`: the watch begins there.
        """
        if follower.place.revision < (present if self._task is None else self._revision):
            return False
        self._followers[follower] = None
        if self._task is None:
            self._revision = follower.place.revision
            self._task = asyncio.create_task(
                self._run(),
                name="feed",
                context=Context(),  # it is nobody's call
            )
        return True

    async def leave(self, follower: Follower) -> None:
        """Forget a follower, whether it joined or not; with the last one the watch ends."""
        self._followers.pop(follower, None)
        if not self._followers and self._task is not None:
            task, self._task = self._task, None
            task.cancel()
            await asyncio.wait({task})

    async def _run(self) -> None:
        failure: Exception
        try:
            async with self._repository.watch_all(after_revision=self._revision) as changes:
                async for each in changes:
                    step = await self._telling.step(each)
                    self._revision = step.revision
                    for follower in tuple(self._followers):
                        follower.offer(step)
                    # Many revisions may have come together: readers get their turn between them.
                    await asyncio.sleep(0)
            failure = Internal()
        except (RevisionCompacted, SessiondError) as error:
            failure = error
        except Exception as error:
            _log.error("the feed broke", exc_info=error)
            failure = Internal()
        self._task = None
        followers, self._followers = self._followers, {}
        for follower in followers:
            follower.fail(failure)
