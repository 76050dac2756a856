"""HTTP connections with the bounds that uvicorn and httptools do not set.

By themselves they take a request head of any size, wait for it for ever, and read the rest of a
body that was refused for ever. Here a head has a size, a number of headers and a time; when an
answer is out before its request's body is in, the client has a few seconds to finish, so that it
can read the answer instead of a reset.

By themselves they also answer 400 to what is not HTTP while the request before is still at work,
so that its client takes the 400 for its own. Here that request gets its answer, and then the
connection ends.

And they keep for ever what a client does not read. Here who reads nothing is cut off, and so is one
who is not there any more.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.problems import problem
from gateway.progress import Progress
from sessiond.errors import InvalidArgument


class HeadTooLarge(Exception):
    """A request's head is larger than we read."""


class BoundedHttp(HttpToolsProtocol):
    """One connection. What breaks a bound gets 400, as what is not HTTP at all, and is closed.

    Attributes:
        head_bytes: the size of request line and headers. A token takes up to 8 KiB of it, and an
            id of 10 KiB still gets an error of its own.
        head_fields: the number of headers.
        head_seconds: how long a client may take to send a head.
        linger_seconds: how long it may take to end a body after the answer.
        stall_seconds: how long it may read nothing of an answer that waits to be read.
        vanished_seconds: how long its machine may leave unconfirmed what we have sent.
    """

    head_bytes = 32 * 1024
    head_fields = 100
    head_seconds = 10.0
    linger_seconds = 5.0
    stall_seconds = 20.0
    vanished_seconds = 60.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._counted = 0
        self._in_message = False
        self._in_body = False
        self._timer: asyncio.TimerHandle | None = None
        self._progress: Progress | None = None
        self._upgraded = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Give the client a time to send its first head."""
        super().connection_made(transport)
        self._progress = Progress(transport, self.loop, self.stall_seconds, transport.abort)
        _bound_silence(transport, self.vanished_seconds)
        self._close_after(self.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the time."""
        self._disarm()
        if self._progress is not None:
            self._progress.stop()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Look whether the client reads."""
        super().pause_writing()
        if self._progress is not None:
            self._progress.watch()

    def resume_writing(self) -> None:
        """Look no more: it does."""
        super().resume_writing()
        if self._progress is not None:
            self._progress.stop()

    def handle_websocket_upgrade(self) -> None:
        """Leave the connection to another protocol, unless an answer is still under way on it."""
        if self._answers_another():
            self.send_400_response("")
            return
        self._upgraded = True
        self._disarm()
        super().handle_websocket_upgrade()

    def data_received(self, data: bytes) -> None:
        """Read on; between requests, whatever comes starts the time of the next head."""
        super().data_received(data)
        if self._upgraded:
            return
        waits = self.cycle is None or self.cycle.response_complete
        if waits and self._timer is None and self.timeout_keep_alive_task is None:
            self._close_after(self.head_seconds)

    def on_message_begin(self) -> None:
        """Start counting a head."""
        super().on_message_begin()
        self._counted = 0
        self._in_message = True

    def on_url(self, url: bytes) -> None:
        """Count the request line."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count a header."""
        self._count(len(name) + len(value))
        if len(self.headers) >= self.head_fields:
            raise HeadTooLarge
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Forget the head's time: the body has its own."""
        self._disarm()
        self._in_body = True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Note that nothing of the request is left to come."""
        self._in_message = self._in_body = False
        self._disarm()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Give the client a time to finish a body that nobody reads any more."""
        super().on_response_complete()
        if self._in_message:
            self._close_after(self.linger_seconds)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, or end the connection after the answer that is under way."""
        if self._answers_another():
            self.cycle.keep_alive = False
            self.flow.pause_reading()
            return
        too_large = self._counted > self.head_bytes or len(self.headers or ()) >= self.head_fields
        detail = "The head of the request is too large." if too_large else "This is not HTTP."
        answer = problem(InvalidArgument(detail=detail), secrets.token_hex(16))
        head = b"".join(b"%s: %s\r\n" % header for header in answer.raw_headers)
        self.transport.write(
            b"HTTP/1.1 400 Bad Request\r\n%sconnection: close\r\n\r\n%s" % (head, answer.body)
        )
        self.transport.close()

    def _answers_another(self) -> bool:
        if self.cycle is None or self.cycle.response_complete:
            return False
        return self.cycle.response_started or not self._in_body

    def _count(self, size: int) -> None:
        self._counted += size
        if self._counted > self.head_bytes:
            raise HeadTooLarge

    def _close_after(self, seconds: float) -> None:
        self._disarm()
        self._timer = self.loop.call_later(seconds, self._close)

    def _close(self) -> None:
        self._timer = None
        if not self.transport.is_closing():
            self.transport.close()

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _bound_silence(transport: asyncio.Transport, seconds: float) -> None:
    """Let the system end a connection whose other end is gone without a word, where it can."""
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    found = transport.get_extra_info("socket")
    if option is not None and found is not None and found.family != socket.AF_UNIX:
        found.setsockopt(socket.IPPROTO_TCP, option, round(seconds * 1000))
