"""Reads that claim to be current, and long ranges at one revision.

A consensus read is a transaction through raft. One is in flight at a time; what is asked for
meanwhile shares the next one, so that many readers cost little more than one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Final, NamedTuple, Self

from services.store.answers import RevisionCompacted
from services.store.etcd.client import EtcdClient
from services.store.etcd.errors import Compacted, EtcdError
from services.store.etcd.etcd_pb2 import KeyValue, RangeRequest, RangeResponse
from services.store.etcd.transactions import ConsensusRead, read
from services.store.keys import Span
from sessiond.errors import Unavailable

# etcd takes 127; fewer keep the answer to many readers far under what a client receives.
_OPERATIONS: Final = 60
# Keys in one answer: 1,000 entries or records of the usual size are about 1 MB.
_PAGE: Final = 1000


@contextmanager
def answered() -> Iterator[None]:
    """Say in the repository's words why there is no answer."""
    try:
        yield
    except Compacted as error:
        raise RevisionCompacted from error
    except EtcdError as error:
        raise Unavailable from error


def value_of(answer: RangeResponse) -> bytes:
    """Return the value of the key that was read; b"" where it is absent."""
    return answer.kvs[0].value if answer.kvs else b""


class _Waiting(NamedTuple):
    requests: Sequence[RangeRequest]
    answer: asyncio.Future[ConsensusRead]


class ConsensusReads:
    """The one road of consensus reads; an async context manager, which ends them on leaving.

    The number of readers that wait is bounded by the calls that a server lets in.
    """

    def __init__(self, etcd: EtcdClient) -> None:
        self._etcd = etcd
        self._waiting: deque[_Waiting] = deque()
        self._sending: asyncio.Task[None] | None = None
        self._closed = False

    async def __aenter__(self) -> Self:
        """Return the reads."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the read in flight; whoever waits hears that there is no answer."""
        self._closed = True
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.wait((self._sending,))

    async def read(self, *requests: RangeRequest) -> ConsensusRead:
        """Read all requests at one revision, which is no older than the call.

        At most 127 requests, none at a revision, and none with a large answer: a transaction
        that fails because of one of them fails for all who share it.

        Raises:
            Unavailable: there was no answer.
        """
        if self._closed:
            raise Unavailable
        answer: asyncio.Future[ConsensusRead] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(requests, answer))
        if self._sending is None:
            self._sending = asyncio.create_task(self._send())
        return await answer

    async def _send(self) -> None:
        sharing: list[_Waiting] = []
        try:
            while sharing := self._take():
                await self._answer(sharing)
        finally:
            self._sending = None
            # Nothing is left, unless this task was cancelled.
            for waiting in (*sharing, *self._waiting):
                _fail(waiting, Unavailable())
            self._waiting.clear()

    def _take(self) -> list[_Waiting]:
        taken: list[_Waiting] = []
        operations = 0
        while self._waiting:
            following = self._waiting[0]
            operations += len(following.requests)
            if taken and operations > _OPERATIONS:
                break
            self._waiting.popleft()
            if following.answer.done():  # its reader has gone
                operations -= len(following.requests)
            else:
                taken.append(following)
        return taken

    async def _answer(self, sharing: Sequence[_Waiting]) -> None:
        requests = [request for waiting in sharing for request in waiting.requests]
        try:
            revision, answers = await self._etcd.consensus_range(*requests)
        except Exception as error:
            for waiting in sharing:
                unavailable = Unavailable()
                unavailable.__cause__ = error
                _fail(waiting, unavailable)
            if not isinstance(error, EtcdError):
                raise
            return
        given = iter(answers)
        for waiting in sharing:
            own = [next(given) for _ in waiting.requests]
            if not waiting.answer.done():
                waiting.answer.set_result(ConsensusRead(revision, own))


def _fail(waiting: _Waiting, error: Exception) -> None:
    if not waiting.answer.done():
        waiting.answer.set_exception(error)


async def read_all(
    etcd: EtcdClient, span: Span, *, revision: int, limit: int | None = None
) -> list[KeyValue]:
    """Read a span at a revision, whole or up to `limit` keys, in key order.

    Raises:
        RevisionCompacted: the revision is gone.
        Unavailable: there was no answer.
    """
    found: list[KeyValue] = []
    while limit is None or len(found) < limit:
        size = _PAGE if limit is None else min(_PAGE, limit - len(found))
        with answered():
            page = await etcd.range(read(*span, revision=revision, limit=size))
        found.extend(page.kvs)
        if not page.more:
            break
        span = span.after(page.kvs[-1].key)
    return found
