"""A stream of Store's over calls that come and go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import grpc
from google.protobuf.message import Message

from sessiond.client.backoff import Backoff
from sessiond.client.calls import Replicas
from sessiond.client.channels import metadata_of
from sessiond.errors import Unauthenticated, comes_back
from sessiond.status import from_rpc_error

if TYPE_CHECKING:
    from sessiond.client.unary import Caller
    from sessiond.v1.store_pb2_grpc import StoreServiceAsyncStub

Response = TypeVar("Response", bound=Message)


async def store_stream(
    caller: Caller,
    replicas: Replicas[StoreServiceAsyncStub],
    method: Callable[[StoreServiceAsyncStub], Any],
    request: Message,
    response_class: type[Response],
) -> AsyncGenerator[Response | None, None]:
    """Yield what Store says, over any number of calls; None where one broke.

    The request is asked as it then is: who listens keeps its cursor in it. There is no queue: who
    does not ask for the next one stops the stream by its flow control.

    Raises:
        SessiondError: the stream is refused.
    """
    backoff = Backoff(caller.chance)
    refused = token = ""
    while True:
        token = token or await caller.tokens.current()
        call = method(replicas.preferred)(request, metadata=metadata_of(token, caller.acting_for))
        try:
            while isinstance(response := await call.read(), response_class):
                backoff.reset()
                yield response
        except grpc.aio.AioRpcError as error:
            failure = from_rpc_error(error, mutating=False)
            if isinstance(failure, Unauthenticated) and caller.tokens.renewable:
                if token == refused:
                    raise failure from None
                refused = token
                token = await caller.tokens.another(token)
            elif not comes_back(failure):
                raise failure from None
            else:
                token = ""
        else:
            token = ""
        finally:
            call.cancel()
        yield None
        replicas.next()
        await asyncio.sleep(backoff.pause())
