"""A stream of Store's that outlives each Store: where one goes away, another goes on."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any, Generic, TypeVar

import grpc
from google.protobuf.message import Message

from gateway.pauses import pause
from services.serving.context import Call
from sessiond.errors import SessiondError, Unavailable, comes_back
from sessiond.status import from_rpc_error
from sessiond.v1.store_pb2 import DESCRIPTOR

R = TypeVar("R", bound=Message)

_STORE = DESCRIPTOR.services_by_name["StoreService"].full_name


class StoreStream(Generic[R]):
    """One question that Store answers with a stream without an end.

    The request is asked as it is when a Store is asked: who listens keeps its cursor in it.
    """

    def __init__(
        self,
        stores: Sequence[grpc.aio.Channel],
        rpc: str,
        request: Message,
        response_class: type[R],
        call: Call,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.failures = 0
        """In a row, since a Store last said something."""
        self._stores = stores
        self._path = f"/{_STORE}/{rpc}"
        self._request = request
        self._response_class = response_class
        self._call = call
        self._sleep = sleep
        self._jitter = jitter

    async def responses(self) -> AsyncGenerator[R | None, None]:
        """Yield what is said, without an end; None where a Store went away.

        Raises:
            SessiondError: the end, and no other Store will help.
        """
        place = 0
        while True:
            ask: Any = self._stores[place % len(self._stores)].unary_stream(
                self._path,
                request_serializer=type(self._request).SerializeToString,
                response_deserializer=self._response_class.FromString,
            )
            call = ask(self._request, metadata=self._call.metadata())
            try:
                while isinstance(response := await call.read(), self._response_class):
                    self.failures = 0
                    yield response
                failure: SessiondError = Unavailable()
            except grpc.aio.AioRpcError as error:
                failure = from_rpc_error(error, mutating=False)
            finally:
                call.cancel()
            if not comes_back(failure):
                raise failure
            yield None
            place += 1
            self.failures += 1
            await self._sleep(pause(self.failures - 1, self._jitter()))
