"""`POST /api/import`: an exported session, as `GET /api/sessions/{sessionId}/export` gave it.

The export is passed on to Store while it arrives, so its size is no matter of our memory. Whoever
is cut off sends it again, and Store goes on where it came to.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import Final
from urllib.parse import quote

import grpc
from starlette.responses import Response

from gateway import bodies
from gateway.callers import identify
from gateway.exchange import Exchange
from services.serving import context
from services.serving.auth import Authenticator
from services.serving.context import Call
from sessiond.errors import (
    DeadlineExceeded,
    FieldViolation,
    InvalidArgument,
    OutcomeUnknown,
    SessiondError,
)
from sessiond.export.format import ExportReader
from sessiond.mapping.showing import to_json
from sessiond.status import from_rpc_error
from sessiond.v1.session_pb2 import SessionSummary
from sessiond.v1.store_pb2 import DESCRIPTOR, ImportSessionRequest, ImportSessionResponse

IMPORT: Final = f"/{DESCRIPTOR.services_by_name['StoreService'].full_name}/ImportSession"
NDJSON: Final = "application/x-ndjson"
TYPES: Final = (bodies.JSON, NDJSON)

_SECONDS: Final = 600.0
"""How long an import may take in all, so that nobody holds one open for ever."""

_MESSAGE_BYTES: Final = 512 * 1024
_OF_THE_EXPORT: Final = {"header.session_id": "session.id", "header.last_seq": "session.revision"}


class Imports:
    """Stores exports. `body_seconds` is how long a client may send nothing."""

    def __init__(
        self,
        stores: Sequence[grpc.aio.Channel],
        authenticator: Authenticator,
        *,
        body_bytes: int,
        body_seconds: float,
    ) -> None:
        self._stores = stores
        self._authenticator = authenticator
        self._body_bytes = body_bytes
        self._body_seconds = body_seconds

    async def __call__(self, exchange: Exchange) -> Response:
        """Answer; raises the `SessiondError` that the request ends with."""
        http = exchange.request
        call = exchange.call = await identify(
            self._authenticator, http.headers, exchange.request_id
        )
        bodies.check_type(http.headers, TYPES)
        chunks = bodies.body_chunks(
            http.receive, http.headers, limit=self._body_bytes, seconds=self._body_seconds
        )
        with context.during(call):
            async with aclosing(chunks), aclosing(_messages(chunks)) as messages:
                try:
                    answer = await self._send(messages, call)
                except SessiondError as error:
                    raise _in_http_words(error) from None
        headers = {"Location": f"/api/sessions/{quote(answer.session.id, safe='')}"}
        status = 201 if answer.imported else 200
        return Response(to_json(answer), status, headers, media_type=bodies.JSON)

    async def _send(
        self, messages: AsyncIterator[ImportSessionRequest], call: Call
    ) -> ImportSessionResponse:
        first = await anext(messages)  # what is no export at all is no matter of Store's
        stub = self._store().stream_unary(
            IMPORT,
            request_serializer=ImportSessionRequest.SerializeToString,
            response_deserializer=ImportSessionResponse.FromString,
        )
        sending = stub(metadata=call.metadata(), timeout=_SECONDS)
        try:
            try:
                await sending.write(first)
                async for message in messages:
                    await sending.write(message)
                await sending.done_writing()
            except asyncio.InvalidStateError:
                pass  # Store has answered already
            answer: ImportSessionResponse = await sending
        except grpc.aio.AioRpcError as error:
            failure = from_rpc_error(error, mutating=True)
            # The time that is over is ours: over HTTP nobody gives us one.
            is_late = isinstance(failure, DeadlineExceeded)
            raise (OutcomeUnknown() if is_late else failure) from None
        finally:
            sending.cancel()
        return answer

    def _store(self) -> grpc.aio.Channel:
        """Return a Store that is there, as far as is known; an export is sent once."""
        ready = grpc.ChannelConnectivity.READY
        known = (each for each in self._stores if each.get_state(try_to_connect=True) is ready)
        return next(known, self._stores[0])


async def _messages(chunks: AsyncIterator[bytes]) -> AsyncGenerator[ImportSessionRequest, None]:
    """Yield the export as Store takes it: the header in the first message, all events in order."""
    reader = ExportReader()
    message, size = ImportSessionRequest(), 0
    async for chunk in chunks:
        for found in reader.feed(chunk):
            if isinstance(found, SessionSummary):
                message.header.session_id = found.id
                message.header.last_seq = found.revision
            else:
                message.events.append(found)
                size += found.ByteSize()
            if size >= _MESSAGE_BYTES:
                yield message
                message, size = ImportSessionRequest(), 0
    reader.finish()
    yield message


def _in_http_words(error: SessiondError) -> SessiondError:
    """Return the failure with fields named as they stand in an export."""
    if not isinstance(error, InvalidArgument):
        return error
    violations = [FieldViolation(_spelt(each.field), each.message) for each in error.violations]
    return InvalidArgument(violations, error.detail)


def _spelt(field: str) -> str:
    known = _OF_THE_EXPORT.get(field)
    return known or re.sub(r"_([a-z])", lambda letter: letter[1].upper(), field)
