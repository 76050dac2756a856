"""`/api/ws/{sessionId}`: one session over a WebSocket.

    accept --> hello{token} --> frames both ways --> goaway and a close code, or 1000 after `close`

The upstream may come and go; the WebSocket stays while there is a reason to, and says so when there
is none. A token is never taken from the URL, since URLs are written into logs.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import structlog

from gateway.browser import Browser, Disconnected
from gateway.exchange import SocketExchange
from gateway.farewell import Farewell, in_a_sentence
from gateway.following import Following
from gateway.lives import Lives
from gateway.mapping.frames import Said, read_frames
from gateway.open_streams import OpenStreams
from gateway.origins import Origins
from gateway.problems import ACTING_FOR_HEADER
from gateway.rest import NOT_UTF8
from gateway.socket_conversation import SocketConversation
from gateway.tasks import until_one_ends
from services.serving import context
from services.serving.auth import Authenticator
from services.serving.context import Call
from sessiond.client.link import Link
from sessiond.errors import (
    Internal,
    SessiondError,
    Unauthenticated,
    Violations,
)
from sessiond.v1.live_pb2 import Hello

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Terms:
    """What a WebSocket may do.

    Attributes:
        hello_seconds: how long it may take to say hello.
        upstream_seconds: how long a Live may take to say anything before another one is asked.
        frame_bytes: the largest message, as it is told to the browser.
    """

    hello_seconds: float
    upstream_seconds: float
    frame_bytes: int


class LiveSockets:
    """Serves all WebSockets. `clock` gives seconds since 1970."""

    def __init__(
        self,
        lives: Lives,
        authenticator: Authenticator,
        origins: Origins,
        streams: OpenStreams,
        terms: Terms,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._lives = lives
        self._authenticator = authenticator
        self._origins = origins
        self._streams = streams
        self._terms = terms
        self._clock = clock

    async def __call__(self, exchange: SocketExchange) -> None:
        """Carry one WebSocket from its handshake to its end.

        Raises:
            SessiondError: it is refused; nothing was accepted.
        """
        session_id, user = self._check(exchange)
        await exchange.socket.accept(headers=exchange.accepting)
        browser = Browser(exchange.socket)
        try:
            await self._carry(exchange, browser, session_id, user)
            exchange.code = await browser.close()
        except Farewell as farewell:
            exchange.code = await browser.part(farewell)
        except Disconnected as gone:
            exchange.code = gone.code
        except SessiondError as error:
            exchange.code = await browser.part(Farewell.of(in_a_sentence(error)))
        except Exception as error:
            _log.error("a WebSocket broke", exc_info=error)
            exchange.code = await browser.part(Farewell.of(Internal()))

    def _check(self, exchange: SocketExchange) -> tuple[str, str | None]:
        """Return the session, and the user that a service names."""
        socket, found = exchange.socket, Violations()
        self._origins.check(socket.headers, socket.scope["scheme"])
        session_id = exchange.parameters["session_id"]
        if session_id is None:
            found.add("sessionId", NOT_UTF8)
        if socket.scope["query_string"]:
            found.add("query", "must be empty: say it in the first frame")
        users = socket.headers.getlist(ACTING_FOR_HEADER)
        if len(users) > 1:
            found.add(ACTING_FOR_HEADER, "must be given once")
        found.check()
        return session_id or "", users[0] if users else None

    async def _carry(
        self, exchange: SocketExchange, browser: Browser, session_id: str, user: str | None
    ) -> None:
        ended: asyncio.Future[Farewell] = asyncio.get_running_loop().create_future()

        def end(farewell: Farewell) -> None:
            if not ended.done():
                ended.set_result(farewell)

        async def told() -> None:
            raise await asyncio.shield(ended)

        async def admit(token: str) -> Call:
            return await self._authenticator.admit(exchange.request_id, f"Bearer {token}", user)

        following: Following | None = None

        async def talk() -> None:
            nonlocal following
            frames = read_frames(await self._first(browser), session_id)
            hello = _hello_in(frames)
            exchange.call = await admit(hello.token)
            link = Link(
                session_id,
                cursor=hello.cursor if hello.HasField("cursor") else None,
                tail=hello.tail if hello.HasField("tail") else None,
            )
            following = Following(
                link, self._lives, exchange.call, seconds=self._terms.upstream_seconds
            )
            conversation = SocketConversation(
                session_id,
                browser,
                following,
                admit=admit,
                frame_bytes=self._terms.frame_bytes,
                clock=self._clock,
            )
            with context.during(exchange.call):
                await conversation.go_on(frames)

        with self._streams.joined("websocket", end):
            try:
                await until_one_ends(told(), talk())
            except Farewell as farewell:
                cursor = None if following is None else following.cursor
                if cursor is not None and farewell.goaway.reconnect:
                    farewell.goaway.cursor = cursor
                raise

    async def _first(self, browser: Browser) -> str:
        try:
            async with asyncio.timeout(self._terms.hello_seconds):
                return await browser.receive()
        except TimeoutError:
            seconds = f"{self._terms.hello_seconds:g}"
            detail = f"The first frame must be hello, within {seconds} s."
            raise Unauthenticated(detail) from None


def _hello_in(frames: Iterator[Said]) -> Hello:
    first = next(frames, None)
    if first is None or first.kind != "hello":
        raise Unauthenticated("The first frame must be hello.")
    if first.refused is not None:
        raise first.refused
    return first.frame.hello
