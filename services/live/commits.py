"""Commits on their way to Store: one stream, and whatever waits together travels together.

At most two messages wait for outcomes, as many as Store has batches under way. What comes
meanwhile forms the next one: a lone commit goes at once, and many go together, without a timer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count

import grpc
import structlog

from sessiond.encoding import as_field, field_tag
from sessiond.v1.ownership_pb2 import (
    DESCRIPTOR,
    Commit,
    CommitOutcome,
    CommitRequest,
    CommitResponse,
)

REQUEST_BYTES = 2 * 1024 * 1024
"""Where one message of the stream ends and the next begins; a single commit is at most 1 MiB."""

UNANSWERED_MESSAGES = 2
"""Messages sent whose outcomes have not all come."""

UNKNOWN = CommitOutcome(unknown=CommitOutcome.Unknown())
COMMITTED = CommitOutcome(committed=CommitOutcome.Committed())

CommitCall = grpc.aio.StreamStreamCall[bytes, CommitResponse]
Settle = Callable[[CommitOutcome], None]

_METHOD = f"/{DESCRIPTOR.services_by_name['OwnershipService'].full_name}/Commit"
_COMMITS = field_tag(CommitRequest.COMMITS_FIELD_NUMBER)

_log = structlog.get_logger(__name__)


def open_call(channel: grpc.aio.Channel, metadata: Sequence[tuple[str, str]] = ()) -> CommitCall:
    """Make the call that a stream uses; its requests are encoded already."""
    method: grpc.aio.StreamStreamMultiCallable[bytes, CommitResponse] = channel.stream_stream(
        _METHOD, response_deserializer=CommitResponse.FromString
    )
    return method(metadata=tuple(metadata))


@dataclass(slots=True)
class _Message:
    """A message on its way: how many of its commits have no outcome yet."""

    unanswered: int


@dataclass(slots=True)
class _Waiting:
    """A commit as encoded, in whose name it is sent, and who hears of its outcome."""

    tag: int
    instance: bytes
    data: bytes
    settle: Settle
    message: _Message | None = None


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
        self._outgoing: list[_Waiting] = []
        self._waiting: dict[int, _Waiting] = {}
        self._unanswered_messages = 0
        self._wake = asyncio.Event()
        self._broken = False
        self._tasks = (
            asyncio.create_task(self._write(), name="commit-stream-write"),
            asyncio.create_task(self._read(), name="commit-stream-read"),
        )

    def send(self, instance: bytes, commit: Commit, settle: Settle) -> None:
        """Send a commit in the name of an instance.

        `settle` is called once, with its outcome, and must not raise.
        """
        if self._broken:
            settle(UNKNOWN)
            return
        commit.tag = next(self._tags)
        waiting = _Waiting(commit.tag, instance, commit.SerializeToString(), settle)
        self._waiting[commit.tag] = waiting
        self._outgoing.append(waiting)
        self._wake.set()

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

    def _next_request(self) -> bytes:
        instance = self._outgoing[0].instance
        parts = [CommitRequest(instance=instance).SerializeToString()]
        message, size = _Message(0), 0
        for waiting in self._outgoing:
            size += len(waiting.data)
            if waiting.instance != instance or (message.unanswered and size > REQUEST_BYTES):
                break
            waiting.message = message
            message.unanswered += 1
            parts.append(as_field(_COMMITS, waiting.data))
        del self._outgoing[: message.unanswered]
        self._unanswered_messages += 1
        return b"".join(parts)

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
        waiting = self._waiting.pop(outcome.tag, None)
        if waiting is None:
            return
        message = waiting.message
        if message is not None:
            message.unanswered -= 1
            if message.unanswered == 0:
                self._unanswered_messages -= 1
                self._wake.set()
        waiting.settle(outcome)

    def _break(self) -> None:
        if self._broken:
            return
        self._broken = True
        self._wake.set()
        # First whoever sends on: what is found unknown may be sent again at once, elsewhere.
        self._on_broken(self)
        waiting, self._waiting = self._waiting, {}
        for each in waiting.values():
            each.settle(UNKNOWN)
