"""Following lists of sessions: one watch over streams that come and go, resumed by its cursor."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING

from sessiond.client.calls import Replicas
from sessiond.client.store_stream import store_stream
from sessiond.client.unary import Caller
from sessiond.v1.store_pb2 import WatchSessionsRequest, WatchSessionsResponse

if TYPE_CHECKING:
    from sessiond.v1.store_pb2_grpc import StoreServiceAsyncStub


async def watch(
    caller: Caller, replicas: Replicas[StoreServiceAsyncStub], request: WatchSessionsRequest
) -> AsyncGenerator[WatchSessionsResponse, None]:
    """Yield what a watch says, over any number of calls.

    A listing that was cut short begins anew, after a `reset`.

    Raises:
        SessiondError: the watch is refused.
    """
    said = False
    stream = store_stream(
        caller, replicas, lambda stub: stub.WatchSessions, request, WatchSessionsResponse
    )
    async with aclosing(stream) as responses:
        async for response in responses:
            if response is None:
                if said and not request.HasField("cursor"):
                    yield WatchSessionsResponse(reset=WatchSessionsResponse.Reset())
                said = False
                continue
            if response.cursor:
                request.cursor = response.cursor
            elif response.HasField("reset"):
                request.ClearField("cursor")
            said = True
            yield response
