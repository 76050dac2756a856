"""What is said over a WebSocket after its hello, both ways."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing, suppress

from gateway.browser import Browser
from gateway.farewell import in_a_sentence
from gateway.following import Following
from gateway.mapping.frames import Said, for_browsers, read_frames, refusal
from gateway.tasks import until_one_ends
from services.serving.context import Call
from sessiond.errors import (
    InvalidArgument,
    PermissionDenied,
    SessiondError,
    Unauthenticated,
    Violations,
)
from sessiond.v1.live_pb2 import Pong, ServerFrame

GOODBYE_SECONDS = 2.0
"""How long after a `close` what is still under way to the browser may take."""

PAYLOAD_CHARACTERS = 64
"""How much of a ping comes back."""

_LONGEST_WAIT = 1e6


class SocketConversation:
    """One WebSocket after its hello."""

    def __init__(
        self,
        session_id: str,
        browser: Browser,
        following: Following,
        *,
        admit: Callable[[str], Awaitable[Call]],
        frame_bytes: int,
        clock: Callable[[], float],
    ) -> None:
        self._session_id = session_id
        self._browser = browser
        self._following = following
        self._admit = admit
        self._frame_bytes = frame_bytes
        self._clock = clock
        self._renewed = asyncio.Event()

    async def go_on(self, waiting: Iterator[Said]) -> None:
        """Carry frames both ways until the browser says `close`."""
        await until_one_ends(self._listen(waiting), self._tell(), self._expire())

    async def _tell(self) -> None:
        async with aclosing(self._following.frames()) as batches:
            async for shown in batches:
                frames = [each.frame for each in shown]
                for frame in frames:
                    if frame.WhichOneof("frame") == "welcome":
                        self._narrow(frame)
                await self._browser.send(frames)

    async def _listen(self, waiting: Iterator[Said]) -> None:
        while True:
            try:
                for said in waiting:
                    if said.kind == "close" and said.refused is None:
                        if self._following.leave():
                            await asyncio.sleep(GOODBYE_SECONDS)
                        return
                    await self._take(said)
            except InvalidArgument as error:
                await self._refuse("", error)
                raise in_a_sentence(error) from None
            waiting = read_frames(await self._browser.receive(), self._session_id)

    async def _take(self, said: Said) -> None:
        if said.refused is not None:
            await self._refuse(said.op_id, said.refused)
        elif said.kind == "hello":
            await self._hello(said)
        elif said.kind == "ping":
            payload = said.frame.ping.payload[:PAYLOAD_CHARACTERS]
            await self._browser.send([ServerFrame(pong=Pong(payload=payload))])
        else:
            try:
                self._following.say(said.frame, said.op_id)
            except SessiondError as error:
                refused = refusal(self._session_id, said.op_id, error)
                await self._browser.send([for_browsers(refused)])
            await self._following.room()

    async def _refuse(self, op_id: str, error: InvalidArgument) -> None:
        await self._browser.send([refusal(self._session_id, op_id, error)])

    async def _hello(self, said: Said) -> None:
        """Go on under a fresh token, of the same caller."""
        hello, found = said.frame.hello, Violations()
        for field in ("cursor", "tail"):
            if hello.HasField(field):
                found.add(field, "is for the first hello")
        if found.found:
            await self._refuse("", InvalidArgument(found.found))
            return
        before = self._following.call
        call = await self._admit(hello.token)
        if before.identity is None or call.identity is None:
            raise Unauthenticated
        if call.identity.actor != before.identity.actor:
            raise PermissionDenied("A fresh token must be of the same caller.")
        self._following.refresh(call)
        self._renewed.set()
        if self._following.welcome is not None:
            welcome = ServerFrame(welcome=self._following.welcome)
            self._narrow(welcome)
            await self._browser.send([welcome])

    async def _expire(self) -> None:
        while (left := self._following.call.expires_at - self._clock()) > 0:
            self._renewed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, _LONGEST_WAIT)):
                    await self._renewed.wait()
        raise Unauthenticated("The token has expired.")

    def _narrow(self, frame: ServerFrame) -> None:
        """Say what a WebSocket allows, where that is less than what a stream of Live does."""
        limits = frame.welcome.limits
        limits.attached_sessions = 1
        limits.frame_bytes = min(limits.frame_bytes, self._frame_bytes)
