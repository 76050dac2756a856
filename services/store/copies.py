"""Sessions that begin as copies: forks and imports, their part of StoreService."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

import grpc

from services.serving.context import current_identity
from services.store.forking import Forks
from services.store.importing import Imports
from sessiond.errors import InvalidArgument
from sessiond.session.changes import ForkSession, ImportSession
from sessiond.v1 import store_pb2 as pb
from sessiond.v1.store_pb2_grpc import StoreServiceServicer

Context = grpc.aio.ServicerContext[Any, Any]


class CopiesServicer(StoreServiceServicer):
    """Makes copies."""

    _forks: Forks
    _imports: Imports

    async def ForkSession(
        self, request: pb.ForkSessionRequest, context: Context
    ) -> pb.ForkSessionResponse:
        """Copy the first events of a session."""
        change = ForkSession(
            session_id=request.session_id,
            at_seq=request.at_seq if request.HasField("at_seq") else None,
            id=request.id if request.HasField("id") else None,
        )
        op_id = request.op_id if request.HasField("op_id") else None
        made = await self._forks.fork(current_identity(), change, op_id)
        return pb.ForkSessionResponse(session=made.session, seq=made.seq)

    async def ImportSession(
        self, request_iterator: AsyncIterator[pb.ImportSessionRequest], context: Context
    ) -> pb.ImportSessionResponse:
        """Store an exported session."""
        first = await anext(request_iterator, None)
        if first is None or not first.HasField("header"):
            raise InvalidArgument.of("header", "is required, in the first message")
        change = ImportSession(first.header.session_id, first.header.last_seq)
        async with aclosing(_events(first, request_iterator)) as events:
            return await self._imports.store(current_identity(), change, events)


async def _events(
    first: pb.ImportSessionRequest, others: AsyncIterator[pb.ImportSessionRequest]
) -> AsyncGenerator[pb.HistoryEvent, None]:
    for event in first.events:
        yield event
    async for request in others:
        if request.HasField("header"):
            raise InvalidArgument.of("header", "must stand in the first message, and no other")
        for event in request.events:
            yield event
