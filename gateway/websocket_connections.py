"""WebSocket connections with the bounds that uvicorn does not set.

By itself it answers pings for as long as memory lasts to one who does not read the answers, waits
for ever until what it has written is read, and closes so fast behind a message that is too large
that its sender may see a reset instead of the reason. Here who does not read is not read, a
connection that makes no progress ends, and the close frame has a moment to arrive.

Nothing is compressed: a message of 1 MiB may be a kilobyte on the wire, and many of them wait in
one read.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import Any, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import PayloadTooBig
from websockets.frames import CloseCode, Frame
from websockets.http11 import Response
from websockets.protocol import State
from websockets.server import ServerProtocol

from gateway.problems import problem
from gateway.progress import Progress
from sessiond.errors import CARRIED, InvalidArgument, SlowReader


class _Handshakes(ServerProtocol):
    """Refuses what is no handshake in our own words."""

    def reject(self, status: Any, text: str) -> Response:
        """Return the answer to a handshake that is not one."""
        response = super().reject(status, "")
        answer = problem(
            InvalidArgument(detail="This is no WebSocket handshake (RFC 6455)."),
            secrets.token_hex(16),
        )
        response.body = bytes(answer.body)
        del response.headers["Content-Length"]
        del response.headers["Content-Type"]
        for name, value in answer.headers.items():
            response.headers[name] = value
        return response


class BoundedWebSocket(WebSocketsSansIOProtocol):
    """One connection.

    Attributes:
        stall_seconds: how long a client may read nothing while something waits to be read.
        linger_seconds: how long it may take to answer a close frame.
        fragments: in how many pieces a message may come.
    """

    stall_seconds = 20.0
    linger_seconds = 5.0
    fragments = 4096

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conn = _Handshakes(max_size=self.config.ws_max_size, logger=self.logger)
        self.close_timeout = self.linger_seconds
        self._progress: Progress | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        super().connection_made(transport)
        self._progress = Progress(
            cast(asyncio.Transport, transport), self.loop, self.stall_seconds, self._stalled
        )

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave nothing behind."""
        if self._progress is not None:
            self._progress.stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what comes, until something came that breaks the rules."""
        if self.conn.parser_exc is None:
            super().data_received(data)

    def pause_writing(self) -> None:
        """Not read one who does not read, who could make us write ever more pongs."""
        super().pause_writing()
        self._read_no_more()
        if self._progress is not None:
            self._progress.watch()

    def resume_writing(self) -> None:
        """Read on, unless the application has enough."""
        super().resume_writing()
        if self._progress is not None:
            self._progress.stop()
        if not self.read_paused and not self.transport.is_closing():
            self.transport.resume_reading()

    async def receive(self) -> Any:
        """Give the application what has come."""
        message = await super().receive()
        if not self.writable.is_set():
            self._read_no_more()
        return message

    async def send(self, message: Any) -> None:
        """Take what the application says."""
        await super().send(message)
        if self.close_timer is not None:
            self._close_soon()

    def handle_cont(self, event: Frame) -> None:
        """Take a piece of a message; there may be very many empty ones."""
        if len(self.frames) >= self.fragments:
            self.conn.fail(CloseCode.MESSAGE_TOO_BIG, "too many fragments")
            self.conn.parser_exc = PayloadTooBig(None, self.conn.max_message_size)
            self.handle_parser_exception()
            return
        super().handle_cont(event)

    def handle_close(self, event: Frame) -> None:
        """End, as the client wishes or has agreed to; it may still not read what is left."""
        super().handle_close(event)
        if self.close_timer is None:
            self._close_soon()

    def shutdown(self) -> None:
        """End with the server, unless the end has begun."""
        if self.conn.state is State.CLOSING:
            self.transport.close()
        else:
            super().shutdown()

    def handle_parser_exception(self) -> None:
        """Say what is wrong, and wait a moment, so that it is not lost in a reset."""
        close = self.conn.close_sent
        if close is not None:
            message: Any = {
                "type": "websocket.disconnect",
                "code": int(close.code),
                "reason": close.reason,
            }
            self.queue.put_nowait(message)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._close_soon()

    def _stalled(self) -> None:
        """Send away one who does not read; what it has not read it never will."""
        if not self.close_sent:
            code = CARRIED[SlowReader].close
            message: Any = {
                "type": "websocket.disconnect",
                "code": code,
                "reason": SlowReader.reason,
            }
            self.queue.put_nowait(message)
            self.conn.send_close(code, SlowReader.reason)
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.close_sent = True
        self._close_soon()

    def _read_no_more(self) -> None:
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def _close_soon(self) -> None:
        self.stop_keepalive()
        if self.close_timer is not None:
            self.close_timer.cancel()
        self.close_timer = self.loop.call_later(self.linger_seconds, self.transport.abort)
