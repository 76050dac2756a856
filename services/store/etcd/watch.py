"""A watch that outlives connections: every change of its keys once, in order, without a gap.

Each watch is one gRPC stream, many streams share the endpoint's one connection. Nothing reads
ahead: a batch is taken from the stream when the consumer asks for it, and what waits meanwhile
is bounded by the stream's flow control here and by etcd's own queue there. Closing the stream is
what cancels the watch in etcd.

    reading --connection lost--> pause --> next endpoint, from `next_revision` --> reading
       |
       +-- compacted, denied, cancelled by etcd: raised, and the watch is over

etcd looks at the token when a stream begins and never again, so an open stream outlives it. A
denied stream is opened once more, after a login.

A watch is a hint that something changed, not the only truth: etcd before 3.5.13 can skip events
after a compaction, so who keeps a copy reads the range again now and then.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from grpc import aio

from services.store.etcd import errors
from services.store.etcd.endpoints import Endpoint, Endpoints
from services.store.etcd.etcd_pb2 import Event, WatchCreateRequest, WatchRequest, WatchResponse
from services.store.etcd.login import Metadata

if TYPE_CHECKING:
    Stream = aio.StreamStreamCall[WatchRequest, WatchResponse]

# In seconds; each failure in a row doubles the pause, up to the longest.
_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 1.0
# A member without a leader ends the stream, instead of staying silent while the rest moves on.
_METADATA: Final = (("hasleader", "true"),)
# For one login between two streams.
_LOGIN_SECONDS: Final = 5.0


class Batch(NamedTuple):
    """Changes of one or more whole revisions.

    Attributes:
        revision: everything up to and including this revision has been given.
        events: in the order of their revisions; none where etcd only says how far it is.
    """

    revision: int
    events: Sequence[Event]


class Watch:
    """An async context manager and iterator of batches; use it from one task at a time.

    Iterating goes on until the watch is closed, across lost connections and servers. Cancelling
    a wait for the next batch loses nothing, but costs a new stream.

    Raises, from iteration:
        Compacted: changes from `next_revision` on are gone in part; read again, watch anew.
        Denied, WatchCancelled: etcd ended it; the same watch would end again.
        LoginFailed: etcd does not take the name and the password.
    """

    def __init__(
        self, endpoints: Endpoints, create: WatchCreateRequest, rng: random.Random
    ) -> None:
        """Take the request for the first stream; its start revision moves as batches pass."""
        if create.start_revision < 1:
            raise ValueError("a watch starts at a revision, 1 or more")
        self._endpoints = endpoints
        self._create = create
        self._rng = rng
        self._stream: Stream | None = None
        self._endpoint: Endpoint = endpoints.current
        self._failures = 0
        self._closed = False
        self._sent: Metadata | None = None
        self._denied = False

    @property
    def next_revision(self) -> int:
        """The first revision that has not been given yet: where a later watch would go on."""
        return self._create.start_revision

    async def __aenter__(self) -> Self:
        """Return the watch; its stream opens when the first batch is asked for."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the watch."""
        await self.close()

    async def close(self) -> None:
        """End the stream, and with it the watch in etcd; closing twice does no harm."""
        self._closed = True
        stream = self._drop()
        if stream is not None:
            await stream.code()

    def __aiter__(self) -> Self:
        """Iterate over what comes from now on."""
        return self

    async def __anext__(self) -> Batch:
        """Wait for the next batch."""
        while not self._closed:
            try:
                batch = await self._granted(self._stream or await self._open())
            except aio.AioRpcError as error:
                if failure := errors.of_watch(error):
                    await self.close()
                    raise failure from error
            except errors.EtcdError:
                await self.close()
                raise
            except asyncio.CancelledError:
                # gRPC ends a stream whose read is cancelled.
                self._drop()
                raise
            else:
                if batch is not None:
                    self._failures = 0
                    return batch
            await self._move_on()
        raise StopAsyncIteration

    async def _open(self) -> Stream:
        login = self._endpoints.login
        self._endpoint = self._endpoints.current
        self._sent = login.metadata if login else None
        self._stream = self._endpoint.watch.Watch(metadata=(*_METADATA, *(self._sent or ())))
        await self._stream.write(WatchRequest(create_request=self._create))
        return self._stream

    async def _granted(self, stream: Stream) -> Batch | None:
        """Read, or log in anew: then the stream is at its end, and another one may be granted.

        Some servers say of a token that they have forgotten that the permission is missing. So it
        is really missing where they say so twice in a row, the second time to a fresh token.
        """
        denied, self._denied = self._denied, False
        try:
            return await self._read(stream)
        except errors.Denied as error:
            login = self._endpoints.login
            if login is None or (denied and not isinstance(error, errors.TokenRefused)):
                raise
            # Without an answer, the next stream asks again, after a pause.
            with suppress(errors.Unavailable):
                await login.fresh(self._sent, _LOGIN_SECONDS)
                self._denied = True
            return None

    async def _read(self, stream: Stream) -> Batch | None:
        """Return the next batch, with all its fragments, or None at the end of the stream."""
        events: list[Event] = []
        while isinstance(answer := await stream.read(), WatchResponse):
            if answer.canceled:
                raise errors.of_cancelled_watch(answer.cancel_reason, answer.compact_revision)
            events.extend(answer.events)
            if answer.fragment or answer.created:
                continue
            # The header speaks of the server, which may be far ahead of what it has sent.
            # Without events it says that there was nothing to send up to there.
            revision = events[-1].kv.mod_revision if events else answer.header.revision
            revision = max(revision, self.next_revision - 1)
            self._create.start_revision = revision + 1
            return Batch(revision, events)
        return None

    async def _move_on(self) -> None:
        """Leave the endpoint; wait, except after the first failure in a row."""
        self._drop()
        self._endpoints.leave(self._endpoint)
        if self._failures:
            pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(self._failures - 1, 10))
            await asyncio.sleep(pause * self._rng.uniform(0.5, 1.0))
        self._failures += 1

    def _drop(self) -> Stream | None:
        """Give up the stream; what it had not given yet comes again from the next one."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.cancel()
        return stream
