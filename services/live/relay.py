"""Unary calls on their way to another Live: the same request, in the caller's name.

Each call is answered, or fails in one of three ways: as the owner told, not sent at all, or lost,
and then nobody knows whether the owner acted on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import grpc
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from services.live.hops import named_owner
from services.live.routing import Peer
from sessiond.errors import (
    DeadlineExceeded,
    Draining,
    OutcomeUnknown,
    SessiondError,
    SessionMoved,
    Unavailable,
)
from sessiond.status import DETAILS_KEY, from_rpc_error
from sessiond.v1.live_pb2 import DESCRIPTOR

_SERVICE = DESCRIPTOR.services_by_name["LiveService"]

UNARY: dict[str, tuple[str, Any]] = {
    method.input_type.full_name: (
        f"/{_SERVICE.full_name}/{method.name}",
        GetMessageClass(method.output_type),
    )
    for method in _SERVICE.methods
    if not method.client_streaming
}
"""By the name of its request: a method, and its response."""


class NotSent(Exception):
    """Nobody listens at that address."""


class Lost(Exception):
    """There will be no answer; the owner may have acted on the call."""


class Relay:
    """Passes calls on to peers."""

    def __init__(self) -> None:
        self._methods: WeakKeyDictionary[grpc.aio.Channel, dict[str, Callable[..., Any]]]
        self._methods = WeakKeyDictionary()

    async def call(
        self,
        peer: Peer,
        request: Message,
        metadata: Sequence[tuple[str, str]],
        *,
        seconds: float,
    ) -> Message:
        """Make a call of LiveService at a peer.

        Raises:
            SessionMoved: it is not the owner, names who is, and has changed nothing.
            NotSent: nobody listens there.
            Lost: the connection broke, the peer is gone, or it does not know itself.
            SessiondError: as the owner told.
        """
        method = self._method(peer.channel, request.DESCRIPTOR.full_name)
        call = method(request, metadata=tuple(metadata), timeout=seconds)

        def give_up(_: object) -> None:
            call.cancel()

        if peer.gone is not None:
            peer.gone.add_done_callback(give_up)
        try:
            response: Message = await call
        except grpc.aio.AioRpcError as error:
            raise _failure(error) from None
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise Lost from None  # it was the call that was given up, not its caller
        finally:
            if peer.gone is not None:
                peer.gone.remove_done_callback(give_up)
        return response

    def _method(self, channel: grpc.aio.Channel, request_name: str) -> Callable[..., Any]:
        methods = self._methods.setdefault(channel, {})
        method = methods.get(request_name)
        if method is None:
            path, response = UNARY[request_name]
            method = methods[request_name] = channel.unary_unary(
                path,
                request_serializer=_serialized,
                response_deserializer=response.FromString,
            )
        return method


def _serialized(message: Message) -> bytes:
    return message.SerializeToString()


def _failure(error: grpc.aio.AioRpcError) -> Exception:
    metadata: Iterable[Any] = error.trailing_metadata() or ()
    failure = from_rpc_error(error, mutating=True)
    if not any(key == DETAILS_KEY for key, _ in metadata):
        return _untold(failure)
    match failure:
        case SessionMoved():
            return SessionMoved(named_owner(metadata))
        case Draining():
            return SessionMoved()
        case OutcomeUnknown():
            return Lost()
    return failure


def _untold(failure: SessiondError) -> Exception:
    """Return what a failure means that nobody named: the connection's, or gRPC's own."""
    match failure:
        case Unavailable():
            return NotSent()
        case OutcomeUnknown() | DeadlineExceeded():
            return Lost()
    return failure
