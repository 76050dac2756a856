"""Following lists of sessions: one watch over streams that come and go, resumed by its cursor."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

import grpc

from sessiond.client.backoff import Backoff
from sessiond.client.calls import Replicas
from sessiond.client.channels import metadata_of
from sessiond.client.unary import Caller
from sessiond.errors import CARRIED, SessiondError, Unauthenticated
from sessiond.status import from_rpc_error
from sessiond.v1.store_pb2 import WatchSessionsRequest, WatchSessionsResponse

if TYPE_CHECKING:
    from sessiond.v1.store_pb2_grpc import StoreServiceAsyncStub


async def watch(
    caller: Caller, replicas: Replicas[StoreServiceAsyncStub], request: WatchSessionsRequest
) -> AsyncGenerator[WatchSessionsResponse, None]:
    """Yield what a watch says, over any number of calls.

    A listing that was cut short begins anew, after a `reset`. There is no queue: who does not ask
    for the next one stops the stream by its flow control.

    Raises:
        SessiondError: the watch is refused.
    """
    backoff = Backoff(caller.chance)
    refused = token = ""
    said = False
    while True:
        token = token or await caller.tokens.current()
        call = replicas.preferred.WatchSessions(
            request, metadata=metadata_of(token, caller.acting_for)
        )
        try:
            while isinstance(response := await call.read(), WatchSessionsResponse):
                backoff.reset()
                if response.cursor:
                    request.cursor = response.cursor
                elif response.HasField("reset"):
                    request.ClearField("cursor")
                said = True
                yield response
        except grpc.aio.AioRpcError as error:
            failure = from_rpc_error(error, mutating=False)
            if isinstance(failure, Unauthenticated) and caller.tokens.renewable:
                if token == refused:
                    raise failure from None
                refused = token
                token = await caller.tokens.another(token)
            elif not _comes_back(failure):
                raise failure from None
            else:
                token = ""
        else:
            token = ""
        finally:
            call.cancel()
        if said and not request.HasField("cursor"):
            yield WatchSessionsResponse(reset=WatchSessionsResponse.Reset())
        said = False
        replicas.next()
        await asyncio.sleep(backoff.pause())


def _comes_back(failure: SessiondError) -> bool:
    return CARRIED[type(failure)].close < 4500
