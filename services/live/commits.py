"""Commits on their way to Store: one stream, and whatever waits together travels together.

At most two messages wait for outcomes, as many as Store has batches under way. What comes
meanwhile forms the next one: a lone commit goes at once, and many go together, without a timer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

import grpc
import structlog

from sessiond.v1.ownership_pb2 import Commit, CommitOutcome, CommitRequest, CommitResponse

REQUEST_BYTES = 2 * 1024 * 1024
"""Where one message of the stream ends and the next begins; a single commit is at most 1 MiB."""

UNANSWERED_MESSAGES = 2
"""Messages sent whose outcomes have not all come."""

UNKNOWN = CommitOutcome(unknown=CommitOutcome.Unknown())
COMMITTED = CommitOutcome(committed=CommitOutcome.Committed())

CommitCall = grpc.aio.StreamStreamCall[CommitRequest, CommitResponse]

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Sent:
    """A message on its way: how many of its commits have no outcome yet."""

    unanswered: int


class CommitStream:
    """Sends commits to one Store over one call, and gives each its outcome.

    When the call breaks, by itself or by `close`, the outcomes that have not come are unknown, and
    so are those of commits sent later: a broken stream stays broken. There is no queue without a
    bound: a session has at most one commit in flight.
    """

    def __init__(self, call: CommitCall, on_broken: Callable[[CommitStream], None]) -> None:
        """Use a call just made; `on_broken` hears of its end, once."""
        self._call = call
        self._on_broken = on_broken
        self._tags = count(1)
        self._outgoing: list[tuple[bytes, Commit]] = []
        self._outcomes: dict[int, asyncio.Future[CommitOutcome]] = {}
        self._message_of: dict[int, _Sent] = {}
        self._unanswered_messages = 0
        self._wake = asyncio.Event()
        self._broken = False
        self._tasks = (
            asyncio.create_task(self._write(), name="commit-stream-write"),
            asyncio.create_task(self._read(), name="commit-stream-read"),
        )

    async def send(self, instance: bytes, commit: Commit) -> CommitOutcome:
        """Send a commit in the name of an instance and return its outcome; never raises."""
        if self._broken:
            return UNKNOWN
        commit.tag = next(self._tags)
        outcome: asyncio.Future[CommitOutcome] = asyncio.get_running_loop().create_future()
        self._outcomes[commit.tag] = outcome
        self._outgoing.append((instance, commit))
        self._wake.set()
        return await outcome

    async def close(self) -> None:
        """End the call, and leave no task behind."""
        self._break()
        self._call.cancel()
        # A write waits for the call's metadata to be sent, and for ever where they never were.
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _write(self) -> None:
        try:
            while not self._broken:
                await self._wake.wait()
                self._wake.clear()
                while self._outgoing and self._unanswered_messages < UNANSWERED_MESSAGES:
                    await self._call.write(self._next_request())
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError, asyncio.CancelledError):
            self._break()

    def _next_request(self) -> CommitRequest:
        instance = self._outgoing[0][0]
        taken, size = 0, 0
        for sender, commit in self._outgoing:
            size += commit.ByteSize()
            if sender != instance or (taken and size > REQUEST_BYTES):
                break
            taken += 1
        request = CommitRequest(
            instance=instance, commits=[commit for _, commit in self._outgoing[:taken]]
        )
        del self._outgoing[:taken]
        sent = _Sent(unanswered=taken)
        self._message_of.update((commit.tag, sent) for commit in request.commits)
        self._unanswered_messages += 1
        return request

    async def _read(self) -> None:
        try:
            while (response := await self._call.read()) is not grpc.aio.EOF:
                assert isinstance(response, CommitResponse)
                for outcome in response.outcomes:
                    self._came(outcome)
        except grpc.aio.AioRpcError as error:
            _log.warning("commit stream broke", code=error.code().name)
        except asyncio.CancelledError:
            pass
        self._break()

    def _came(self, outcome: CommitOutcome) -> None:
        waiting = self._outcomes.pop(outcome.tag, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(outcome)
        sent = self._message_of.pop(outcome.tag, None)
        if sent is not None:
            sent.unanswered -= 1
            if sent.unanswered == 0:
                self._unanswered_messages -= 1
                self._wake.set()

    def _break(self) -> None:
        if self._broken:
            return
        self._broken = True
        self._wake.set()
        outcomes, self._outcomes = self._outcomes, {}
        for waiting in outcomes.values():
            if not waiting.done():
                waiting.set_result(UNKNOWN)
        self._on_broken(self)
