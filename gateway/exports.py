"""`GET /api/sessions/{sessionId}/export`: a session as a document.

A failure before the first byte is a plain problem. After it the response is cut off without its
end, so that nobody takes a part for the whole.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import grpc
import structlog
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.callers import identify
from gateway.exchange import Exchange
from gateway.mapping.texts import unescape
from gateway.pauses import pause
from gateway.problems import in_http_words
from gateway.rest import NOT_UTF8
from gateway.tasks import until_one_ends
from services.serving.auth import Authenticator
from services.serving.context import Call
from sessiond.client.history import Reading
from sessiond.errors import RateLimited, SessiondError, Unavailable, Violations
from sessiond.export.rendering import EXTENSIONS, MEDIA_TYPES, Format, chunks
from sessiond.mapping.reading import UNKNOWN
from sessiond.session.checks import check_session_id
from sessiond.status import from_rpc_error
from sessiond.v1.store_pb2 import DESCRIPTOR, ReadHistoryRequest, ReadHistoryResponse

READ = f"/{DESCRIPTOR.services_by_name['StoreService'].full_name}/ReadHistory"

_FORMATS = "must be one of: " + ", ".join(Format)
_ATTEMPTS = 5
_PDFS = 2
"""How many are made at once: each takes a core, and memory by the message."""

_log = structlog.get_logger(__name__)

Document = AsyncGenerator[bytes, None]


class Exports:
    """Answers with documents, in the format that the query names; JSON where it names none."""

    def __init__(
        self,
        stores: Sequence[grpc.aio.Channel],
        authenticator: Authenticator,
        *,
        upstream_seconds: float,
        pdf_messages: int,
    ) -> None:
        self._stores = stores
        self._authenticator = authenticator
        self._upstream_seconds = upstream_seconds
        self._pdf_messages = pdf_messages
        self._pdfs = 0

    async def __call__(self, exchange: Exchange) -> Response:
        """Answer; raises the `SessiondError` that the request ends with."""
        call = exchange.call = await identify(
            self._authenticator, exchange.request.headers, exchange.request_id
        )
        session_id, form = _read(exchange)
        history = _History(self._stores, session_id, call, seconds=self._upstream_seconds)
        document = chunks(history.parts(), form, most_messages=self._pdf_messages)
        try:
            with self._place(form):
                first = await _begun(document, exchange.request.receive)
        except SessiondError as error:
            raise in_http_words(error, ReadHistoryRequest.DESCRIPTOR) from None
        return Download(document, first, f"{session_id}.{EXTENSIONS[form]}", MEDIA_TYPES[form])

    @contextmanager
    def _place(self, form: Format) -> Iterator[None]:
        """Hold a place among the PDFs that are made; one that is only sent takes none."""
        making = form is Format.PDF
        if making and self._pdfs >= _PDFS:
            raise RateLimited("Too many PDFs are being made.", retry_after=5.0)
        self._pdfs += making
        try:
            yield
        finally:
            self._pdfs -= making


class Download(Response):
    """The answer that holds a document; its first piece is there."""

    def __init__(self, document: Document, first: bytes, name: str, media_type: str) -> None:
        # A response without a body yet: its length is not known.
        self.status_code = 200
        self.background = None
        self.media_type = media_type
        self.init_headers({"Content-Disposition": f'attachment; filename="{name}"'})
        self._document = document
        self._first = first

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the document; leave the response open where it breaks, so that it is cut off."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        try:
            if scope["method"] == "HEAD":
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            else:
                await until_one_ends(self._tell(send), _disconnected(receive))
        except Exception as error:
            _log.warning("an export broke", exc_info=error)
        finally:
            await self._document.aclose()

    async def _tell(self, send: Send) -> None:
        await _send(send, self._first)
        async for piece in self._document:
            await _send(send, piece)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class _History:
    """One reading of a session's history, over one Store after another."""

    def __init__(
        self,
        stores: Sequence[grpc.aio.Channel],
        session_id: str,
        call: Call,
        *,
        seconds: float,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._stores = stores
        self._reading = Reading(session_id)
        self._call = call
        self._seconds = seconds
        self._sleep = sleep
        self._jitter = jitter

    async def parts(self) -> AsyncGenerator[ReadHistoryResponse, None]:
        """Yield the session and then its events.

        Raises:
            SessiondError: the end, and no other Store helped.
        """
        failures = place = 0
        while True:
            call = self._stores[place % len(self._stores)].unary_stream(
                READ,
                request_serializer=ReadHistoryRequest.SerializeToString,
                response_deserializer=ReadHistoryResponse.FromString,
            )(self._reading.request, metadata=self._call.metadata())
            try:
                while isinstance(response := await self._next(call), ReadHistoryResponse):
                    told = self._reading.came(response)
                    if told is not None:
                        failures = 0
                        yield told
                return
            except grpc.aio.AioRpcError as error:
                failure: SessiondError = from_rpc_error(error, mutating=False)
            except TimeoutError:
                failure = Unavailable()
            finally:
                call.cancel()
            failures += 1
            if not isinstance(failure, Unavailable) or failures == _ATTEMPTS:
                raise failure
            place += 1
            await self._sleep(pause(failures - 1, self._jitter()))

    async def _next(self, call: grpc.aio.UnaryStreamCall[Any, ReadHistoryResponse]) -> object:
        async with asyncio.timeout(self._seconds):
            return await call.read()


async def _begun(document: Document, receive: Receive) -> bytes:
    """Return its first piece, for which a PDF is made; who leaves before that ends the making."""
    begun: list[bytes] = []

    async def begin() -> None:
        begun.append(await anext(document))

    await until_one_ends(begin(), _disconnected(receive))
    if not begun:
        raise ClientDisconnect
    return begun[0]


def _read(exchange: Exchange) -> tuple[str, Format]:
    """Return what is asked for: which session, and as what."""
    found = Violations()
    session_id = exchange.parameters["session_id"] or ""
    if exchange.parameters["session_id"] is None:
        found.add("sessionId", NOT_UTF8)
    else:
        check_session_id(session_id, "sessionId", found)
    query: bytes = exchange.request.scope["query_string"]
    asked: list[str] = []
    for part in query.split(b"&") if query else ():
        raw_name, _, raw_value = part.replace(b"+", b" ").partition(b"=")
        name = unescape(raw_name)
        if name == "format":
            asked.append(unescape(raw_value) or "")
        else:
            found.add("query" if name is None else name, UNKNOWN)
    form = Format.JSON
    if len(asked) > 1:
        found.add("format", "must be given once")
    elif asked and asked[0] not in list(Format):
        found.add("format", _FORMATS)
    elif asked:
        form = Format(asked[0])
    found.check()
    return session_id, form


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})
