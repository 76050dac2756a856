"""Following all changes: one feed over streams that come and go, resumed by its cursor."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import grpc

from sessiond.client.backoff import Backoff
from sessiond.client.calls import Replicas
from sessiond.client.channels import metadata_of
from sessiond.client.store_stream import store_stream
from sessiond.client.tokens import SyncTokens
from sessiond.client.unary import Caller
from sessiond.errors import Unauthenticated, comes_back
from sessiond.status import from_rpc_error
from sessiond.v1.store_pb2 import WatchChangesRequest, WatchChangesResponse

if TYPE_CHECKING:
    from sessiond.v1.store_pb2_grpc import StoreServiceAsyncStub, StoreServiceStub


async def changes(
    caller: Caller, replicas: Replicas[StoreServiceAsyncStub], request: WatchChangesRequest
) -> AsyncGenerator[WatchChangesResponse, None]:
    """Yield what the feed says, over any number of calls.

    Raises:
        SessiondError: the feed is refused.
    """
    stream = store_stream(
        caller, replicas, lambda stub: stub.WatchChanges, request, WatchChangesResponse
    )
    async with aclosing(stream) as responses:
        async for response in responses:
            if response is not None:
                request.cursor = response.cursor
                yield response


def synchronous_changes(
    tokens: SyncTokens,
    acting_for: str | None,
    replicas: Replicas[StoreServiceStub],
    request: WatchChangesRequest,
    *,
    sleep: Callable[[float], None],
    chance: Callable[[], float],
) -> Iterator[WatchChangesResponse]:
    """Yield what the feed says, as `changes` does."""
    backoff = Backoff(chance)
    refused = token = ""
    while True:
        token = token or tokens.current()
        call: Any = replicas.preferred.WatchChanges(
            request, metadata=metadata_of(token, acting_for)
        )
        try:
            for response in call:
                backoff.reset()
                request.cursor = response.cursor
                yield response
            token = ""
        except grpc.RpcError as error:
            failed: Any = error
            failure = from_rpc_error(failed, mutating=False)
            if isinstance(failure, Unauthenticated) and tokens.renewable and token != refused:
                refused = token
                token = tokens.another(token)
            elif not comes_back(failure):
                raise failure from None
            else:
                token = ""
        finally:
            call.cancel()
        replicas.next()
        sleep(backoff.pause())
