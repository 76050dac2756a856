"""The committer: packs the commits of all Live streams into few transactions.

At most two batches are in flight. What arrives meanwhile forms the next one, so a lone commit
goes at once and many go together, without a timer. Nothing here repeats a commit whose fate is
unknown: only its owner knows whether it is still wanted.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Self, TypeVar

import structlog

from services.store.metrics import CommitMetrics
from services.store.packing import Line, Turn, Waiting
from services.store.repository import Repository
from services.store.space import Space
from services.store.writes import BatchRefused, Commit, Outcome, PutOff, Unknown, Unstorable
from sessiond.errors import Unavailable

_log = structlog.get_logger(__name__)

T = TypeVar("T")


class Committer:
    """Commits in batches; an async context manager.

    The queue is full at `capacity` commits or `capacity_bytes`. Then `room()` waits, and the Live
    stream that waits for it is not read further, so its sender is held back by flow control. Who
    submits without asking for room is taken in all the same: a request that was read is never
    dropped. What `space` has no room for is put off at once, and never sent; without one there is
    room for all.

    On leaving, what waits has `grace` seconds to be settled; what is left then is unknown.
    """

    def __init__(
        self,
        repository: Repository,
        metrics: CommitMetrics,
        *,
        space: Space | None = None,
        in_flight: int = 2,
        capacity: int = 8192,
        capacity_bytes: int = 64 * 1024 * 1024,
        grace: float = 5.0,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._repository = repository
        self._metrics = metrics
        self._space = space or Space()
        self._most_in_flight = in_flight
        self._capacity = capacity
        self._capacity_bytes = capacity_bytes
        self._grace = grace
        self._clock = clock
        self._line = Line()
        self._tasks: set[asyncio.Task[None]] = set()
        self._dispatching = False
        self._closed = False
        self._room = asyncio.Event()
        self._room.set()
        self._loop = asyncio.get_running_loop()

    async def __aenter__(self) -> Self:
        """Return the committer."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Settle what waits, within the grace."""
        self._closed = True
        self._dispatch()
        deadline = self._loop.time() + self._grace
        while self._tasks and self._loop.time() < deadline:
            await asyncio.wait(self._tasks, timeout=deadline - self._loop.time())
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._abandon()

    def submit(self, commit: Commit, settle: Callable[[int, Outcome], None], tag: int = 0) -> None:
        """Queue a commit. `settle(tag, outcome)` is called once and must not raise."""
        if self._closed:
            settle(tag, Unknown())
            return
        if self._space.is_short and self._space.puts_off(commit):
            settle(tag, PutOff())
            self._metrics.put_off()
            return
        self._line.join(Waiting(commit, commit.size, settle, tag))
        self._joined()

    async def room(self) -> None:
        """Wait until the queue is not full."""
        await self._room.wait()

    async def commit(self, commit: Commit) -> Outcome:
        """Commit, and return the outcome; the commit runs on when the caller is cancelled."""
        await self.room()
        outcome: asyncio.Future[Outcome] = self._loop.create_future()

        def settle(_: int, settled: Outcome) -> None:
            if not outcome.done():
                outcome.set_result(settled)

        self.submit(commit, settle)
        return await outcome

    async def in_turn(self, call: Callable[[], Awaitable[T]]) -> T:
        """Run the call when all that waits now has been sent, and return what it returns.

        It takes the place of a batch. So what a heartbeat says is only said while commits get
        through as well.
        """
        if self._closed:
            raise Unavailable
        result: asyncio.Future[T] = self._loop.create_future()

        def fail(error: Exception) -> None:
            if not result.done():
                result.set_exception(error)

        async def run() -> None:
            if result.done():  # the caller has gone
                return
            try:
                value = await call()
            except asyncio.CancelledError:
                fail(Unavailable())
                raise
            except Exception as error:
                fail(error)
            else:
                if not result.done():
                    result.set_result(value)

        self._line.join_turn(Turn(run, lambda: fail(Unavailable())))
        self._joined()
        return await result

    def _joined(self) -> None:
        if self._line.commits >= self._capacity or self._line.size >= self._capacity_bytes:
            self._room.clear()
        # Not at once: whatever else this pass of the loop brings travels along.
        if not self._dispatching and len(self._tasks) < self._most_in_flight:
            self._dispatching = True
            self._loop.call_soon(self._dispatch)

    def _dispatch(self) -> None:
        self._dispatching = False
        while len(self._tasks) < self._most_in_flight:
            taken = self._line.take()
            if taken is None:
                break
            work = taken.run() if isinstance(taken, Turn) else self._send(taken)
            task = self._loop.create_task(work)
            self._tasks.add(task)
            task.add_done_callback(self._done)
        if self._line.commits < self._capacity and self._line.size < self._capacity_bytes:
            self._room.set()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            self._dispatch()

    async def _send(self, batch: Sequence[Waiting]) -> None:
        started = self._clock()
        # What stands here if we are cancelled is the truth: nobody knows.
        outcomes: Sequence[Outcome] = [Unknown()] * len(batch)
        try:
            outcomes = await self._outcomes([waiting.commit for waiting in batch])
        finally:
            self._line.release(batch)
            for waiting, outcome in zip(batch, outcomes, strict=True):
                waiting.settle(waiting.tag, outcome)
            self._metrics.settled(outcomes, self._clock() - started, self._line.commits)

    async def _outcomes(self, commits: Sequence[Commit]) -> Sequence[Outcome]:
        try:
            return await self._repository.commit(commits)
        except BatchRefused:
            if len(commits) == 1:
                _log.error("commit cannot be stored", session=commits[0].session_id)
                return [Unstorable()]
            _log.warning("batch refused, sent in parts", commits=len(commits))
            return [(await self._outcomes([commit]))[0] for commit in commits]
        except Exception:
            # The repository breaks its contract: a fault of ours that no stream should die of.
            _log.exception("batch failed", commits=len(commits))
            return [Unknown()] * len(commits)

    def _abandon(self) -> None:
        while (taken := self._line.take()) is not None:
            if isinstance(taken, Turn):
                taken.give_up()
                continue
            self._line.release(taken)
            for waiting in taken:
                waiting.settle(waiting.tag, Unknown())
