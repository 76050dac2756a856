"""The other end of a WebSocket: texts of frames in, frames out, one farewell."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.websockets import WebSocket, WebSocketDisconnect

from gateway.farewell import CLOSED, Farewell
from gateway.mapping.frames import show_frames
from sessiond.errors import InvalidArgument
from sessiond.v1.live_pb2 import ServerFrame


class Disconnected(Exception):
    """The other end is gone; the code says how."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(code)


class Browser:
    """An accepted WebSocket. Several tasks may send; one receives."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket

    async def receive(self) -> str:
        """Return the next message.

        Raises:
            Farewell: it is not text.
            Disconnected: there is none.
        """
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            raise Disconnected(message["code"])
        text: str | None = message.get("text")
        if text is None:
            raise Farewell.of(InvalidArgument(detail="A frame is text, and never binary."))
        return text

    async def send(self, frames: Sequence[ServerFrame]) -> None:
        """Send frames as one message, when those before it have left.

        Raises:
            Disconnected: nobody is there.
        """
        try:
            await self._socket.send_text(show_frames(frames))
        except WebSocketDisconnect as gone:
            raise Disconnected(gone.code) from None

    async def close(self) -> int:
        """Close as the other end wished; return the code."""
        return await self._close(CLOSED, "")

    async def part(self, farewell: Farewell) -> int:
        """Say why, and close; return the code."""
        try:
            await self.send([ServerFrame(goaway=farewell.goaway)])
        except Disconnected as gone:
            return gone.code
        return await self._close(farewell.code, farewell.goaway.reason)

    async def _close(self, code: int, reason: str) -> int:
        try:
            await self._socket.close(code, reason)
        except WebSocketDisconnect as gone:
            return gone.code
        return code
